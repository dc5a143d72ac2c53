"""What a step of an operation works with: its document, its lease, its time, and the places it may write.

A step is a function `step(work) -> Next`. It may be begun again at any time by another worker, so it is
idempotent: what it has finished is in its checkpoint and its parts, and `work.pause()` stands between any two
pieces of work, where it may be asked to stop.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from chalicelib.domain.application import Application
from chalicelib.domain.document import Document
from chalicelib.domain.errors import Cancelled, DeadlineExceeded, LeaseLost, MainstayError, TurnEnded, Yielded
from chalicelib.domain.operation import Operation, Progress, State
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.lane.destination import destination_of
from chalicelib.engine.lane.lease import AnyLease, NoLease, boottime
from chalicelib.language.loader import load
from chalicelib.planning.elsewhere.destination import Destination
from chalicelib.store.repository import Repository

#: Seconds between two signs of life of an operation that takes no lane.
_LIFE_SIGN = 2.0


@dataclass(frozen=True, slots=True)
class Next:
    """Go on with the step called `step`, knowing `checkpoint` (merged into what is known)."""

    step: str
    checkpoint: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """The operation ends in `state`; `outcome` is merged into its document."""

    state: State
    outcome: Mapping[str, Any] = field(default_factory=dict)


Step = Callable[["Work"], Next | Finish]


class Work:
    """One operation in the hands of one worker."""

    def __init__(
        self,
        *,
        repository: Repository,
        application: Application,
        operation: Operation,
        lease: AnyLease,
        budget: Budget,
        connect: Callable[[Callable[[], None]], ClusterSession],
        holder: str,
    ) -> None:
        #: Every write through it asks the lease first.
        self.repository = repository.guarded(lease.check)
        self.application = application
        self.operation = operation
        self.lease = lease
        self.budget = budget
        self.holder = holder
        self._connect = connect
        self._session: ClusterSession | None = None
        self._reported = self._saved = 0.0
        #: The newest progress of the step, written or not.
        self.latest = operation.progress
        self._reporting = threading.Lock()
        self._numbers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
        self._ends: float | None = None
        #: From here a cancel comes too late and a restore no longer goes first.
        self.sealed = False
        #: A restore that puts back what it changed does not stop for a cancel.
        self.undoing = operation.state is State.ROLLING_BACK
        #: Whether this operation may go back into the line in favour of a restore.
        self.yields = False
        #: Whether this turn has brought the operation further, so far.
        self.moved = False
        #: When this worker took it up, by the storage's clock.
        self.began: datetime | None = None

    @property
    def fence(self) -> int:
        """The fence under which this worker writes."""
        return self.lease.fence

    @property
    def checkpoint(self) -> dict[str, Any]:
        """What earlier steps, perhaps of another worker, left to know."""
        return self.operation.checkpoint

    @cached_property
    def destination(self) -> Destination:
        """Where the operation restores to; for everything else where the application is."""
        return destination_of(self.repository, self.operation)

    @cached_property
    def document(self) -> Document:
        """The application's document: today's, or the one that `keep_document` has kept for this operation; with its
        namespaces as they are called at the destination."""
        fence = self.checkpoint.get("documentFence")
        if fence is None:
            return self.destination.document(load(self.application.document))
        lines = self.repository.operations.read_lines(
            self.application.id, self.operation.id, "document", fence=int(fence)
        )
        return self.destination.document(load(orjson.loads(next(iter(lines)))))

    def keep_document(self) -> None:
        """From now on this operation follows the document as it is now, whoever changes it meanwhile."""
        if "documentFence" not in self.checkpoint:
            self.put_part("document", 0, [orjson.dumps(self.application.document)])
            self.note(documentFence=self.fence)

    @property
    def session(self) -> ClusterSession:
        """The cluster it works on; every write through it asks the lease first."""
        if self._session is None:
            self._session = self._connect(self.lease.check)
        return self._session

    def now(self) -> datetime:
        """The storage's clock: the one clock that all workers share."""
        return self.repository.now()

    def pause(self) -> None:
        """Between two pieces of work: stop here if the lease is lost, somebody cancelled, a restore goes first, or
        the time budget is over (`TurnEnded`)."""
        self.look()
        if self.budget.over and not self.sealed:
            if self.budget.stopped:
                raise Yielded("The service stops; another worker goes on from here.")
            raise TurnEnded("The worker's time is over; another turn goes on from here.")

    def look(self) -> None:
        """`pause` without a look at the time: before a last, short piece of work that would have to be done anew."""
        self.lease.check()
        if self.sealed:
            return
        self._show_life()
        if not self.undoing and (self.lease.wanted == "cancel" or self.operation.cancel_requested):
            raise Cancelled("The operation was cancelled.")
        if self.yields and self.lease.wanted == "yield":
            raise Yielded("A restore of this application goes first.")
        if self._ends is not None and boottime() > self._ends and not self.undoing:
            limit = self.operation.deadline_seconds
            raise DeadlineExceeded(f"The operation has taken longer than the {limit} s it may.")

    def left(self) -> float:
        """Seconds until this worker's time is over; without an end `inf`."""
        left = self.budget.left
        return float("inf") if left is None else left

    def elapsed(self, wait: str, limit: float) -> float:
        """Seconds since this operation first asked for a wait of this name, in whichever turn: a wait that has a
        `limit` has it over all turns. To wait is to get somewhere, until that is over."""
        waits, now = self.checkpoint.get("waits") or {}, self.now()
        if wait in waits:
            passed = max(0.0, (now - datetime.fromisoformat(waits[wait])).total_seconds())
            self.moved = self.moved or passed < limit
            return passed
        self.note(waits={**waits, wait: now.isoformat()})
        return 0.0

    def _show_life(self) -> None:
        """Nobody renews a lease for what takes no lane: its document says that it lives, and learns of a cancel."""
        if not isinstance(self.lease, NoLease) or time.monotonic() - self._saved < _LIFE_SIGN:
            return
        if self._reporting.acquire(blocking=False):
            try:
                self.save()
            finally:
                self._reporting.release()

    def begin(self, now: datetime) -> None:
        """From now on `pause` knows when the operation has taken longer than its document allows."""
        self.began = now
        started = self.operation.started_at or now
        self._ends = boottime() + self.operation.deadline_seconds - (now - started).total_seconds()

    def save(self, **changes: Any) -> Operation:
        """Write members of the operation's document, under this worker's fence."""
        self.lease.check()
        mine = self.fence

        def change(stored: Operation, at: datetime) -> Operation:
            if stored.fence > mine:
                raise LeaseLost("Another worker has taken this operation up.")
            if stored.state.ended:
                raise LeaseLost("The operation has ended already.")
            return stored.model_copy(update={**changes, "fence": mine, "touched_at": at})

        self._saved = time.monotonic()
        self.operation = self.repository.operations.update_at(self.operation.application, self.operation.id, change)
        return self.operation

    def advance(self, following: Next) -> None:
        """The step is done: write down the next one and what is known by now, together."""
        self.moved = True
        self.latest = Progress()
        known = {**self.operation.checkpoint, **following.checkpoint}
        self.save(step=following.step, checkpoint=known, stalled=0, trouble=None, progress=self.latest)

    def note(self, **known: Any) -> None:
        """Add to the checkpoint in the middle of a step: it got further."""
        self.moved = True
        self.save(checkpoint={**self.operation.checkpoint, **known}, stalled=0, trouble=None)

    def warn(self, sentences: Iterable[str]) -> None:
        """Have the outcome say these as well. To say again what an earlier turn has said leads nowhere."""
        known = list(self.checkpoint.get("warnings") or ())
        warnings = list(dict.fromkeys((*known, *sentences)))
        if warnings != known:
            self.note(warnings=warnings)

    def report(self, done: int, total: int = 0, unit: str = "", moved: int = 0) -> None:
        """Tell how far the step is. Written at most once a second: progress is for people."""
        with self._reporting:
            self.latest = Progress(done=done, total=total, unit=unit, bytes=moved)
            at = time.monotonic()
            if at - self._reported < 1.0:
                return
            self._reported = at
        self.save(progress=self.latest)

    def enter_sealing(self) -> None:
        """From here a cancel comes too late, and a restore waits: it is a matter of moments."""
        self.lease.check()
        self.repository.lanes.enter_sealing(self.application.id, self.fence, self.holder)
        self.sealed = True

    @contextmanager
    def sealing(self) -> Iterator[None]:
        """For a safety version: afterwards, sealed or not, the operation runs on and can be cancelled again."""
        self.enter_sealing()
        try:
            yield
        finally:
            self.leave_sealing()

    def leave_sealing(self) -> None:
        """Nothing is being sealed any more: the operation can be cancelled again."""
        self.sealed = False
        self.repository.lanes.leave_sealing(self.application.id, self.fence, self.holder)

    def next_number(self, name: str) -> int:
        """The number of the next part of this name under this worker's fence: 0, 1, 2, …"""
        return next(self._numbers[name])

    def put_part(self, name: str, number: int, lines: Iterable[bytes]) -> None:
        """Keep lines beside the operation's document, once, under this worker's fence and `number`."""
        self.lease.check()
        self.repository.operations.put_part(
            self.operation.application, self.operation.id, name, self.fence, number, lines
        )


def _let_it_fail(_work: Work, error: MainstayError) -> Finish:
    return Finish(State.CANCELLED if isinstance(error, Cancelled) else State.FAILED)


@dataclass(frozen=True, slots=True)
class Flow:
    """One kind of operation: its first step, its steps by name, and what to do when a step fails.

    `failed` is asked with the error and answers where to go on (a restore undoes) or how to end.
    """

    first: str
    steps: Mapping[str, Step]
    failed: Callable[[Work, MainstayError], Next | Finish] = field(default=_let_it_fail)
    takes_lane: bool = True
    #: It may go back into the line, with its checkpoint, when a restore of the same application is asked for.
    yields: bool = False
    #: The cluster's errors that a later try may not meet again do not fail it at once.
    patient: bool = True
