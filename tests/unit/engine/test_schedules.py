"""Backups that start by themselves: on time, once each, and never because somebody edited something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.application import Application
from chalicelib.domain.document.backup import Keep
from chalicelib.domain.errors import StorageUnavailable
from chalicelib.domain.operation import OperationKind
from chalicelib.engine.lane.schedules import DEFAULT_CHANGED, Schedules
from tests.unit.engine.house import DOCUMENT, NOON, House, Killed

HOURLY = DOCUMENT + "  backup: {every: 1h, jitter: 1s}\n"


def scheduled(house: House, document: str = HOURLY) -> Schedules:
    schedules = Schedules(house.repository, house.engine)
    edit(schedules, house, document=document)
    return schedules


def edit(schedules: Schedules, house: House, **changes: object) -> Application:
    return schedules.change(house.application, lambda found: found.model_copy(update=changes))


def application(house: House) -> Application:
    return house.repository.applications.get(house.application)


def planned(house: House) -> datetime:
    timetable = application(house).timetable
    assert timetable is not None
    return timetable.next


def backups(house: House) -> list[str]:
    operations = house.repository.operations
    return [
        each
        for each in operations.list(house.application)
        if operations.get(house.application, each).kind is OperationKind.BACKUP
    ]


def idle(house: House) -> bool:
    lane = house.repository.lanes.read(house.application)
    return lane is None or (lane.current is None and not lane.pending)


# ── on time ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_backup_is_made_each_hour_and_says_who_made_it(house: House) -> None:
    scheduled(house)
    assert planned(house) == NOON + timedelta(hours=1)
    house.tick(later=3599)
    assert backups(house) == []
    for number in (1, 2, 3):
        house.tick(later=1 if number == 1 else 3600)
        house.tick()
        assert len(backups(house)) == number
    made = house.repository.operations.get(house.application, backups(house)[0])
    assert made.requested_by == "schedule"
    assert made.arguments["labels"] == {"mainstay.dev/made-by": "schedule"}
    assert made.arguments["comment"] == "made every 1h with 1s of jitter"
    assert made.state.ended
    assert house.later() == ["schedule"]


def test_a_time_that_was_missed_runs_once_and_the_grid_stays(house: House) -> None:
    scheduled(house)
    house.tick(later=5 * 3600 + 100)
    house.tick()
    assert len(backups(house)) == 1
    assert planned(house) == NOON + timedelta(hours=6)
    assert house.later() == ["schedule"]


def test_the_entry_found_by_two_workers_starts_one_backup(house: House) -> None:
    schedules = scheduled(house)
    house.clock.advance(3600)
    entry = house.engine.due()[0]
    schedules.due(entry)
    schedules.due(entry)
    Schedules(house.repository, house.another()).due(entry)
    assert len(backups(house)) == 1
    house.run_until_idle(3)


def test_a_backup_that_runs_or_waits_is_enough(house: House) -> None:
    scheduled(house)
    waiting = house.start("backup")
    house.clock.advance(3600)
    for entry in house.engine.due():
        if entry.reason == "schedule":
            house.engine.handle(entry)
    assert backups(house) == [waiting.id]
    assert planned(house) == NOON + timedelta(hours=2)


# ── edits ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_edit_starts_nothing_at_once_and_the_old_time_no_longer_counts(house: House) -> None:
    schedules = scheduled(house)
    house.clock.advance(3500)
    edit(schedules, house, document=HOURLY.replace("1h", "2h"))
    assert planned(house) == NOON + timedelta(seconds=3500 + 7200)
    house.tick(later=200)
    house.tick()
    assert backups(house) == []
    assert planned(house) == NOON + timedelta(seconds=3500 + 7200)


def test_an_edit_that_leaves_the_schedule_alone_moves_nothing(house: House) -> None:
    schedules = scheduled(house)
    house.clock.advance(1800)
    edit(schedules, house, document=HOURLY + "  restore: {mode: merge}\n", description="other")
    assert planned(house) == NOON + timedelta(hours=1)
    assert house.later() == ["schedule"]


@pytest.mark.parametrize("status", ["inactive", "deleting", "deleted"])
def test_an_application_that_is_not_active_starts_nothing(house: House, status: str) -> None:
    scheduled(house)
    house.repository.applications.update(house.application, lambda found: found.model_copy(update={"status": status}))
    house.tick(later=3600)
    house.tick(later=3600)
    assert backups(house) == []
    assert house.later() == []


def test_an_application_that_becomes_active_again_waits_a_whole_interval(house: House) -> None:
    schedules = scheduled(house)
    edit(schedules, house, status="inactive")
    assert application(house).timetable is None
    house.tick(later=5000)
    edit(schedules, house, status="active")
    assert planned(house) == NOON + timedelta(seconds=5000 + 3600)
    house.tick()
    assert backups(house) == []


def test_a_backup_is_not_started_before_a_deletion_that_stands_in_line(house: House) -> None:
    scheduled(house)
    house.start("delete")
    house.clock.advance(3600)
    entry = next(each for each in house.engine.due() if each.reason == "schedule")
    house.engine.handle(entry)
    assert backups(house) == []


def test_a_backup_found_after_its_window_closed_waits_for_the_next(house: House) -> None:
    document = DOCUMENT + '  backup: {cron: "0 13 * * *", window: "12:00-14:00"}\n'
    scheduled(house, document)
    assert planned(house) == NOON + timedelta(hours=1)
    house.tick(later=4 * 3600)
    assert backups(house) == []
    assert planned(house) == NOON + timedelta(hours=24)


# ── the default ─────────────────────────────────────────────────────────────────────────────────────────────


def default(house: House, every: int, keep: Keep | None = None) -> None:
    house.repository.policies.update(lambda found: found.model_copy(update={"every_seconds": every, "keep": keep}))
    house.repository.wake.add(house.clock.time, house.application, DEFAULT_CHANGED)
    house.tick()


def test_the_default_holds_for_an_application_that_says_nothing_and_goes_when_it_does(house: House) -> None:
    schedules = scheduled(house, DOCUMENT)
    assert application(house).timetable is None
    default(house, 1800)
    assert timedelta(seconds=1620) <= planned(house) - NOON <= timedelta(seconds=1800)
    house.tick(later=1800)
    house.tick()
    assert len(backups(house)) == 1
    edit(schedules, house, document=HOURLY)
    assert planned(house) == NOON + timedelta(seconds=1800 + 3600)
    default(house, 600)
    assert planned(house) == NOON + timedelta(seconds=1800 + 3600)


def test_taking_the_default_away_stops_what_followed_it(house: House) -> None:
    scheduled(house, DOCUMENT)
    default(house, 1800)
    default(house, 0)
    house.tick(later=4000)
    assert backups(house) == []
    assert application(house).timetable is None


def test_an_application_whose_backups_were_stopped_does_not_follow_the_default(house: House) -> None:
    schedules = scheduled(house, DOCUMENT)
    edit(schedules, house, backups_stopped=True)
    default(house, 1800)
    assert application(house).timetable is None


# ── deaths and races ────────────────────────────────────────────────────────────────────────────────────────


class Dying:
    """Lets so many writes through, then the process is gone."""

    def __init__(self, writes: int) -> None:
        self.left = writes

    def __call__(self) -> None:
        if self.left <= 0:
            raise Killed
        self.left -= 1


def worker(house: House, guard: Callable[[], None]) -> House:
    """The same house in another process, whose writes `guard` is asked about."""
    return replace(house, repository=house.repository.guarded(guard))


def writes_of_a_start(house: House) -> int:
    count = [0]

    def counting() -> None:
        count[0] += 1

    other = worker(house, counting)
    schedules = Schedules(other.repository, other.engine)
    schedules.due(other.engine.due()[0])
    return count[0]


def test_starting_takes_the_writes_that_the_design_names(house: House) -> None:
    scheduled(house)
    house.clock.advance(3600)
    # The next entry, the operation's entry, where it belongs, the operation, the lane, app.json.
    assert writes_of_a_start(house) == 6


@pytest.mark.parametrize("writes", range(7))
@pytest.mark.parametrize("pause", [0, 90, 4000])
def test_a_worker_killed_between_any_two_writes_leaves_exactly_one_backup(
    house: House, writes: int, pause: int
) -> None:
    scheduled(house)
    house.clock.advance(3600)
    dead = worker(house, Dying(writes))
    Schedules(dead.repository, dead.engine)
    with pytest.raises(Killed):
        dead.engine.handle(dead.engine.due()[0])
    house.clock.advance(pause)
    for _ in range(4):
        house.tick()
    made = [house.repository.operations.get(house.application, each) for each in backups(house)]
    assert all(each.state.ended for each in made)
    # Found after the next time too, it stands for both, or that one is made as well.
    assert len(made) == 1 or (pause > 3600 and len(made) == 2)
    assert idle(house)
    assert planned(house) > house.clock.time
    assert "schedule" in house.later()


def test_an_edit_in_the_middle_of_a_start_wins(house: House) -> None:
    schedules = scheduled(house)
    house.clock.advance(3600)
    entry = house.engine.due()[0]
    edited = [False]

    def editing() -> None:
        if not edited[0]:
            edited[0] = True
            edit(schedules, house, document=HOURLY.replace("1h", "3h"))

    other = worker(house, editing)
    Schedules(other.repository, other.engine).due(entry)
    assert planned(house) == NOON + timedelta(hours=4)


class Slow:
    """Before the write of this number others work, until the time that is being written has come."""

    def __init__(self, house: House, number: int) -> None:
        self._house = house
        self._left = number

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._house.tick(later=90)


EACH_MINUTE = DOCUMENT + '  backup: {cron: "* * * * *"}\n'


def test_a_time_that_comes_while_it_is_being_set_is_not_forgotten(house: House) -> None:
    scheduled(house, DOCUMENT)
    slow = worker(house, Slow(house, 2))  # the entry is written, the application is not
    edit(Schedules(slow.repository, slow.engine), house, document=EACH_MINUTE)
    assert backups(house) == []
    house.tick()
    assert len(backups(house)) == 1
    assert planned(house) > house.clock.time
    assert "schedule" in house.later()


def test_a_time_that_comes_while_the_one_before_is_started_is_not_forgotten(house: House) -> None:
    scheduled(house, EACH_MINUTE)
    house.clock.advance(60)
    slow = worker(house, Slow(house, 6))  # all that a start writes, but for the application
    Schedules(slow.repository, slow.engine)
    slow.engine.handle(slow.engine.due()[0])
    house.tick()
    house.tick(later=60)
    assert planned(house) > house.clock.time
    assert "schedule" in house.later()
    assert len(backups(house)) >= 2


def test_two_edits_at_once_leave_the_timetable_of_the_document_that_stands(house: House) -> None:
    schedules = scheduled(house)
    raced = [False]

    def racing(found: Application) -> Application:
        if not raced[0]:
            raced[0] = True
            edit(schedules, house, document=HOURLY.replace("1h", "3h"))
        return found.model_copy(update={"document": HOURLY.replace("1h", "2h")})

    schedules.change(house.application, racing)
    assert "every: 2h" in application(house).document
    assert planned(house) == NOON + timedelta(hours=2)


def test_a_storage_that_fails_leaves_the_entry_for_the_next_look(house: House) -> None:
    scheduled(house)
    house.clock.advance(3600)

    def failing() -> None:
        raise StorageUnavailable("away")

    other = worker(house, failing)
    Schedules(other.repository, other.engine)
    with pytest.raises(StorageUnavailable):
        other.engine.handle(other.engine.due()[0])
    house.tick()
    house.tick()
    assert len(backups(house)) == 1
