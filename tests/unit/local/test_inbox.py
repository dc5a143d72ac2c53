"""Without a queue that tells of them, requests are found by looking."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from chalicelib.domain.errors import StorageUnavailable
from chalicelib.local.inbox import Inbox

AT = datetime(2026, 11, 24, tzinfo=UTC)


class Requests:
    """Two that wait, and one of them cannot be answered at first. Listings know no better: both go on waiting."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.failing = {"requests/a.json"}
        self.looks = 0
        self.enough = threading.Event()

    def waiting(self) -> Sequence[tuple[str, datetime]]:
        self.looks += 1
        if self.looks == 2:
            raise StorageUnavailable("away")
        if self.looks > 4:
            self.enough.set()
        return [("requests/a.json", AT), ("requests/b.json", AT)]

    def answer(self, key: str) -> None:
        if key in self.failing:
            self.failing.remove(key)
            raise StorageUnavailable("away")
        self.answered.append(key)


def test_each_request_is_answered_once_whatever_fails_on_the_way() -> None:
    requests = Requests()
    inbox = Inbox(requests, interval=0.001).start()  # type: ignore[arg-type]
    assert requests.enough.wait(5)
    inbox.stop()
    assert inbox.join(5)
    assert requests.answered == ["requests/b.json", "requests/a.json"]
