"""Starting, resuming and cancelling operations: what is asked, and what is due, finds its way to a worker.

start ── wake entry ── operation ── lane line          the entry first: whatever is lost later, somebody looks
tick  ── due entries ── look at the lane ── work       see `line` and `worker`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from chalicelib.domain.lane import free_at
from chalicelib.domain.message import WorkMessage
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.calling import Caller
from chalicelib.engine.lane.clusters import Clusters
from chalicelib.engine.lane.dead_letters import DeadLetters
from chalicelib.engine.lane.lease import LeaseTerms
from chalicelib.engine.lane.line import Line
from chalicelib.engine.lane.running import Ended
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.engine.lane.work import Flow
from chalicelib.engine.lane.worker import Nudge, Worker
from chalicelib.store.repository import Repository
from chalicelib.store.wake import Entry

#: How long whoever starts an operation may take between its wake entry and its document.
_BEING_WRITTEN = timedelta(seconds=60)
#: Between two looks at a lane that may become free at any moment.
_SOON = timedelta(seconds=1)


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
        nudge: Nudge = lambda _application, _operation, _entry: None,
        ended: Ended = lambda _operation: None,
        tick_seconds: float = 60.0,
    ) -> None:
        self._repository = repository
        self._flows = flows
        self._terms = terms or LeaseTerms()
        self._turns = turns or TurnTerms()
        self._ended = ended
        #: Wakes a worker at once, by a pump or a queue.
        self.nudge = nudge
        #: What is done about entries with these reasons, instead of looking at the lane: see `handle`.
        self.reasons: dict[str, Callable[[Entry], None]] = {}
        self._line = Line(repository, flows)
        self._worker = Worker(
            repository,
            clusters,
            flows,
            terms=self._terms,
            turns=self._turns,
            nudge=self._nudged,
            ended=ended,
        )

        self._caller = Caller(repository.wake, self._nudged, self._stands_alone, tick=tick_seconds)

    def _nudged(self, application: str, operation: str, entry: str) -> object:
        return self.nudge(application, operation, entry)  # which may have been set since

    # ── starting ────────────────────────────────────────────────────────────────────────────────────────

    def start(self, operation: Operation) -> Operation:
        """Put an operation in line and return it; a duplicate of one that waits already returns that one."""
        waiting = self._line.same(operation)
        if waiting is not None:
            return waiting
        repository = self._repository
        entry = repository.wake.add(repository.now(), operation.application, "start", {"operation": operation.id})
        first = self._flows[operation.kind].first
        created = repository.operations.create(operation.model_copy(update={"step": first}))
        if not created.state.ended:  # with an id of its own making it may have been started, and run, before
            self._line.add(created)
        self.nudge(created.application, created.id, entry.key)
        return created

    def cancel(self, application: str, operation: str, by: str) -> Operation:
        """Ask an operation to stop. One that never began ends at once; one that did stops at its next piece of work,
        and puts back what it changed.

        Raises `Conflict` where it is too late: ended already, or its version is being sealed.
        """
        found, begun = self._line.ask_to_stop(application, operation, by)
        if begun:
            self.nudge(application, operation, "")
            return found
        found = self._line.end_unbegun(application, operation)
        if found.state.ended:
            self._ended(found)
        return found

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
        """Wake workers for what is due, and do nothing of it here (see `calling`). Returns how many were woken."""
        now = self._repository.now()
        return self._caller.call(self._repository.wake.due(now), now)

    def _stands_alone(self, entry: Entry) -> bool:
        return bool(entry.payload) or entry.reason in self.reasons

    def attend(self, message: WorkMessage, budget: Budget | None = None) -> None:
        """Do what a message of the work queue is about. It may come late, twice, or twice at once: an entry that is
        gone was attended to, and a busy lane has somebody who looks after it."""
        if message.entry is not None:
            entry = self._repository.wake.find(message.entry)
            if entry is not None and entry.application == message.application:
                self.handle(entry, budget)
            return
        operation = self._worker.find(message.application, message.operation) if message.operation else None
        if operation is not None and not self._flows[operation.kind].takes_lane:
            self.run(operation.application, operation.id, budget)
        else:
            self.work(message.application, budget)

    def look_into(self, message: WorkMessage) -> None:
        """A message came back again and again: see to what it was about."""
        self._worker.open()
        ended = DeadLetters(self._repository, self._flows, self._terms, self.reasons.keys()).look_into(
            message, self._worker.name()
        )
        if ended is not None:
            self._ended(ended)

    def handle(self, entry: Entry, budget: Budget | None = None) -> None:
        """Do what an entry of the wake index is about. The entry is a hint: the documents decide.

        It is removed only after the work is done, or after a later entry for the same thing was written.
        """
        self._worker.open()
        budget = (budget or Budget()).turn(self._turns.seconds)
        if entry.reason in self.reasons:
            # It writes down what follows and starts operations; these have entries of their own.
            self.reasons[entry.reason](entry)
            self._repository.wake.remove(entry)
            return
        repository = self._repository
        name = str(entry.payload.get("operation", ""))
        operation = self._worker.find(entry.application, name) if name else None
        if name and operation is None and repository.now() - entry.at < _BEING_WRITTEN:
            return  # whoever starts it writes the entry first and the document then
        if operation is not None and not operation.state.ended:
            if not self._flows[operation.kind].takes_lane:
                self._handle_without_lane(entry, operation, budget)
                return
            if operation.state is State.QUEUED and not self._line.holds(operation):
                self._line.add(operation)
        watched = self.work(entry.application, budget)
        lane = repository.lanes.read(entry.application)
        if not watched and lane is not None and (lane.current or lane.pending):
            # Somebody else holds it: look again when their lease ends, should they be dead.
            at = free_at(lane, timedelta(seconds=self._terms.seconds))
            soon = repository.now() + _SOON
            repository.wake.add(max(soon, at or soon), entry.application, "lease", {})
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
        found = self._worker.find(entry.application, operation.id)
        if found is not None and found.yielded:
            self._worker.call_next(entry.application, operation.id, payload=entry.payload)
        if found is None or found.state.ended or found.yielded:
            repository.wake.remove(again)

    # ── working ─────────────────────────────────────────────────────────────────────────────────────────

    def work(self, application: str, budget: Budget | None = None) -> bool:
        """Run what stands in an application's line: see `Worker.work`."""
        return self._worker.work(application, budget)

    def run(self, application: str, operation: str, budget: Budget | None = None) -> None:
        """Run an operation that takes no lane: see `Worker.run`."""
        self._worker.run(application, operation, budget)
