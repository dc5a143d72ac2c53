"""What must not be deleted as things are: claims that pods use, namespaces and definitions that others are in.

A claim that a pod uses would only be doomed, for good. What is in a namespace, or of a kind that is defined, would go
with it, and with claims their data.
"""

from __future__ import annotations

from collections.abc import Iterable

from chalicelib.domain.document.state import Scope
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.capture.reading import read
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.plan.dependents import RowsOnly
from chalicelib.engine.write.users import in_use, pods_of, users_of
from chalicelib.engine.write.volumes import CLAIM, Volumes
from chalicelib.planning.plan.sayings import named
from chalicelib.planning.selecting.capture_rules import implied
from chalicelib.planning.selecting.selection import Selection


class Held:
    """Whether claims, namespaces and definitions can be deleted, asked by a planner. Pods of a namespace are read
    once."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session
        self._pods: dict[str, list[Body]] = {}

    def __call__(self, key: ObjectKey, going: frozenset[str]) -> str:
        """Why an object cannot be deleted once the objects of these uids are gone; empty if it can."""
        match (key.group, key.kind):
            case ("", "PersistentVolumeClaim"):
                return self._claim(key, going)
            case ("", "Namespace"):
                return self._lost(CLAIM, key.name, going) or self._lost_with(key.name, going)
            case ("apiextensions.k8s.io", "CustomResourceDefinition"):
                plural, _, group = key.name.partition(".")
                served = [each for each in self._session.discovery.resources if each.group == group]
                return " ".join(self._lost(each, "", going) for each in served if each.plural == plural)
        return ""

    def _lost(self, resource: Resource, namespace: str, going: frozenset[str]) -> str:
        """What would be lost of one kind."""
        path = resource.collection_path(namespace)
        try:
            items = self._session.client.get_json(path).get("items") or []
        except ClusterRefused as error:
            if error.http_status == 404:
                return ""
            if error.http_status != 403:
                raise
            return f"It cannot be seen what would be lost with it: {resource.plural} may not be listed."
        return _told(
            f"{resource.kind} {_where(body['metadata'])}" for body in items if body["metadata"]["uid"] not in going
        )

    def _lost_with(self, namespace: str, going: frozenset[str]) -> str:
        """What else would be lost with a namespace: what somebody made in it, not what is made by itself."""
        selection = Selection((Scope(namespaces=(namespace,)),))
        return _told(
            f"{row.key.kind} {namespace}/{row.key.name}"
            for row in read(self._session, selection, RowsOnly(), pause=lambda: None).rows
            if row.key.namespace == namespace
            and not row.standing
            and implied(*row.key) is None
            and going.isdisjoint((row.uid, *row.owners))
        )

    def _claim(self, claim: ObjectKey, going: frozenset[str]) -> str:
        if claim.namespace not in self._pods:
            self._pods[claim.namespace] = pods_of(self._session, claim.namespace)
        pods = self._pods[claim.namespace]
        users = [user for user in users_of(self._session, claim, pods) if user.uids.isdisjoint(going)]
        return in_use(users) or Volumes(self._session, "").cannot_keep(claim)


def _told(lost: Iterable[str]) -> str:
    left = sorted(lost)
    if not left:
        return ""
    return (
        f"With it these would be lost: {named(left)}. Delete them first, or have the restore "
        "delete them (consent to their kind), then restore again."
    )


def _where(metadata: Body) -> str:
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
