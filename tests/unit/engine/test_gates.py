"""How long a restore waits for what its actions await: before each wave in bounds, and in all of them together."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Action, Awaited, Identity, Verb
from chalicelib.engine.write import gates
from tests.unit.engine.house import House, house, working

APP = ObjectKey("apps", "Deployment", "shop", "app")
DB = ObjectKey("apps", "Deployment", "shop", "db")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose clock moves on while somebody waits."""
    made = house()
    monkeypatch.setattr(gates.time, "sleep", made.clock.advance)
    return made


@pytest.fixture
def gate(home: House, monkeypatch: pytest.MonkeyPatch) -> gates.Gate:
    """A gate of a document with the default `health.timeout` of 300 s, before a database that is never ready."""
    monkeypatch.setattr(gates, "_INTERVAL", 10.0)
    monkeypatch.setattr(gates.Gate, "_unready", lambda _gate, keys: dict.fromkeys(keys, "0 of 1 ready"))
    session: Any = None
    return gates.Gate(working(home), session, dict)


def waits(*, required: bool) -> list[Action]:
    awaited = Awaited(object=Identity.of(DB), required=required, reason="a rule of the document")
    return [Action(verb=Verb.CREATE, object=Identity.of(APP), reason="missing", awaits=(awaited,))]


def test_all_waits_together_end_although_each_wave_would_have_its_time(home: House, gate: gates.Gate) -> None:
    began = home.clock.time
    refused = [gate.before(f"wave-{number}", waits(required=True)) for number in range(6)]
    assert (home.clock.time - began).total_seconds() == 600
    assert [str(each[APP]).count("in all") for each in refused] == [0, 0, 1, 1, 1, 1]
    assert "Deployment.apps shop/db by a rule of the document, which is not ready after 300 s" in refused[0][APP]
    assert "this restore has waited 600 s in all (0 of 1 ready)" in refused[-1][APP]
    assert "raise `restore.health.timeout`" in refused[-1][APP]


def test_what_should_be_ready_is_waited_for_in_the_same_bounds(home: House, gate: gates.Gate) -> None:
    began = home.clock.time
    for number in range(9):
        assert gate.before(f"wave-{number}", waits(required=False)) == {}
    assert (home.clock.time - began).total_seconds() == 600
    assert "was written although Deployment.apps shop/db is not ready after 120 s (0 of 1 ready)" in gate.told[0]
    assert "this restore has waited 600 s in all" in gate.told[-1]


def test_another_worker_knows_how_long_was_waited(home: House, gate: gates.Gate) -> None:
    gate.before("first", waits(required=True))
    stored = home.repository.operations.get(home.application, gate.work.operation.id)
    assert stored.checkpoint["waited"] == {"first": 300.0}
    # Asked again by who takes it up, it is over at once, and what was waited before is not counted twice.
    home.clock.advance(3600)
    began = home.clock.time
    assert "which is not ready after" in gate.before("first", waits(required=True))[APP]
    assert home.clock.time == began
    gate.before("second", waits(required=True))
    assert (home.clock.time - began).total_seconds() == 300
