"""Turns: an operation may take many, and not for ever."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from chalicelib.domain.errors import Cancelled, TurnEnded
from chalicelib.domain.operation import Operation, State
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.turns import TurnTerms, counted, exhausted
from chalicelib.engine.lane.work import Work
from tests.unit.engine.house import NOON, House


def operation(**members: object) -> Operation:
    return Operation.model_validate(
        {
            "id": "op",
            "kind": "backup",
            "application": "app",
            "requested_by": "somebody",
            "requested_at": NOON,
            "step": "capture",
            **members,
        }
    )


def out_of_time(work: Work) -> None:
    """The worker's time ends in the middle of the step."""
    work.budget._seconds = 0.0
    work.pause()


# ── the rules ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_turn_that_got_somewhere_ends_the_count_of_those_that_did_not() -> None:
    idle = operation(turns=7, idle_turns=2, idle_since=NOON)
    assert counted(idle, moved=True, began=NOON) == {"turns": 8, "idle_turns": 0, "idle_since": None}


def test_turns_that_got_nowhere_are_counted_from_the_beginning_of_the_first() -> None:
    later = NOON + timedelta(seconds=10)
    first = counted(operation(), moved=False, began=NOON)
    assert first == {"turns": 1, "idle_turns": 1, "idle_since": NOON}
    second = counted(operation(**first), moved=False, began=later)
    assert second == {"turns": 2, "idle_turns": 2, "idle_since": NOON}


def test_the_last_turn_is_said_to_be_the_last() -> None:
    terms = TurnTerms(most=10)
    assert exhausted(operation(turns=9), NOON, terms) is None
    reason = exhausted(operation(turns=10), NOON, terms)
    assert reason is not None
    assert "used up the 10 turns" in reason.message
    assert "`MAINSTAY_MOST_TURNS`" in reason.message
    assert "in step `capture`" in reason.message


def test_the_way_back_has_as_many_turns_again() -> None:
    terms = TurnTerms(most=10)
    assert exhausted(operation(turns=19, state=State.ROLLING_BACK), NOON, terms) is None
    assert exhausted(operation(turns=20, state=State.ROLLING_BACK), NOON, terms) is not None


@pytest.mark.parametrize(("turns", "seconds", "ends"), [(3, 150, True), (2, 1000, False), (50, 149, False)])
def test_a_step_may_get_nowhere_for_some_turns_and_some_time(turns: int, seconds: int, ends: bool) -> None:
    idle = operation(turns=turns, idle_turns=turns, idle_since=NOON)
    reason = exhausted(idle, NOON + timedelta(seconds=seconds), TurnTerms())
    assert (reason is not None) is ends
    if reason is not None:
        assert "does not fit into the time that a worker has" in reason.message


def test_who_waited_for_something_is_not_told_to_take_more_time() -> None:
    idle = operation(turns=5, idle_turns=5, idle_since=NOON)
    reason = exhausted(idle, NOON + timedelta(seconds=200), TurnTerms(), "Pod web to be deleted")
    assert reason is not None
    assert "It waited for Pod web to be deleted." in reason.message
    assert "does not fit" not in reason.message


# ── budgets ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_turn_ends_with_the_budget_it_is_of_and_its_own_time() -> None:
    assert Budget(0).turn(60).over
    assert Budget(60).turn(0).over
    assert not Budget(60).turn(None).over
    assert not Budget().turn(60).over
    whole = Budget()
    turn = whole.turn(60)
    whole.stop()
    assert turn.over
    assert turn.stopped


def test_late_in_its_time_a_worker_begins_with_nothing_new(house: House) -> None:
    first, second = house.start("backup"), house.start("delete")

    def slow(work: Work) -> None:
        work.budget._began -= 50

    house.scripts["backup.two"] = slow
    house.engine.handle(house.engine.due()[0], Budget(60))
    assert house.get(first).state is State.SUCCEEDED
    assert house.get(second).state is State.QUEUED
    assert house.nudged[-1] == second.id
    house.tick()
    assert house.get(second).state is State.SUCCEEDED


# ── operations ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["backup", "restore", "plan"])
def test_an_operation_whose_turn_ends_wakes_the_next_worker_at_once(house: House, kind: str) -> None:
    once = [True]

    def end_once(work: Work) -> None:
        if once:
            once.clear()
            out_of_time(work)

    house.scripts[f"{kind}.two"] = end_once
    started = house.start(kind)
    house.nudged.clear()
    house.tick()
    waits = house.get(started)
    assert (waits.state, waits.turns, waits.stalled) == (State.QUEUED, 1, 0)
    assert house.nudged == [started.id]
    house.tick()
    done = house.get(started)
    assert (done.state, done.turns, done.attempts) == (State.SUCCEEDED, 1, 2)
    assert house.later() == []


def test_a_turn_ended_by_the_services_end_is_not_counted(house: House) -> None:
    def stop(work: Work) -> None:
        if work.operation.attempts == 1:
            work.budget.stop()
            work.pause()

    house.scripts["backup.two"] = stop
    started = house.start("backup")
    house.tick(budget=Budget())
    assert (house.get(started).state, house.get(started).turns) == (State.QUEUED, 0)


