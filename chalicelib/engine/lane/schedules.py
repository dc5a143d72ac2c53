"""Backups that start by themselves.

    timetable in app.json, wake entry at that time
    due: next entry ─► operation ─► lane ─► app.json ─► the entry that was read is removed

An entry counts only while the application's document has its very time in the timetable. So whoever dies between two
of these writes leaves either the entry, which the next worker takes up (the operation's id comes from application and
time: twice is once), or an entry that no longer counts.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from chalicelib.domain.application import Application, Timetable
from chalicelib.domain.document import Schedule
from chalicelib.domain.errors import Conflict, Invalid, MainstayError, NotFound, StorageUnavailable
from chalicelib.domain.ids import derived_id
from chalicelib.domain.operation import Operation, OperationKind
from chalicelib.domain.policy import BackupPolicy
from chalicelib.engine.lane.engine import Engine
from chalicelib.language.loader import load
from chalicelib.planning.schedule import first_time, next_time, postponed, rule_of, schedule_of
from chalicelib.store.repository import Repository
from chalicelib.store.wake import Entry

_log = logging.getLogger(__name__)

#: Reasons in the wake index: a backup is due; the default has changed.
DUE = "schedule"
DEFAULT_CHANGED = "policy"

#: Who such a backup is by, and the label by which its versions are found.
BY = "schedule"
LABEL = "mainstay.dev/made-by"

#: How far two answers' clocks of one storage may lie apart.
_CLOCKS = timedelta(seconds=5)

_TRIES = 24
_AT_ONCE = 8


class Schedules:
    """Keeps the timetables of a repository's applications, and starts what is due."""

    def __init__(self, repository: Repository, engine: Engine) -> None:
        self._repository = repository
        self._engine = engine
        engine.reasons[DUE] = self.due
        engine.reasons[DEFAULT_CHANGED] = self.default_changed

    # ── timetables ──────────────────────────────────────────────────────────────────────────────────────

    def put_right(self, application: Application, policy: BackupPolicy | None = None) -> Application:
        """The application with the timetable it should have, and a wake entry written for it. Not stored yet.

        A timetable that follows the right rule stays as it is: nothing that leaves the schedule alone moves it.
        """
        known = application.timetable
        schedule = self._schedule(application, policy)
        if schedule is None:
            return application.model_copy(update={"timetable": None})
        rule = rule_of(schedule)
        if known is not None and known.rule == rule:
            return application
        at = first_time(schedule, self._repository.now(), application.id)
        if at is None:
            return application.model_copy(update={"timetable": None})
        self._repository.wake.add(at, application.id, DUE)
        return application.model_copy(update={"timetable": Timetable(rule=rule, next=at)})

    def change(
        self,
        application: str,
        change: Callable[[Application], Application],
        policy: BackupPolicy | None = None,
    ) -> Application:
        """Change an application and its timetable together. `change` may raise, and is asked again if somebody else
        was quicker."""
        for _ in range(_TRIES):
            found = self._repository.applications.get(application)
            wanted = self.put_right(change(found), policy)
            if wanted == found:
                return found

            def swap(stored: Application, found: Application = found, wanted: Application = wanted) -> Application:
                if stored != found:
                    raise _Overtaken
                return wanted

            try:
                stored = self._repository.applications.update(application, swap)
            except _Overtaken:
                continue
            if stored.timetable != found.timetable:
                self.look_again(stored)
            return stored
        raise StorageUnavailable(f"{application} was changed by others each of the {_TRIES} times it was to be here.")

    def look_again(self, stored: Application) -> None:
        """To be called when a new timetable was stored: its entry may have come due before that, and whoever found it
        did not see the timetable yet and dropped it. Then it is written once more."""
        timetable = stored.timetable
        if timetable is not None and timetable.next <= self._repository.now() + _CLOCKS:
            self._repository.wake.add(timetable.next, stored.id, DUE)

    def _schedule(self, application: Application, policy: BackupPolicy | None = None) -> Schedule | None:
        if application.status != "active":
            return None
        try:
            document = load(application.document)
        except Invalid:
            _log.warning("no schedule: its document cannot be read", extra={"application": application.id})
            return None
        policy = policy or self._repository.policies.read()
        return schedule_of(document, policy, stopped=application.backups_stopped)

    def default_changed(self, _entry: Entry) -> None:
        """Put the timetables of all applications right, after the default has changed."""
        policy = self._repository.policies.read()

        def put_right(application: str) -> None:
            try:
                self.change(application, lambda found: found, policy)
            except (NotFound, Conflict):
                return
            except MainstayError as error:
                _log.warning("its timetable is not drawn up: %s", error.message, extra={"application": application})
                raise

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mainstay-schedules") as pool:
            list(pool.map(put_right, self._repository.applications.ids()))

    # ── starting ────────────────────────────────────────────────────────────────────────────────────────

    def due(self, entry: Entry) -> None:
        """Start the backup that is due, after the entry for the one after it is written. The caller removes `entry`
        when this has returned."""
        try:
            found = self._repository.applications.get(entry.application)
        except NotFound:
            return
        timetable = found.timetable
        if timetable is None or timetable.next != entry.at or found.status != "active":
            return  # an edit has moved it, or another worker was here
        schedule = self._schedule(found)
        if schedule is None or rule_of(schedule) != timetable.rule:
            self.change(found.id, lambda stored: stored)
            return
        now = self._repository.now()
        later = postponed(schedule, timetable.next, now, found.id)
        following = later or next_time(schedule, timetable.next, now, found.id)
        if following is not None:
            self._repository.wake.add(following, found.id, DUE)
        if later is None and not self._occupied(found.id):
            self._engine.start(_backup(found.id, timetable, now))
        self._advance(found.id, timetable, following)

    def _advance(self, application: str, done: Timetable, following: datetime | None) -> None:
        after = None if following is None else Timetable(rule=done.rule, next=following)
        stored = self._repository.applications.update(
            application,
            lambda stored: stored.model_copy(update={"timetable": after}) if stored.timetable == done else None,
        )
        if stored.timetable == after:
            self.look_again(stored)

    def _occupied(self, application: str) -> bool:
        """Whether a backup runs or waits already (another would only pile up), or the application is to go."""
        lane = self._repository.lanes.read(application)
        kinds = () if lane is None else (lane.kind, *(line.kind for line in lane.pending))
        return OperationKind.BACKUP in kinds or OperationKind.DELETE in kinds


class _Overtaken(Exception):
    """Somebody else changed the application in between."""


def _backup(application: str, timetable: Timetable, now: datetime) -> Operation:
    seed = hashlib.sha256(f"{BY} {application} {timetable.next.isoformat()}".encode()).digest()
    return Operation(
        id=derived_id("op", timetable.next, seed),
        kind=OperationKind.BACKUP,
        application=application,
        arguments={"name": "", "comment": f"made {timetable.rule}", "labels": {LABEL: BY}},
        requested_by=BY,
        requested_at=now,
    )
