"""The line before an application's lane: what waits in it, what goes first, and what is called off."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chalicelib.domain.errors import Conflict, Damaged, NotFound
from chalicelib.domain.operation import Operation, OperationKind, Pending, State
from chalicelib.engine.lane.work import Flow
from chalicelib.store.repository import Repository

#: What goes before the rest of the line.
URGENT = frozenset({OperationKind.RESTORE, OperationKind.UNDO})


class Line:
    """The lines of all applications of a repository. Operations whose kind takes no lane are in none."""

    def __init__(self, repository: Repository, flows: Mapping[OperationKind, Flow]) -> None:
        self._repository = repository
        self._flows = flows

    def same(self, operation: Operation) -> Operation | None:
        """What waits in it already and is to do the same; `None` if nothing does."""
        if not self._flows[operation.kind].takes_lane:
            return None
        lane = self._repository.lanes.read(operation.application)
        for pending in lane.pending if lane else ():
            if pending.kind is operation.kind:
                try:
                    found = self._repository.operations.get(operation.application, pending.operation)
                except (NotFound, Damaged):
                    continue  # whoever works off the line passes it over
                if found.arguments == operation.arguments and not found.state.ended and not found.attempts:
                    return found
        return None

    def add(self, operation: Operation) -> None:
        """Have an operation wait, if its kind does; one that is urgent asks what runs to yield."""
        if not self._flows[operation.kind].takes_lane:
            return
        urgent = operation.kind in URGENT
        pending = Pending(operation=operation.id, kind=operation.kind, urgent=urgent)
        lane = self._repository.lanes.enqueue(operation.application, pending)
        if urgent and lane.kind is not None and self._flows[lane.kind].yields:
            self._repository.lanes.request_yield(operation.application)

    def holds(self, operation: Operation) -> bool:
        """Whether an operation waits in it, or runs."""
        lane = self._repository.lanes.read(operation.application)
        if lane is None:
            return False
        return lane.current == operation.id or any(line.operation == operation.id for line in lane.pending)

    def ask_to_stop(self, application: str, operation: str, by: str) -> tuple[Operation, bool]:
        """The operation, asked to stop, and whether a worker has it or had it in hand and has to see to that.

        Raises `Conflict` where it is too late: ended already, or its version is being sealed.
        """
        operations, lanes = self._repository.operations, self._repository.lanes
        found = operations.get(application, operation)
        if found.state.ended:
            raise Conflict(f"The operation has ended already: it {found.state}.")
        if found.state is State.ROLLING_BACK:
            raise Conflict("The operation is putting back what it changed, and is not stopped in that.")
        # The document first: whatever is lost after this, who works on it next reads it there.
        found = operations.update(application, operation, lambda stored: _asked_to_stop(stored, by, asked=True))
        begun = found.attempts > 0
        if self._flows[found.kind].takes_lane and not begun:
            self._cancel(application, operation)
        elif self._flows[found.kind].takes_lane:
            lane = lanes.read(application)
            if lane is not None and lane.current == operation:
                self._cancel(application, operation)
            else:
                self._repository.wake.add(self._repository.now(), application, "cancel", {"operation": operation})
        lane = lanes.read(application)
        return found, begun or (lane is not None and lane.current == operation)

    def end_unbegun(self, application: str, operation: str) -> Operation:
        """The operation, cancelled if nobody began it by now."""
        at = self._repository.now()
        return self._repository.operations.update(application, operation, lambda stored: _never_begun(stored, at))

    def _cancel(self, application: str, operation: str) -> None:
        """Take it out of the line, or have what runs stop; where it is too late for that, it was not asked."""
        try:
            self._repository.lanes.request_cancel(application, operation)
        except Conflict:
            self._repository.operations.update(
                application, operation, lambda stored: _asked_to_stop(stored, "", asked=False)
            )
            raise


def _asked_to_stop(stored: Operation, by: str, *, asked: bool) -> Operation | None:
    if stored.state.ended:
        return None
    return stored.model_copy(update={"cancel_requested": asked, "cancel_requested_by": by})


def _never_begun(stored: Operation, at: datetime) -> Operation | None:
    if stored.state.ended or stored.attempts:
        return None
    return stored.model_copy(update={"state": State.CANCELLED, "finished_at": at})
