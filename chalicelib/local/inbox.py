"""Finds signed requests by looking for them, where no queue tells of objects that are put into the bucket."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from chalicelib.domain.errors import MainstayError
from chalicelib.domain.traces import places

if TYPE_CHECKING:
    from chalicelib.services.requests import Requests

_log = logging.getLogger("mainstay.inbox")

#: Between two looks, seconds.
INTERVAL = 5.0


class Inbox:
    """Looks for requests that are not answered, and has them answered one after the other."""

    def __init__(self, requests: Requests, *, interval: float = INTERVAL) -> None:
        self._requests = requests
        self._interval = interval
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="mainstay-inbox", daemon=True)
        #: What was answered here. The storage's listings know times only to the second.
        self._answered: dict[str, datetime] = {}

    def start(self) -> Inbox:
        """Begin to look."""
        self._looking.start()
        return self

    def stop(self) -> None:
        """Take nothing new. Returns at once."""
        self._stopping.set()

    def join(self, seconds: float) -> bool:
        """After `stop`: wait until nothing is in hand, `seconds` at most; whether that was so."""
        self._looking.join(seconds)
        return not self._looking.is_alive()

    def _look(self) -> None:
        while not self._stopping.is_set():
            waiting: dict[str, datetime] = {}
            with self._told("looking for requests"):
                waiting = dict(self._requests.waiting())
                self._answered = {key: at for key, at in self._answered.items() if waiting.get(key) == at}
            for key, at in waiting.items():
                if not self._stopping.is_set() and self._answered.get(key) != at:
                    with self._told("answering a request"):
                        self._requests.answer(key)
                        self._answered[key] = at
            self._stopping.wait(self._interval)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Whatever goes wrong is told, and tried again at the next look."""
        try:
            yield
        except MainstayError as error:
            _log.warning("%s: %s", what, error.public().message)
        except Exception as error:  # noqa: BLE001 - looking must outlive whatever is found
            _log.error("%s: unexpected %s\n%s", what, type(error).__name__, places(error))
