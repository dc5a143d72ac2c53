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
)
from chalicelib.domain.message import WorkMessage
from chalicelib.domain.operation import Operation, OperationKind, Pending, State
from chalicelib.domain.traces import places
from chalicelib.engine.clusters import Clusters, ClusterSession
from chalicelib.engine.dead_letters import DeadLetters
from chalicelib.engine.destination import destination_of
from chalicelib.engine.lease import Lease, LeaseTerms, NoLease, boottime
from chalicelib.engine.running import Ended, Run, give_up
from chalicelib.engine.turns import TurnTerms
from chalicelib.engine.work import Budget, Flow, Held, Work
from chalicelib.store.repository import Repository
from chalicelib.store.wake import Entry

_log = logging.getLogger(__name__)

#: How long whoever starts an operation may take between its wake entry and its document.
_BEING_WRITTEN = timedelta(seconds=60)
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
        turns: TurnTerms | None = None,
        nudge: Callable[[str, str, str], object] = lambda _application, _operation, _entry: None,
        ended: Ended = lambda _operation: None,
    ) -> None:
        self._repository = repository
        self._clusters = clusters
        self._flows = flows
        self._terms = terms or LeaseTerms()
        self._turns = turns or TurnTerms()
        self._ended = ended
        #: Called with (application, operation, key of the wake entry) when there is something to do now, the latter
        #: two perhaps empty: a pump or a queue wakes a worker at once.
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
        entry = repository.wake.add(repository.now(), operation.application, "start", {"operation": operation.id})
        first = self._flows[operation.kind].first
        created = repository.operations.create(operation.model_copy(update={"step": first}))
        if not created.state.ended:  # with an id of its own making it may have been started, and run, before
            self._line_up(created)
        self.nudge(created.application, created.id, entry.key)
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
            self.nudge(application, operation, "")
            return found
        at = self._repository.now()
        found = operations.update(application, operation, lambda stored: _never_begun(stored, at))
        if found.state.ended:
            self._ended(found)
        return found

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

    def call(self) -> int:
        """Wake a worker for everything that is due, and do nothing of it here. Returns how many were woken.

        One for each application and for each entry that says more than "look at the lane"; entries that say only
        that, and beside another one, are removed.
        """
        called: set[str] = set()
        for entry in self.due():
            subject = entry.key if entry.payload or entry.reason in self.reasons else entry.application
            if subject in called:
                self._repository.wake.remove(entry)
                continue
            if self.nudge(entry.application, str(entry.payload.get("operation", "")), entry.key) is False:
                break  # the queue is down, and each try takes its time; the next look finds the entries again
            called.add(subject)
        return len(called)

    def attend(self, message: WorkMessage, budget: Budget | None = None) -> None:
        """Do what a message of the work queue is about. It may come late, twice, or twice at once: an entry that is
        gone was attended to, and a busy lane has somebody who looks after it."""
        if message.entry is not None:
            entry = self._repository.wake.find(message.entry)
            if entry is not None and entry.application == message.application:
                self.handle(entry, budget)
            return
        operation = self._find(message.application, message.operation) if message.operation else None
        if operation is not None and not self._flows[operation.kind].takes_lane:
            self.run(operation.application, operation.id, budget)
        else:
            self.work(message.application, budget)

    def look_into(self, message: WorkMessage) -> None:
        """A message came back again and again: see to what it was about."""
        self._open()
        ended = DeadLetters(self._repository, self._flows, self._terms, self.reasons.keys()).look_into(
            message, self._holder()
        )
        if ended is not None:
            self._ended(ended)

    def _holder(self) -> str:
        """A name for one turn of this worker."""
        return f"{self._process}-{secrets.token_hex(4)}"

    def handle(self, entry: Entry, budget: Budget | None = None) -> None:
        """Do what an entry of the wake index is about. The entry is a hint: the documents decide.

        It is removed only after the work is done, or after a later entry for the same thing was written.
        """
        self._open()
        budget = (budget or Budget()).turn(self._turns.seconds)
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
            # Somebody else holds it: look again when the lease can have ended.
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
        found = self._find(entry.application, operation.id)
        if found is not None and found.yielded:
            self._call_next(entry.application, operation.id, payload=entry.payload)
        if found is None or found.state.ended or found.yielded:
            repository.wake.remove(again)

    def _find(self, application: str, operation: str) -> Operation | None:
        try:
            return self._repository.operations.get(application, operation)
        except NotFound:
            return None  # its writer died between the entry and the document: nothing was promised

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
        budget = (budget or Budget()).turn(self._turns.seconds)
        holder = self._holder()
        while not budget.late:
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
            passed_on = budget.late and self._pass_on(application)
            self._repository.wake.remove(watch)
            if budget.late:
                return passed_on
        return False

    def _pass_on(self, application: str) -> bool:
        """This worker's time is over: wake another one for what waits in the lane; whether something does."""
        lane = self._repository.lanes.read(application)
        if lane is None or lane.current is not None or not lane.pending:
            return False
        self._call_next(application, lane.pending[0].operation)
        return True

    def _call_next(
        self, application: str, operation: str, *, payload: Mapping[str, str] | None = None, nudge: bool = True
    ) -> None:
        """Have somebody go on with what waits: a fresh worker at once, or whoever finds the entry."""
        entry = self._repository.wake.add(self._repository.now(), application, "turn", payload)
        if nudge:
            self.nudge(application, operation, entry.key)

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
        if again is not None and not budget.late:
            self._call_next(application, current, nudge=False)  # another one goes first, in this worker's hands
        return True

    def _give_up(self, application: str, current: str, lease: Lease, holder: str, error: Exception) -> None:
        """End what cannot even be begun (a document that cannot be read), and let the lane go."""
        lease.check()
        reason = error if isinstance(error, MainstayError) else MainstayError(f"Unexpected {type(error).__name__}.")
        with contextlib.suppress(Damaged, NotFound):
            self._ended(give_up(self._repository, application, current, reason))
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
        budget = (budget or Budget()).turn(self._turns.seconds)
        claimed = self._repository.operations.update(
            application, operation, lambda stored: stored.model_copy(update={"fence": stored.fence + 1})
        )
        try:
            self._run(claimed, NoLease(claimed.fence), budget, self._process)
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
            connect=lambda before_write: self._connect(operation, application, before_write),
            holder=holder,
        )
        if Run(work, flow, self._turns, self._ended).to_its_end():
            return None
        return Pending(operation=operation.id, kind=operation.kind, urgent=operation.kind in _URGENT)

    def _connect(
        self, operation: Operation, application: Application, before_write: Callable[[], None]
    ) -> ClusterSession:
        there = destination_of(self._repository, operation).cluster
        record = self._repository.clusters.get(there or application.cluster)
        return self._clusters.connect(record, before_write=before_write, write_seconds=self._terms.write_seconds)


def _asked_to_stop(stored: Operation, by: str, *, asked: bool) -> Operation | None:
    if stored.state.ended:
        return None
    return stored.model_copy(update={"cancel_requested": asked, "cancel_requested_by": by})


def _never_begun(stored: Operation, at: datetime) -> Operation | None:
    if stored.state.ended or stored.attempts:
        return None
    return stored.model_copy(update={"state": State.CANCELLED, "finished_at": at})
