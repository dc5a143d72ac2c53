"""Finds what is due in the wake index and has it done: the runner's workers.

    API thread ── Engine.start ── nudge ─┐
                                         ▼
    ticking thread ── due entries ── pool of workers ── Engine.handle

A nudge only makes the ticking thread look at once; what there is to do it reads from the index, as it does anyway
every few seconds. So nothing is lost with a nudge, and other processes' operations are found too.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from chalicelib.domain.errors import MainstayError
from chalicelib.domain.traces import places

if TYPE_CHECKING:
    from chalicelib.engine.lane.budget import Budget
    from chalicelib.engine.lane.engine import Engine
    from chalicelib.store.wake import Entry

_log = logging.getLogger("mainstay.pump")

#: Between two looks into the wake index that nobody asked for, and after a look or an entry that failed. Seconds.
INTERVAL = 2.0
PAUSE = 5.0


class Pump:
    """Works for up to `workers` applications at the same time. One for each process."""

    def __init__(
        self,
        engine: Engine,
        budget: Budget,
        *,
        workers: int = 4,
        interval: float = INTERVAL,
    ) -> None:
        self._engine = engine
        self._budget = budget
        self._interval = interval
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="mainstay-worker")
        self._ticking = threading.Thread(target=self._tick, name="mainstay-pump", daemon=True)
        self._look = threading.Event()
        self._stopping = threading.Event()
        #: What is in hand, and entries that failed with the time from which they may be tried again.
        self._in_hand: dict[str, Future[None]] = {}
        self._paused: dict[str, float] = {}

    def start(self) -> Pump:
        """Begin to look for work."""
        self._ticking.start()
        return self

    def nudge(self, _application: str = "", _operation: str = "", _entry: str = "") -> None:
        """Look into the wake index now."""
        self._look.set()

    def stop(self) -> None:
        """Take nothing new, and have what runs stop at its next piece of work. Returns at once."""
        self._stopping.set()
        self._look.set()
        self._budget.stop()

    def join(self, seconds: float) -> bool:
        """After `stop`: wait until nothing runs any more, `seconds` at most; whether that was so."""
        end = time.monotonic() + seconds
        self._ticking.join(seconds)
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait(list(self._in_hand.values()), timeout=max(0.0, end - time.monotonic()))
        return all(future.done() for future in list(self._in_hand.values())) and not self._ticking.is_alive()

    def _tick(self) -> None:
        while not self._stopping.is_set():
            self._look.clear()
            try:
                self._take_due()
                pause = self._interval
            except MainstayError as error:
                _log.warning("cannot look for work: %s", error.public().message)
                pause = PAUSE
            except Exception as error:  # noqa: BLE001 - the pump must outlive whatever it meets
                _log.error("unexpected %s while looking for work\n%s", type(error).__name__, places(error))
                pause = PAUSE
            self._look.wait(pause)

    def _take_due(self) -> None:
        now = time.monotonic()
        for key, until in list(self._paused.items()):  # workers add to it meanwhile
            if until <= now:
                del self._paused[key]
        for entry in self._engine.due():
            if self._stopping.is_set():
                return
            subject = _subject(entry)
            if subject in self._in_hand or entry.key in self._paused:
                continue
            future = self._pool.submit(self._handle, entry)
            self._in_hand[subject] = future
            future.add_done_callback(lambda _done, subject=subject: self._put_down(subject))  # type: ignore[misc]

    def _put_down(self, subject: str) -> None:
        self._in_hand.pop(subject, None)
        self._look.set()

    def _handle(self, entry: Entry) -> None:
        try:
            self._engine.handle(entry, self._budget)
        except MainstayError as error:
            _log.warning("will be tried again: %s", error.public().message)
            self._paused[entry.key] = time.monotonic() + PAUSE
        except Exception as error:  # noqa: BLE001 - one entry must not stop the others
            _log.error("unexpected %s; will be tried again\n%s", type(error).__name__, places(error))
            self._paused[entry.key] = time.monotonic() + PAUSE


def _subject(entry: Entry) -> str:
    """What an entry is about. A second entry for an operation that is in hand here waits until that is put down:
    a plan that outlasts the entry that watches over it must not be begun anew beside itself."""
    return str(entry.payload.get("operation") or entry.key)
