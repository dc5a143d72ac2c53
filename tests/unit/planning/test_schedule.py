"""When an application is backed up next: real time, local time, daylight saving, windows and jitter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.document import Backup
from chalicelib.domain.policy import BackupPolicy
from chalicelib.language.loader import load
from chalicelib.planning.schedule import first_time, next_time, postponed, rule_of, schedule_of
from tests.unit.language.samples import LEAST, with_spec

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SHOP = "app-01jd0000000000000000000000"
OTHER = "app-01jd0000000000000000000001"
BERLIN = ZoneInfo("Europe/Berlin")


def schedule(**members: object) -> Backup:
    return Backup.model_validate(members)


def local(year: int, month: int, day: int, hour: int, minute: int = 0, fold: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN, fold=fold).astimezone(UTC)


def runs(found: Backup, after: datetime, count: int) -> list[datetime]:
    times = [first_time(found, after, SHOP)]
    while len(times) < count:
        assert times[-1] is not None
        times.append(next_time(found, times[-1], times[-1], SHOP))
    return [at for at in times if at is not None]


# ── every ───────────────────────────────────────────────────────────────────────────────────────────────────

seconds = st.integers(60, 30 * 86_400)
moments = st.integers(1_577_836_800, 2_208_988_800).map(lambda at: datetime.fromtimestamp(at, UTC))


@given(every=seconds, now=moments)
def test_setting_an_interval_starts_nothing_at_once_and_the_first_is_no_later_than_one_interval(
    every: int, now: datetime
) -> None:
    first = first_time(schedule(every=f"{every}s"), now, SHOP)
    assert first is not None
    assert now - timedelta(seconds=1) + timedelta(seconds=every * 0.9 - 1) <= first <= now + timedelta(seconds=every)


@given(every=seconds, due=moments, late=st.timedeltas(timedelta(0), timedelta(days=40)))
def test_the_next_time_is_after_now_on_the_same_grid_and_not_further_than_one_interval(
    every: int, due: datetime, late: timedelta
) -> None:
    due = due.replace(microsecond=0)
    following = next_time(schedule(every=f"{every}s"), due, due + late, SHOP)
    assert following is not None
    assert due + late < following + timedelta(seconds=1)
    assert following - due - late <= timedelta(seconds=every + 1)
    assert (following - due) % timedelta(seconds=every) == timedelta(0)


def test_many_applications_with_one_interval_do_not_all_start_at_once_and_each_keeps_its_own_part() -> None:
    found = schedule(every="1h", jitter="30m")
    times = {first_time(found, NOON, f"app-{number:026}") for number in range(200)}
    assert len(times) > 150
    assert max(times) - min(times) > timedelta(minutes=25)  # type: ignore[operator,type-var]
    assert first_time(found, NOON, SHOP) == first_time(found, NOON, SHOP) != first_time(found, NOON, OTHER)


def test_an_interval_is_real_time_whatever_daylight_saving_does() -> None:
    times = runs(schedule(every="1h", jitter="1s"), local(2026, 10, 24, 23), 8)
    assert {after - before for before, after in pairwise(times)} == {timedelta(hours=1)}


# ── cron ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_cron_is_read_in_its_time_zone() -> None:
    found = schedule(cron="0 3 * * *", timezone="Europe/Berlin")
    assert first_time(found, NOON, SHOP) == local(2026, 11, 25, 3)
    assert first_time(schedule(cron="0 3 * * *"), NOON, SHOP) == datetime(2026, 11, 25, 3, tzinfo=UTC)


def test_a_time_that_daylight_saving_skips_runs_once_that_day() -> None:
    times = runs(schedule(cron="30 2 * * *", timezone="Europe/Berlin"), local(2026, 3, 28, 1), 3)
    assert times[0] == local(2026, 3, 28, 2, 30)
    assert times[1] == local(2026, 3, 29, 3, 0)
    assert times[2] == local(2026, 3, 30, 2, 30)


def test_a_time_that_daylight_saving_repeats_runs_once_that_day() -> None:
    times = runs(schedule(cron="30 2 * * *", timezone="Europe/Berlin"), local(2026, 10, 24, 12), 2)
    assert [at.astimezone(BERLIN).strftime("%d %H:%M") for at in times] == ["25 02:30", "26 02:30"]


def test_every_quarter_of_an_hour_goes_on_through_the_repeated_hour() -> None:
    times = runs(schedule(cron="*/15 * * * *", timezone="Europe/Berlin"), local(2026, 10, 25, 1, 50), 10)
    assert {after - before for before, after in pairwise(times)} == {timedelta(minutes=15)}


@given(now=moments, minute=st.integers(0, 59), hour=st.integers(0, 23), jitter=st.integers(1, 86_399))
def test_cron_with_jitter_is_always_later_than_now_and_by_the_same_part_each_day(
    now: datetime, minute: int, hour: int, jitter: int
) -> None:
    found = schedule(cron=f"{minute} {hour} * * *", jitter=f"{jitter}s")
    first, second = runs(found, now, 2)
    assert now - timedelta(seconds=1) < first <= now + timedelta(days=1)
    assert second - first == timedelta(days=1)


def test_what_was_missed_runs_once_and_not_for_every_time_that_passed() -> None:
    found = schedule(cron="0 * * * *")
    assert next_time(found, NOON, NOON + timedelta(days=3, minutes=5), SHOP) == NOON + timedelta(days=3, hours=1)


# ── windows ─────────────────────────────────────────────────────────────────────────────────────────────────


@given(now=moments, every=st.sampled_from(["7m", "1h", "5h", "1d", "1w"]), over=st.booleans())
def test_nothing_is_planned_outside_the_window(now: datetime, every: str, *, over: bool) -> None:
    found = schedule(every=every, window="22:00-06:00" if over else "01:00-05:30", timezone="Europe/Berlin")
    window = found.window
    assert window is not None
    times = runs(found, now, 6)
    assert all(window.holds(at.astimezone(BERLIN).time()) for at in times)
    assert times == sorted(set(times))


def test_a_time_outside_the_window_waits_until_it_opens() -> None:
    found = schedule(cron="0 12 * * *", window="22:00-06:00", timezone="Europe/Berlin")
    assert first_time(found, local(2026, 11, 24, 9), SHOP) == local(2026, 11, 24, 22)


def test_a_window_in_the_hour_that_daylight_saving_skips_opens_the_day_after() -> None:
    found = schedule(cron="0 12 * * *", window="02:10-02:50", timezone="Europe/Berlin")
    assert first_time(found, local(2026, 3, 28, 9), SHOP) == local(2026, 3, 30, 2, 10)


def test_a_backup_found_late_waits_for_the_next_window_unless_it_is_only_a_little_late() -> None:
    found = schedule(every="1h", window="01:00-05:00")
    due = datetime(2026, 11, 24, 4, 59, tzinfo=UTC)
    assert postponed(found, due, due + timedelta(minutes=2), SHOP) is None
    later = postponed(found, due, due + timedelta(hours=7), SHOP)
    assert later is not None
    assert later.date() == datetime(2026, 11, 25, tzinfo=UTC).date()
    assert later.hour in {1, 2}
    assert postponed(found, due, due + timedelta(hours=21), SHOP) is None


# ── which schedule ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_document_decides_and_the_default_where_it_says_nothing_about_when() -> None:
    hourly = BackupPolicy(every_seconds=3600)
    own = schedule_of(load(with_spec("backup: {every: 5m}")), hourly)
    assert own is not None
    assert rule_of(own) == "every 5m"
    for silent in (LEAST, with_spec("backup: {keep: {last: 3}}")):
        found = schedule_of(load(silent), hourly)
        assert found is not None
        assert rule_of(found) == "every 1h"
        assert schedule_of(load(silent), hourly, stopped=True) is None
        assert schedule_of(load(silent), BackupPolicy()) is None


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"every": "90m"}, "every 1h30m"),
        ({"cron": "0 3 * * *", "timezone": "Europe/Berlin"}, "cron 0 3 * * * in Europe/Berlin"),
        (
            {"every": "1h", "window": "22:00-06:00", "jitter": "5m"},
            "every 1h between 22:00 and 06:00 with 5m of jitter",
        ),
    ],
)
def test_a_schedule_is_told_in_words(members: dict[str, object], words: str) -> None:
    assert rule_of(schedule(**members)) == words
