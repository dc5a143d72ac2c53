"""Starting, running, resuming and cancelling operations.

    start ── wake entry ── operation ── lane line          the entry first: whatever is lost later, somebody looks
    tick  ── due entries ── look at the lane ── work
    work  ── take the lane (fence rises) ── step, checkpoint, step, … ── let go ── next in line

A worker may die at any of the dashes. What it leaves is a lane that is not renewed and an entry in the wake index
for the moment its lease ends; who finds that entry takes the lane with a higher fence and goes on from the
checkpoint. The older worker, if it wakes, fails its lease's check before it writes anything.
"""

from __future__ import annotations

import contextlib
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
    Damaged,
    LeaseLost,
    MainstayError,
    NotFound,
    StorageUnavailable,
    Yielded,
)
from chalicelib.domain.operation import Operation, OperationError, OperationKind, Pending, State
from chalicelib.domain.traces import places
from chalicelib.engine.clusters import Clusters, ClusterSession
from chalicelib.engine.collector import rare_collections
from chalicelib.engine.lease import Lease, LeaseTerms, NoLease, boottime
from chalicelib.engine.work import Budget, Finish, Flow, Held, Next, Work
from chalicelib.store.repository import Repository
from chalicelib.store.wake import Entry

_log = logging.getLogger(__name__)

