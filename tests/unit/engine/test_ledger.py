"""What a ledger tells of each action, whoever wrote it and wherever that one stopped."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.plan import Identity, LedgerEntry, Verb
from chalicelib.engine.write.ledger import Ledger, read_entries, state_of
from tests.unit.engine.house import House, Lease, working


def entry(action: int, mark: str = "intent", phase: str = "apply", **more: Any) -> LedgerEntry:
    name = Identity(kind="ConfigMap", namespace="shop", name=f"object-{action}")
    return LedgerEntry(action=action, mark=mark, phase=phase, verb=Verb.UPDATE, object=name, **more)


def numbers(entries: list[LedgerEntry], phase: str = "apply") -> tuple[dict[int, str], set[int]]:
    state = state_of(entries, phase)
    return {number: each.mark for number, each in state.settled.items()}, set(state.open)


def test_an_intent_without_an_outcome_is_open() -> None:
    assert numbers([entry(0), entry(1), entry(0, "done")]) == ({0: "done"}, {1})


def test_a_failure_settles_an_action_too() -> None:
    assert numbers([entry(0), entry(0, "failed")]) == ({0: "failed"}, set())


def test_the_last_outcome_counts() -> None:
    assert numbers([entry(0), entry(0, "failed"), entry(0), entry(0, "done")]) == ({0: "done"}, set())


def test_what_is_being_tried_again_is_open_although_it_failed_before() -> None:
    assert numbers([entry(0), entry(0, "failed"), entry(0)]) == ({0: "failed"}, {0})


def test_phases_do_not_know_each_other() -> None:
    entries = [entry(0), entry(0, "done"), entry(0, phase="undo"), entry(1, "done", phase="undo")]
    assert numbers(entries) == ({0: "done"}, set())
    assert numbers(entries, "undo") == ({1: "done"}, {0})


def test_an_empty_ledger_says_nothing() -> None:
    assert numbers([]) == ({}, set())


def test_outcomes_are_written_with_the_next_intents_and_the_rest_at_the_end(house: House) -> None:
    work = working(house)
    ledger = Ledger(work)

    def stored() -> list[tuple[int, str]]:
        entries = read_entries(house.repository, house.application, work.operation.id)
        return [(each.action, each.mark) for each in entries]

    ledger.intend([entry(0), entry(1)])
    assert stored() == [(0, "intent"), (1, "intent")]
    ledger.outcome([entry(0, "done")])
    assert stored() == [(0, "intent"), (1, "intent")]
    ledger.intend([entry(2)])
    ledger.outcome([entry(1, "done"), entry(2, "failed")])
    ledger.flush()
    ledger.flush()
    assert stored() == [
        (0, "intent"),
        (1, "intent"),
        (0, "done"),
        (2, "intent"),
        (1, "done"),
        (2, "failed"),
    ]
    assert len(house.repository.operations.parts(house.application, work.operation.id, "ledger")) == 3


def test_a_successor_writes_behind_who_was_before_it_and_never_into_it(house: House) -> None:
    first = working(house, Lease(3))
    Ledger(first).intend([entry(0)])
    second = type(first)(
        repository=house.repository,
        application=first.application,
        operation=first.operation,
        lease=Lease(4),
        budget=first.budget,
        connect=lambda _: None,  # type: ignore[arg-type,return-value]
        holder="another",
    )
    ledger = Ledger(second)
    ledger.outcome([entry(0, "done")])
    ledger.flush()
    Ledger(first).work.put_part("ledger", 1, [entry(9).model_dump_json(by_alias=True).encode()])
    stored = read_entries(house.repository, house.application, first.operation.id)
    # The dead worker's late part comes where it belongs, before its successor's: it settles nothing.
    assert [(each.action, each.mark) for each in stored] == [(0, "intent"), (9, "intent"), (0, "done")]
