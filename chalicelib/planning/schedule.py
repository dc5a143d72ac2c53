"""When an application is backed up next: `(schedule, the last time, now) → the next time`. Pure.

- `every` counts real time: from the moment the schedule was set, then from one due time to the next.
- `cron` is read in its time zone as cron(8) reads it: a time that daylight saving skips runs once when the clock has
  moved on, one that it repeats runs once, unless the expression asks for every hour or minute.
- `jitter` moves an application's times by a part of it that is always the same for this application, so that many
  with one schedule do not all start at once, and each starts at equal distances.
- A time outside the `window` waits until the window opens.

All times are UTC, in whole seconds.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from chalicelib.domain.document import Backup, Document, Schedule
from chalicelib.domain.fields import show_duration
from chalicelib.domain.policy import BackupPolicy

#: Without `jitter` in the document, `every` has this part of itself, at most so much: cron has none.
_JITTER_PART = 10
_MOST_JITTER = timedelta(hours=1)
#: How much later than planned a backup may start though its window has closed meanwhile.
_LATE = timedelta(minutes=5)


def schedule_of(document: Document, policy: BackupPolicy, *, stopped: bool = False) -> Schedule | None:
    """The schedule an application follows: its document's, else the default, unless it was `stopped`; else none."""
    backup = document.spec.backup
    if backup is not None and (backup.every is not None or backup.cron is not None):
        return backup
    if stopped or not policy.every_seconds:
        return None
    return Backup(every=timedelta(seconds=policy.every_seconds))


def rule_of(schedule: Schedule) -> str:
    """The schedule in words, such as `every 1h` or `cron 0 3 * * * in Europe/Berlin`: equal for equal schedules."""
    words = [f"every {show_duration(schedule.every)}" if schedule.every else f"cron {schedule.cron}"]
    if schedule.window is not None:
        words.append(f"between {schedule.window.start:%H:%M} and {schedule.window.end:%H:%M}")
    if schedule.timezone is not None:
        words.append(f"in {schedule.timezone.key}")
    if schedule.jitter is not None:
        words.append(f"with {show_duration(schedule.jitter)} of jitter")
    return " ".join(words)


def first_time(schedule: Schedule, now: datetime, application: str) -> datetime | None:
    """The first time after the schedule was set, `now`; `None` if its expression names no time that ever comes.

    For `every` it is one interval later, or up to the jitter earlier: setting a schedule starts nothing at once.
    """
    now = _whole(now)
    if schedule.every is None:
        return _by_cron(schedule, now, application)
    return _in_window(schedule, now + schedule.every - _offset(schedule, application), application)


def next_time(schedule: Schedule, due: datetime, now: datetime, application: str) -> datetime | None:
    """The first time after both `due` (the time that is being dealt with) and `now`: what was missed is not made up
    for one by one."""
    now = _whole(now)
    if schedule.every is None:
        return _by_cron(schedule, max(due, now), application)
    passed = max(0, (now - due) // schedule.every)
    return _in_window(schedule, due + (passed + 1) * schedule.every, application)


def postponed(schedule: Schedule, due: datetime, now: datetime, application: str) -> datetime | None:
    """When the window opens again, if a backup that is found late may not start now; `None`: it may."""
    if schedule.window is None or now - due <= _LATE:
        return None
    opens = _in_window(schedule, _whole(now), application)
    return None if opens == _whole(now) else opens


def _by_cron(schedule: Schedule, after: datetime, application: str) -> datetime | None:
    assert schedule.cron is not None  # noqa: S101 - the model has one of both
    offset = _offset(schedule, application)
    found = next(CronSim(schedule.cron, (after - offset).astimezone(schedule.zone)), None)
    return None if found is None else _in_window(schedule, found.astimezone(UTC) + offset, application)


def _in_window(schedule: Schedule, at: datetime, application: str) -> datetime:
    """`at`, or a moment after the window's next opening."""
    window, zone = schedule.window, schedule.zone
    local = at.astimezone(zone)
    if window is None or window.holds(local.time()):
        return at
    offset = _offset(schedule, application)
    for days in range(4):
        day = local.date() + timedelta(days=days)
        opens = datetime.combine(day, window.start, zone).astimezone(UTC)
        # A window may lie in the hour that daylight saving skips, and jitter may reach beyond its end.
        for start in (opens + offset, opens):
            if start > at and window.holds(start.astimezone(zone).time()):
                return start
    return at


def _offset(schedule: Schedule, application: str) -> timedelta:
    """This application's own part of the jitter."""
    jitter = schedule.jitter
    if jitter is None:
        jitter = min(schedule.every / _JITTER_PART, _MOST_JITTER) if schedule.every else timedelta(0)
    part = int.from_bytes(hashlib.sha256(application.encode()).digest()[:6]) / 2**48
    return timedelta(seconds=int(jitter.total_seconds() * part))


def _whole(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)
