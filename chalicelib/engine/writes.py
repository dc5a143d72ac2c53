"""One action, carried out: the requests it takes, and what is known of the object afterwards.

Every method may meet its own earlier work: an answer can be lost, and a worker can die between the request and the
ledger. So each first asks (or is told by the server's refusal) what is there, and does only what is left to do:

    create    there and equal: done.     there and different: moved.
    update    equal already: done.       as planned: PUT with its resourceVersion.    anything else: moved.
    replace   gone: create.              as planned: delete, wait, create.            another that is equal: done.
    delete    gone: done.                the planned uid: delete with preconditions.  another uid: moved.

*Moved* means that somebody else changed the object since the plan was made; nothing is written over that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chalicelib.cluster import waiting
from chalicelib.cluster.client import outcome_unknown
from chalicelib.cluster.writing import Objects, PatchType, Propagation
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, Conflict, DeadlineExceeded, MainstayError
from chalicelib.domain.objects import Body, ObjectKey, Resource, key_of
from chalicelib.domain.plan import Action, LedgerEntry, Verb
from chalicelib.engine import held
from chalicelib.engine.clusters import ClusterSession
from chalicelib.engine.owners import Owners
from chalicelib.engine.stale import is_as_planned
from chalicelib.engine.volumes import Kept, Volumes
from chalicelib.planning import creation, ownership
from chalicelib.planning.compare import Comparison, compare
from chalicelib.planning.context import PlanContext
from chalicelib.planning.normalise import copy_of, normalise
from chalicelib.planning.order import OWNER

T = TypeVar("T")

#: Tries of a write whose answers are lost, each after a look at the object.
_MOST_TRIES = 4
#: How long one object may take to disappear, seconds.
_DELETE_LIMIT = 120.0
#: How long the pods that use a claim may take to stop once their workload is deleted, seconds.
_UNUSED_LIMIT = 60.0

_CLAIM = ("", "PersistentVolumeClaim")


@dataclass(slots=True)
class Written:
    """What a write left: the object's new identity, and what there is to say."""

    request: str
    uid: str | None = None
    resource_version: str | None = None
    message: str = ""
    #: For the ledger: what was done beside the object itself.
    memory: dict[str, Any] = field(default_factory=dict)


class _Sent(threading.local):
    """Whether the action in this thread's hands has changed the cluster, or may have."""

    wrote = False


class _Sending:
    """The writes of `Objects`, noting which may have changed something: all but those the server surely refused."""

    def __init__(self, objects: Objects, sent: _Sent) -> None:
        self._objects = objects
        self._sent = sent

    def create(self, body: Body, field_manager: str, *, resource: Resource) -> Body:
        """POST."""
        return self._noted(lambda: self._objects.create(body, field_manager, resource=resource))

    def replace(self, body: Body, field_manager: str, *, resource: Resource) -> Body:
        """PUT."""
        return self._noted(lambda: self._objects.replace(body, field_manager, resource=resource))

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Body | list[Body],
        kind: PatchType = "merge",
        *,
        field_manager: str,
    ) -> Body:
        """A merge, JSON or apply patch."""
        return self._noted(
            lambda: self._objects.patch(resource, namespace, name, patch, kind, field_manager=field_manager)
        )

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str | None,
        propagation: Propagation,
    ) -> bool:
        """DELETE of that very object."""
        return self._noted(
            lambda: self._objects.delete(
                resource, namespace, name, uid=uid, resource_version=resource_version, propagation=propagation
            )
        )

    def _noted(self, send: Callable[[], T]) -> T:
        before, self._sent.wrote = self._sent.wrote, True
        try:
            return send()
        except ClusterRefused as error:
            if not outcome_unknown(error):
                self._sent.wrote = before
            raise


