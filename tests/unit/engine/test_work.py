"""Where a step may be asked to stop, and what then counts; and what a worker may still write."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.errors import Cancelled, DeadlineExceeded, LeaseLost, Yielded
from chalicelib.domain.operation import State
from chalicelib.engine.lane import work as module
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.work import Next
from chalicelib.services.models.operations import OperationView
from chalicelib.services.views import operation_view
from chalicelib.store.backend import Exists
from tests.unit.engine.house import NOON, House, Lease, working


def asked(house: House, monkeypatch: pytest.MonkeyPatch, **reasons: Any) -> Any:
    """Work that has these reasons to stop, and is asked whether it does."""
    lease = Lease(1, wanted=reasons.get("wanted", ""), lost=False)
    budget = Budget(0) if reasons.get("over") else Budget()
    more = {"cancel_requested": True} if reasons.get("cancelled") else {}
    work = working(house, lease, budget, **more)
    work.yields = reasons.get("yields", True)
    work.undoing = reasons.get("undoing", False)
    at = [0.0]
    monkeypatch.setattr(module, "boottime", lambda: at[0])
    work.begin(NOON)
    if reasons.get("late"):
        at[0] += work.operation.deadline_seconds + 1
    work.sealed = reasons.get("sealed", False)
    lease.lost = reasons.get("lost", False)
    return work


EVERYTHING = {"wanted": "cancel", "cancelled": True, "late": True, "over": True}


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        ({}, None),
        ({**EVERYTHING, "lost": True}, LeaseLost),
        ({**EVERYTHING, "lost": True, "sealed": True}, LeaseLost),
        ({**EVERYTHING, "sealed": True}, None),
        (EVERYTHING, Cancelled),
        ({"cancelled": True, "wanted": "yield"}, Cancelled),
        ({"wanted": "yield", "late": True, "over": True}, Yielded),
        ({"wanted": "yield", "yields": False}, None),
        ({"wanted": "yield", "yields": False, "late": True, "over": True}, DeadlineExceeded),
        ({"late": True, "over": True}, DeadlineExceeded),
        ({"over": True}, Yielded),
        ({**EVERYTHING, "undoing": True, "over": False}, None),
        ({**EVERYTHING, "undoing": True}, Yielded),
        ({**EVERYTHING, "undoing": True, "lost": True}, LeaseLost),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else getattr(value, "__name__", "goes-on"),
)
def test_of_several_reasons_to_stop_the_weightiest_counts(
    house: House, monkeypatch: pytest.MonkeyPatch, reasons: dict[str, Any], error: type[Exception] | None
) -> None:
    work = asked(house, monkeypatch, **reasons)
    if error is None:
        work.pause()
        return
    with pytest.raises(error):
        work.pause()


def test_time_that_earlier_workers_used_counts_for_the_deadline(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [0.0]
    monkeypatch.setattr(module, "boottime", lambda: at[0])
    work = working(house, started_at=NOON, deadline_seconds=100)
    house.clock.advance(90)
    work.begin(work.now())
    at[0] += 9
    work.pause()
    at[0] += 2
    with pytest.raises(DeadlineExceeded):
        work.pause()


# ── what may be written ─────────────────────────────────────────────────────────────────────────────────────


def test_a_worker_without_its_lease_writes_nothing_anywhere(house: House) -> None:
    lease = Lease()
    work = working(house, lease)
    work.repository.segment_writer(house.application)  # makes the application's key
    before = {listed.key for listed in house.repository.vault.list("")}
    lease.lost = True
    for write in (
        lambda: work.save(progress=work.latest),
        lambda: work.note(a=1),
        lambda: work.put_part("plan", 0, [b"{}"]),
        work.enter_sealing,
        lambda: work.repository.wake.add(NOON, house.application, "start"),
        lambda: work.repository.segment_writer(house.application).put("objects", b"content"),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert {listed.key for listed in house.repository.vault.list("")} == before


def test_an_older_worker_s_document_is_not_written_over_a_newer_one_s(house: House) -> None:
    work = working(house, Lease(1))
    house.repository.operations.update(
        house.application, work.operation.id, lambda found: found.model_copy(update={"fence": 2, "step": "later"})
    )
    with pytest.raises(LeaseLost):
        work.note(a=1)
    assert house.get(work.operation).step == "later"


def test_an_operation_that_has_ended_stays_as_it_ended(house: House) -> None:
    work = working(house)
    house.repository.operations.update(
        house.application, work.operation.id, lambda found: found.model_copy(update={"state": State.FAILED})
    )
    with pytest.raises(LeaseLost):
        work.save(state=State.SUCCEEDED)


def test_a_note_keeps_what_was_known_and_says_that_it_got_further(house: House) -> None:
    work = working(house, stalled=3, checkpoint={"a": 1})
    work.note(b=2)
    stored = house.get(work.operation)
    assert (stored.checkpoint, stored.stalled) == ({"a": 1, "b": 2}, 0)


def test_the_end_of_a_step_writes_the_next_one_and_what_is_known_together(house: House) -> None:
    work = working(house, stalled=3, checkpoint={"a": 1})
    work.report(5, 10, "objects")
    work.advance(Next("two", {"b": 2}))
    stored = house.get(work.operation)
    assert (stored.step, stored.checkpoint, stored.stalled, stored.progress.done) == ("two", {"a": 1, "b": 2}, 0, 0)


def test_progress_is_written_at_most_once_a_second_and_the_newest_is_known(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: at[0])
    work = working(house)
    writes = []
    monkeypatch.setattr(work, "save", lambda **changes: writes.append(changes["progress"].done))
    for done in range(10):
        work.report(done, 10, "objects")
        at[0] += 0.25
    assert writes == [0, 4, 8]
    assert work.latest.done == 9


def test_who_waits_for_something_that_takes_long_shows_that_it_still_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: at[0])
    work = working(house)

    def shown() -> OperationView:
        work.report(1, 2, "workloads and checks")
        at[0] += 2
        house.clock.advance(2)
        return operation_view(house.get(work.operation))

    first, second = shown(), shown()
    assert first.progress == second.progress
    assert first != second


def test_an_operation_follows_the_document_it_began_with(house: House) -> None:
    work = working(house)
    work.keep_document()
    text = work.application.document.replace("namespaces: [shop]", "namespaces: [other]")
    house.repository.applications.update(house.application, lambda found: found.model_copy(update={"document": text}))
    again = module.Work(
        repository=house.repository,
        application=house.repository.applications.get(house.application),
        operation=house.get(work.operation),
        lease=Lease(2),
        budget=Budget(),
        connect=lambda _: None,  # type: ignore[arg-type,return-value]
        holder="another",
    )
    assert again.document.spec.state.namespaces == ("shop",)


def test_sealing_ends_whatever_happens_in_it(house: House) -> None:
    work = working(house)

    def phase() -> str:
        lane = house.repository.lanes.read(house.application)
        assert lane is not None
        return lane.phase

    def broken() -> None:
        with work.sealing():
            assert (phase(), work.sealed) == ("sealing", True)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    assert (phase(), work.sealed) == ("running", False)


def test_parts_are_numbered_by_name_and_written_once(house: House) -> None:
    work = working(house)
    numbers = [work.next_number("ledger"), work.next_number("ledger"), work.next_number("plan")]
    assert numbers == [0, 1, 0]
    work.put_part("ledger", 0, [b'{"a":1}'])
    work.put_part("ledger", 0, [b'{"a":1}'])  # its answer was lost
    with pytest.raises(Exists):
        work.put_part("ledger", 0, [b'{"a":2}'])


def test_a_budget_ends_with_its_time_or_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    at = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: at[0])
    budget, endless = Budget(10), Budget()
    assert not budget.over
    at[0] += 10
    assert budget.over
    assert not endless.over
    endless.stop()
    assert endless.over


def test_a_warning_is_given_once_however_often_it_is_met(house: House) -> None:
    work = working(house)
    work.warn(["It is late."])
    work.moved = False
    work.warn(["It is late."])
    assert not work.moved
    work.warn(["It is late.", "It is dark."])
    assert work.checkpoint["warnings"] == ["It is late.", "It is dark."]
