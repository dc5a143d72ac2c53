"""Operations from their start to their end, through deaths, cancels, and others that go first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import ClusterUnreachable, Conflict, LeaseLost, StorageUnavailable
from chalicelib.domain.ids import new_id
from chalicelib.domain.message import WorkMessage
from chalicelib.domain.operation import MOST_STALLS, Operation, OperationKind, Pending, State
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.lease import LeaseTerms
from chalicelib.engine.lane.work import Finish, Next, Work
from tests.unit.engine.house import NOON, House, Killed

ALL = ["one", "two", "three"]


def steps(kind: str) -> list[str]:
    return [f"{kind}.{step}" for step in ALL]


def dying(times: int = 1) -> Any:
    left = [times]

    def die(_work: Work) -> None:
        if left[0]:
            left[0] -= 1
            raise Killed

    return die


# ── one operation ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_operation_goes_from_step_to_step_and_leaves_nothing_to_be_looked_at(house: House) -> None:
    started = house.start("backup", version="none")
    assert (started.state, started.step) == (State.QUEUED, "one")
    assert house.nudged == [started.id]
    house.tick()
    done = house.get(started)
    assert (done.state, done.attempts, done.stalled, done.error) == (State.SUCCEEDED, 1, 0, None)
    assert done.checkpoint == {"one": "done", "two": "done"}
    assert done.outcome == {"steps": "three"}
    assert (done.started_at, done.finished_at) == (NOON, NOON)
    assert house.happened == steps("backup")
    assert house.later() == []
    lane = house.repository.lanes.read(house.application)
    assert lane is not None
    assert (lane.current, lane.pending, lane.phase) == (None, (), "idle")


def test_operations_of_one_application_run_one_after_the_other_in_their_order(house: House) -> None:
    house.start("backup")
    house.start("delete")
    house.tick()
    assert house.happened == steps("backup") + steps("delete")
    assert house.later() == []


def test_the_same_asked_for_twice_is_done_once(house: House) -> None:
    first = house.start("backup", name="nightly")
    assert house.start("backup", name="nightly").id == first.id
    other = house.start("backup", name="other")
    assert other.id != first.id
    house.tick()
    assert house.happened == steps("backup") * 2
    assert house.start("backup", name="nightly").id != first.id


def test_what_has_begun_already_is_not_taken_for_what_is_asked_now(house: House) -> None:
    """It may have read what has changed since."""
    house.scripts["backup.two"] = dying()
    first = house.start("backup")
    house.die()
    assert house.start("backup").id != first.id


def test_two_plans_are_two_plans(house: House) -> None:
    assert house.start("plan", version="a").id != house.start("plan", version="a").id


# ── deaths ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", ALL)
def test_who_comes_after_a_dead_worker_goes_on_where_that_was(house: House, step: str) -> None:
    house.scripts[f"backup.{step}"] = dying()
    started = house.start("backup")
    house.die()
    before = house.get(started)
    assert (before.state, before.step) == (State.RUNNING, step)
    house.another().tick()
    done = house.get(started)
    assert (done.state, done.attempts) == (State.SUCCEEDED, 2)
    assert done.fence > before.fence
    assert house.happened == [*steps("backup")[: ALL.index(step) + 1], *steps("backup")[ALL.index(step) :]]
    house.run_until_idle()
    assert house.later() == []


def test_nobody_touches_what_a_living_worker_is_at(house: House) -> None:
    house.scripts["backup.two"] = dying()
    house.start("backup")
    house.die(later=20)
    house.tick()
    assert house.happened == ["backup.one", "backup.two"]
    house.tick(later=11)
    assert house.happened[-1] == "backup.three"


def test_a_worker_that_wakes_after_another_took_over_writes_nothing_more(house: House) -> None:
    late: list[Work] = []

    def stall(work: Work) -> None:
        if not late:
            late.append(work)
            raise Killed

    house.scripts["backup.two"] = stall
    started = house.start("backup")
    house.die()
    house.tick()
    done = house.get(started)
    with pytest.raises(LeaseLost):
        late[0].save(progress=late[0].latest)
    with pytest.raises(LeaseLost):
        late[0].enter_sealing()
    assert house.get(started) == done


def test_a_step_that_kills_every_worker_is_given_up_with_a_reason(house: House) -> None:
    house.scripts["backup.two"] = dying(100)
    started = house.start("backup")
    for _ in range(7):
        house.die()
    house.tick()
    done = house.get(started)
    assert done.state is State.FAILED
    assert done.error is not None
    assert "Step `two` was begun" in done.error.message
    assert "No worker lived long enough" in done.error.message
    assert house.happened.count("backup.two") == 7
    house.run_until_idle()
    assert house.later() == []


def test_a_step_that_gets_further_each_time_is_never_given_up(house: House) -> None:
    def a_little(work: Work) -> None:
        done = work.checkpoint.get("done", 0)
        if done < 20:
            work.note(done=done + 1)
            raise Killed

    house.scripts["backup.two"] = a_little
    started = house.start("backup")
    for _ in range(20):
        house.die()
    house.tick()
    assert house.get(started).state is State.SUCCEEDED


@pytest.mark.parametrize("error", [StorageUnavailable, ClusterUnreachable])
def test_what_is_away_for_a_while_is_waited_for_and_told_meanwhile(house: House, error: Any) -> None:
    away = [3]

    def unreachable(_work: Work) -> None:
        away[0] -= 1
        if away[0] >= 0:
            raise error("It does not answer.")

    house.scripts["backup.two"] = unreachable
    started = house.start("backup")
    house.tick()
    waits = house.get(started)
    assert (waits.state, waits.error) == (State.RUNNING, None)
    assert waits.trouble is not None
    assert waits.trouble.message == "It does not answer."
    assert waits.tries_left == MOST_STALLS
    house.run_until_idle()
    done = house.get(started)
    assert (done.state, done.trouble, done.error) == (State.SUCCEEDED, None, None)


def test_what_stays_away_ends_an_operation_with_its_own_words(house: House) -> None:
    left: list[int] = []

    def unreachable(work: Work) -> None:
        left.append(work.operation.tries_left)
        raise ClusterUnreachable("Nobody answers at https://10.0.0.1.")

    house.scripts["backup.two"] = unreachable
    started = house.start("backup")
    house.run_until_idle()
    done = house.get(started)
    assert done.state is State.FAILED
    assert left == [6, 5, 4, 3, 2, 1, 0]
    assert done.error is not None
    assert "Nobody answers at https://10.0.0.1." in done.error.message


def test_an_entry_whose_operation_is_just_being_written_waits_a_minute_for_it(house: House) -> None:
    repository = house.repository
    repository.wake.add(NOON, house.application, "start", {"operation": new_id("op", NOON)})
    house.tick(later=1)
    assert house.later() == ["start"]
    house.tick(later=60)
    assert house.later() == []


def test_an_operation_that_was_written_but_never_put_in_line_is_found(house: House) -> None:
    operation = Operation(
        id=new_id("op", NOON),
        kind=OperationKind.BACKUP,
        application=house.application,
        requested_by="somebody",
        requested_at=NOON,
        step="one",
    )
    house.repository.wake.add(NOON, house.application, "start", {"operation": operation.id})
    house.repository.operations.create(operation)
    house.tick()
    assert house.get(operation).state is State.SUCCEEDED


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_of_ours_names_the_step_and_repeats_no_content(house: House) -> None:
    def broken(_work: Work) -> None:
        raise ValueError("password: sesame")

    house.scripts["backup.two"] = broken
    started = house.start("backup")
    house.tick()
    done = house.get(started)
    assert done.state is State.FAILED
    assert done.error is not None
    assert done.error.message == "Unexpected ValueError in step `two`."
    assert house.later() == []


def test_a_failure_leads_where_the_flow_says_and_keeps_its_reason(house: House) -> None:
    def fails(_work: Work) -> None:
        raise Conflict("It moved.")

    def back(work: Work) -> Finish:
        assert work.operation.state is State.ROLLING_BACK
        return Finish(State.FAILED, {"undone": True})

    house.scripts |= {"restore.two": fails, "restore.back": back}
    started = house.start("restore")
    house.tick()
    done = house.get(started)
    assert (done.state, done.outcome) == (State.FAILED, {"undone": True})
    assert done.error is not None
    assert done.error.message == "It moved."
    assert house.happened == ["restore.one", "restore.two", "restore.back"]


def test_a_way_back_goes_on_after_a_death_and_is_not_cancelled(house: House) -> None:
    def fails(_work: Work) -> None:
        raise Conflict("It moved.")

    house.scripts |= {"restore.two": fails, "restore.back": dying()}
    started = house.start("restore")
    house.die()
    assert house.get(started).state is State.ROLLING_BACK
    with pytest.raises(Conflict, match="putting back"):
        house.engine.cancel(house.application, started.id, "somebody")
    house.tick()
    assert house.happened[-2:] == ["restore.back", "restore.back"]
    assert house.get(started).state.ended


def test_an_operation_that_cannot_even_be_begun_does_not_block_its_lane(house: House) -> None:
    sick = house.start("backup")
    house.repository.applications.update(
        house.application, lambda found: found.model_copy(update={"document": "kind: [unreadable"})
    )
    house.scripts["backup.one"] = lambda work: (work.document, None)[1]
    house.tick()
    assert house.get(sick).state is State.FAILED
    house.start("delete")
    house.tick()
    assert house.happened[-3:] == steps("delete")


def test_nothing_but_its_deletion_runs_for_a_deleted_application(house: House) -> None:
    waits = house.start("backup")
    house.repository.applications.update(
        house.application, lambda found: found.model_copy(update={"status": "deleted"})
    )
    deletion = house.start("delete")
    house.tick()
    assert house.happened == steps("delete")
    assert house.get(deletion).state is State.SUCCEEDED
    ended = house.get(waits)
    assert ended.state is State.FAILED
    assert ended.error is not None
    assert "was deleted" in ended.error.message


def test_an_operation_ends_at_its_deadline(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.engine.lane import work as module

    at = [1000.0]
    monkeypatch.setattr(module, "boottime", lambda: at[0])

    def slow(work: Work) -> None:
        at[0] += work.operation.deadline_seconds + 1
        work.pause()

    house.scripts["backup.two"] = slow
    started = house.start("backup")
    house.tick()
    done = house.get(started)
    assert done.state is State.FAILED
    assert done.error is not None
    assert done.error.code == "deadline-exceeded"


# ── who goes first ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_restore_goes_before_what_waits(house: House) -> None:
    house.start("backup", name="a")
    house.start("delete")
    house.start("restore")
    house.tick()
    assert house.happened == steps("restore") + steps("backup") + steps("delete")


def test_a_running_backup_makes_way_for_a_restore_and_goes_on_where_it_was(house: House) -> None:
    asked: list[Operation] = []

    def in_the_middle(work: Work) -> None:
        if not asked:
            asked.append(house.start("restore"))
            # What the lease learns with its next renewal.
            lane = house.repository.lanes.read(house.application)
            assert lane is not None
            work.lease.wanted = lane.wanted  # type: ignore[misc]
        work.pause()

    house.scripts["backup.two"] = in_the_middle
    backup = house.start("backup")
    house.tick()
    assert house.happened == ["backup.one", "backup.two", *steps("restore"), "backup.two", "backup.three"]
    done = house.get(backup)
    assert (done.state, done.attempts, done.stalled) == (State.SUCCEEDED, 2, 0)
    assert house.get(asked[0]).state is State.SUCCEEDED
    house.run_until_idle()
    assert house.later() == []


@pytest.mark.parametrize("kind", ["restore", "delete", "undo"])
def test_what_changes_something_makes_way_for_nobody(house: House, kind: str) -> None:
    def in_the_middle(work: Work) -> None:
        house.start("restore", number=2)
        lane = house.repository.lanes.read(house.application)
        assert lane is not None
        assert lane.wanted == ""
        work.pause()

    house.scripts[f"{kind}.two"] = in_the_middle
    house.start(kind)
    house.scripts["restore.two"] = in_the_middle if kind == "restore" else lambda _work: None
    if kind == "restore":
        house.scripts["restore.two"] = lambda work: in_the_middle(work) if not work.operation.arguments else None
    house.tick()
    assert house.happened[:3] == steps(kind)


def test_what_takes_no_lane_waits_for_nobody(house: House) -> None:
    house.scripts["restore.two"] = dying()
    house.start("restore")
    house.die(later=1)
    plan = house.start("plan")
    house.tick()
    assert house.get(plan).state is State.SUCCEEDED


# ── time budgets ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_worker_whose_time_is_over_stops_between_two_pieces_of_work_and_another_goes_on(house: House) -> None:
    budget = Budget()

    def long(work: Work) -> None:
        if work.operation.attempts == 1:
            work.note(half="done")
            budget.stop()
            work.pause()

    house.scripts["backup.two"] = long
    started = house.start("backup")
    house.tick(budget=budget)
    waits = house.get(started)
    assert (waits.state, waits.step, waits.checkpoint) == (State.QUEUED, "two", {"one": "done", "half": "done"})
    lane = house.repository.lanes.read(house.application)
    assert lane is not None
    assert lane.current is None
    assert [pending.operation for pending in lane.pending] == [started.id]
    assert house.later() != []
    house.tick(later=1)
    done = house.get(started)
    assert (done.state, done.attempts, done.stalled) == (State.SUCCEEDED, 2, 0)


def test_any_number_of_turns_is_no_sign_of_death(house: House) -> None:
    started = house.start("restore")

    def turn(work: Work) -> None:
        if work.operation.attempts < 30:
            budgets[-1].stop()
        work.pause()

    house.scripts["restore.two"] = turn
    budgets: list[Budget] = []
    for _ in range(30):
        budgets.append(Budget())
        house.tick(later=1, budget=budgets[-1])
    assert house.get(started).state is State.SUCCEEDED


def test_a_budget_of_no_time_does_nothing_and_loses_nothing(house: House) -> None:
    started = house.start("backup")
    house.tick(budget=Budget(0))
    assert house.happened == []
    house.tick()
    assert house.get(started).state is State.SUCCEEDED


# ── cancels ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_waits_is_cancelled_at_once_and_never_run(house: House) -> None:
    waits = house.start("backup")
    cancelled = house.engine.cancel(house.application, waits.id, "somebody")
    assert (cancelled.state, cancelled.cancel_requested_by) == (State.CANCELLED, "somebody")
    house.tick()
    assert house.happened == []
    assert house.later() == []


def test_what_runs_is_cancelled_at_its_next_piece_of_work(house: House) -> None:
    def asked(work: Work) -> None:
        house.engine.cancel(house.application, work.operation.id, "somebody")
        work.lease.wanted = "cancel"  # type: ignore[misc]
        work.pause()

    house.scripts["backup.two"] = asked
    started = house.start("backup")
    house.tick()
    done = house.get(started)
    assert (done.state, done.cancel_requested_by) == (State.CANCELLED, "somebody")
    assert house.happened == ["backup.one", "backup.two"]


def test_a_cancel_reaches_who_takes_over_from_a_dead_worker(house: House) -> None:
    house.scripts["backup.two"] = dying()
    started = house.start("backup")
    house.die(later=1)
    house.engine.cancel(house.application, started.id, "somebody")
    house.tick(later=31)
    assert house.get(started).state is State.CANCELLED
    assert house.happened == ["backup.one", "backup.two"]


def test_a_cancel_of_what_went_back_into_the_line_is_seen_when_it_comes_again(house: House) -> None:
    budget = Budget()

    def long(work: Work) -> None:
        if work.operation.attempts == 1:
            budget.stop()
        work.pause()

    house.scripts["restore.two"] = long
    started = house.start("restore")
    house.tick(budget=budget)
    asked = house.engine.cancel(house.application, started.id, "somebody")
    assert not asked.state.ended
    house.run_until_idle()
    # It had begun, so the flow decides what a cancel leads to: here the way back.
    assert house.happened == ["restore.one", "restore.two", "restore.back"]


@pytest.mark.parametrize("state", [state for state in State if state.ended])
def test_what_has_ended_is_not_cancelled(house: House, state: State) -> None:
    started = house.start("backup")
    house.repository.operations.update(
        house.application, started.id, lambda found: found.model_copy(update={"state": state})
    )
    with pytest.raises(Conflict, match="ended"):
        house.engine.cancel(house.application, started.id, "somebody")


def test_a_version_that_is_being_sealed_is_not_cancelled_and_the_cancel_leaves_no_trace(house: House) -> None:
    def sealing(work: Work) -> None:
        work.enter_sealing()
        with pytest.raises(Conflict, match="too late"):
            house.engine.cancel(house.application, work.operation.id, "somebody")

    house.scripts["backup.two"] = sealing
    started = house.start("backup")
    house.tick()
    done = house.get(started)
    assert (done.state, done.cancel_requested) == (State.SUCCEEDED, False)


# ── what takes no lane ──────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_that_lost_its_worker_is_made_by_another(house: House) -> None:
    house.scripts["plan.two"] = dying()
    plan = house.start("plan")
    house.die(later=1)
    house.tick()
    assert house.happened == ["plan.one", "plan.two"]
    house.tick(later=2 * LeaseTerms().seconds)
    assert house.get(plan).state is State.SUCCEEDED
    house.run_until_idle()
    assert house.later() == []


def test_a_plan_fails_at_once_where_the_cluster_is_away(house: House) -> None:
    def unreachable(_work: Work) -> None:
        raise ClusterUnreachable("It does not answer.")

    house.scripts["plan.one"] = unreachable
    plan = house.start("plan")
    house.tick()
    done = house.get(plan)
    assert done.state is State.FAILED
    assert done.error is not None
    assert done.error.code == "cluster-unreachable"
    assert house.later() == []


def test_a_plan_that_runs_is_cancelled_at_its_next_piece_of_work(house: House) -> None:
    def asked(work: Work) -> None:
        house.engine.cancel(house.application, work.operation.id, "somebody")
        work._saved = 0.0
        work.pause()

    house.scripts["plan.two"] = asked
    plan = house.start("plan")
    house.tick()
    assert house.get(plan).state is State.CANCELLED


# ── the lane ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_in_line_without_a_document_is_passed_over(house: House) -> None:
    """Its writer died between the document and the line, or somebody deleted it by hand."""
    gone = Pending(operation=new_id("op", NOON), kind=OperationKind.BACKUP)
    house.repository.lanes.enqueue(house.application, gone)
    backup = house.start("backup")
    house.tick()
    assert house.get(backup).state is State.SUCCEEDED


def test_applications_do_not_wait_for_each_other(house: House) -> None:
    other = house.repository.applications.get(house.application)
    other = house.repository.applications.create(
        other.model_copy(update={"id": new_id("app", NOON), "name": "other"})
    )
    house.scripts["backup.two"] = dying()
    house.start("backup")
    house.die(later=1)
    mine, house.application = house.application, other.id
    second = house.start("backup")
    house.tick()
    assert house.get(second).state is State.SUCCEEDED
    house.application = mine


def test_the_next_in_line_is_run_although_the_one_before_failed(house: House) -> None:
    def fails(work: Work) -> Next:
        raise Conflict("No.")

    house.scripts["backup.one"] = fails
    house.start("backup")
    after = house.start("delete")
    house.tick()
    assert house.get(after).state is State.SUCCEEDED


def test_a_tick_looks_only_at_what_is_due(house: House) -> None:
    house.repository.wake.add(NOON + timedelta(minutes=5), house.application, "start", {})
    assert house.engine.tick() == 0
    house.clock.advance(301)
    assert house.engine.tick() == 1


def test_a_lane_that_is_held_is_looked_at_when_its_lease_ends_and_taken_if_its_holder_died(house: House) -> None:
    started, lanes = house.start("backup"), house.repository.lanes
    taken = lanes.take(house.application, "somebody", 30)
    assert taken is not None
    house.clock.advance(10)
    lanes.renew(house.application, taken.fence, "somebody")  # and then it dies
    house.clock.advance(15)
    house.engine.tick()
    (entry,) = house.repository.wake.due(NOON + timedelta(days=1))
    assert entry.at == NOON + timedelta(seconds=40)
    house.clock.advance(14)
    assert house.engine.tick() == 0
    house.clock.advance(1)
    house.engine.tick()
    assert house.get(started).state is State.SUCCEEDED


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────


def messages(house: House) -> list[WorkMessage]:
    """What a queue has been given, and the queue is empty."""
    given, house.called = list(house.called), []
    return given


def test_everything_that_is_due_wakes_one_worker_for_each_subject_and_is_not_done_here(house: House) -> None:
    first, second = house.start("backup"), house.start("plan")
    house.repository.wake.add(NOON, house.application, "lease", {})
    house.repository.wake.add(NOON, house.application, "turn", {})
    messages(house)
    assert house.engine.call() == 3
    called = messages(house)
    assert {message.operation for message in called} == {first.id, second.id, None}
    assert house.happened == []
    assert sorted(house.later()) == ["lease", "start", "start"]  # one look at the lane is enough
    for message in called:
        house.engine.attend(message)
    assert (house.get(first).state, house.get(second).state) == (State.SUCCEEDED, State.SUCCEEDED)
    assert house.later() == []


def test_what_is_not_due_wakes_nobody(house: House) -> None:
    house.repository.wake.add(NOON + timedelta(seconds=1), house.application, "lease", {})
    assert house.engine.call() == 0


@pytest.mark.parametrize("kind", ["backup", "plan"])
def test_a_message_that_comes_twice_is_done_once(house: House, kind: str) -> None:
    started = house.start(kind)
    (message,) = messages(house)
    house.engine.attend(message)
    house.another().attend(message)
    assert house.happened == steps(kind)
    assert house.get(started).attempts == 1


@pytest.mark.parametrize("kind", ["backup", "plan"])
def test_a_message_that_comes_twice_at_once_is_done_once(house: House, kind: str) -> None:
    twice: list[WorkMessage] = []

    def meanwhile(_work: Work) -> None:
        house.another().attend(twice[0])

    house.scripts[f"{kind}.one"] = meanwhile
    started = house.start(kind)
    twice += messages(house)
    house.engine.attend(twice[0])
    assert house.happened == steps(kind)
    assert (house.get(started).state, house.get(started).attempts) == (State.SUCCEEDED, 1)
    house.run_until_idle()
    assert house.happened == steps(kind)
    assert house.later() == []


@pytest.mark.parametrize("kind", ["backup", "plan"])
def test_a_message_that_is_lost_costs_a_minute(house: House, kind: str) -> None:
    started = house.start(kind)
    messages(house)
    house.clock.advance(60)
    house.engine.call()
    for message in messages(house):
        house.engine.attend(message)
    assert house.get(started).state is State.SUCCEEDED


@pytest.mark.parametrize("kind", ["backup", "plan"])
def test_messages_alone_lead_through_many_turns_and_leave_nothing(house: House, kind: str) -> None:
    def turn(work: Work) -> None:
        if work.operation.turns < 5:
            work.note(turn=work.operation.turns)
            work.budget._seconds = 0.0
            work.pause()

    house.scripts[f"{kind}.two"] = turn
    started = house.start(kind)
    for _ in range(6):
        for message in messages(house):
            house.engine.attend(message)
    assert (house.get(started).state, house.get(started).turns) == (State.SUCCEEDED, 5)
    assert house.later() == []
    assert house.called == []


def test_a_message_about_what_is_gone_does_nothing(house: House) -> None:
    started = house.start("backup")
    (message,) = messages(house)
    stranger = message.model_copy(update={"application": new_id("app", NOON)})
    house.engine.attend(stranger)
    house.engine.attend(WorkMessage(application=house.application, entry="control/wake/../app.json"))
    house.engine.attend(WorkMessage(application=house.application, operation=new_id("op", NOON), entry=None))
    assert house.get(started).state is State.SUCCEEDED  # the last one had the lane looked at
    assert house.happened == steps("backup")


def test_what_ends_is_told_once_to_who_counts(house: House) -> None:
    house.start("backup")
    cancelled = house.start("delete")
    house.engine.cancel(house.application, cancelled.id, "somebody")
    house.tick()
    told = [(operation.kind.value, operation.state.value) for operation in house.ended]
    assert told == [("delete", "cancelled"), ("backup", "succeeded")]
