"""The worker's own deadline: how it knows, without asking anybody, that it may still write.

The lane says `renewedAt` by the storage's clock, and another worker may take the lane once that is `seconds` old.
The holder measures the same span on its own `CLOCK_BOOTTIME`, which goes on while a machine or a frozen Lambda
sleeps, from *before* the renewal's request, and stops `margin` early:

    holder   |—— renewal sent ——————————————————— deadline |  margin  |
    storage       |—— renewedAt —————————————————————————————————————| taken by another

Every request's time limit is shorter than the margin, so a write that began before the deadline has ended before
anyone else begins. The one gap no client can close (stopped between the check and the send) is what the
preconditions of each write are for.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol

from chalicelib.domain.errors import LeaseLost, MainstayError
from chalicelib.domain.operation import Lane


def boottime() -> float:
    """Seconds since the machine started, those it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How long a lane stays taken without renewal, and how much earlier its holder stops. Seconds."""

    seconds: float = 30.0
    margin: float = 10.0

    @property
    def interval(self) -> float:
        """How often to renew: three tries fit before the deadline."""
        return max(0.3, (self.seconds - self.margin) / 4)

    @property
    def write_seconds(self) -> float:
        """How long one write to the cluster may take: shorter than the margin, and long enough for most servers."""
        return min(15.0, self.margin * 0.8)


class Renewer(Protocol):
    """The part of the lanes that a lease needs."""

    def renew(self, application: str, fence: int, holder: str) -> Lane: ...


class Lease:
    """One taken lane, renewed in the background until `stop`. Safe to check from any thread."""

    def __init__(self, lanes: Renewer, lane: Lane, holder: str, taken_at: float, terms: LeaseTerms) -> None:
        self._lanes = lanes
        self._application = lane.application
        self._holder = holder
        self._terms = terms
        self._deadline = taken_at + terms.seconds - terms.margin
        self._lost: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.fence = lane.fence
        #: What somebody wants of the running operation: `yield`, `cancel` or nothing.
        self.wanted: str = lane.wanted

    def start(self) -> Lease:
        """Begin to renew."""
        self._thread = threading.Thread(target=self._renew, name=f"lease-{self._application}", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop renewing and wait for the thread: a frozen process must not thaw in the middle of a renewal."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=self._terms.seconds)

    def check(self) -> None:
        """Return if a write may begin now, else raise `LeaseLost`."""
        if self._lost is not None:
            raise LeaseLost(self._lost)
        if boottime() >= self._deadline:
            raise LeaseLost("This worker's lease on the application ran out before it could be renewed.")

    def _renew(self) -> None:
        while not self._stopping.wait(self._terms.interval):
            asked_at = boottime()
            if asked_at >= self._deadline:
                # Not even a renewal: another worker may hold the lane by now.
                self._lost = "This worker's lease on the application ran out before it could be renewed."
                return
            try:
                lane = self._lanes.renew(self._application, self.fence, self._holder)
            except LeaseLost as error:
                self._lost = error.message
                return
            except MainstayError:
                continue  # the storage is slow or away: the deadline decides
            self.wanted = lane.wanted
            self._deadline = asked_at + self._terms.seconds - self._terms.margin


class AnyLease(Protocol):
    """A lease, or what stands for one where no lane is taken."""

    fence: int

    @property
    def wanted(self) -> str: ...

    def check(self) -> None: ...


class NoLease:
    """For operations that change nothing but their own document: they take no lane."""

    wanted = ""

    def __init__(self, fence: int) -> None:
        self.fence = fence

    def check(self) -> None:
        """Always allowed."""
