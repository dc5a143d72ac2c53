"""Backups that are made by themselves: an application's interval, and the default of those that say nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chalicelib.domain.application import Application
from chalicelib.domain.document.backup import Keep
from chalicelib.domain.errors import Invalid, Malformed
from chalicelib.domain.fields import parse_duration, show_duration
from chalicelib.domain.policy import BackupPolicy
from chalicelib.domain.problems import problems_of
from chalicelib.services import views
from chalicelib.services.access import Asker
from chalicelib.services.documents import accepted
from chalicelib.services.living import refuse_deleted
from chalicelib.services.models.applications import ApplicationView
from chalicelib.services.models.automatic import AutobackupRequest, PolicyRequest, PolicyView
from chalicelib.services.refusals import invalid

if TYPE_CHECKING:
    from chalicelib.engine.lane.engine import Engine
    from chalicelib.engine.lane.schedules import Schedules
    from chalicelib.services.applications import Applications
    from chalicelib.services.clusters import RegisteredClusters
    from chalicelib.store.repository import Repository

#: Seconds between two backups, least and most.
LEAST, MOST = 60, 3660 * 86_400

_SECTION = ("spec", "backup")
#: What says when, in the order it is taken out.
_WHEN = ("cron", "every", "jitter", "window", "timezone")


class Automatic:
    """What can be asked about backups that are made by themselves."""

    def __init__(
        self,
        repository: Repository,
        engine: Engine,
        schedules: Schedules,
        applications: Applications,
        clusters: RegisteredClusters,
    ) -> None:
        self._repository = repository
        self._engine = engine
        self._schedules = schedules
        self._applications = applications
        self._clusters = clusters

    # ── one application ─────────────────────────────────────────────────────────────────────────────────

    def set_interval(
        self,
        asker: Asker,  # noqa: ARG002 - rights come with accounts
        application: str,
        interval: str,
        request: AutobackupRequest,
    ) -> ApplicationView:
        """Write into an application's document how often it is backed up (0: not at all), and what else the request
        says about its backups. The rest of the text stays as it is."""
        seconds = _seconds(interval, "timeInterval")
        if request.backup is not None:
            _refuse_contradiction(request.backup, seconds)
        found = self._applications.find(application)

        def change(stored: Application) -> Application:
            refuse_deleted(stored)
            text = _with_section(stored.document, request.backup)
            text = _without_schedule(text) if seconds == 0 else _with_interval(text, seconds)
            accepted(text)
            changes: dict[str, Any] = {"document": text, "backups_stopped": seconds == 0}
            if all(getattr(stored, name) == value for name, value in changes.items()):
                return stored
            return stored.model_copy(update={**changes, "updated_at": self._repository.now()})

        stored = self._schedules.change(found.id, change)
        return views.application_view(stored, self._clusters.name_of(stored.cluster))

    # ── the default ─────────────────────────────────────────────────────────────────────────────────────

    def policy(self, asker: Asker) -> PolicyView:  # noqa: ARG002 - rights come with accounts
        """The default of applications that say nothing."""
        return _policy_view(self._repository.policies.read())

    def change_policy(self, asker: Asker, request: PolicyRequest) -> PolicyView:
        """Change the default. Timetables follow within moments; what is not said stays."""
        seconds = _seconds(str(request.backup_regularity), "backup_regularity")
        if request.alert is not None:
            raise invalid("alert", "alarms come in a later release: nobody would be told", "leave it out for now")
        changes: dict[str, Any] = {"every_seconds": seconds}
        if "keep" in request.model_fields_set:
            changes["keep"] = _keep(request.keep)
        now = self._repository.now()
        changed = self._repository.policies.update(
            lambda found: found.model_copy(update={**changes, "updated_at": now, "updated_by": asker.name})
        )
        self._have_timetables_drawn_up()
        return _policy_view(changed)

    def _have_timetables_drawn_up(self) -> None:
        """There may be many applications: that is a worker's. Asked again it does no harm, so each request asks."""
        from chalicelib.engine.lane.schedules import DEFAULT_CHANGED

        any_application = next(iter(self._repository.applications.ids()), None)
        if any_application is None:
            return
        entry = self._repository.wake.add(self._repository.now(), any_application, DEFAULT_CHANGED)
        self._engine.nudge(any_application, "", entry.key)


def _seconds(text: str, where: str) -> int:
    if re.fullmatch(r"[-+]?\d{1,15}", text) is None:
        raise Malformed(f"{where} must be a whole number of seconds, and {text[:40]!r} is none.")
    seconds = int(text)
    if seconds != 0 and not LEAST <= seconds <= MOST:
        raise invalid(
            where,
            f"{seconds} seconds cannot be kept: {LEAST} is the least and {MOST} (ten years) the most",
            "0 stops backups by themselves",
        )
    return seconds


def _refuse_contradiction(section: Mapping[str, Any], seconds: int) -> None:
    """The interval in the path decides when: a section that says otherwise is not overruled in silence."""
    if section.get("cron") is not None:
        raise invalid(
            "backup.cron", "it says when, and so does the interval in the path", "change the document instead"
        )
    every = section.get("every")
    if every is None:
        return
    try:
        said = parse_duration(str(every)).total_seconds()
    except Invalid as error:
        raise invalid("backup.every", error.message.rstrip("."), "or leave it out: the path says it") from error
    if said != seconds:
        raise invalid("backup.every", f"it says {every}, and the path says {seconds} seconds", "say the same in both")


def _with_section(text: str, section: Mapping[str, Any] | None) -> str:
    from chalicelib.language.editing import remove_field, set_field

    if section is None:
        return text
    said = {name: value for name, value in section.items() if value is not None}
    return set_field(text, _SECTION, said, after="state") if said else remove_field(text, _SECTION)


def _with_interval(text: str, seconds: int) -> str:
    """Every so many seconds instead of what it says about that. Jitter and window stay."""
    from chalicelib.language.editing import remove_field, set_field
    from chalicelib.language.text import parse

    said = parse(text).value["spec"].get("backup") or {}
    every = timedelta(seconds=seconds)
    if "every" in said and parse_duration(said["every"]) == every:
        return text
    if "cron" in said and "window" not in said:
        text = remove_field(text, (*_SECTION, "timezone"))
    text = set_field(text, (*_SECTION, "every"), show_duration(every), after="state")
    return remove_field(text, (*_SECTION, "cron"))


def _without_schedule(text: str) -> str:
    from chalicelib.language.editing import remove_field

    for name in _WHEN:
        text = remove_field(text, (*_SECTION, name))
    return text


def _keep(said: Mapping[str, Any] | None) -> Keep | None:
    if said is None:
        return None
    try:
        keep = Keep.model_validate(dict(said), by_alias=True, by_name=False)
    except ValidationError as error:
        first = problems_of(error, Keep, under="keep")[0]
        raise invalid(first.path, first.message, first.hint or "see `backup.keep` in docs/language.md") from None
    if not keep.last_good:
        raise invalid("keep.lastGood", "the last good version always stays", "leave it out")
    return keep


def _policy_view(policy: BackupPolicy) -> PolicyView:
    return PolicyView(
        backup_regularity=policy.every_seconds,
        keep=None if policy.keep is None else policy.keep.model_dump(by_alias=True),
        alert=None,
        updated_at=policy.updated_at,
        updated_by=policy.updated_by,
    )
