"""A worker that starts what is due is killed between any two of its writes; another one goes on from there."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.domain.application import Application, Timetable
from chalicelib.domain.ids import new_id
from chalicelib.engine.lane.schedules import DUE, Schedules
from chalicelib.store.backends.directory import DirectoryBackend
from chalicelib.store.repository import Repository
from tests.unit.engine.house import DOCUMENT, NOON, Clock, House, Unlocked

#: The next entry, the operation's entry, where it belongs, the operation, the lane, app.json; then the entry goes.
WRITES = 7


@pytest.fixture
def house(tmp_path: Path) -> House:
    """An application in a directory whose hourly backup became due a second ago."""
    backend = DirectoryBackend(tmp_path)
    repository = Repository.initialise_on(backend, backend, [Unlocked()]).repository
    due = repository.now().replace(microsecond=0) - timedelta(seconds=1)
    application = Application(
        id=new_id("app", NOON),
        name="shop",
        owner="somebody",
        cluster=new_id("cl", NOON),
        document=DOCUMENT + "  backup: {every: 1h}\n",
        timetable=Timetable(rule="every 1h", next=due),
        created_at=NOON,
        updated_at=NOON,
    )
    repository.applications.create(application)
    repository.wake.add(due, application.id, DUE)
    return House(repository, Clock(), application.id)


def killed_at(house: House, write: int) -> int:
    """Have a process start what is due that is killed before its write number `write`; how it ended."""
    left = write

    def guard() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    child = os.fork()
    if child == 0:
        try:
            own = House(house.repository.guarded(guard), house.clock, house.application)
            Schedules(own.repository, own.engine)
            own.engine.handle(own.engine.due()[0])
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("write", range(WRITES + 1))
def test_whoever_comes_next_finds_or_makes_exactly_one_operation(house: House, write: int) -> None:
    assert killed_at(house, write) == (-signal.SIGKILL if write < WRITES else 0)
    other = House(house.repository, house.clock, house.application)
    Schedules(other.repository, other.engine)
    for _ in range(3):
        other.engine.tick()
    (operation,) = house.repository.operations.list(house.application)
    assert house.repository.operations.get(house.application, operation).state.ended
    timetable = house.repository.applications.get(house.application).timetable
    assert timetable is not None
    now = house.repository.now()
    assert now < timetable.next <= now + timedelta(hours=1)
    waiting = [entry.at for entry in house.repository.wake.due(now + timedelta(hours=2)) if entry.reason == DUE]
    assert timetable.next in waiting
