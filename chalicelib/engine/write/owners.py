"""Owner references, mapped to the owners that are there now.

A stored reference has no uid: the owner's old one would get the restored object collected at once. Where the owner
is not there (any more), the reference is dropped and that is said: an object without an owner stays.
"""

from __future__ import annotations

import threading

from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.engine.lane.clusters import ClusterSession


class Owners:
    """The uids of owners in one session, each looked up once.

    `coming` are objects that will be made yet: a reference to one of these is only put off (see `Writer.adopt`).
    """

    def __init__(self, session: ClusterSession, coming: frozenset[ObjectKey] = frozenset()) -> None:
        self._session = session
        self._coming = coming
        self._uids: dict[ObjectKey, str | None] = {}
        self._lock = threading.Lock()

    def learn(self, key: ObjectKey, made: Body) -> None:
        """An object was just written: its dependants come in later waves."""
        with self._lock:
            self._uids[key] = made["metadata"].get("uid")

    def resolve(self, body: Body) -> tuple[Body, str]:
        """The body with each owner reference given the uid its owner has now, and which had to be dropped.

        The argument stays as it is.
        """
        references = body["metadata"].get("ownerReferences")
        if not references:
            return body, ""
        kept, dropped = [], []
        for reference in references:
            key = self._key_of(reference, body["metadata"].get("namespace", ""))
            uid = None if key is None else self._uid_of(key)
            if uid is None and key not in self._coming:
                dropped.append(f"{reference.get('kind')} {reference.get('name')}")
            elif uid is not None:
                kept.append({**reference, "uid": uid})
        metadata = {name: value for name, value in body["metadata"].items() if name != "ownerReferences"}
        if kept:
            metadata["ownerReferences"] = kept
        said = f"Its owner is not there, so the reference was dropped: {', '.join(dropped)}." if dropped else ""
        return {**body, "metadata": metadata}, said

    def waits(self, body: Body) -> bool:
        """Whether one of its owners is to come yet."""
        namespace = body["metadata"].get("namespace", "")
        keys = [self._key_of(each, namespace) for each in body["metadata"].get("ownerReferences") or ()]
        return any(key in self._coming for key in keys)

    def _key_of(self, reference: Body, namespace: str) -> ObjectKey | None:
        group = str(reference.get("apiVersion", "")).rpartition("/")[0]
        kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
        resource = self._session.discovery.resource_for(group, kind)
        return ObjectKey(group, kind, namespace if resource.namespaced else "", name) if resource else None

    def _uid_of(self, key: ObjectKey) -> str | None:
        with self._lock:
            if key in self._uids:
                return self._uids[key]
        resource = self._session.discovery.resource_for(key.group, key.kind)
        owner = self._session.objects.get(resource, key.namespace, key.name) if resource else None
        uid = None if owner is None or owner["metadata"].get("deletionTimestamp") else owner["metadata"]["uid"]
        with self._lock:
            if uid is not None or key not in self._coming:
                self._uids[key] = uid
        return uid
