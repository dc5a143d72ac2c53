"""Messages that came to nothing again and again: who looks into them fails only what nobody else can."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.ids import new_id
from chalicelib.domain.message import WorkMessage
from chalicelib.domain.operation import Operation, State
from chalicelib.engine.lane.work import Work
from tests.unit.engine.house import NOON, House, Killed


def about(house: House, operation: Operation | None = None) -> WorkMessage:
    return WorkMessage(application=house.application, operation=operation.id if operation else None)


def killed(_work: Work) -> None:
    raise Killed


def forget_to_wake(house: House) -> None:
    """What would have somebody look at the lane is lost."""
    for entry in house.repository.wake.due(house.clock.time + timedelta(days=1)):
        house.repository.wake.remove(entry)


def test_an_operation_that_has_ended_stays_as_it_ended(house: House) -> None:
    started = house.start("backup")
    house.tick()
    done = house.get(started)
    for message in (about(house, started), about(house), WorkMessage(application=house.application, entry="x")):
        house.engine.look_into(message)
    assert house.get(started) == done
    assert house.later() == []


def test_an_operation_that_a_worker_is_at_is_left_alone(house: House) -> None:
    seen: list[Operation] = []

    def look(work: Work) -> None:
        for message in (about(house, started), about(house)):
            house.another().look_into(message)
        seen.append(house.get(started))

    house.scripts["backup.two"] = look
    started = house.start("backup")
    house.tick()
    assert [(each.state, each.dead_letters) for each in seen] == [(State.RUNNING, 0)]
    assert house.get(started).state is State.SUCCEEDED


def test_a_plan_that_a_worker_is_at_is_left_alone(house: House) -> None:
    def look(_work: Work) -> None:
        house.another().look_into(about(house, started))

    house.scripts["plan.two"] = look
    started = house.start("plan")
    house.tick()
    done = house.get(started)
    assert (done.state, done.dead_letters) == (State.SUCCEEDED, 0)


def test_what_nobody_watches_over_any_more_is_found_again(house: House) -> None:
    started = house.start("backup")
    forget_to_wake(house)
    house.engine.look_into(about(house))  # a message that names no operation
    house.tick()
    assert house.get(started).state is State.SUCCEEDED


def test_what_is_watched_over_gets_no_second_watch(house: House) -> None:
    started = house.start("backup")
    before = house.later()
    house.engine.look_into(about(house, started))
    assert house.later() == before


def test_an_operation_that_kills_its_workers_ends_with_a_reason_and_its_lane_is_free(house: House) -> None:
    """Each worker counts before it begins; the message about it comes back, and fails nothing before its time."""
    house.scripts["backup.two"] = killed
    started, following = house.start("backup"), house.start("delete")
    for _ in range(7):
        house.die()
        house.engine.look_into(about(house, started))
        assert not house.get(started).state.ended
    house.tick()
    done = house.get(started)
    assert done.state is State.FAILED
    assert done.error is not None
    assert "was begun 7 times without getting further" in done.error.message
    assert house.get(following).state is State.SUCCEEDED


def test_an_operation_whose_workers_never_come_to_begin_is_ended_and_the_next_one_runs(house: House) -> None:
    started, following = house.start("restore"), house.start("backup")
    for _ in range(2):
        house.engine.look_into(about(house, started))
        assert not house.get(started).state.ended
    house.engine.look_into(about(house, started))
    ended = house.get(started)
    assert ended.state is State.FAILED
    assert ended.error is not None
    assert "3 messages about it came to nothing" in ended.error.message
    assert "make a plan to see" in ended.error.consequence
    assert house.happened == []
    house.tick()
    assert house.get(following).state is State.SUCCEEDED


def test_messages_about_what_is_taken_up_in_between_do_not_add_up(house: House) -> None:
    house.scripts["backup.two"] = killed
    started = house.start("backup")
    for _ in range(2):
        house.engine.look_into(about(house, started))
        house.engine.look_into(about(house, started))
        house.die()
    assert house.get(started).dead_letters == 0
    assert not house.get(started).state.ended


def test_what_cannot_be_started_ends_nothing_that_was(house: House) -> None:
    house.scripts["restore.two"] = killed
    started = house.start("restore")
    house.die()
    house.engine.reasons["schedule"] = lambda _entry: None
    poison = house.repository.wake.add(house.clock.time, house.application, "schedule")
    for _ in range(5):
        house.engine.look_into(WorkMessage(application=house.application, entry=poison.key))
    assert (house.get(started).state, house.get(started).dead_letters) == (State.RUNNING, 0)
    del house.scripts["restore.two"]
    house.run_until_idle()
    assert house.get(started).state is State.SUCCEEDED


def test_a_plan_that_never_begins_is_ended(house: House) -> None:
    started = house.start("plan")
    for _ in range(3):
        house.engine.look_into(about(house, started))
    assert house.get(started).state is State.FAILED


@pytest.mark.parametrize("name", ["operation", "application"])
def test_a_message_about_what_is_not_there_changes_nothing(house: House, name: str) -> None:
    message = WorkMessage(application=house.application, operation=new_id("op", NOON))
    if name == "application":
        message = WorkMessage(application=new_id("app", NOON))
    house.engine.look_into(message)
    assert house.later() == []
