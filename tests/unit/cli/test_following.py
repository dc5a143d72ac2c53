"""Who waits for an operation is told for how long there was no news of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from chalicelib.cli import following
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json


class Watching:
    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def see(self, _operation: Json, seconds: float, unchanged: float) -> None:
        self.seen.append((seconds, unchanged))

    def lost(self, failure: Failure) -> None:
        raise failure


def test_the_time_without_news_begins_with_the_last_news() -> None:
    running = {"id": "op-1", "state": "running", "step": "plan"}
    further = {**running, "step": "apply"}
    answers = iter([running, running, further, further, {**further, "state": "succeeded"}])
    session = cast("Any", SimpleNamespace(gateway=SimpleNamespace(operation=lambda _id: next(answers))))
    now = 100.0

    def sleep(_seconds: float) -> None:
        nonlocal now
        now += 10

    watching = Watching()
    ended = following._wait(session, running, watching, sleep, lambda: now)
    assert ended["state"] == "succeeded"
    assert watching.seen == [(0, 0), (10, 10), (20, 20), (30, 0), (40, 10)]
