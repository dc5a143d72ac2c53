"""How often an application is backed up by itself: its interval, and the default of those that say nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import Conflict, Invalid, Malformed
from chalicelib.language.loader import load
from chalicelib.services.models.applications import ApplicationChange, ApplicationView, StatusQuery
from chalicelib.services.models.automatic import AutobackupRequest, PolicyRequest
from tests.unit.services.house import DOCUMENT, House

COMMENTED = DOCUMENT + "  backup:\n    every: 1h  # often enough\n    keep: {last: 5}\n  restore: {mode: merge}\n"


def interval(built: House, application: str, seconds: object, **body: Any) -> ApplicationView:
    request = AutobackupRequest.model_validate(body)
    return built.services.automatic.set_interval(built.asker, application, str(seconds), request)


def next_in(built: House, application: str) -> timedelta | None:
    status = built.services.applications.status(built.asker, application, StatusQuery())
    return status.next_backup - built.repository.now() if status.next_backup else None


def policy(built: House, every: int, **members: Any) -> None:
    request = PolicyRequest.model_validate({"backup_regularity": every, **members})
    built.services.automatic.change_policy(built.asker, request)
    for entry in list(built.repository.wake.due(built.repository.now())):
        built.engine.reasons[entry.reason](entry)
        built.repository.wake.remove(entry)


def test_an_interval_is_written_into_the_document_and_nothing_is_started(built: House) -> None:
    application = built.registered()
    changed = interval(built, application, 3600)
    assert changed.document == DOCUMENT + "  backup:\n    every: 1h\n"
    ahead = next_in(built, application)
    assert ahead is not None
    assert timedelta(minutes=53) < ahead <= timedelta(hours=1)
    assert built.engine.started == []


def test_an_interval_changes_one_word_of_the_document(built: House) -> None:
    application = built.registered(document=COMMENTED)
    assert interval(built, application, 5400).document == COMMENTED.replace("every: 1h ", "every: 1h30m ")
    assert interval(built, application, 5400).document == COMMENTED.replace("every: 1h ", "every: 1h30m ")


def test_the_same_interval_in_other_words_changes_nothing(built: House) -> None:
    text = COMMENTED.replace("1h ", "60m ")
    application = built.registered(document=text)
    assert interval(built, application, 3600).document == text


def test_zero_stops_backups_and_leaves_the_rest_of_the_section(built: House) -> None:
    application = built.registered(document=COMMENTED)
    changed = interval(built, application, 0)
    assert changed.document == COMMENTED.replace("    every: 1h  # often enough\n", "")
    assert next_in(built, application) is None
    policy(built, 600)
    assert next_in(built, application) is None


def test_after_zero_a_schedule_in_the_document_or_an_interval_starts_backups_again(built: House) -> None:
    application = built.registered()
    interval(built, application, 0)
    change = ApplicationChange(document=COMMENTED)
    built.services.applications.update(built.asker, application, change)
    assert next_in(built, application) is not None
    interval(built, application, 0)
    interval(built, application, 60)
    assert next_in(built, application) is not None


def test_an_interval_takes_the_place_of_cron(built: House) -> None:
    text = DOCUMENT + '  backup: {cron: "0 3 * * *", timezone: Europe/Berlin, jitter: 5m}\n'
    changed = interval(built, built.registered(document=text), 86400)
    assert changed.document == DOCUMENT + "  backup: {jitter: 5m, every: 1d}\n"


def test_the_section_in_the_body_takes_the_documents_place(built: House) -> None:
    application = built.registered(document=COMMENTED)
    changed = interval(built, application, 1800, backup={"keep": {"last": 3}}, id="ignored", status="ignored")
    backup = load(changed.document).spec.backup
    assert backup is not None
    assert backup.keep is not None
    assert (backup.every, backup.keep.last) == (timedelta(minutes=30), 3)
    assert "restore: {mode: merge}" in changed.document


@pytest.mark.parametrize(
    ("seconds", "body", "path"),
    [
        (30, {}, "timeInterval"),
        (-3600, {}, "timeInterval"),
        (10**10, {}, "timeInterval"),
        (3600, {"backup": {"every": "2h"}}, "backup.every"),
        (3600, {"backup": {"every": "often"}}, "backup.every"),
        (0, {"backup": {"every": "1h"}}, "backup.every"),
        (3600, {"backup": {"cron": "0 3 * * *"}}, "backup.cron"),
        (3600, {"backup": {"keep": {"last": -1}}}, "spec.backup.keep.last"),
        (3600, {"backup": {"quota": "20Gi"}}, "spec.backup.quota"),
        (3600, {"backup": {"jitter": "2h"}}, "spec.backup.jitter"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_field_and_changes_nothing(
    built: House, seconds: int, body: dict[str, Any], path: str
) -> None:
    application = built.registered()
    with pytest.raises(Invalid) as refused:
        interval(built, application, seconds, **body)
    assert refused.value.problems[0].path == path
    assert built.services.applications.get(built.asker, application).document == DOCUMENT


@pytest.mark.parametrize("text", ["soon", "1.5", "", "1h"])
def test_an_interval_that_is_no_number_is_malformed(built: House, text: str) -> None:
    with pytest.raises(Malformed, match="whole number of seconds"):
        interval(built, built.registered(), text)


def test_an_application_that_is_being_deleted_gets_no_interval(built: House) -> None:
    application = built.registered()
    built.repository.applications.update(application, lambda found: found.model_copy(update={"status": "deleting"}))
    with pytest.raises(Conflict):
        interval(built, application, 3600)


def test_the_default_reaches_those_that_say_nothing_and_later_ones_too(built: House) -> None:
    silent, own = built.registered("silent"), built.registered("own", document=COMMENTED)
    policy(built, 600)
    for application in (silent, built.registered("later")):
        ahead = next_in(built, application)
        assert ahead is not None
        assert ahead <= timedelta(minutes=10)
    ahead = next_in(built, own)
    assert ahead is not None
    assert ahead > timedelta(minutes=50)
    policy(built, 0)
    assert next_in(built, silent) is None


def test_what_the_default_does_not_say_stays_and_null_takes_it_away(built: House) -> None:
    policy(built, 600, keep={"last": 5})
    policy(built, 700)
    found = built.services.automatic.policy(built.asker)
    assert (found.backup_regularity, found.updated_by) == (700, built.asker.name)
    assert found.keep is not None
    assert found.keep["last"] == 5
    policy(built, 700, keep=None)
    assert built.services.automatic.policy(built.asker).keep is None


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"backup_regularity": 5}, "backup_regularity"),
        ({"backup_regularity": 600, "keep": {"lasst": 5}}, "keep.lasst"),
        ({"backup_regularity": 600, "keep": {"last": 0}}, "keep"),
        ({"backup_regularity": 600, "keep": {"last": 1, "lastGood": False}}, "keep.lastGood"),
        ({"backup_regularity": 600, "alert": {"noGoodVersionFor": "2h"}}, "alert"),
    ],
)
def test_a_default_that_cannot_be_kept_is_refused_with_its_field(
    built: House, body: dict[str, Any], path: str
) -> None:
    with pytest.raises(Invalid) as refused:
        built.services.automatic.change_policy(built.asker, PolicyRequest.model_validate(body))
    assert refused.value.problems[0].path == path
    assert built.services.automatic.policy(built.asker).backup_regularity == 0
