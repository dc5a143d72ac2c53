"""Sweepers that freeze at the worst moment, in processes of their own, and wake when all has moved on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.operation import Operation, OperationKind
from chalicelib.store import condemned, layout
from chalicelib.store.segments import Present
from tests.harness.processes import wait_until
from tests.support.soaking import KEEPING, Soak, first_time, stands_still
from tests.support.worker import TERMS, Storage


@pytest.fixture
def soak(tmp_path: Path) -> Iterator[Soak]:
    """An application without workers: this process does what is to be done."""
    directory = tmp_path / "repository"
    directory.mkdir()
    soak = Soak(Storage(directory=str(directory)), tmp_path, 1, workers=0)
    yield soak
    soak.close()


def backed_up(soak: Soak, seed: int) -> str:
    """The id of a new version."""
    operation = done(soak, OperationKind.BACKUP, seed=seed)
    assert operation.state == "succeeded", operation.error
    return str(operation.outcome["version"])


def done(soak: Soak, kind: OperationKind, **arguments: Any) -> Operation:
    """An operation, done here."""
    started = soak.start(kind, **arguments)
    assert started is not None
    soak.engine.work(soak.application)
    return soak.repository.operations.get(soak.application, started.id)


def frozen_sweeper(soak: Soak, write: str, part: str) -> tuple[Any, Operation]:
    """A sweeper that was allowed a write and stopped before it, and whose lease has run out; and its operation."""
    started = soak.start(OperationKind.SWEEP, **KEEPING.arguments())
    assert started is not None
    process = soak.spawn(first_time, write, part)
    wait_until(lambda: stands_still(process), seconds=20, what="the sweeper to freeze")
    lanes, lease = soak.repository.lanes, timedelta(seconds=TERMS.seconds)
    wait_until(lambda: not lanes.is_held(soak.application, lease), seconds=20, what="its lease to run out")
    return process, started


def woken(soak: Soak, process: Any) -> set[str]:
    """It goes on, and is given the time to do what it still would: the keys of the vault that are gone by then."""
    before = list(soak.repository.vault.list("vault/"))
    os.kill(process.pid, signal.SIGCONT)
    wait_until(lambda: "stopped without a further write" in soak.log(), seconds=20, what="the sweeper to notice")
    process.kill()
    process.join(10)
    return {each.key for each in before} - {each.key for each in soak.repository.vault.list("vault/")}


def test_one_that_wakes_between_condemning_and_deleting_deletes_nothing_that_anyone_needs(soak: Soak) -> None:
    old = backed_up(soak, 1)
    kept = backed_up(soak, 2)
    soak.repository.end_version(soak.application, old, "a test", "to be swept")
    process, sweep = frozen_sweeper(soak, "delete", "/segments/")
    doomed = Present.read(soak.repository.vault, soak.application).condemned
    soak.engine.cancel(soak.application, sweep.id, "a test")
    soak.engine.work(soak.application)
    again = backed_up(soak, 1)  # what it is about to delete is content of this one
    names = soak.repository.versions(soak.application).segments_of(again)
    assert names.isdisjoint(doomed)
    (deleted,) = woken(soak, process)  # the one deletion that its lease had allowed, and no other
    assert deleted.rpartition("/")[2] in doomed
    for version in (kept, again):
        soak.check(version)
    soak.check_all()


def test_one_that_wakes_before_condemning_condemns_and_deletes_nothing(soak: Soak) -> None:
    old = backed_up(soak, 1)
    soak.repository.end_version(soak.application, old, "a test", "to be swept")
    process, sweep = frozen_sweeper(soak, "create", "/condemned/")
    soak.engine.cancel(soak.application, sweep.id, "a test")
    soak.engine.work(soak.application)
    again = backed_up(soak, 1)  # nothing is condemned yet: it counts on what is there
    names = soak.repository.versions(soak.application).segments_of(again)
    assert woken(soak, process) == set()
    assert len(condemned.keys(soak.repository.vault, soak.application)) == 1  # its list came late
    assert names <= Present.read(soak.repository.vault, soak.application).condemned
    soak.check(again)
    later = backed_up(soak, 1)
    assert soak.repository.versions(soak.application).segments_of(later).isdisjoint(names)
    soak.check_all()
    soak.repository.end_version(soak.application, again, "a test", "to be swept")
    soak.check_all()
    held = {each.key.rpartition("/")[2] for each in soak.repository.vault.list(layout.segments(soak.application))}
    assert held.isdisjoint(names)


def test_one_that_is_taken_over_is_finished_by_another(soak: Soak) -> None:
    soak.repository.end_version(soak.application, backed_up(soak, 1), "a test", "to be swept")
    kept = backed_up(soak, 2)
    process, sweep = frozen_sweeper(soak, "delete", "/segments/")
    soak.engine.work(soak.application)
    assert soak.repository.operations.get(soak.application, sweep.id).state == "succeeded"
    assert woken(soak, process) == set()
    soak.check(kept)
    soak.check_all()
