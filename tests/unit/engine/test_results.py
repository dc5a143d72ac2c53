"""One row for each object: what was to be done, what became of it, and how it is now."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.plan import Action, Difference, Identity, LedgerEntry, Plan, ResultRow, Verb
from chalicelib.domain.version import Gap
from chalicelib.engine.lane.work import Work
from chalicelib.engine.operations import results
from chalicelib.engine.write.ledger import Ledger
from chalicelib.planning.plan.sayings import NOT_KEPT
from tests.unit.engine.house import House, working


def named(name: str) -> Identity:
    return Identity(kind="ConfigMap", namespace="shop", name=name)


def action(name: str, verb: Verb, reason: str = "differs", **more: Any) -> Action:
    return Action(verb=verb, object=named(name), reason=reason, message=f"why {name}", **more)


def plan(*actions: Action, **more: Any) -> Plan:
    return Plan(application="app", version="ver", mode="exact", actions=actions, **more)


def entry(number: int, mark: str, name: str, phase: str = "apply", **more: Any) -> LedgerEntry:
    return LedgerEntry(action=number, mark=mark, phase=phase, verb=Verb.UPDATE, object=named(name), **more)


def write(work: Work, *entries: LedgerEntry) -> None:
    ledger = Ledger(work)
    ledger.outcome(entries)
    ledger.flush()


def by_name(rows: list[ResultRow]) -> dict[str, ResultRow]:
    return {row.object.name: row for row in rows}


@pytest.fixture
def work(house: House) -> Work:
    return working(house)


DONE = plan(
    action("a", Verb.UPDATE),
    action("b", Verb.CREATE, "missing"),
    action("c", Verb.DELETE, "extra"),
    action("d", Verb.UPDATE),
    action("e", Verb.SKIP, "protected"),
    action("f", Verb.UPDATE),
)
LEDGER = (
    entry(0, "intent", "a"),
    entry(0, "done", "a", request="PUT /a", duration_ms=3),
    entry(1, "intent", "b"),
    entry(1, "failed", "b", request="POST /b", message="quota"),
    entry(2, "intent", "c"),
    entry(2, "done", "c", request="DELETE /c"),
    entry(3, "intent", "d"),
)


def test_a_row_tells_what_was_done_and_what_was_not(work: Work) -> None:
    write(work, *LEDGER)
    rows = results.of(work, DONE, plan()).rows
    assert {name: row.outcome for name, row in by_name(rows).items()} == {
        "a": "done",
        "b": "failed",
        "c": "done",
        "d": "unknown",
        "e": "skipped",
        "f": "not-started",
    }
    assert by_name(rows)["b"].message == "quota"
    assert by_name(rows)["a"].message == "why a"
    assert (by_name(rows)["a"].request, by_name(rows)["a"].duration_ms) == ("PUT /a", 3)


def test_a_row_tells_how_the_object_is_now(work: Work) -> None:
    write(work, *LEDGER)
    difference = Difference(path="/data/x", live="1", wanted="2")
    again = plan(
        action("a", Verb.UPDATE, differences=(difference,)),
        action("b", Verb.CREATE, "missing"),
        action("c", Verb.DELETE, "extra"),
        action("d", Verb.REPLACE),
    )
    result = results.of(work, DONE, again)
    assert {name: row.verified for name, row in by_name(result.rows).items()} == {
        "a": "differs",
        "b": "missing",
        "c": "present",
        "d": "differs",
        "e": "",
        "f": "equal",
    }
    assert result.verified == {"differs": 2, "missing": 1, "present": 1, "equal": 1}
    assert by_name(result.rows)["a"].differences == (difference,)


@pytest.mark.parametrize(
    "again",
    [
        plan(gaps=(Gap(group="", kind="ConfigMap", namespace="shop", message="forbidden"),)),
        plan(gaps=(Gap(group="", kind="*", message="its server is away"),)),
        plan(*(action(name, Verb.SKIP, "unread") for name in "abcdf")),
    ],
    ids=["kind", "group", "skips"],
)
def test_what_could_not_be_read_back_is_not_called_equal(work: Work, again: Plan) -> None:
    write(work, *LEDGER)
    result = results.of(work, DONE, again)
    assert {by_name(result.rows)[name].verified for name in "abcdf"} == {"unknown"}
    assert result.verified == {"unknown": 5}


def test_a_gap_elsewhere_says_nothing_of_an_object(work: Work) -> None:
    write(work, *LEDGER)
    elsewhere = (
        Gap(group="", kind="ConfigMap", namespace="other", message="forbidden"),
        Gap(group="", kind="Secret", message="forbidden"),
        Gap(group="apps", kind="*", message="its server is away"),
    )
    rows = results.of(work, DONE, plan(gaps=elsewhere)).rows
    assert by_name(rows)["a"].verified == "equal"


def test_what_somebody_else_changed_meanwhile_has_a_row_too(work: Work) -> None:
    write(work, *LEDGER)
    rows = results.of(work, DONE, plan(action("z", Verb.UPDATE))).rows
    row = by_name(rows)["z"]
    assert (row.outcome, row.reason, row.verified) == ("kept", "moved", "differs")
    assert "somebody else" in row.message


@pytest.mark.parametrize(
    ("verb", "reason", "as_asked"), [(Verb.SKIP, NOT_KEPT, True), (Verb.UPDATE, "differs", False)]
)
def test_what_the_cluster_does_not_keep_is_told_and_no_failure(
    work: Work, verb: Verb, reason: str, as_asked: bool
) -> None:
    write(work, LEDGER[0], LEDGER[1])
    result = results.of(work, plan(action("a", Verb.UPDATE)), plan(action("a", verb, reason)))
    assert (result.rows[0].verified, result.as_asked) == ("differs", as_asked)
    assert result.not_kept == ({named("a").key} if as_asked else set())


# ── after a rollback ────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_rollback_there_is_a_row_for_everything_that_was_touched(work: Work) -> None:
    write(work, *LEDGER, entry(0, "done", "a", "undo", request="PUT /a again"), entry(1, "failed", "c", "undo"))
    result = results.of_rollback(work, plan(action("c", Verb.CREATE, "missing")), frozenset())
    assert {name: (row.outcome, row.verified) for name, row in by_name(result.rows).items()} == {
        "a": ("undone", "equal"),
        "b": ("failed", ""),
        "c": ("undo-failed", "missing"),
        "d": ("undone", "equal"),
    }
    assert by_name(result.rows)["a"].request == "PUT /a, PUT /a again"
    assert result.verified == {"equal": 2, "missing": 1}


def test_a_failure_that_may_have_written_is_looked_at_like_a_success(work: Work) -> None:
    write(work, entry(0, "intent", "a"), entry(0, "failed", "a", wrote=True))
    rows = results.of_rollback(work, plan(), frozenset()).rows
    assert (rows[0].outcome, rows[0].verified) == ("undone", "equal")


def test_what_somebody_else_made_since_is_left_and_said(work: Work) -> None:
    write(work, entry(0, "intent", "a"), entry(0, "done", "a"))
    result = results.of_rollback(work, plan(), frozenset({named("a").key}))
    assert (result.rows[0].outcome, result.rows[0].verified, result.verified) == ("left", "", {})
    assert "left as it is" in result.rows[0].message


def test_a_rollback_that_cannot_be_read_back_is_not_called_undone(work: Work) -> None:
    write(work, entry(0, "intent", "a"), entry(0, "done", "a"))
    gap = Gap(group="", kind="ConfigMap", message="forbidden")
    rows = results.of_rollback(work, plan(gaps=(gap,)), frozenset()).rows
    assert (rows[0].outcome, rows[0].verified) == ("unknown", "unknown")


@pytest.mark.parametrize("undoing", [False, True])
def test_where_nothing_can_be_read_any_more_the_ledger_tells(work: Work, undoing: bool) -> None:
    write(work, *LEDGER, entry(0, "done", "a", "undo"), entry(1, "failed", "c", "undo", message="forbidden"))
    rows = by_name(results.of_ledger(work, DONE, undoing=undoing))
    assert {name: row.outcome for name, row in rows.items()} == (
        {"a": "undone", "b": "failed", "c": "undo-failed", "d": "not-undone", "e": "skipped", "f": "not-started"}
        if undoing
        else {"a": "done", "b": "failed", "c": "done", "d": "unknown", "e": "skipped", "f": "not-started"}
    )
    assert {row.verified for row in rows.values()} == {""}


# ── kept beside the operation ───────────────────────────────────────────────────────────────────────────────


def test_rows_are_kept_in_order_and_read_in_pages(house: House, work: Work) -> None:
    rows = [
        ResultRow(object=named(f"{number:05d}"), verb=Verb.UPDATE, outcome="done", reason="differs")
        for number in range(4500)
    ]
    results.store(work, rows, "verified")
    read = results.read(house.repository, house.application, work.operation.id, 1998, 4)
    assert [row.object.name for row in read] == ["01998", "01999", "02000", "02001"]
    assert len(results.read(house.repository, house.application, work.operation.id, 0, 10_000)) == 4500


def test_an_operation_that_did_nothing_yet_has_no_rows(house: House, work: Work) -> None:
    assert results.read(house.repository, house.application, work.operation.id) == []


def test_the_result_that_was_told_last_counts(house: House, work: Work) -> None:
    row = ResultRow(object=named("a"), verb=Verb.UPDATE, outcome="done", reason="differs")
    results.store(work, [row], "verified")
    results.store(work, [row.model_copy(update={"outcome": "undone"})], "undone")
    assert [each.outcome for each in results.read(house.repository, house.application, work.operation.id)] == [
        "undone"
    ]