#: Tries of one step that gets nowhere, before the operation fails with the last reason.
_MOST_STALLS = 6
#: How long whoever starts an operation may take between its wake entry and its document.
_BEING_WRITTEN = timedelta(seconds=60)
_NOT_SETTLED = "It could not be settled what it left behind: make a plan to see how the application is."
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
        nudge: Callable[[str, str], object] = lambda _application, _operation: None,
    ) -> None:
        self._repository = repository
        self._clusters = clusters
        self._flows = flows
        self._terms = terms or LeaseTerms()
        #: Called with (application, operation) after each start: a pump or a queue wakes a worker at once.
        self.nudge = nudge
        #: What is done about entries with these reasons, instead of looking at the lane: see `handle`.
        self.reasons: dict[str, Callable[[Entry], None]] = {}
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
        if not created.state.ended:  # with an id of its own making it may have been started, and run, before
            self._line_up(created)
        self.nudge(created.application, created.id)
        return created

    def _same_in_line(self, operation: Operation) -> Operation | None:
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

    def _line_up(self, operation: Operation) -> None:
        if not self._flows[operation.kind].takes_lane:
            return
        urgent = operation.kind in _URGENT
        pending = Pending(operation=operation.id, kind=operation.kind, urgent=urgent)
        lane = self._repository.lanes.enqueue(operation.application, pending)
        if urgent and lane.kind is not None and self._flows[lane.kind].yields:
            self._repository.lanes.request_yield(operation.application)

    def cancel(self, application: str, operation: str, by: str) -> Operation:
        """Ask an operation to stop. One that never began ends at once; one that did stops at its next piece of work,
        and puts back what it changed.

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
            try:
                lanes.request_cancel(application, operation)
            except Conflict:
                operations.update(application, operation, lambda stored: _asked_to_stop(stored, "", asked=False))
                raise
        elif self._flows[found.kind].takes_lane:
            lane = lanes.read(application)
            if lane is not None and lane.current == operation:
                self._cancel_current(application, operation)
            else:
                self._repository.wake.add(self._repository.now(), application, "cancel", {"operation": operation})
        lane = lanes.read(application)
        if begun or (lane is not None and lane.current == operation):
            self.nudge(application, operation)
            return found
        at = self._repository.now()
        return operations.update(application, operation, lambda stored: _never_begun(stored, at))

    def _cancel_current(self, application: str, operation: str) -> None:
        try:
            self._repository.lanes.request_cancel(application, operation)
        except Conflict:
            self._repository.operations.update(
                application, operation, lambda stored: _asked_to_stop(stored, "", asked=False)
            )
            raise

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
        self._open()
        if entry.reason in self.reasons:
            # It writes down what follows and starts operations; these have entries of their own.
            self.reasons[entry.reason](entry)
            self._repository.wake.remove(entry)
            return
        repository = self._repository
        name = str(entry.payload.get("operation", ""))
        operation = self._find(entry.application, name) if name else None
        if name and operation is None and repository.now() - entry.at < _BEING_WRITTEN:
            return  # whoever starts it writes the entry first and the document then
        if operation is not None and not operation.state.ended:
            if not self._flows[operation.kind].takes_lane:
                self._handle_without_lane(entry, operation, budget)
                return
            if operation.state is State.QUEUED and not self._is_in_lane(operation):
                self._line_up(operation)
        watched = self.work(entry.application, budget)
        lane = repository.lanes.read(entry.application)
        if not watched and lane is not None and (lane.current or lane.pending):
            # Somebody else holds it, or this worker's time is over: look again when the lease can have ended.
            wait = timedelta(seconds=self._terms.seconds if lane.current else 1)
            repository.wake.add(repository.now() + wait, entry.application, "lease", {})
        repository.wake.remove(entry)

    def _handle_without_lane(self, entry: Entry, operation: Operation, budget: Budget | None) -> None:
        repository = self._repository
        now, span = repository.now(), timedelta(seconds=self._terms.seconds * 2)
        # A later entry, in case this worker (or the one that is at it) dies; the work itself changes nothing.
        again = repository.wake.add(now + span, entry.application, "retry", entry.payload)
        repository.wake.remove(entry)
        touched = operation.touched_at
        if operation.state is State.RUNNING and touched is not None and now - touched < span:
            return
        self.run(entry.application, operation.id, budget)
        if self._has_ended(entry.application, operation.id):
            repository.wake.remove(again)

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

    def work(self, application: str, budget: Budget | None = None) -> bool:
        """Take the application's lane and run what stands in line, until nothing is left, another worker holds the
        lane, or the budget is over. Returns whether a wake entry of its own watches over what it leaves."""
        self._open()
        budget = budget or Budget()
        holder = f"{self._process}-{secrets.token_hex(4)}"
        while not budget.over:
            taken_at = boottime()
            lane = self._repository.lanes.take(application, holder, self._terms.seconds)
            if lane is None or lane.current is None:
                return False
            # If this worker dies, somebody looks when its lease has ended.
            watch = self._repository.wake.add(
                self._repository.now() + timedelta(seconds=self._terms.seconds), application, "lease", {}
            )
            lease = Lease(self._repository.lanes, lane, holder, taken_at, self._terms).start()
            try:
                let_go = self._run_in_lane(application, lane.current, lease, budget, holder)
            finally:
                lease.stop()
            if not let_go:
                return True  # the operation goes on when the lease has ended
            self._repository.wake.remove(watch)
        return False

    def _run_in_lane(self, application: str, current: str, lease: Lease, budget: Budget, holder: str) -> bool:
        """Run the lane's current operation; whether the lane was let go."""
        again: Pending | None = None
        try:
            operation = self._find(application, current)
            if operation is not None and not operation.state.ended:
                again = self._run(operation, lease, budget, holder)
            self._let_go(application, lease, holder, again)
        except LeaseLost as error:
            _log.warning("stopped without a further write: %s", error.message, extra={"operation": current})
            return False
        except (StorageUnavailable, ClusterUnreachable) as error:
            _log.warning("stopped, to be resumed: %s", error.code, extra={"operation": current})
            return False
        except Exception as error:  # noqa: BLE001  # one sick operation must not block its lane for ever
            _log.error("given up: %s at %s", type(error).__name__, places(error), extra={"operation": current})
            self._give_up(application, current, lease, holder, error)
            return True
        if again is not None:
            self._repository.wake.add(self._repository.now(), application, "yield", {})
        return True

    def _give_up(self, application: str, current: str, lease: Lease, holder: str, error: Exception) -> None:
        """End what cannot even be begun (a document that cannot be read), and let the lane go."""
        lease.check()
        reason = error if isinstance(error, MainstayError) else MainstayError(f"Unexpected {type(error).__name__}.")
        at = self._repository.now()

        def change(stored: Operation) -> Operation | None:
            if stored.state.ended:
                return None
            told = _told(reason, current).model_copy(update={"consequence": _NOT_SETTLED})
            return stored.model_copy(update={"state": State.FAILED, "finished_at": at, "error": told})

        with contextlib.suppress(Damaged, NotFound):
            self._repository.operations.update(application, current, change)
        self._let_go(application, lease, holder, None)

    def _open(self) -> None:
        """Raise `WrongKey` before any work is taken: this worker would only fail what others can finish."""
        _ = self._repository.keyring

    def _let_go(self, application: str, lease: Lease, holder: str, again: Pending | None) -> None:
        lease.check()
        self._repository.lanes.release(application, lease.fence, holder, again)

    def run(self, application: str, operation: str, budget: Budget | None = None) -> None:
        """Run an operation that takes no lane. Twice at once is harmless: it changes nothing but its document."""
        self._open()
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
            work.save(state=State.ROLLING_BACK if work.undoing else State.QUEUED, yielded=True)
            return Pending(operation=operation.id, kind=operation.kind, urgent=operation.kind in _URGENT)
        return None

    def _begin(self, work: Work) -> None:
        operation = work.operation
        # Found running, it died or lost its storage or cluster in this step; `note` and a step's end set it back.
        now = work.now()
        died = operation.state in {State.RUNNING, State.ROLLING_BACK} and not operation.yielded
        work.save(
            state=State.ROLLING_BACK if work.undoing else State.RUNNING,
            attempts=operation.attempts + 1,
            stalled=operation.stalled + 1 if died else operation.stalled,
            started_at=operation.started_at or now,
            yielded=False,
        )
        work.begin(now)

    def _steps(self, work: Work, flow: Flow) -> None:
        while True:
            try:
                outcome = self._step(work, flow)
            except (LeaseLost, Yielded):
                raise
            except MainstayError as error:
                if _may_pass(error) and flow.patient:
                    self._remember(work, error)
                    raise
                outcome = self._failed(work, flow, error)
            except Exception as error:  # noqa: BLE001  # a fault of ours must not leave the lane stuck
                where = places(error)
                _log.error("%s at %s", type(error).__name__, where, extra={"operation": work.operation.id})
                broken = MainstayError(f"Unexpected {type(error).__name__} in step `{work.operation.step}`.")
                outcome = self._failed(work, flow, broken)
            if isinstance(outcome, Finish):
                self._finish(work, outcome)
                return
            work.advance(outcome)

    @rare_collections()
    def _step(self, work: Work, flow: Flow) -> Next | Finish:
        if work.operation.stalled > _MOST_STALLS:
            raise _gave_up(work)
        if work.application.status == "deleted" and work.operation.kind is not OperationKind.DELETE:
            raise Conflict(f"The application {work.application.name} was deleted.")
        work.pause()
        return flow.steps[work.operation.step](work)

    def _failed(self, work: Work, flow: Flow, error: MainstayError) -> Next | Finish:
        """Keep the reason, and ask the flow where it leads. The way back keeps the reason it was taken for."""
        _log.warning("step `%s` failed: %s", work.operation.step, error.code, extra={"operation": work.operation.id})
        if not work.undoing or work.operation.error is None:
            work.save(error=_told(error, work.operation.id))
        try:
            return flow.failed(work, error)
        except (LeaseLost, Yielded):
            raise
        except Exception as second:
            if _may_pass(second) and work.operation.stalled <= _MOST_STALLS:
                raise
            _log.error("not settled: %s at %s", type(second).__name__, places(second))
            work.save(error=_told(error, work.operation.id).model_copy(update={"consequence": _NOT_SETTLED}))
            return Finish(State.FAILED)

    def _remember(self, work: Work, error: MainstayError) -> None:
        """Keep the reason of a try that will be made again, if the storage lets us."""
        try:
            work.save(trouble=_told(error, work.operation.id))
        except MainstayError:
            _log.info("the reason could not be kept", extra={"operation": work.operation.id})

    def _finish(self, work: Work, finish: Finish) -> None:
        changes: dict[str, object] = {
            "state": finish.state,
            "finished_at": work.now(),
            "outcome": {**work.operation.outcome, **finish.outcome},
            "progress": work.latest,
            "trouble": None,
        }
        if finish.state in {State.SUCCEEDED, State.PARTIAL}:
            changes["error"] = None
        work.save(**changes)

    def _connect(self, application: Application, before_write: Callable[[], None]) -> ClusterSession:
        record = self._repository.clusters.get(application.cluster)
        return self._clusters.connect(record, before_write=before_write, write_seconds=self._terms.write_seconds)


def _told(error: MainstayError, operation: str) -> OperationError:
    """What an operation's document, which is not encrypted, says of an error."""
    public = error.public(f"`mainstay result {operation}`")
    return OperationError(code=public.code, message=public.message, details=public.details)


def _may_pass(error: Exception) -> bool:
    """Whether another try, later, may not meet it."""
    return isinstance(error, StorageUnavailable | ClusterUnreachable)


def _asked_to_stop(stored: Operation, by: str, *, asked: bool) -> Operation | None:
    if stored.state.ended:
        return None
    return stored.model_copy(update={"cancel_requested": asked, "cancel_requested_by": by})


def _never_begun(stored: Operation, at: datetime) -> Operation | None:
    if stored.state.ended or stored.attempts:
        return None
    return stored.model_copy(update={"state": State.CANCELLED, "finished_at": at})


def _gave_up(work: Work) -> MainstayError:
    last = work.operation.trouble
    why = f" The last reason: {last.message}" if last else " No worker lived long enough to say why."
    return MainstayError(
        f"Step `{work.operation.step}` was begun {work.operation.stalled} times without getting further.{why}"
    )
