"""What Lambda's event sources do, on one machine: messages of queues and a schedule become calls of the handlers.

    SQS ── Receiver ── pool ── Function ── done? ── deleted
                                       └── else it stays, and SQS shows it again when its visibility ends
    every few seconds ── Schedule ── Function

A message is deleted only after its handler did it. Redriving to the dead-letter queue is SQS' own work.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Protocol

from chalicelib.adapters.queue import Received, SqsQueue
from chalicelib.domain.errors import MainstayError, QueueUnavailable
from chalicelib.domain.traces import places
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from chalice.app import Chalice

_log = logging.getLogger("mainstay.queues")

#: Seconds between two looks into the wake index, at most. EventBridge knows no less than a minute; here a look is two
#: requests, and a worker that was killed is replaced that much sooner.
LOOK = 5.0

#: Seconds that a request waits for a message, that its answer may take, and between two tries when SQS is away.
WAIT, PATIENCE, PAUSE = 2, 12.0, 3.0


class OnMessage(Protocol):
    """What takes messages: a `Function`."""

    name: str

    def on_message(self, message: Received, queue: SqsQueue) -> bool: ...


class OnSchedule(Protocol):
    """What is called again and again: a `Function`."""

    name: str

    def on_schedule(self) -> None: ...


class Source(Protocol):
    """Something that calls functions until it is told to stop."""

    def start(self) -> None: ...

    def join(self, seconds: float) -> bool:
        """After `stopping` was set: wait until nothing runs any more; whether that was so."""


class Receiver:
    """Hands messages of one queue to a function, up to `at_once` at the same time."""

    def __init__(self, queue: SqsQueue, function: OnMessage, stopping: threading.Event, at_once: int = 1) -> None:
        self._queue = queue
        self._function = function
        self._stopping = stopping
        self._slots = threading.Semaphore(at_once)
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=f"mainstay-{function.name}")
        self._receiving = threading.Thread(target=self._receive, name=f"mainstay-{function.name}-queue", daemon=True)
        self._in_hand: set[Future[None]] = set()
        self._away = False

    def start(self) -> None:
        """Begin to receive."""
        self._receiving.start()

    def join(self, seconds: float) -> bool:
        """After `stopping` was set: wait until no message is in hand."""
        end = time.monotonic() + seconds
        self._receiving.join(seconds)
        self._pool.shutdown(wait=False)
        wait(list(self._in_hand), timeout=max(0.0, end - time.monotonic()))
        return all(future.done() for future in list(self._in_hand)) and not self._receiving.is_alive()

    def _receive(self) -> None:
        while not self._stopping.is_set():
            # Nothing is taken that cannot be begun at once: another runner could do it.
            if not self._slots.acquire(timeout=0.5):
                continue
            message = self._next()
            if message is None or self._stopping.is_set():
                self._slots.release()
                continue
            future = self._pool.submit(self._attend, message)
            self._in_hand.add(future)
            future.add_done_callback(self._put_down)

    def _next(self) -> Received | None:
        try:
            message = self._queue.receive(WAIT)
        except QueueUnavailable as error:
            if not self._away:
                _log.warning("no messages for %s: %s", self._function.name, error.message)
            self._away = True
            self._stopping.wait(PAUSE)
            return None
        if self._away:
            _log.warning("messages for %s can be received again", self._function.name)
        self._away = False
        return message

    def _attend(self, message: Received) -> None:
        try:
            if self._function.on_message(message, self._queue):
                self._queue.delete(message)
        except MainstayError as error:
            told = error.public().message
            _log.warning("message %s for %s will come again: %s", message.id, self._function.name, told)
        except Exception as error:  # noqa: BLE001 - one message must not stop the others
            told = "unexpected %s; message %s for %s will come again\n%s"
            _log.error(told, type(error).__name__, message.id, self._function.name, places(error))

    def _put_down(self, future: Future[None]) -> None:
        self._in_hand.discard(future)
        self._slots.release()


class Schedule:
    """Calls a function at once and then every `seconds`."""

    def __init__(self, function: OnSchedule, stopping: threading.Event, seconds: float) -> None:
        self._function = function
        self._stopping = stopping
        self._seconds = seconds
        self._calling = threading.Thread(target=self._call, name=f"mainstay-{function.name}", daemon=True)

    def start(self) -> None:
        """Begin to call."""
        self._calling.start()

    def join(self, seconds: float) -> bool:
        """After `stopping` was set: wait until it is not called any more."""
        self._calling.join(seconds)
        return not self._calling.is_alive()

    def _call(self) -> None:
        while not self._stopping.is_set():
            try:
                self._function.on_schedule()
            except MainstayError as error:
                _log.warning("%s: %s", self._function.name, error.public().message)
            except Exception as error:  # noqa: BLE001 - the next call may go well
                _log.error("unexpected %s in %s\n%s", type(error).__name__, self._function.name, places(error))
            self._stopping.wait(self._seconds)


class Sources:
    """All of them, with the same words as the pump that works without a queue."""

    def __init__(self, sources: list[Source], stopping: threading.Event) -> None:
        self._sources = sources
        self._stopping = stopping

    def start(self) -> Sources:
        """Begin to work."""
        for source in self._sources:
            source.start()
        return self

    def stop(self) -> None:
        """Take nothing new, and have what runs stop at its next piece of work. Returns at once."""
        self._stopping.set()

    def join(self, seconds: float) -> bool:
        """After `stop`: wait until nothing runs any more, `seconds` at most; whether that was so."""
        end = time.monotonic() + seconds
        return all(source.join(max(0.0, end - time.monotonic())) for source in self._sources)


def between_looks(tick_seconds: float) -> float:
    """Seconds between two looks into the wake index, where what was called for is called for again after a tick."""
    return min(LOOK, tick_seconds)


def sources_of(app: Chalice, settings: Settings) -> Sources:
    """The queues that are set, each with its handler, and the schedule of the tick."""
    from chalicelib.local.lambdas import Function

    stopping = threading.Event()
    read = {
        "work": (settings.queue_url, settings.workers),
        "dead_letter": (settings.dead_letter_queue_url, 1),
        "bucket": (settings.request_queue_url, 1),
    }
    tick = Function(app, "tick", stopping)
    sources: list[Source] = [Schedule(tick, stopping, between_looks(settings.tick_seconds))]
    sources += [
        Receiver(SqsQueue(url, PATIENCE), Function(app, name, stopping), stopping, at_once)
        for name, (url, at_once) in read.items()
        if url is not None
    ]
    return Sources(sources, stopping)
