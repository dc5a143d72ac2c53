"""A worker's time: how long it may go on, and when it is too late to begin with anything new."""

from __future__ import annotations

import threading
import time

#: Of a worker's time, the part after which it begins with nothing new: a fresh worker has more of it.
_LATE = 0.8


class Budget:
    """How long a worker may go on. It ends when its seconds are over, when `stop` is called or `stopped` is set."""

    def __init__(
        self,
        seconds: float | None = None,
        stopped: threading.Event | None = None,
        whole: Budget | None = None,
    ) -> None:
        #: The budget that this is a turn of; itself, if of none. It is what the worker really has.
        self.whole: Budget = whole or self
        self._began = time.monotonic()
        self._seconds = seconds
        self._stopped = stopped or threading.Event()

    def stop(self) -> None:
        """End now: the service shuts down."""
        self._stopped.set()

    def turn(self, seconds: float | None) -> Budget:
        """A budget of at most `seconds` from now on that ends with this one at the latest."""
        left = [each for each in (seconds, self.left) if each is not None]
        return Budget(min(left) if left else None, self._stopped, self.whole)

    @property
    def stopped(self) -> bool:
        """Whether the service shuts down."""
        return self._stopped.is_set()

    @property
    def over(self) -> bool:
        """Whether to stop between two pieces of work."""
        if self.stopped or (self.whole is not self and self.whole.over):
            return True
        return self.left is not None and self.left <= 0

    @property
    def late(self) -> bool:
        """Whether to begin with nothing new."""
        return self.over or (self.left is not None and self.left <= (1 - _LATE) * (self._seconds or 0))

    @property
    def left(self) -> float | None:
        """Seconds until they are over, `None` if they have no end."""
        return None if self._seconds is None else self._began + self._seconds - time.monotonic()
