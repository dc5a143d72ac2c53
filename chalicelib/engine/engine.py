"""Starting, running, resuming and cancelling operations.

    start ── wake entry ── operation ── lane line          the entry first: whatever is lost later, somebody looks
    tick  ── due entries ── look at the lane ── work
    work  ── take the lane (fence rises) ── step, checkpoint, step, … ── let go ── next in line

A worker may die at any of the dashes. What it leaves is a lane that is not renewed and an entry in the wake index
for the moment its lease ends; who finds that entry takes the lane with a higher fence and goes on from the
checkpoint. The older worker, if it wakes, fails its lease's check before it writes anything.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from chalicelib.domain.application import Application
from chalicelib.domain.errors import (
    ClusterUnreachable,
    Conflict,
    Interrupted,
    LeaseLost,
    MainstayError,
    NotFound,
    StorageUnavailable,
    Yielded,
)
from chalicelib.domain.operation import Lane, Operation, OperationError, OperationKind, Pending, State
from chalicelib.engine.clusters import Clusters, ClusterSession
from chalicelib.engine.lease import Lease, LeaseTerms, NoLease, boottime
from chalicelib.engine.work import Budget, Finish, Flow, Held, Next, Work
from chalicelib.language.loader import load
from chalicelib.store.repository import Repository
from chalicelib.store.wake import Entry

_log = logging.getLogger(__name__)

#: Tries of one step that gets nowhere, before the operation fails with the last reason.
_MOST_STALLS = 6
_URGENT = frozenset({OperationKind.RESTORE, OperationKind.UNDO})


class Engine:
    """The operations of one repository, as one process works on them. Safe to share between threads."""

    def __init__(
        self,
        repository: Repository,
        clusters: Clusters,
        flows: Mapping[OperationKind, Flow],
        *,
        terms: LeaseTerms | None = None,
        nudge: Callable[[str, str], None] = lambda _application, _operation: None,
    ) -> None:
        self._repository = repository
        self._clusters = clusters
        self._flows = flows
        self._terms = terms or LeaseTerms()
        #: Called with (application, operation) after each start: a pump or a queue wakes a worker at once.
        self.nudge = nudge
        self._process = f"{socket.gethostname()}-{os.getpid()}"

    # ── starting ────────────────────────────────────────────────────────────────────────────────────────

    def start(self, operation: Operation) -> Operation:
        """Put an operation in line and return it; a duplicate of one that waits already returns that one."""
        waiting = self._same_in_line(operation)
        if waiting is not None:
            return waiting
        repository = self._repository
        repository.wake.add(repository.now(), operation.application, "start", {"operation": operation.id})
        first = self._flows[operation.kind].first
        created = repository.operations.create(operation.model_copy(update={"step": first}))
        self._line_up(created)
        self.nudge(created.application, created.id)
        return created

    def _same_in_line(self, operation: Operation) -> Operation | None:
        if not self._flows[operation.kind].takes_lane:
            return None
        lane = self._repository.lanes.read(operation.application)
        for pending in lane.pending if lane else ():
            if pending.kind is operation.kind:
                found = self._repository.operations.get(operation.application, pending.operation)
                if found.arguments == operation.arguments and not found.state.ended and not found.attempts:
                    return found
        return None

    def _line_up(self, operation: Operation) -> None:
        if not self._flows[operation.kind].takes_lane:
            return
        urgent = operation.kind in _URGENT
        pending = Pending(operation=operation.id, kind=operation.kind, urgent=urgent)
        lane = self._repository.lanes.enqueue(operation.application, pending)
        if urgent and lane.kind is not None and self._flows[lane.kind].yields:
            self._repository.lanes.request_yield(operation.application)

    def cancel(self, application: str, operation: str, by: str) -> Operation:
        """Ask an operation to stop. One that waits ends at once; one that runs stops at its next piece of work.

        Raises `Conflict` where it is too late: ended already, or its version is being sealed.
        """
        operations = self._repository.operations
        found = operations.get(application, operation)
        if found.state.ended:
            raise Conflict(f"The operation has ended already: it {found.state}.")
        if found.state is State.ROLLING_BACK:
            raise Conflict("The operation is putting back what it changed, and is not stopped in that.")
        if self._flows[found.kind].takes_lane:
            still_waited = self._repository.lanes.request_cancel(application, operation)
        else:
            still_waited = found.state is State.QUEUED

        def change(stored: Operation) -> Operation | None:
            if stored.state.ended:
                return None
            update: dict[str, object] = {"cancel_requested": True, "cancel_requested_by": by}
            if still_waited:
                update |= {"state": State.CANCELLED, "finished_at": self._repository.now()}
            return stored.model_copy(update=update)

        return operations.update(application, operation, change)

    # ── the wake index ──────────────────────────────────────────────────────────────────────────────────

    def due(self) -> list[Entry]:
        """What is due to be looked at, oldest first. Reads only that part of the index."""
        return list(self._repository.wake.due(self._repository.now()))

    def tick(self, budget: Budget | None = None) -> int:
        """Look at everything that is due, one after the other. Returns how many entries there were."""
        entries = self.due()
        for entry in entries:
            if budget is not None and budget.over:
                break
            self.handle(entry, budget)
        return len(entries)

    def handle(self, entry: Entry, budget: Budget | None = None) -> None:
        """Do what an entry of the wake index is about. The entry is a hint: the documents decide.

        It is removed only after the work is done, or after a later entry for the same thing was written.
        """
        repository = self._repository
        name = str(entry.payload.get("operation", ""))
        operation = self._find(entry.application, name) if name else None
        if operation is not None and not operation.state.ended:
            if not self._flows[operation.kind].takes_lane:
                # A later entry, in case this worker dies over it; the work itself changes nothing.
                again = repository.wake.add(
                    repository.now() + timedelta(seconds=self._terms.seconds * 2),
                    entry.application,
                    "retry",
                    entry.payload,
                )
                repository.wake.remove(entry)
                self.run(entry.application, name, budget)
                if self._has_ended(entry.application, name):
                    repository.wake.remove(again)
                return
            if operation.state is State.QUEUED and not self._is_in_lane(operation):
                self._line_up(operation)
        self.work(entry.application, budget)
        lane = repository.lanes.read(entry.application)
        if lane is not None and (lane.current or lane.pending):
            # Somebody else holds it, or this worker had to stop: look again when the lease can have ended.
            wait = timedelta(seconds=self._terms.seconds if lane.current else 1)
            repository.wake.add(repository.now() + wait, entry.application, "lease", {})
        repository.wake.remove(entry)

    def _find(self, application: str, operation: str) -> Operation | None:
        try:
            return self._repository.operations.get(application, operation)
        except NotFound:
            return None  # its writer died between the entry and the document: nothing was promised

    def _has_ended(self, application: str, operation: str) -> bool:
        found = self._find(application, operation)
        return found is None or found.state.ended

    def _is_in_lane(self, operation: Operation) -> bool:
        lane = self._repository.lanes.read(operation.application)
        if lane is None:
            return False
        return lane.current == operation.id or any(line.operation == operation.id for line in lane.pending)

    # ── working ─────────────────────────────────────────────────────────────────────────────────────────

    def work(self, application: str, budget: Budget | None = None) -> None:
        """Take the application's lane and run what stands in line, until nothing is left, another worker holds
        the lane, or the budget is over."""
        budget = budget or Budget()
        holder = f"{self._process}-{secrets.token_hex(4)}"
        while not budget.over:
            taken_at = boottime()
            lane = self._repository.lanes.take(application, holder, self._terms.seconds)
            if lane is None or lane.current is None:
                return
            # If this worker dies, somebody looks when its lease has ended.
            watch = self._repository.wake.add(
                self._repository.now() + timedelta(seconds=self._terms.seconds), application, "lease", {}
            )
            lease = Lease(self._repository.lanes, lane, holder, taken_at, self._terms).start()
            try:
                let_go = self._run_in_lane(application, lane, lease, budget, holder)
            finally:
                lease.stop()
            if not let_go:
                return  # the entry stays: the operation goes on when the lease has ended
            self._repository.wake.remove(watch)

    def _run_in_lane(self, application: str, lane: Lane, lease: Lease, budget: Budget, holder: str) -> bool:
        """Run the lane's current operation; whether the lane was let go."""
        assert lane.current is not None  # noqa: S101  # `work` has looked
        operation = self._find(application, lane.current)
        try:
            if operation is None or operation.state.ended:
                self._let_go(application, lease, holder, None)
                return True
            again = self._run(operation, lease, budget, holder)
            self._let_go(application, lease, holder, again)
        except LeaseLost as error:
            _log.warning("stopped without a further write: %s", error.message, extra={"operation": lane.current})
            return False
        except (StorageUnavailable, ClusterUnreachable) as error:
            _log.warning("stopped, to be resumed: %s", error.message, extra={"operation": lane.current})
            return False
        if again is not None:
            self._repository.wake.add(self._repository.now(), application, "yield", {})
            return not budget.over
        return True

    def _let_go(self, application: str, lease: Lease, holder: str, again: Pending | None) -> None:
        lease.check()
        self._repository.lanes.release(application, lease.fence, holder, again)

    def run(self, application: str, operation: str, budget: Budget | None = None) -> None:
        """Run an operation that takes no lane. Twice at once is harmless: it changes nothing but its document."""
        found = self._repository.operations.get(application, operation)
        if found.state.ended:
            return
        claimed = self._repository.operations.update(
            application, operation, lambda stored: stored.model_copy(update={"fence": stored.fence + 1})
        )
        try:
            self._run(claimed, NoLease(claimed.fence), budget or Budget(), self._process)
        except (LeaseLost, StorageUnavailable, ClusterUnreachable) as error:
            _log.info("stopped, to be resumed: %s", error.message, extra={"operation": operation})

    def _run(self, operation: Operation, lease: Held, budget: Budget, holder: str) -> Pending | None:
        """Run the steps of one operation to its end (`None`), or to where it goes back into the line."""
        flow = self._flows[operation.kind]
        application = self._repository.applications.get(operation.application)
        work = Work(
            repository=self._repository,
            application=application,
            document=load(application.document),
            operation=operation,
            lease=lease,
            budget=budget,
            connect=lambda before_write: self._connect(application, before_write),
            holder=holder,
        )
        work.yields = flow.yields
        try:
            self._begin(work)
            self._steps(work, flow)
        except Yielded as error:
            _log.info("back in line: %s", error.message, extra={"operation": operation.id})
            work.save(state=State.ROLLING_BACK if work.undoing else State.QUEUED, stalled=0)
            return Pending(operation=operation.id, kind=operation.kind, urgent=operation.kind in _URGENT)
        return None

    def _begin(self, work: Work) -> None:
        operation = work.operation
        # Found running, it died or lost its storage or cluster in this step; `note` and a step's end set it back.
        now = work.now()
        died = operation.state in {State.RUNNING, State.ROLLING_BACK}
        work.save(
            state=State.ROLLING_BACK if work.undoing else State.RUNNING,
            attempts=operation.attempts + 1,
            stalled=operation.stalled + 1 if died else operation.stalled,
            started_at=operation.started_at or now,
        )
        work.begin(now)

    def _steps(self, work: Work, flow: Flow) -> None:
        while True:
            try:
                outcome = self._step(work, flow)
            except (LeaseLost, Yielded):
                raise
            except (StorageUnavailable, ClusterUnreachable) as error:
                if not flow.patient:
                    outcome = self._failed(work, flow, error)
                else:
                    self._remember(work, error)
                    raise
            except MainstayError as error:
                outcome = self._failed(work, flow, error)
            except Exception as error:  # noqa: BLE001  # a fault of ours must not leave the lane stuck
                _log.exception("unexpected error", extra={"operation": work.operation.id})
                broken = MainstayError(f"Unexpected {type(error).__name__} in step `{work.operation.step}`.")
                outcome = self._failed(work, flow, broken)
            if isinstance(outcome, Finish):
                self._finish(work, outcome)
                return
            work.advance(outcome)

    def _step(self, work: Work, flow: Flow) -> Next | Finish:
        if work.operation.stalled > _MOST_STALLS:
            raise _gave_up(work)
        work.pause()
        return flow.steps[work.operation.step](work)

    def _failed(self, work: Work, flow: Flow, error: MainstayError) -> Next | Finish:
        _log.warning("step failed: %s", error.message, extra={"operation": work.operation.id})
        if work.operation.error is None or not isinstance(error, Interrupted):
            work.save(error=_told(error))
        return flow.failed(work, error)

    def _remember(self, work: Work, error: MainstayError) -> None:
        """Keep the reason of a try that will be made again, if the storage lets us."""
        try:
            work.save(error=_told(error))
        except MainstayError:
            _log.info("the reason could not be kept", extra={"operation": work.operation.id})

    def _finish(self, work: Work, finish: Finish) -> None:
        changes: dict[str, object] = {
            "state": finish.state,
            "finished_at": work.now(),
            "outcome": {**work.operation.outcome, **finish.outcome},
            "progress": work.latest,
        }
        if finish.state in {State.SUCCEEDED, State.PARTIAL}:
            changes["error"] = None
        work.save(**changes)

    def _connect(self, application: Application, before_write: Callable[[], None]) -> ClusterSession:
        record = self._repository.clusters.get(application.cluster)
        return self._clusters.connect(record, before_write=before_write, write_seconds=self._terms.write_seconds)


def _told(error: MainstayError) -> OperationError:
    return OperationError(code=error.code, message=error.message, details=error.details)


def _gave_up(work: Work) -> MainstayError:
    last = work.operation.error
    why = f" The last reason: {last.message}" if last else " No worker lived long enough to say why."
    return MainstayError(
        f"Step `{work.operation.step}` was begun {work.operation.stalled} times without getting further.{why}"
    )


def elapsed(operation: Operation, now: datetime) -> float:
    """Seconds since the operation began."""
    return (now - operation.started_at).total_seconds() if operation.started_at else 0.0
