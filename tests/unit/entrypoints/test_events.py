"""What wakes the workers in Lambda: declarations, and one call each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.domain.errors import StorageUnavailable
from chalicelib.domain.ids import new_id
from chalicelib.domain.message import WorkMessage
from chalicelib.engine.lane import budget as budgets
from chalicelib.entrypoints.events import queue, schedule
from chalicelib.entrypoints.events.budget import budget_of
from tests.unit.services.house import NOON, House

APP, OP = new_id("app", NOON), new_id("op", NOON)


@dataclass
class Context:
    """A Lambda's context with so many milliseconds left."""

    left: int

    def get_remaining_time_in_millis(self) -> int:
        return self.left


class Calls:
    """An engine that writes down what it is asked, and how long it may take."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []
        self.raises: Exception | None = None

    def tick(self, budget: Any) -> int:
        self.made.append(("tick", budget.over))
        return 0

    def call(self) -> int:
        self.made.append(("call",))
        return 0

    def attend(self, message: WorkMessage, budget: Any) -> None:
        self.made.append(("attend", message, budget.over))
        if self.raises is not None:
            raise self.raises


@pytest.fixture
def engine(built: House) -> Calls:
    calls = Calls()
    object.__setattr__(built.services, "engine", calls)
    return calls


def sqs(*bodies: str) -> dict[str, Any]:
    queue = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:shop-work"}
    return {
        "Records": [
            {"messageId": str(number), "body": body, "receiptHandle": "r", **queue}
            for number, body in enumerate(bodies)
        ]
    }


def a_minute() -> dict[str, Any]:
    event = dict.fromkeys(("version", "id", "source", "account", "time", "region"), "")
    return {**event, "detail-type": "", "detail": {}, "resources": []}


def test_without_a_queue_the_minutes_tick_does_what_is_due(engine: Calls) -> None:
    schedule.tick(a_minute(), Context(300_000))
    assert engine.made == [("tick", False)]


def test_with_a_queue_the_minutes_tick_only_wakes_workers(engine: Calls, built: House) -> None:
    object.__setattr__(built.services, "queued", True)
    schedule.tick(a_minute(), Context(300_000))
    assert engine.made == [("call",)]


def test_a_message_is_attended_to(engine: Calls) -> None:
    one, other = WorkMessage(application=APP), WorkMessage(application=APP, operation=OP, entry="control/wake/x")
    for message in (one, other):
        assert queue.work(sqs(message.text), Context(900_000)) == {"batchItemFailures": []}
    assert engine.made == [("attend", one, False), ("attend", other, False)]


@pytest.mark.parametrize("body", ["", "no json", "{}", '{"application": "../x"}', '{"application": 7}', "[]"])
def test_a_message_that_is_none_of_ours_is_told_and_dropped(
    engine: Calls, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert queue.work(sqs(body), Context(900_000)) == {"batchItemFailures": []}
    assert engine.made == []
    assert "message 0 of shop-work was dropped: This is no message of the work queue." in caplog.text


@pytest.mark.parametrize("error", [StorageUnavailable("away"), ValueError("words of a Secret")])
def test_a_message_that_could_not_be_attended_to_comes_again_and_its_neighbours_do_not(
    engine: Calls, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    engine.raises = error
    text = WorkMessage(application=APP).text
    assert queue.work(sqs("poison", text), Context(900_000)) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    (told,) = [record.message for record in caplog.records if "it comes again" in record.message]
    assert told.startswith("message 1 of shop-work ")
    assert "words of a Secret" not in caplog.text


@pytest.mark.parametrize(("left", "turn"), [(900, 880), (60, 45), (4, 3)])
def test_there_is_time_left_to_stop_in_order(monkeypatch: pytest.MonkeyPatch, left: int, turn: int) -> None:
    at = [100.0]
    monkeypatch.setattr(budgets.time, "monotonic", lambda: at[0])
    budget = budget_of(Context(left * 1000))
    at[0] += turn - 0.01
    assert not budget.over
    at[0] += 0.02
    assert budget.over