def test_an_operation_that_uses_up_its_turns_fails_with_this_reason(house: House) -> None:
    house.terms = TurnTerms(most=4)
    house.engine = house.another()
    house.scripts["backup.two"] = out_of_time
    started = house.start("backup")
    for _ in range(4):
        house.tick(later=1)
    done = house.get(started)
    assert (done.state, done.turns) == (State.FAILED, 4)
    assert done.error is not None
    assert done.error.code == "deadline-exceeded"
    assert "used up the 4 turns" in done.error.message
    assert house.later() == []


def test_a_restore_that_uses_up_its_turns_goes_back_in_turns_of_its_own(house: House) -> None:
    house.terms = TurnTerms(most=4)
    house.engine = house.another()
    house.scripts["restore.two"] = out_of_time
    back = [0]

    def slowly(work: Work) -> None:
        back[0] += 1
        if back[0] < 3:
            out_of_time(work)

    house.scripts["restore.back"] = slowly
    started = house.start("restore")
    for _ in range(8):
        house.tick(later=1)
    done = house.get(started)
    assert back == [3]
    assert (done.state, done.turns) == (State.SUCCEEDED, 6)  # this house's way back ends well
    assert house.happened.count("restore.two") == 4


def test_a_step_that_gets_nowhere_in_any_turn_is_given_up(house: House) -> None:
    house.scripts["backup.two"] = out_of_time
    started = house.start("backup")
    for _ in range(20):
        house.tick(later=20)
    done = house.get(started)
    assert done.state is State.FAILED
    assert done.error is not None
    assert "Step `two` got nowhere in" in done.error.message
    assert done.turns < 12


def test_what_cannot_be_divided_may_at_last_take_longer_than_a_turn_is_set_to_be(house: House) -> None:
    house.terms = TurnTerms(seconds=0.1)
    house.engine = house.another()
    seen: list[Budget] = []

    def indivisible(work: Work) -> None:
        for _ in range(8):
            time.sleep(0.025)
            work.pause()

    house.scripts["backup.two"] = indivisible
    house.scripts["backup.three"] = lambda work: seen.append(work.budget)
    started = house.start("backup")
    for _ in range(8):
        house.tick(later=1)
    done = house.get(started)
    assert done.state is State.SUCCEEDED
    assert house.happened.count("backup.two") == 4  # begun after another step, idle twice, and then through
    assert seen[0].whole is not seen[0]  # the next step is in a turn again


def test_no_turn_takes_longer_than_its_worker_has(house: House) -> None:
    house.terms = TurnTerms(seconds=0.05)
    house.engine = house.another()

    def indivisible(work: Work) -> None:
        for _ in range(8):
            time.sleep(0.025)
            work.pause()

    house.scripts["backup.two"] = indivisible
    started = house.start("backup")
    for _ in range(4):
        house.tick(later=1, budget=Budget(0.1))
    assert house.get(started).state is State.QUEUED
    assert house.get(started).idle_turns >= 3


def test_a_step_that_gets_a_little_further_each_time_is_not_given_up(house: House) -> None:
    def a_little(work: Work) -> None:
        if work.operation.turns < 30:
            work.note(at=work.operation.turns)
            out_of_time(work)

    house.scripts["backup.two"] = a_little
    started = house.start("backup")
    for _ in range(40):
        house.tick(later=20)
    done = house.get(started)
    assert (done.state, done.turns) == (State.SUCCEEDED, 30)


def test_a_bounded_wait_is_bounded_over_all_turns_and_no_turn_in_it_is_idle(house: House) -> None:
    seen: list[float] = []

    def wait(work: Work) -> None:
        seen.append(work.elapsed("well", 300))
        if seen[-1] < 300:
            out_of_time(work)

    house.scripts["backup.two"] = wait
    started = house.start("backup")
    for _ in range(10):
        house.tick(later=60)
    assert seen == [0, 60, 120, 180, 240, 300]
    assert house.get(started).state is State.SUCCEEDED


def test_a_turn_after_a_wait_is_over_is_idle_if_nothing_else_comes_of_it(house: House) -> None:
    def waited(work: Work) -> None:
        work.elapsed("well", 30)
        if work.operation.idle_turns < 2:
            out_of_time(work)

    house.scripts["backup.two"] = waited
    started = house.start("backup")
    for _ in range(6):
        house.tick(later=20)
    assert (house.get(started).state, house.get(started).turns) == (State.SUCCEEDED, 4)


def test_a_cancel_is_seen_before_the_end_of_the_time(house: House) -> None:
    def cancelled(work: Work) -> None:
        house.engine.cancel(house.application, started.id, "somebody")
        work.lease.wanted = "cancel"  # type: ignore[misc]
        work.budget = Budget(0)
        with pytest.raises(Cancelled):
            work.pause()
        work.pause()

    house.scripts["backup.two"] = cancelled
    started = house.start("backup")
    house.tick()
    assert house.get(started).state is State.CANCELLED


def test_the_end_of_the_time_can_be_left_unlooked_at(house: House) -> None:
    """For what is a matter of moments and would have to be done again."""

    def last(work: Work) -> None:
        work.budget = Budget(0)
        work.look()
        with pytest.raises(TurnEnded):
            work.pause()

    house.scripts["backup.two"] = last
    started = house.start("backup")
    house.tick()
    assert house.get(started).state is State.SUCCEEDED
