"""What wakes the workers in Lambda: declarations, and one call each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.domain.errors import Malformed
from chalicelib.domain.ids import new_id
from chalicelib.domain.message import WorkMessage
from chalicelib.entrypoints.events import queue, schedule
from chalicelib.entrypoints.events.budget import MARGIN
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

    def tick(self, budget: Any) -> int:
        self.made.append(("tick", budget.over))
        return 0

    def work(self, application: str, budget: Any) -> None:
        self.made.append(("work", application, budget.over))

    def run(self, application: str, operation: str, budget: Any) -> None:
        self.made.append(("run", application, operation, budget.over))


@pytest.fixture
def engine(built: House) -> Calls:
    calls = Calls()
    object.__setattr__(built.services, "engine", calls)
    return calls


def sqs(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"body": body, "receiptHandle": "r"} for body in bodies]}


def test_the_minutes_tick_looks_into_the_wake_index(engine: Calls) -> None:
    event = dict.fromkeys(("version", "id", "source", "account", "time", "region"), "")
    schedule.tick({**event, "detail-type": "", "detail": {}, "resources": []}, Context(300_000))
    assert engine.made == [("tick", False)]


def test_a_message_has_its_application_worked_for(engine: Calls) -> None:
    queue.work(sqs(json.dumps({"application": APP})), Context(900_000))
    queue.work(sqs(json.dumps({"application": APP, "operation": OP})), Context(900_000))
    assert engine.made == [("work", APP, False), ("run", APP, OP, False)]


@pytest.mark.parametrize("body", ["", "no json", "{}", '{"application": "../x"}', '{"application": 7}'])
def test_a_message_that_is_none_of_ours_is_refused(body: str) -> None:
    with pytest.raises(Malformed):
        WorkMessage.read(body)


def test_there_is_time_left_to_stop_in_order() -> None:
    from chalicelib.entrypoints.events.budget import budget_of

    assert MARGIN >= 10
    assert not budget_of(Context(900_000)).over
