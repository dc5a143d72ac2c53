"""The rules of the lane, each for itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain import lane as rules
from chalicelib.domain.errors import Cancelled, Conflict, LeaseLost
from chalicelib.domain.operation import Lane, OperationKind, Pending

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)
EMPTY = Lane(application="app-x")


def backup(name: str) -> Pending:
    return Pending(operation=name, kind=OperationKind.BACKUP)


def restore(name: str) -> Pending:
    return Pending(operation=name, kind=OperationKind.RESTORE, urgent=True)


def line(lane: Lane) -> list[str]:
    return [waiting.operation for waiting in lane.pending]


def taken(*pending: Pending) -> Lane:
    lane = EMPTY
    for one in pending:
        lane = rules.enqueue(lane, one)
    found = rules.take(lane, "worker", NOW, LEASE)
    assert found is not None
    return found


def test_urgent_operations_stand_before_others_and_each_in_order_of_arrival() -> None:
    lane = EMPTY
    for one in (backup("b1"), restore("r1"), backup("b2"), restore("r2")):
        lane = rules.enqueue(lane, one)
    assert line(lane) == ["r1", "r2", "b1", "b2"]


def test_an_operation_stands_in_line_once_and_not_while_it_runs() -> None:
    lane = rules.enqueue(rules.enqueue(EMPTY, backup("b")), backup("b"))
    assert line(lane) == ["b"]
    running = taken(backup("b"))
    assert rules.enqueue(running, backup("b")) == running


def test_taking_raises_the_fence_and_takes_the_first() -> None:
    lane = taken(backup("b1"), backup("b2"))
    assert (lane.fence, lane.current, lane.kind, lane.holder) == (1, "b1", OperationKind.BACKUP, "worker")
    assert (lane.renewed_at, lane.phase, lane.wanted, line(lane)) == (NOW, "running", "", ["b2"])


def test_an_empty_lane_and_a_held_lane_are_not_taken() -> None:
    assert rules.take(EMPTY, "worker", NOW, LEASE) is None
    lane = taken(backup("b1"), backup("b2"))
    assert rules.take(lane, "other", NOW + LEASE - timedelta(milliseconds=1), LEASE) is None


def test_a_lane_whose_lease_ran_out_is_taken_with_what_runs_and_what_was_wanted_of_it() -> None:
    lane = rules.request_cancel(taken(backup("b1"), restore("r1")), "r1")
    lane = rules.enter_sealing(rules.request_yield(taken(backup("b1"), backup("b2"))), 1, "worker")
    later = rules.take(lane, "other", NOW + LEASE, LEASE)
    assert later is not None
    assert (later.fence, later.current, later.holder, later.phase) == (2, "b1", "other", "running")
    assert (later.wanted, line(later)) == ("yield", ["b2"])


def test_a_clock_that_goes_back_makes_no_lease_longer_by_renewing() -> None:
    lane = rules.renew(taken(backup("b")), 1, "worker", NOW - timedelta(hours=1))
    assert lane.renewed_at == NOW
    assert rules.renew(lane, 1, "worker", NOW + LEASE).renewed_at == NOW + LEASE


@pytest.mark.parametrize(("fence", "holder"), [(0, "worker"), (2, "worker"), (1, "other")])
def test_only_the_holder_under_its_fence_may_act(fence: int, holder: str) -> None:
    lane = taken(backup("b"))
    for act in (
        lambda: rules.renew(lane, fence, holder, NOW),
        lambda: rules.release(lane, fence, holder),
        lambda: rules.enter_sealing(lane, fence, holder),
        lambda: rules.leave_sealing(lane, fence, holder),
    ):
        with pytest.raises(LeaseLost):
            act()


def test_letting_go_empties_the_lane_and_keeps_fence_and_time() -> None:
    lane = rules.release(rules.request_yield(taken(backup("b1"), backup("b2"))), 1, "worker")
    assert (lane.current, lane.kind, lane.holder, lane.phase, lane.wanted) == (None, None, None, "idle", "")
    assert (lane.fence, lane.renewed_at, line(lane)) == (1, NOW, ["b2"])
    again = rules.take(lane, "worker", NOW, LEASE)
    assert again is not None
    assert (again.fence, again.current) == (2, "b2")


def test_who_yields_stands_behind_the_urgent_and_before_the_rest() -> None:
    lane = rules.enqueue(taken(backup("b1"), backup("b2")), restore("r1"))
    assert line(rules.release(lane, 1, "worker", backup("b1"))) == ["r1", "b1", "b2"]
    lane = rules.enqueue(taken(restore("r1")), restore("r2"))
    assert line(rules.release(lane, 1, "worker", restore("r1"))) == ["r1", "r2"]


def test_cancelling_takes_out_of_the_line_or_asks_what_runs() -> None:
    lane = taken(backup("b1"), backup("b2"))
    assert line(rules.request_cancel(lane, "b2")) == []
    assert rules.request_cancel(lane, "b1").wanted == "cancel"
    assert rules.request_cancel(lane, "unknown") == lane


def test_a_cancel_is_not_forgotten_for_a_yield() -> None:
    lane = rules.request_cancel(taken(backup("b")), "b")
    assert rules.request_yield(lane).wanted == "cancel"
    assert rules.request_cancel(rules.request_yield(taken(backup("b"))), "b").wanted == "cancel"


def test_sealing_refuses_a_cancel_and_a_cancel_refuses_sealing() -> None:
    lane = taken(backup("b"))
    sealing = rules.enter_sealing(lane, 1, "worker")
    with pytest.raises(Conflict):
        rules.request_cancel(sealing, "b")
    assert rules.request_yield(sealing) == sealing
    assert rules.leave_sealing(sealing, 1, "worker") == lane
    with pytest.raises(Cancelled):
        rules.enter_sealing(rules.request_cancel(lane, "b"), 1, "worker")


def test_nothing_is_asked_of_an_idle_lane() -> None:
    assert rules.request_yield(EMPTY) == EMPTY
    assert not rules.is_held(EMPTY, NOW, LEASE)
    assert rules.free_at(EMPTY, LEASE) is None
