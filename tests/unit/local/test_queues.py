"""What Lambda's event sources do, done by the runner: a message is gone only after its handler did it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.adapters.queue import Received
from chalicelib.domain.errors import QueueUnavailable
from chalicelib.local import queues
from chalicelib.local.lambdas import LIMITS, Function
from chalicelib.local.queues import Receiver, Schedule, Sources, between_looks


class FakeQueue:
    """Messages in sight, and those that were deleted."""

    arn, region = "arn:aws:sqs:here:000000000000:work", "here"

    def __init__(self, *bodies: str) -> None:
        self.messages = [Received(f"m{number}", f"h{number}", body) for number, body in enumerate(bodies)]
        self.deleted: list[str] = []
        self.away = 0

    def receive(self, _wait: int) -> Received | None:
        if self.away:
            self.away -= 1
            raise QueueUnavailable("SQS gave no answer.")
        if self.messages:
            return self.messages.pop(0)
        time.sleep(0.01)
        return None

    def delete(self, message: Received) -> None:
        self.deleted.append(message.id)


class FakeFunction:
    name = "work"

    def __init__(self, act: Callable[[str], bool]) -> None:
        self.act = act
        self.got: list[str] = []
        self.now = self.most = 0
        self.lock = threading.Lock()

    def on_message(self, message: Received, _queue: Any) -> bool:
        with self.lock:
            self.got.append(message.body)
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.act(message.body)
        finally:
            with self.lock:
                self.now -= 1

    def on_schedule(self) -> None:
        self.got.append("tick")
        self.act("tick")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    monkeypatch.setattr(queues, "PAUSE", 0.01)
    running: list[Sources] = []

    def start(*sources: Any, stopping: threading.Event) -> None:
        running.append(Sources(list(sources), stopping).start())

    yield start
    for each in running:
        each.stop()
        assert each.join(5)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def receiving(
    queue: FakeQueue, act: Callable[[str], bool], at_once: int = 1
) -> tuple[Receiver, Any, threading.Event]:
    function, stopping = FakeFunction(act), threading.Event()
    return Receiver(queue, function, stopping, at_once), function, stopping  # type: ignore[arg-type]


def test_a_message_is_deleted_once_its_handler_did_it(run: Callable[..., None]) -> None:
    queue = FakeQueue("a", "b")
    receiver, _, stopping = receiving(queue, lambda _: True)
    run(receiver, stopping=stopping)
    until(lambda: queue.deleted == ["m0", "m1"])


def test_a_message_whose_handler_names_it_as_failed_or_breaks_stays(run: Callable[..., None]) -> None:
    def act(body: str) -> bool:
        if body == "breaks":
            raise ValueError("hunter2")
        return body != "fails"

    queue = FakeQueue("fails", "breaks", "works")
    receiver, function, stopping = receiving(queue, act)
    run(receiver, stopping=stopping)
    until(lambda: queue.deleted == ["m2"])
    assert function.got == ["fails", "breaks", "works"]


def test_no_more_are_taken_than_can_be_worked_on(run: Callable[..., None]) -> None:
    go = threading.Event()
    queue = FakeQueue(*"abcdef")
    receiver, function, stopping = receiving(queue, lambda _: go.wait(5), at_once=2)
    run(receiver, stopping=stopping)
    until(lambda: function.now == 2)
    assert len(queue.messages) == 4
    go.set()
    until(lambda: len(queue.deleted) == 6)
    assert function.most == 2


def test_a_queue_that_was_away_is_read_again_and_said_once(
    run: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    queue = FakeQueue("a")
    queue.away = 5
    receiver, _, stopping = receiving(queue, lambda _: True)
    run(receiver, stopping=stopping)
    until(lambda: queue.deleted == ["m0"])
    assert [record.message for record in caplog.records] == [
        "no messages for work: SQS gave no answer.",
        "messages for work can be received again",
    ]


def test_a_schedule_calls_at_once_and_again_whatever_comes_of_it(run: Callable[..., None]) -> None:
    def act(_: str) -> bool:
        raise ValueError("not today")

    function, stopping = FakeFunction(act), threading.Event()
    run(Schedule(function, stopping, 0.01), stopping=stopping)
    until(lambda: len(function.got) >= 3)


@pytest.mark.parametrize(("tick", "seconds"), [(60, 5), (5, 5), (2, 2), (3600, 5)])
def test_what_is_due_is_looked_for_more_often_than_each_minute(tick: float, seconds: float) -> None:
    assert between_looks(tick) == seconds


class FakeApp:
    def __init__(self, handler: Callable[[Any, Any], Any]) -> None:
        self.handler_map = dict.fromkeys(LIMITS, handler)


def test_a_handler_gets_an_event_of_lambdas_shape_and_a_context_that_says_when_to_stop() -> None:
    seen: list[Any] = []
    stopping = threading.Event()
    message = Received("m1", "h1", "body", "digest", {"ApproximateReceiveCount": "2"})

    def handler(event: Any, context: Any) -> Any:
        seen.append((event, context))
        return {"batchItemFailures": [{"itemIdentifier": "other"}]}

    function = Function(FakeApp(handler), "work", stopping)  # type: ignore[arg-type]
    assert function.on_message(message, FakeQueue())  # type: ignore[arg-type]
    event, context = seen[0]
    (record,) = event["Records"]
    assert (record["messageId"], record["body"], record["eventSource"]) == ("m1", "body", "aws:sqs")
    assert record["attributes"]["ApproximateReceiveCount"] == "2"
    assert 890_000 < context.get_remaining_time_in_millis() <= 900_000
    assert context.stopping is stopping


def test_what_the_answer_names_as_failed_is_not_done() -> None:
    answer = {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    function = Function(FakeApp(lambda *_: answer), "work", threading.Event())  # type: ignore[arg-type]
    assert not function.on_message(Received("m1", "h1", "body"), FakeQueue())  # type: ignore[arg-type]


def test_functions_may_take_as_long_as_they_are_deployed_with_and_all_are_there() -> None:
    from app import app

    config = json.loads((Path(__file__).parents[3] / ".chalice" / "config.json").read_text())
    deployed = config["stages"]["prod"]["lambda_functions"]
    assert {name: body["lambda_timeout"] for name, body in deployed.items()} == LIMITS
    assert LIMITS.keys() <= app.handler_map.keys()
