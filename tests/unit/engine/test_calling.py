"""Workers are called for what is due: at once, and at growing distances while nobody comes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.engine.lane.calling import MOST
from chalicelib.engine.lane.engine import Engine
from tests.unit.engine.house import House


def called_at(house: House, ticks: int, engine: Engine | None = None, *, off: float = 0) -> list[int]:
    """The ticks at which somebody was called, of one each minute; each tick may come that many seconds early."""
    found, begun = [], house.clock.time
    for tick in range(ticks):
        house.clock.time = begun + timedelta(seconds=max(0, 60 * tick - (off if tick % 2 else 0)))
        if (engine or house.engine).call():
            found.append(tick)
    house.clock.time = begun + timedelta(minutes=ticks)
    return found


@pytest.mark.parametrize("kind", ["backup", "plan"])
def test_while_all_workers_are_busy_the_queue_grows_slower_and_slower(house: House, kind: str) -> None:
    house.start(kind)
    assert called_at(house, 91) == [0, 1, 3, 7, 15, 30, 45, 60, 75, 90]


def test_a_tick_that_comes_a_little_early_is_a_tick(house: House) -> None:
    house.start("backup")
    assert called_at(house, 46, off=10) == [0, 1, 3, 7, 15, 30, 45]


@pytest.mark.parametrize("lost", [1, 2, 3, 5, 8])
def test_however_many_messages_are_lost_the_next_comes_within_a_quarter_of_an_hour(house: House, lost: int) -> None:
    started = house.start("backup")
    at = called_at(house, 200)
    assert at[lost] - at[lost - 1] <= MOST
    house.engine.attend(house.called[-1])
    assert house.get(started).finished_at is not None
    assert called_at(house, 30) == []


def test_another_process_knows_of_no_calls_and_calls_at_once(house: House) -> None:
    house.start("backup")
    assert called_at(house, 6) == [0, 1, 3]
    assert called_at(house, 2, house.another()) == [0, 1]


def test_what_is_new_is_called_for_at_once_beside_what_was_called_for(house: House) -> None:
    house.repository.wake.add(house.clock.time, house.application, "lease")
    assert called_at(house, 5) == [0, 1, 3]
    house.repository.wake.add(house.clock.time, house.application, "lease")
    assert called_at(house, 5) == [0, 1, 3]
    assert house.later() == ["lease"]  # one look at the lane is enough
    house.start("plan")
    assert house.engine.call() == 1


def test_an_entry_in_place_of_one_that_was_attended_to_is_new(house: House) -> None:
    house.start("backup")
    called_at(house, 5)
    (entry,) = house.repository.wake.due(house.clock.time)
    house.repository.wake.remove(entry)
    assert called_at(house, 2) == []
    house.repository.wake.add(house.clock.time, house.application, "lease")
    assert called_at(house, 4) == [0, 1, 3]


def test_what_a_queue_that_is_down_did_not_take_was_not_called_for(house: House) -> None:
    def down(*_: str) -> bool:
        return False

    first = house.start("backup")
    assert called_at(house, 4) == [0, 1, 3]
    working, house.engine.nudge = house.engine.nudge, down
    house.start("plan")
    assert called_at(house, 3) == []
    house.engine.nudge = working
    house.called.clear()
    house.engine.call()
    # The one that is due again, and the one that was never called for.
    assert len(house.called) == 2
    assert first.id in {message.operation for message in house.called}


def test_the_distances_are_counted_in_ticks_of_the_length_that_is_set(house: House) -> None:
    quick = Engine(
        house.repository,
        None,  # type: ignore[arg-type]  # nothing is worked on here
        house.flows(),
        nudge=lambda *_: True,
        tick_seconds=2,
    )
    house.repository.wake.add(house.clock.time, house.application, "lease")
    found = []
    for tick in range(40):
        if quick.call():
            found.append(tick)
        house.clock.advance(2)
    assert found == [0, 1, 3, 7, 15, 30]
