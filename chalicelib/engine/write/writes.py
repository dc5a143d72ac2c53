"""One action, carried out: the requests it takes, and what is known of the object afterwards.

Every action may meet its own earlier work: an answer can be lost, and a worker can die between the request and the
ledger. So each first asks (or is told by the server's refusal) what is there, and does only what is left to do:

    create    there and equal: done.     there and different: moved.
    update    equal already: done.       as planned: PUT with its resourceVersion.    as a PUT left it: done.
                                         anything else: moved.
    replace   gone: create.              as planned: delete, wait, create.            another that is equal: done.
    delete    gone: done.                the planned uid: delete with preconditions.  another uid: moved.

*Moved* means that somebody else changed the object since the plan was made; nothing is written over that. What
admission adds when an object is made is no such change: where another one would be made just so, it is equal. Nor is
what it makes of an update that may have been sent (see `updated`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

from chalicelib.cluster.client import outcome_unknown
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, Conflict, DeadlineExceeded, MainstayError
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.plan import Action, LedgerEntry, Verb
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.write import field_owners
from chalicelib.engine.write.attaching import Attaching
from chalicelib.engine.write.creating import Creating
from chalicelib.engine.write.deleting import Deleting
from chalicelib.engine.write.owners import Owners
from chalicelib.engine.write.sending import MOST_TRIES, Sending
from chalicelib.engine.write.silence import Manner
from chalicelib.engine.write.updated import is_as_updated
from chalicelib.engine.write.volumes import Kept, Volumes
from chalicelib.engine.write.written import Written, busy, is_as_planned, moved, sentences
from chalicelib.planning.bodies import creation, ownership
from chalicelib.planning.bodies.compare import Comparison, compare
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.normalise import copy_of, normalise
from chalicelib.planning.plan.order import OWNER


class Writer:
    """Carries out actions of one plan on one cluster. Safe to use from several threads.

    `begun` are the numbers of those that earlier workers may have sent: their intents have no outcome."""

    def __init__(
        self,
        session: ClusterSession,
        context: PlanContext,
        pause: Callable[[], None],
        look: Callable[[], None],
        operation: str,
        coming: frozenset[ObjectKey],
        left: Callable[[], float] = lambda: float("inf"),
        begun: Collection[int] = (),
    ) -> None:
        volumes = Volumes(session, operation)
        self._context = context
        self._begun = set(begun)
        self._sending = Sending(session, pause, look, left)
        self._owners = Owners(session, coming)
        self._attaching = Attaching(self._sending, self._owners, volumes)
        self._deleting = Deleting(self._sending, self._attaching, volumes)
        self._creating = Creating(self._sending, context, self._owners, self._attaching, self._deleting, volumes)

    def perform(
        self, number: int, phase: str, action: Action, wanted: Body | None, manner: Manner = Manner.USUAL
    ) -> LedgerEntry:
        """Carry out one action and tell its outcome. Failures of the object are told, not raised; what stops the
        whole operation (a lost lease, a server that is away) is raised."""
        started = time.monotonic()
        self._sending.begin(manner)
        entry = LedgerEntry(
            action=number,
            phase=phase,
            mark="done",
            verb=action.verb,
            object=action.object,
            uid_before=action.live_uid,
        )
        try:
            written = self._dispatch(action, wanted, begun=number in self._begun)
        except (ClusterRefused, Conflict, DeadlineExceeded) as error:
            if self._sending.wrote:
                self._begun.add(number)  # it may be tried again
            return entry.model_copy(
                update={
                    "mark": "failed",
                    # Its owner's action may have detached it before.
                    "wrote": self._sending.wrote or action.detached_digest is not None,
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

    def adopt(self, earlier: Iterable[tuple[ObjectKey, Body]]) -> None:
        """Give what was created before its owner the reference to it (see `Attaching.adopt`)."""
        self._attaching.adopt(earlier)

    def _dispatch(self, action: Action, wanted: Body | None, *, begun: bool) -> Written:
        resource = self._sending.resource(action.object.key)
        if action.verb is Verb.DELETE:
            return self._deleting.delete(action, resource)
        if action.reason == OWNER:
            return self._attaching.attach(action, resource, wanted)
        if wanted is None:
            raise MainstayError(f"{action.object.key}: the plan wants it, but there is nothing to write.")
        if action.verb is Verb.CREATE:
            return self._creating.create(action.object.key, resource, wanted)
        if action.verb is Verb.UPDATE:
            return self._update(action, resource, wanted, begun=begun)
        return self._replace(action, resource, wanted)

    def _update(self, action: Action, resource: Resource, wanted: Body, *, begun: bool) -> Written:
        key = action.object.key
        path = resource.object_path(key.namespace, key.name)
        for tried in range(MOST_TRIES):
            self._sending.between(tried)
            live = self._sending.read(resource, key)
            if live is None:
                raise Conflict(f"{key} was deleted between plan and apply. Make a new plan.")
            comparison = self._compare(wanted, live, resource)
            self._attaching.put_off(resource, wanted)
            if comparison.equal:
                return Written.of(f"GET {path}", live, "it was equal already")
            try:
                if not is_as_planned(action, comparison.live):
                    sent = begun or self._sending.wrote
                    if sent and is_as_updated(self._sending, self._owners, action, resource, live, comparison):
                        return Written.of(f"GET {path}", live, "It was updated already.")
                    raise moved(key, comparison, "changed")
                body, _ = self._owners.resolve(creation.for_update(comparison.target, live, resource))
                manager = ownership.best_manager(wanted, live)
                made = self._sending.replace(body, manager, resource=resource)
            except ClusterRefused as error:
                if error.reason == "Conflict":
                    continue  # a status, or somebody's change: the next look tells which
                raise
            except ClusterUnreachable as error:
                if not outcome_unknown(error):
                    raise
                continue
            return Written.of(f"PUT {path}", *field_owners.put_back(self._sending, resource, made, wanted))
        raise busy(key, f"{MOST_TRIES} tries met a conflict")

    def _replace(self, action: Action, resource: Resource, wanted: Body) -> Written:
        key = action.object.key
        live = self._sending.read(resource, key)
        kept = Kept()
        if live is not None and live["metadata"]["uid"] != action.live_uid:
            comparison = self._compare(wanted, live, resource)
            if not comparison.equal and not self._creating.is_as_made(key, resource, live, wanted):
                raise moved(key, comparison, "was replaced by another")
            said = self._creating.is_there(key, resource, live, wanted)
            return Written.of("GET", live, "It was replaced already.", said)
        if live is not None:
            kept = self._deleting.send(action, resource)
            self._deleting.wait_gone(resource, key, live["metadata"]["uid"])
        written = self._creating.create(key, resource, wanted)
        return Written(
            f"DELETE {resource.object_path(key.namespace, key.name)}, {written.request}",
            written.uid,
            written.resource_version,
            sentences(kept.message, written.message),
            kept.memory,
        )

    def _compare(self, wanted: Body, live: Body, resource: Resource) -> Comparison:
        return compare(wanted, normalise(copy_of(live), resource), self._context)


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
