"""Verifying as an operation: in turns of any length, beside everything else, with what is damaged named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.domain.errors import Conflict
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.operations import verifying
from chalicelib.engine.operations.findings import Damage
from chalicelib.engine.operations.flows import FLOWS
from chalicelib.engine.operations.verify import read_damages, rows_of
from chalicelib.store import layout
from chalicelib.store.backends.memory import MemoryBackend
from tests.support.synthetic import SYNTHETIC, differs
from tests.unit.engine.house import House


@pytest.fixture
def engine(house: House) -> Engine:
    """It verifies for real, and makes versions whose content is a function of a seed."""
    flows = {
        **house.flows(),
        OperationKind.BACKUP: SYNTHETIC,
        OperationKind.VERIFY: FLOWS[OperationKind.VERIFY],
    }
    house.engine = Engine(house.repository, None, flows)  # type: ignore[arg-type]
    return house.engine


def backed_up(house: House, seed: int) -> str:
    """The id of a new version."""
    started = house.start("backup", seed=seed)
    house.engine.work(house.application)
    return str(house.get(started).outcome["version"])


def verified(house: House, **arguments: Any) -> Operation:
    started = house.start("verify", **arguments)
    house.engine.run(house.application, started.id)
    return house.get(started)


def damage(house: House, version: str, number: int = 0) -> str:
    """Flip a bit of one of a version's segments of objects; its key."""
    segment = house.repository.versions(house.application).get(version).segments[number]
    key = layout.segment(house.application, segment.name)
    blob = house.repository.vault.get(key)
    assert blob is not None
    altered = bytearray(blob.data)
    altered[-1] ^= 1
    house.repository.vault.replace(key, bytes(altered), blob.etag)
    return key


def found(house: House, operation: Operation) -> list[tuple[str, set[str], str]]:
    rows = read_damages(house.repository, house.application, operation.id, 0, 1000)
    keys = dict.fromkeys(row.key for row in rows)
    return [
        (
            key,
            {version for row in rows if row.key == key for version in row.versions},
            next(row.repair for row in rows if row.key == key),
        )
        for key in keys
    ]


@contextmanager
def reads_of_the_vault() -> Iterator[list[str]]:
    """Every key of the vault that is read while this is open."""
    original, read = MemoryBackend.get, list[str]()

    def get(self: MemoryBackend, key: str) -> Any:
        if key.startswith("vault/"):
            read.append(key)
        return original(self, key)

    MemoryBackend.get = get  # type: ignore[method-assign]
    try:
        yield read
    finally:
        MemoryBackend.get = original  # type: ignore[method-assign]


def test_what_is_whole_is_told_to_be_while_everything_else_goes_on(house: House, engine: Engine) -> None:
    version = backed_up(house, 1)
    waiting = house.start("restore")
    done = verified(house)
    assert (done.state, done.outcome["versions"], done.outcome["damaged"]) == (State.SUCCEEDED, 1, 0)
    manifest = house.repository.versions(house.application).get(version)
    assert done.outcome["objects"] == manifest.objects
    assert found(house, done) == []
    assert house.get(waiting).state is State.QUEUED  # it took no lane
    assert house.repository.operations.parts(house.application, done.id, "looked") == []


def test_a_damaged_segment_fails_it_and_is_named_with_the_versions_that_need_it(house: House, engine: Engine) -> None:
    first, other = backed_up(house, 1), backed_up(house, 2)
    same = backed_up(house, 1)
    key = damage(house, first)
    done = verified(house)
    assert (done.state, done.error and done.error.code) == (State.FAILED, "damaged")
    assert done.error is not None
    assert key in done.error.message
    assert found(house, done) == [(key, {first, same}, "")]
    assert done.outcome["affectedVersions"] == sorted([first, same])
    assert other not in done.outcome["affectedVersions"]
    rows = read_damages(house.repository, house.application, done.id, 0, 1000)
    assert all(len(row.versions) + len(row.objects) <= 200 for row in rows)
    assert any(row.objects for row in rows)


def test_repaired_it_is_stored_again_by_the_next_backup_and_then_every_version_is_whole(
    house: House, engine: Engine
) -> None:
    first = backed_up(house, 1)
    key = damage(house, first)
    assert found(house, verified(house, repair=True)) == [(key, {first}, "condemned")]
    again = backed_up(house, 1)
    mended = verified(house, repair=True)
    assert (mended.state, mended.outcome["mended"], mended.outcome["affected"]) == (State.SUCCEEDED, 1, 0)
    versions = house.repository.versions(house.application)
    for each in (first, again):
        assert differs(house.repository, versions.get(each), seed=1) == []
    assert verified(house).outcome["damaged"] == 0


def test_in_turns_it_reads_nothing_twice_and_finds_the_same(
    house: House, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_MANIFESTS", 2)
    monkeypatch.setattr(verifying, "_WAITING", 1)
    versions = [backed_up(house, seed) for seed in (1, 2, 3, 4, 5)]
    keys = {damage(house, versions[0]), damage(house, versions[4])}
    started = house.start("verify")
    with reads_of_the_vault() as read:
        while not house.get(started).state.ended:
            most = len(read) + 4
            monkeypatch.setattr(Budget, "over", property(lambda _, most=most: len(read) > most))
            engine.run(house.application, started.id)
    done = house.get(started)
    assert (done.state, done.idle_turns) == (State.FAILED, 0)
    assert done.turns > 3
    assert {key for key, _, _ in found(house, done)} == keys
    manifests = [key for key in read if "/versions/" in key and key.endswith(".json")]
    assert sorted(manifests) == sorted(set(manifests))
    assert done.outcome["objects"] == verified(house).outcome["objects"]


def test_what_is_damaged_is_not_known_before_the_end(house: House, engine: Engine) -> None:
    started = house.start("verify")
    with pytest.raises(Conflict, match="not known"):
        read_damages(house.repository, house.application, started.id, 0, 10)


def test_a_damage_with_much_to_say_is_told_in_several_rows() -> None:
    damaged = Damage("vault/x", "altered", {f"v{n:03d}" for n in range(150)}, {f"o{n}" for n in range(350)})
    rows = list(rows_of(damaged))
    assert len(rows) == 4
    assert {version for row in rows for version in row.versions} == damaged.versions
    assert {each for row in rows for each in row.objects} == damaged.objects
