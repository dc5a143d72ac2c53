"""Messages that came back again and again: what became of the work they were about is looked at before anything is
done.

Mostly nothing has to be. Another message did the work, or another worker is at it; and an operation that kills its
workers is given up by its own count, with its way back, since each of them counts before it begins. What is left are
operations that nobody watches over, which get an entry in the wake index, and those whose workers do not even come
to begin: these are ended as they stand, so that their lane becomes free.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.errors import Damaged, MainstayError, NotFound
from chalicelib.domain.message import WorkMessage
from chalicelib.domain.operation import MOST_STALLS, Operation, OperationKind, Pending, State
from chalicelib.engine.lane.lease import LeaseTerms
from chalicelib.engine.lane.running import give_up
from chalicelib.engine.lane.work import Flow
from chalicelib.store.repository import Repository

_log = logging.getLogger(__name__)

#: Messages about an operation that may come to nothing without any worker having begun with it in between.
_MOST_LOST = 3


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Looks into dead letters, for one engine."""

    repository: Repository
    flows: Mapping[OperationKind, Flow]
    terms: LeaseTerms
    #: Reasons of wake entries that watch over no lane.
    others: Collection[str]

    def look_into(self, message: WorkMessage, holder: str) -> Operation | None:
        """Do what is needed; the operation that was ended, if one was."""
        operation = self._subject(message)
        if operation is None or operation.state.ended:
            _log.info("a message came to nothing, and there is nothing to be done", extra=_about(message))
            self._watch_over(message.application)
            return None
        if self._is_alive(operation):
            _log.info("a message came to nothing, but a worker is at it", extra=_about(message))
            return None
        counted = self._count(operation)
        if counted.stalled > MOST_STALLS or counted.dead_letters >= _MOST_LOST:
            return self._end(counted, holder)
        _log.warning("a message came to nothing; somebody looks again", extra=_about(message))
        self._watch_over(message.application, counted)
        return None

    def _subject(self, message: WorkMessage) -> Operation | None:
        name = message.operation
        if name is None and message.entry is not None:
            entry = self.repository.wake.find(message.entry)
            if entry is not None and entry.reason in self.others:
                return None  # whatever is the matter with a schedule or an answer, no operation is to blame
            name = str(entry.payload.get("operation") or "") if entry is not None else None
        if not name:
            lane = self.repository.lanes.read(message.application)
            name = lane.current if lane is not None else None
        try:
            return self.repository.operations.get(message.application, name) if name else None
        except NotFound:
            return None

    def _is_alive(self, operation: Operation) -> bool:
        lease = timedelta(seconds=self.terms.seconds)
        if self.flows[operation.kind].takes_lane:
            return self.repository.lanes.is_held(operation.application, lease)
        touched = operation.touched_at
        return (
            operation.state is State.RUNNING and touched is not None and self.repository.now() - touched < lease * 2
        )

    def _count(self, operation: Operation) -> Operation:
        return self.repository.operations.update(
            operation.application,
            operation.id,
            lambda stored: stored.model_copy(update={"dead_letters": stored.dead_letters + 1}),
        )

    def _watch_over(self, application: str, operation: Operation | None = None) -> None:
        """Have somebody look at what waits, unless somebody will."""
        wake, now = self.repository.wake, self.repository.now()
        soon = now + timedelta(seconds=self.terms.seconds * 2)
        if any(each.application == application and each.reason not in self.others for each in wake.due(soon)):
            return
        lane = self.repository.lanes.read(application)
        if operation is not None or (lane is not None and (lane.current or lane.pending)):
            wake.add(now, application, "lost", {"operation": operation.id} if operation is not None else {})

    def _end(self, operation: Operation, holder: str) -> Operation | None:
        application, lanes = operation.application, self.repository.lanes
        if not self.flows[operation.kind].takes_lane:
            return self._give_up(operation)
        lane = lanes.take(application, holder, self.terms.seconds)
        if lane is None or lane.current is None:
            return None  # somebody was quicker
        if lane.current != operation.id:
            kind = lane.kind or operation.kind
            lanes.release(application, lane.fence, holder, Pending(operation=lane.current, kind=kind, urgent=True))
            self._watch_over(application)
            return None
        ended = self._give_up(operation)
        lanes.release(application, lane.fence, holder)
        self._watch_over(application)
        return ended

    def _give_up(self, operation: Operation) -> Operation | None:
        why = MainstayError(
            f"Workers ended again and again before they could begin with step `{operation.step}`: "
            f"{operation.dead_letters} messages about it came to nothing."
        )
        _log.error("ended as it stands: %s", why.message, extra={"operation": operation.id})
        try:
            return give_up(self.repository, operation.application, operation.id, why)
        except (NotFound, Damaged):
            return None


def _about(message: WorkMessage) -> dict[str, str]:
    return {"application": message.application, "operation": message.operation or ""}
