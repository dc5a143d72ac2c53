"""Calling workers for what is due, and doing none of it here.

    at     0   1   3   7   15   30   45 …   ticks after it was first seen; a tick is a minute in AWS

Where all workers are busy, what is due stays due, and the message about it waits in the queue: another one each
minute would only make the queue longer. So what was called for is called for again at growing distances, and only in
case its message was lost. What is new is called for at once, also beside something of the same application.

What was called for is known to this process alone. A new one calls for everything once more, which costs a message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.engine.lane.worker import Nudge
from chalicelib.store.wake import Entry, WakeIndex

#: The longest distance between two calls for one thing, in ticks.
MOST = 15

#: A tick may come that much early, as a part of one.
_EARLY = 0.25


@dataclass(frozen=True, slots=True)
class _Called:
    """The entry that was called for last, how often, and from when on it is to be again."""

    entry: str
    times: int
    again: datetime


class Caller:
    """Calls workers of one repository. `stands_alone` says whether an entry says more than "look at the lane", and
    `tick` how many seconds lie between two calls of `call`."""

    def __init__(
        self, wake: WakeIndex, nudge: Nudge, stands_alone: Callable[[Entry], bool], *, tick: float = 60.0
    ) -> None:
        self._wake = wake
        self._nudge = nudge
        self._stands_alone = stands_alone
        self._tick = tick
        self._called: dict[str, _Called] = {}
        self._calling = threading.Lock()

    def call(self, due: Iterable[Entry], now: datetime) -> int:
        """Wake a worker for each entry that stands alone, and one for each application that others are about; of
        these others one is enough, and the rest is removed. Returns how many were woken."""
        subjects: dict[str, list[Entry]] = {}
        for entry in due:
            subjects.setdefault(entry.key if self._stands_alone(entry) else entry.application, []).append(entry)
        with self._calling:
            known, self._called, woken = self._called, {}, 0
            for subject, (first, *others) in subjects.items():
                for other in others:
                    self._wake.remove(other)
                before = known.get(subject)
                if before is not None and (before.entry != first.key or others):
                    before = None
                if before is not None and now < before.again:
                    self._called[subject] = before
                    continue
                if self._nudge(first.application, str(first.payload.get("operation", "")), first.key) is False:
                    # The queue is down, and each try takes its time; the next look finds the entries again.
                    self._called = {**known, **self._called}
                    break
                woken += 1
                self._called[subject] = self._noted(first, 1 if before is None else before.times + 1, now)
            return woken

    def _noted(self, entry: Entry, times: int, now: datetime) -> _Called:
        ticks = min(MOST, 2 ** (times - 1)) - _EARLY
        return _Called(entry.key, times, now + timedelta(seconds=self._tick * ticks))
