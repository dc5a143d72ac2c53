"""The pump finds what is due, works on several applications at once, and stops when it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from chalicelib.domain.errors import StorageUnavailable
from chalicelib.engine.lane.budget import Budget
from chalicelib.local import pump as pumping
from chalicelib.local.pump import Pump
from chalicelib.store.wake import Entry


class FakeEngine:
    """Entries that are due until they were handled."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.handled: list[str] = []
        self.at_once = self.most_at_once = 0
        self.work: Callable[[Entry, Budget], None] = lambda _entry, _budget: None
        self.failing = 0
        self.lock = threading.Lock()

    def add(self, name: str, operation: str = "") -> None:
        payload = {"operation": operation} if operation else {}
        self.entries.append(Entry(name, datetime.now(UTC), "app", "start", payload))

    def due(self) -> list[Entry]:
        if self.failing:
            self.failing -= 1
            raise StorageUnavailable("The storage is away.")
        return list(self.entries)

    def handle(self, entry: Entry, budget: Budget) -> None:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.work(entry, budget)
        finally:
            with self.lock:
                self.at_once -= 1
        self.handled.append(entry.key)
        self.entries = [each for each in self.entries if each.key != entry.key]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def make(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pump]]:
    monkeypatch.setattr(pumping, "PAUSE", 0.1)
    made: list[Pump] = []

    def pump(**options: float) -> Pump:
        made.append(Pump(engine, Budget(), **{"interval": 60, **options}))  # type: ignore[arg-type]
        return made[-1].start()

    yield pump
    for each in made:
        each.stop()
        assert each.join(5)


def until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def test_what_is_due_at_the_start_is_found_without_a_nudge(engine: FakeEngine, make: Callable[..., Pump]) -> None:
    engine.add("left-over")
    make()
    until(lambda: engine.handled == ["left-over"])


def test_a_nudge_is_heard_at_once(engine: FakeEngine, make: Callable[..., Pump]) -> None:
    pump = make()
    time.sleep(0.1)
    engine.add("new")
    began = time.monotonic()
    pump.nudge("app", "op")
    until(lambda: engine.handled == ["new"])
    assert time.monotonic() - began < 1


def test_what_others_start_is_found_by_looking(engine: FakeEngine, make: Callable[..., Pump]) -> None:
    make(interval=0.05)
    time.sleep(0.1)
    engine.add("from elsewhere")
    until(lambda: engine.handled == ["from elsewhere"])


def test_as_many_applications_are_worked_for_at_once_as_there_are_workers(
    engine: FakeEngine, make: Callable[..., Pump]
) -> None:
    for number in range(9):
        engine.add(f"entry-{number}")
    engine.work = lambda _entry, _budget: time.sleep(0.05)
    make(workers=3)
    until(lambda: len(engine.handled) == 9)
    assert engine.most_at_once == 3
    assert sorted(engine.handled) == sorted(set(engine.handled))


def test_an_operation_in_hand_is_not_begun_again_beside_itself(engine: FakeEngine, make: Callable[..., Pump]) -> None:
    engine.add("start", "op-1")
    engine.add("retry", "op-1")
    engine.work = lambda _entry, _budget: time.sleep(0.2)
    make(workers=4, interval=0.02)
    until(lambda: len(engine.handled) == 2)
    assert engine.most_at_once == 1


def test_an_entry_that_fails_is_tried_again_and_holds_nobody_up(
    engine: FakeEngine, make: Callable[..., Pump]
) -> None:
    tries: list[str] = []

    def work(entry: Entry, budget: Budget) -> None:
        tries.append(entry.key)
        if entry.key == "bad" and tries.count("bad") < 3:
            raise RuntimeError("boom") if tries.count("bad") == 1 else StorageUnavailable("away")

    engine.work = work
    engine.add("bad")
    engine.add("good")
    make(workers=1, interval=0.02)
    until(lambda: set(engine.handled) == {"good", "bad"})
    assert tries.count("bad") == 3
    assert tries.count("good") == 1


def test_the_pump_outlives_a_storage_that_is_away(engine: FakeEngine, make: Callable[..., Pump]) -> None:
    engine.failing = 3
    engine.add("patient")
    make()
    until(lambda: engine.handled == ["patient"])


def test_stopping_ends_the_budget_of_what_runs_and_takes_nothing_new(
    engine: FakeEngine, make: Callable[..., Pump]
) -> None:
    began = threading.Event()

    def work(entry: Entry, budget: Budget) -> None:
        began.set()
        while not budget.over:
            time.sleep(0.005)

    engine.work = work
    engine.add("long")
    engine.add("waiting")
    pump = make(workers=1)
    assert began.wait(5)
    pump.stop()
    assert pump.join(5)
    assert engine.handled == ["long"]


def test_joining_is_bounded_and_says_when_something_did_not_stop(engine: FakeEngine) -> None:
    release = threading.Event()
    engine.work = lambda _entry, _budget: release.wait(10) and None
    engine.add("stubborn")
    pump = Pump(engine, Budget(), workers=1).start()  # type: ignore[arg-type]
    until(lambda: engine.at_once == 1)
    pump.stop()
    began = time.monotonic()
    assert not pump.join(0.2)
    assert time.monotonic() - began < 2
    release.set()
    assert pump.join(5)