class Writer:
    """Carries out actions of one plan on one cluster. Safe to use from several threads."""

    def __init__(
        self,
        session: ClusterSession,
        context: PlanContext,
        pause: Callable[[], None],
        look: Callable[[], None],
        operation: str,
        coming: frozenset[ObjectKey],
    ) -> None:
        self._session = session
        self._context = context
        self._pause = pause
        self._look = look
        self._sent = _Sent()
        self._sending = _Sending(session.objects, self._sent)
        self._owners = Owners(session, coming)
        #: What was created before its owner.
        self._orphans: list[tuple[Resource, Body]] = []
        self._volumes = Volumes(session, operation)

    def perform(self, number: int, phase: str, action: Action, wanted: Body | None) -> LedgerEntry:
        """Carry out one action and tell its outcome. Failures of the object are told, not raised; what stops the
        whole operation (a lost lease, a server that is away) is raised."""
        started = time.monotonic()
        self._sent.wrote = False
        entry = LedgerEntry(
            action=number,
            phase=phase,
            mark="done",
            verb=action.verb,
            object=action.object,
            uid_before=action.live_uid,
        )
        try:
            written = self._dispatch(action, wanted)
        except (ClusterRefused, Conflict, DeadlineExceeded) as error:
            return entry.model_copy(
                update={
                    "mark": "failed",
                    # Its owner's action may have detached it before.
                    "wrote": self._sent.wrote or action.detached_digest is not None,
                    "error": error.as_json(),
                    "request": error.request if isinstance(error, ClusterRefused) else "",
                    "message": error.message,
                    "told": error.public().message,
                    "duration_ms": _ms(started),
                }
            )
        return entry.model_copy(
            update={
                "uid_after": written.uid,
                "resource_version_after": written.resource_version,
                "request": written.request,
                "message": written.message,
                "memory": written.memory,
                "duration_ms": _ms(started),
            }
        )

    def _between(self, tried: int, *, begun: bool = False) -> None:
        """Between two requests of one action: once it has changed something, it is not left half done because a
        worker's time is over. Or slow answers and short turns would have each turn begin with the same ones. Tries
        beyond the first may take long: these do end with the time."""
        if tried == 0 and (begun or self._sent.wrote):
            self._look()
        else:
            self._pause()

    def _dispatch(self, action: Action, wanted: Body | None) -> Written:
        resource = self._resource(action.object.key)
        if action.verb is Verb.DELETE:
            return self._delete(action, resource)
        if action.reason == OWNER:
            return self._attach(action, resource, wanted)
        if wanted is None:
            raise MainstayError(f"{action.object.key}: the plan wants it, but there is nothing to write.")
        if action.verb is Verb.CREATE:
            return self._create(action.object.key, resource, wanted)
        if action.verb is Verb.UPDATE:
            return self._update(action, resource, wanted)
        return self._replace(action, resource, wanted)

    def _resource(self, key: ObjectKey) -> Resource:
        found = self._session.discovery.resource_for(key.group, key.kind)
        if found is None:
            found = self._session.rediscover().resource_for(key.group, key.kind)
        if found is None:
            raise Conflict(
                f"{key}: the cluster does not serve this kind (its definition is missing or not established)."
            )
        return found

    def _read(self, resource: Resource, key: ObjectKey) -> Body | None:
        return self._session.objects.get(resource, key.namespace, key.name)

    # ── create ──────────────────────────────────────────────────────────────────────────────────────────

    def _create(self, key: ObjectKey, resource: Resource, wanted: Body) -> Written:
        claim = _is_claim(resource)
        owned, said = self._owners.resolve(wanted)
        refused: ClusterRefused | None = None
        for candidate in creation.candidates(owned, self._context):
            if claim:
                self._volumes.release(candidate.body)
            try:
                made, request = self._create_once(key, resource, candidate.body, wanted)
            except ClusterRefused as error:
                if not candidate.may_fall_back(error.http_status, error.reason, error.message):
                    raise
                refused = error
                continue
            made, ownership_note = self._own(resource, made, wanted)
            self._owners.learn(key, made)
            if self._owners.waits(wanted):
                self._orphans.append((resource, wanted))
            volume_note = self._volumes.settle(key, self._pause) if claim else ""
            return _written(request, made, _sentences(candidate.message, said, ownership_note, volume_note))
        assert refused is not None  # noqa: S101  # there is always one candidate
        raise refused

    def _create_once(self, key: ObjectKey, resource: Resource, body: Body, wanted: Body) -> tuple[Body, str]:
        path = resource.collection_path(key.namespace if resource.namespaced else "")
        manager = ownership.best_manager(wanted)
        applied = ownership.applied_whole(wanted, body)
        for tried in range(_MOST_TRIES):
            self._between(tried)
            try:
                if applied is not None:
                    applier, content = applied
                    made = self._sending.patch(
                        resource, key.namespace, key.name, content, "apply", field_manager=applier
                    )
                    return made, f"PATCH {path}/{key.name}"
                return self._sending.create(body, manager, resource=resource), f"POST {path}"
            except ClusterRefused as error:
                if applied is not None and error.reason != "Conflict":
                    applied = None  # a plain create may be allowed, or tells better why not
                    continue
                if applied is None and error.reason != "AlreadyExists":
                    raise
                live = self._read(resource, key)
                if live is None:
                    applied = None
                    continue  # it went between the two requests
                if live["metadata"].get("deletionTimestamp"):
                    self._wait_gone(resource, key, live["metadata"]["uid"])
                    continue
                comparison = self._compare(wanted, live, resource)
                if comparison.equal:
                    return live, f"GET {path}/{key.name}"
                if creation.tolerates_existing(key):
                    # The cluster made it by itself once its namespace was there: bring that one to what is wanted.
                    changed = creation.for_update(comparison.target, live, resource)
                    return self._sending.replace(changed, manager, resource=resource), f"PUT {path}/{key.name}"
                raise _moved(key, comparison, "exists by now") from error
            except ClusterUnreachable as error:
                if not outcome_unknown(error):
                    raise
                # Lost answer: the next try meets the object, if it was made.
        raise ClusterUnreachable(f"{key}: no answer to {_MOST_TRIES} requests to create it.")

    # ── update ──────────────────────────────────────────────────────────────────────────────────────────

    def _update(self, action: Action, resource: Resource, wanted: Body) -> Written:
        key = action.object.key
        path = resource.object_path(key.namespace, key.name)
        for tried in range(_MOST_TRIES):
            self._between(tried)
            live = self._read(resource, key)
            if live is None:
                raise Conflict(f"{key} was deleted between plan and apply. Make a new plan.")
            comparison = self._compare(wanted, live, resource)
            if self._owners.waits(wanted):
                self._orphans.append((resource, wanted))
            if comparison.equal:
                return _written(f"GET {path}", live, "it was equal already")
            if not is_as_planned(action, comparison.live):
                raise _moved(key, comparison, "changed")
            body, _ = self._owners.resolve(creation.for_update(comparison.target, live, resource))
            manager = ownership.best_manager(wanted, live)
            try:
                made = self._sending.replace(body, manager, resource=resource)
            except ClusterRefused as error:
                if error.reason == "Conflict":
                    continue  # a status, or somebody's change: the next look tells which
                raise
            except ClusterUnreachable as error:
                if not outcome_unknown(error):
                    raise
                continue
            return _written(f"PUT {path}", *self._own(resource, made, wanted))
        raise Conflict(f"{key} is being changed by somebody else all the time; {_MOST_TRIES} tries met a conflict.")

    # ── delete, replace ─────────────────────────────────────────────────────────────────────────────────

    def _delete(self, action: Action, resource: Resource) -> Written:
        key = action.object.key
        path = resource.object_path(key.namespace, key.name)
        kept = self._delete_planned(action, resource)
        said = "" if action.live_uid is None else self._wait_for_its_end(resource, key, action.live_uid)
        return Written(f"DELETE {path}", message=_sentences(kept.message, said), memory=kept.memory)

    def _wait_for_its_end(self, resource: Resource, key: ObjectKey, uid: str) -> str:
        """Wait until it is gone; and what keeps a namespace that will not be.

        A namespace's deletion cannot be taken back, and nothing could be made in it any more: no failure would help.
        That it is still there is told when it is read back.
        """
        if (key.group, key.kind) != ("", "Namespace"):
            self._wait_gone(resource, key, uid)
            return ""
        try:
            keeps = waiting.until_namespace_gone(
                self._session.client, key.name, uid=uid, timeout=_DELETE_LIMIT, between=self._pause
            )
        except DeadlineExceeded as error:
            keeps = str(error.details.get("missing"))
        return f"It is deleted, but not gone yet: {keeps}" if keeps else ""

    def _replace(self, action: Action, resource: Resource, wanted: Body) -> Written:
        key = action.object.key
        live = self._read(resource, key)
        kept = Kept()
        if live is not None and live["metadata"]["uid"] != action.live_uid:
            comparison = self._compare(wanted, live, resource)
            if comparison.equal:
                if self._owners.waits(wanted):
                    self._orphans.append((resource, wanted))
                self._owners.learn(key, live)
                said = self._volumes.settle(key, self._pause) if _is_claim(resource) else ""
                return _written("GET", live, _sentences("It was replaced already.", said))
            raise _moved(key, comparison, "was replaced by another")
        if live is not None:
            kept = self._delete_planned(action, resource)
            self._wait_gone(resource, key, live["metadata"]["uid"])
        written = self._create(key, resource, wanted)
        return Written(
            f"DELETE {resource.object_path(key.namespace, key.name)}, {written.request}",
            written.uid,
            written.resource_version,
            _sentences(kept.message, written.message),
            kept.memory,
        )

    def _delete_planned(self, action: Action, resource: Resource) -> Kept:
        """Delete the very object that was planned, and say what was kept of it."""
        key = action.object.key
        if not _is_claim(resource):
            self._detach(action)
            self._send_delete(action, resource)
            return Kept()
        live = self._read(resource, key)
        if live is None:
            return Kept()
        _refuse_if_moved(action, live, resource)
        self._wait_unused(key)
        self._detach(action)
        kept = self._volumes.keep(live)
        try:
            self._send_delete(action, resource)
        except (ClusterRefused, Conflict):
            # The claim stays, so its volume goes back to the policy it had.
            self._volumes.settle_now(key)
            raise
        return kept

    def _send_delete(self, action: Action, resource: Resource) -> None:
        key = action.object.key
        version = action.live_resource_version
        for tried in range(_MOST_TRIES):
            self._between(tried)
            try:
                self._sending.delete(
                    resource,
                    key.namespace,
                    key.name,
                    uid=action.live_uid or "",
                    resource_version=version,
                    propagation=action.propagation,
                )
            except ClusterRefused as error:
                if error.http_status == 404:
                    return
                if error.reason != "Conflict":
                    raise
            except ClusterUnreachable as error:
                if not outcome_unknown(error):
                    raise
            else:
                return
            live = self._read(resource, key)
            if live is None:
                return
            _refuse_if_moved(action, live, resource)
            version = str(live["metadata"]["resourceVersion"])
        raise Conflict(f"{key} is being changed by somebody else all the time; it was not deleted.")

    def _wait_unused(self, claim: ObjectKey) -> None:
        """A claim that a pod uses would be doomed and stay. Pods that the plan stops are given time to."""

        def look() -> str:
            return held.in_use(held.users_of(self._session, claim, held.pods_of(self._session, claim.namespace)))

        try:
            waiting.until(look, f"{claim} to be unused", timeout=_UNUSED_LIMIT, between=self._pause)
        except DeadlineExceeded as error:
            raise Conflict(f"{claim} was not deleted. {error.details['missing']}") from error

    def _wait_gone(self, resource: Resource, key: ObjectKey, uid: str) -> None:
        waiting.until_deleted(
            self._session.client,
            resource,
            key.namespace,
            key.name,
            uid=uid,
            timeout=_DELETE_LIMIT,
            between=self._pause,
        )

    def _compare(self, wanted: Body, live: Body, resource: Resource) -> Comparison:
        return compare(wanted, normalise(copy_of(live), resource), self._context)

    # ── field ownership ───────────────────────────────────────────────────────────────────────────────────

    def _own(self, resource: Resource, made: Body, wanted: Body) -> tuple[Body, str]:
        """Put field ownership back to what it was, where the write alone did not; and what there is to say of it.

        The content is restored already: that its ownership could not be is told, and fails nothing.
        """
        if ownership.same_managers(made, wanted):
            return made, ""
        patch = ownership.managers_patch(wanted, made)
        if patch is None:
            return made, ""
        metadata = made["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        # As a JSON patch it costs the server a tenth less than as a merge patch of the whole object.
        change = [{"op": "add", "path": "/metadata/managedFields", "value": patch["metadata"]["managedFields"]}]
        for tried in range(_MOST_TRIES):
            self._between(tried, begun=True)
            try:
                owned = self._sending.patch(
                    resource, namespace, name, change, "json", field_manager=ownership.best_manager(wanted)
                )
            except ClusterRefused as error:
                if error.http_status == 404:
                    return made, ""  # its controller took it away at once; reading back tells
                return made, f"Its field ownership could not be put back: {error.message}"
            except ClusterUnreachable as error:
                if not outcome_unknown(error):
                    raise
                # A large definition can take the server longer than one request may: it may be done by now.
                live = self._session.objects.get(resource, namespace, name)
                if live is None or live["metadata"].get("uid") != metadata.get("uid"):
                    return made, ""
                if ownership.same_managers(live, wanted):
                    return live, ""
            else:
                return owned, ""
        return made, "Its field ownership could not be put back: the server did not answer in time."

    # ── what must not go with its owner ───────────────────────────────────────────────────────────────────

    def _detach(self, owner: Action) -> None:
        """Before an owner is deleted: take the references to it out of everything that is not to go with it.

        Of claims the volumes are kept as well: the controller of a StatefulSet may own them again at once.
        """
        for identity in owner.dependents:
            key = identity.key
            resource = self._resource(key)
            for _ in range(_MOST_TRIES):
                self._pause()
                live = self._read(resource, key)
                references = (live or {"metadata": {}})["metadata"].get("ownerReferences") or []
                kept = [reference for reference in references if reference.get("uid") != owner.live_uid]
                if live is None or len(kept) == len(references):
                    break
                if _is_claim(resource):
                    self._keep_if_possible(live)
                if self._own_by(resource, live, kept, None) is not None:
                    break
            else:
                raise Conflict(f"{key} is being changed by somebody else all the time; its owner was not deleted.")

    def _keep_if_possible(self, claim: Body) -> None:
        try:
            self._volumes.keep(claim)
        except Conflict:
            return  # it is detached, and stays with its volume; this was for safety

    def _attach(self, action: Action, resource: Resource, wanted: Body | None) -> Written:
        """Give an object that stayed its owners back, now that they were made anew."""
        key = action.object.key
        path = resource.object_path(key.namespace, key.name)
        for tried in range(_MOST_TRIES):
            self._between(tried)
            live = self._read(resource, key)
            if live is None or live["metadata"].get("deletionTimestamp"):
                raise Conflict(f"{key} was deleted while its owner was. An undo makes it again.")
            said = self._volumes.settle_now(key) if _is_claim(resource) else ""
            live_references = live["metadata"].get("ownerReferences") or []
            given = {"metadata": {"namespace": key.namespace, "ownerReferences": list(action.owners)}}
            resolved, dropped = self._owners.resolve(given)
            references = resolved["metadata"].get("ownerReferences") or []
            uids = {reference["uid"] for reference in references}
            names = {_named(reference) for reference in references}
            if uids.issubset(reference.get("uid") for reference in live_references):
                return _written(f"GET {path}", live, _sentences(action.message, dropped, said))
            others = [reference for reference in live_references if _named(reference) not in names]
            made = self._own_by(resource, live, [*others, *references], wanted)
            if made is not None:
                return _written(f"PATCH {path}", made, _sentences(action.message, dropped, said))
        raise Conflict(f"{key} is being changed by somebody else all the time; its owner could not be given back.")

    def _own_by(self, resource: Resource, live: Body, references: list[Body], wanted: Body | None) -> Body | None:
        """Patch the owner references of an object that is as it was read; `None` if it is not."""
        metadata = live["metadata"]
        patch = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "ownerReferences": references or None,
            }
        }
        manager = ownership.best_manager(wanted, live) if wanted is not None else ownership.OURS
        try:
            made = self._sending.patch(
                resource, metadata.get("namespace", ""), metadata["name"], patch, field_manager=manager
            )
        except ClusterRefused as error:
            if error.http_status in {404, 409}:
                return None
            raise
        except ClusterUnreachable as error:
            if not outcome_unknown(error):
                raise
            return None
        return self._own(resource, made, wanted)[0] if wanted is not None else made

    # ── owners that came later ────────────────────────────────────────────────────────────────────────────

    def adopt(self, earlier: Iterable[tuple[ObjectKey, Body]]) -> None:
        """Give what was created before its owner the reference to it, now that everything is there.

        `earlier` are objects that an earlier worker created. What cannot be adopted differs when it is read back.
        """
        for key, wanted in earlier:
            if self._owners.waits(wanted):
                self._orphans.append((self._resource(key), wanted))
        for resource, wanted in self._orphans:
            self._sent.wrote = False
            self._pause()
            owned, _ = self._owners.resolve(wanted)
            references = owned["metadata"].get("ownerReferences")
            key = key_of(wanted)
            live = self._read(resource, key)
            if live is None or not references or live["metadata"].get("ownerReferences") == references:
                continue
            patch = {"metadata": {"uid": live["metadata"]["uid"], "ownerReferences": references}}
            manager = ownership.best_manager(wanted, live)
            try:
                made = self._sending.patch(resource, key.namespace, key.name, patch, field_manager=manager)
                self._own(resource, made, wanted)
            except ClusterRefused:
                continue
        self._orphans.clear()


def _named(reference: Body) -> tuple[str, str, str]:
    return str(reference.get("apiVersion")), str(reference.get("kind")), str(reference.get("name"))


def _is_claim(resource: Resource) -> bool:
    return (resource.group, resource.kind) == _CLAIM


def _refuse_if_moved(action: Action, live: Body, resource: Resource) -> None:
    """Before a delete: whether it is the very object, with the very content, that was planned."""
    key = action.object.key
    if live["metadata"]["uid"] != action.live_uid:
        raise Conflict(f"{key} was replaced by another object between plan and apply. Make a new plan.")
    if not is_as_planned(action, normalise(copy_of(live), resource)):
        raise Conflict(f"{key} changed between plan and apply; it was not deleted. Make a new plan.")


def _moved(key: ObjectKey, comparison: Comparison, what: str) -> Conflict:
    fields = ", ".join(difference.path for difference in comparison.differences[:5]) or "its identity"
    return Conflict(f"{key} {what} between plan and apply ({fields}). Nothing was written over it; make a new plan.")


def _written(request: str, made: Body, message: str = "") -> Written:
    metadata = made["metadata"]
    return Written(request, metadata.get("uid"), metadata.get("resourceVersion"), message)


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
