"""The requests of one action: reads, writes, and whether any of them may have changed the cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from chalicelib.cluster.client import outcome_unknown
from chalicelib.cluster.writing import PatchType, Propagation
from chalicelib.domain.errors import ClusterRefused, Conflict
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.clusters import ClusterSession

T = TypeVar("T")

#: Tries of a write whose answers are lost, each after a look at the object.
MOST_TRIES = 4


class _Sent(threading.local):
    """Whether the action in this thread's hands has changed the cluster, or may have."""

    wrote = False


class Sending:
    """Sends the requests of actions, and notes of each action, in its own thread, whether it may have changed
    something: every write counts but those that the server surely refused."""

    def __init__(self, session: ClusterSession, pause: Callable[[], None], look: Callable[[], None]) -> None:
        self.session = session
        self.pause = pause
        self._look = look
        self._objects = session.objects
        self._sent = _Sent()

    def begin(self) -> None:
        """Another action: nothing is written yet."""
        self._sent.wrote = False

    @property
    def wrote(self) -> bool:
        """Whether this action has changed something, or may have."""
        return self._sent.wrote

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
        """Where an object belongs. `Conflict` if the cluster does not serve its kind."""
        found = self.session.discovery.resource_for(key.group, key.kind)
        if found is None:
            found = self.session.rediscover().resource_for(key.group, key.kind)
        if found is None:
            raise Conflict(
                f"{key}: the cluster does not serve this kind (its definition is missing or not established)."
            )
        return found

    def read(self, resource: Resource, key: ObjectKey) -> Body | None:
        """The object as it is now, `None` if it is not there."""
        return self._objects.get(resource, key.namespace, key.name)

    # ── writes ────────────────────────────────────────────────────────────────────────────────────────────

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
        self, resource: Resource, key: ObjectKey, *, uid: str, resource_version: str | None, propagation: Propagation
    ) -> bool:
        """DELETE of that very object."""
        return self._noted(
            lambda: self._objects.delete(
                resource, key.namespace, key.name, uid=uid, resource_version=resource_version, propagation=propagation
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
