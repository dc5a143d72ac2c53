"""The requests of one action: reads, writes, and whether any of them may have changed the cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from chalicelib.cluster.client import now, outcome_unknown
from chalicelib.cluster.writing import PatchType, Propagation
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, Conflict
from chalicelib.domain.objects import Body, ObjectKey, Resource, key_of
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.write import silence
from chalicelib.engine.write.silence import Manner, Silence, Write

T = TypeVar("T")

#: Tries of a write whose answers are lost, each after a look at the object.
MOST_TRIES = 4


class _Sent(threading.local):
    """Whether the action in this thread's hands has changed the cluster, or may have."""

    wrote = False
    manner = Manner.USUAL


class Sending:
    """Sends the requests of actions, and notes of each action, in its own thread, whether it may have changed
    something: every write counts but those that the server surely refused.

    `left` says how many seconds its worker has yet. What gets no answer is asked about: see `silence`.
    """

    def __init__(
        self,
        session: ClusterSession,
        pause: Callable[[], None],
        look: Callable[[], None],
        left: Callable[[], float] = lambda: float("inf"),
    ) -> None:
        self.session = session
        self.pause = pause
        self._look = look
        self._left = left
        self._objects = session.objects
        self._sent = _Sent()
        self._silence = Silence()

    def begin(self, manner: Manner = Manner.USUAL) -> None:
        """Another action: nothing is written yet."""
        self._sent.wrote = False
        self._sent.manner = manner

    @property
    def wrote(self) -> bool:
        """Whether this action has changed something, or may have."""
        return self._sent.wrote

    def has_written(self) -> None:
        """An earlier try of this action has changed something."""
        self._sent.wrote = True

    def between(self, tried: int, *, begun: bool = False) -> None:
        """Between two requests of one action: once it has changed something, it is not left half done because a
        worker's time is over. Or slow answers and short turns would have each turn begin with the same ones. Tries
        beyond the first may take long: these do end with the time."""
        if tried == 0 and (begun or self.wrote):
            self._look()
        else:
            self.pause()

    # ── reads ─────────────────────────────────────────────────────────────────────────────────────────────

    def resource(self, key: ObjectKey) -> Resource:
        """Where an object belongs. `Conflict` if the cluster does not serve its kind, or serves it with another scope
        by now: an object of a namespace would be taken for one of the whole cluster."""
        found = self.session.discovery.resource_for(key.group, key.kind)
        if found is None or found.namespaced != bool(key.namespace):
            found = self.session.rediscover().resource_for(key.group, key.kind)
        if found is None:
            raise Conflict(
                f"{key}: the cluster does not serve this kind (its definition is missing or not established)."
            )
        if found.namespaced != bool(key.namespace):
            scope = "Namespaced" if found.namespaced else "Cluster"
            raise Conflict(
                f"{key}: objects of this kind have the scope {scope} by now (another definition has come)."
            )
        return found

    def read(self, resource: Resource, key: ObjectKey) -> Body | None:
        """The object as it is now, `None` if it is not there."""
        return self._objects.get(resource, key.namespace, key.name)

    # ── writes ────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, body: Body, field_manager: str, *, resource: Resource) -> Body:
        """POST."""
        send = partial(self._objects.create, body, field_manager, resource=resource)
        return self._noted(Write("CREATE", resource, key_of(body), None), send)

    def replace(self, body: Body, field_manager: str, *, resource: Resource) -> Body:
        """PUT."""
        send = partial(self._objects.replace, body, field_manager, resource=resource)
        return self._noted(Write("UPDATE", resource, key_of(body), _version(body)), send)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Body | list[Body],
        kind: PatchType = "merge",
        *,
        field_manager: str,
        version: str | None,
    ) -> Body:
        """A merge, JSON or apply patch of an object that was seen in this `resourceVersion`, or was not there."""
        key = ObjectKey(resource.group, resource.kind, namespace, name)
        write = Write("UPDATE" if version else "CREATE", resource, key, version)
        send = partial(self._objects.patch, resource, namespace, name, patch, kind, field_manager=field_manager)
        return self._noted(write, send)

    def patch_as_read(self, resource: Resource, live: Body, change: Body, *, field_manager: str) -> Body | None:
        """A merge patch of the very object that was read, if it is as it was then; `None` if it is not, or may have
        been patched by now: then it is to be read again."""
        metadata = live["metadata"]
        seen = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        patch = {**change, "metadata": {**change.get("metadata", {}), **seen}}
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        try:
            return self.patch(
                resource, namespace, name, patch, field_manager=field_manager, version=metadata["resourceVersion"]
            )
        except ClusterRefused as error:
            if error.http_status in {404, 409}:
                return None
            raise
        except ClusterUnreachable as error:
            if not outcome_unknown(error):
                raise
            return None

    def delete(
        self, resource: Resource, key: ObjectKey, *, uid: str, resource_version: str | None, propagation: Propagation
    ) -> bool:
        """DELETE of that very object."""
        send = partial(
            self._objects.delete,
            resource,
            key.namespace,
            key.name,
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
        )
        return self._noted(Write("DELETE", resource, key, resource_version), send)

    def _noted(self, write: Write, send: Callable[..., T]) -> T:
        manner = self._sent.manner
        if manner is not Manner.BRIEF:
            self._keep_silent(write, send)
        brief = None if manner.asks else self._silence.brief(write, though_slow=manner is Manner.BRIEF)
        before, self._sent.wrote = self._sent.wrote, True
        began = now()
        try:
            return send(timeout=silence.BRIEF_SECONDS) if brief else send()
        except ClusterRefused as error:
            if not outcome_unknown(error):
                self._sent.wrote = before
            if silence.unanswered(error) and now() - began > silence.SLOW_SECONDS:
                self._silence.begins(write, error)
            raise
        except ClusterUnreachable as error:
            if not outcome_unknown(error):
                raise
            self._find_out_why(write, send, error, brief)
            raise

    # ── silence ───────────────────────────────────────────────────────────────────────────────────────────

    def _keep_silent(self, write: Write, send: Callable[..., T]) -> None:
        """Raise what is known of a kind that gets no answer, unless it is this action's to ask and there is one."""
        known = self._silence.of(write)
        if known is None:
            return
        if not self._sent.manner.asks:
            raise known
        try:
            self._ask(write, send)
        except ClusterUnreachable:
            raise known from None
        self._silence.ends(write)

    def _find_out_why(
        self, write: Write, send: Callable[..., T], error: ClusterUnreachable, brief: ClusterRefused | None
    ) -> None:
        """After a write without an answer: raise why it has none. Return if it was done, or a try may have one."""
        self.pause()
        live = self.read(write.resource, write.key)
        if (live and _version(live)) != write.version:
            return
        if brief is not None:
            self._silence.begins(write, brief)
            raise brief from error
        with self._silence.finding_out(write):
            known = self._silence.of(write, sent=True)
            if known is not None:
                raise known from error
            self.pause()  # those before it may have taken all the time there was
            self._ask(write, send)

    def _ask(self, write: Write, send: Callable[..., T]) -> None:
        """Ask by dry run why there is no answer. Raises what became of it, which the others of its kind are told if
        there is none yet; `ClusterUnreachable` if that cannot be told."""
        try:
            self._dry_run(write, send)
        except ClusterRefused as refusal:
            if silence.unanswered(refusal):
                self._silence.begins(write, refusal)
            raise

    def _dry_run(self, write: Write, send: Callable[..., T]) -> None:
        """For as long as this worker has."""
        usual = self.session.client.write_seconds
        limit = min(silence.ASK_SECONDS, max(self._left(), 1.0))
        began = now()
        try:
            send(dry_run=True, timeout=limit, deadline=began + limit)
        except ClusterRefused as answer:
            verdict = silence.understand(answer, usual)
            if verdict is not None:
                raise verdict from answer
            return
        except ClusterUnreachable as error:
            if limit < silence.ASK_SECONDS:
                raise
            self.read(write.resource, write.key)  # raises if the whole server is away
            raise silence.mute(write) from error
        took = now() - began
        if took > usual:
            raise silence.too_slow(write, usual, took, alone=self._sent.manner is Manner.ALONE)


def _version(body: Body) -> str | None:
    version: str | None = body["metadata"].get("resourceVersion")
    return version
