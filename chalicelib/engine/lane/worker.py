"""The work of one process: it takes a lane, runs what stands in line, and lets go.

    take the lane (fence rises) ── step, checkpoint, step, … ── let go ── next in line

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
from datetime import timedelta

from chalicelib.domain.application import Application
from chalicelib.domain.errors import (
    ClusterUnreachable,
    Damaged,
    LeaseLost,
    MainstayError,
    NotFound,
    StorageUnavailable,
)
from chalicelib.domain.operation import Operation, OperationKind, Pending
from chalicelib.domain.traces import places
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.clusters import Clusters, ClusterSession
from chalicelib.engine.lane.destination import destination_of
from chalicelib.engine.lane.lease import AnyLease, Lease, LeaseTerms, NoLease, boottime
from chalicelib.engine.lane.line import URGENT
from chalicelib.engine.lane.running import Ended, Run, give_up
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.engine.lane.work import Flow, Work
from chalicelib.store.repository import Repository

_log = logging.getLogger(__name__)

#: Called with (application, operation, key of the wake entry) when there is something to do now, the latter two
#: perhaps empty.
Nudge = Callable[[str, str, str], object]


class Worker:
    """Works on the operations of one repository. Safe to share between threads."""

    def __init__(
        self,
        repository: Repository,
        clusters: Clusters,
        flows: Mapping[OperationKind, Flow],
        *,
        terms: LeaseTerms,
        turns: TurnTerms,
        nudge: Nudge,
        ended: Ended,
    ) -> None:
        self._repository = repository
        self._clusters = clusters
        self._flows = flows
        self._terms = terms
        self._turns = turns
        self._nudge = nudge
        self._ended = ended
        self._process = f"{socket.gethostname()}-{os.getpid()}"

    def open(self) -> None:
        """Raise `WrongKey` before any work is taken: this worker would only fail what others can finish."""
        _ = self._repository.keyring

    def name(self) -> str:
        """A name for one turn of this worker."""
        return f"{self._process}-{secrets.token_hex(4)}"

    def find(self, application: str, operation: str) -> Operation | None:
        """An operation by its id; `None` if it was never written down."""
        try:
            return self._repository.operations.get(application, operation)
        except NotFound:
            return None  # its writer died between the entry and the document: nothing was promised

    def work(self, application: str, budget: Budget | None = None) -> bool:
        """Take the application's lane and run what stands in line, until nothing is left, another worker holds the
        lane, or the budget is over. Returns whether a wake entry of its own watches over what it leaves."""
        self.open()
        budget = (budget or Budget()).turn(self._turns.seconds)
        holder = self.name()
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

    def run(self, application: str, operation: str, budget: Budget | None = None) -> None:
        """Run an operation that takes no lane. Twice at once is harmless: it changes nothing but its document."""
        self.open()
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

    def call_next(
        self, application: str, operation: str, *, payload: Mapping[str, str] | None = None, nudge: bool = True
    ) -> None:
        """Have somebody go on with what waits: a fresh worker at once, or whoever finds the entry."""
        entry = self._repository.wake.add(self._repository.now(), application, "turn", payload)
        if nudge:
            self._nudge(application, operation, entry.key)

    def _pass_on(self, application: str) -> bool:
        """This worker's time is over: wake another one for what waits in the lane; whether something does."""
        lane = self._repository.lanes.read(application)
        if lane is None or lane.current is not None or not lane.pending:
            return False
        self.call_next(application, lane.pending[0].operation)
        return True

    def _run_in_lane(self, application: str, current: str, lease: Lease, budget: Budget, holder: str) -> bool:
        """Run the lane's current operation; whether the lane was let go."""
        again: Pending | None = None
        try:
            operation = self.find(application, current)
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
            self.call_next(application, current, nudge=False)  # another one goes first, in this worker's hands
        return True

    def _give_up(self, application: str, current: str, lease: Lease, holder: str, error: Exception) -> None:
        """End what cannot even be begun (a document that cannot be read), and let the lane go."""
        lease.check()
        reason = error if isinstance(error, MainstayError) else MainstayError(f"Unexpected {type(error).__name__}.")
        with contextlib.suppress(Damaged, NotFound):
            self._ended(give_up(self._repository, application, current, reason))
        self._let_go(application, lease, holder, None)

    def _let_go(self, application: str, lease: Lease, holder: str, again: Pending | None) -> None:
        lease.check()
        self._repository.lanes.release(application, lease.fence, holder, again)

    def _run(self, operation: Operation, lease: AnyLease, budget: Budget, holder: str) -> Pending | None:
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
        return Pending(operation=operation.id, kind=operation.kind, urgent=operation.kind in URGENT)

    def _connect(
        self, operation: Operation, application: Application, before_write: Callable[[], None]
    ) -> ClusterSession:
        there = destination_of(self._repository, operation).cluster
        record = self._repository.clusters.get(there or application.cluster)
        return self._clusters.connect(record, before_write=before_write, write_seconds=self._terms.write_seconds)
