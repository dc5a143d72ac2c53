"""Making, restoring, describing and ending versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from chalicelib.domain.errors import Conflict, Damaged, Invalid, Malformed, NotFound
from chalicelib.domain.ids import new_id, time_of
from chalicelib.domain.operation import State
from chalicelib.engine.capture.retention import judge
from chalicelib.language.loader import load
from chalicelib.services.models.applications import StatusQuery, SweepQuery
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.versions import (
    BackupRequest,
    VersionChange,
    VersionDeletionQuery,
    VersionQuery,
    VersionsQuery,
)
from chalicelib.store import layout
from tests.unit.services.house import DOCUMENT, NOON, House


def planned(built: House, version: str, **more: object) -> str:
    """The id of a plan that was made."""
    request = RestoreRequest(dry_run=True, **more)  # type: ignore[arg-type]
    plan = built.services.versions.restore(built.asker, VersionQuery(version_id=version), request)
    built.engine.change(plan.id, state=State.SUCCEEDED)
    return plan.id


def test_a_backup_carries_what_people_want_to_know(built: House) -> None:
    application = built.registered()
    request = BackupRequest(id=application, name="v1", comment="before the sale", labels={"release": "1"})
    started = built.services.versions.backup(built.asker, request)
    assert (started.kind, started.application, started.requested_by) == ("backup", application, "admin")
    assert started.arguments == {"name": "v1", "comment": "before the sale", "labels": {"release": "1"}}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("latest", "`latest` always means another version"),
        ("Previous", "`Previous` always means another version"),
        ("live", "`live` always means another version"),
        ("newest good", "`newest good` always means another version"),
        ("shop@1.2", "`@` ends the application's name"),
        ("ver-01m86ptpg0grh347syt9xfa9mn", "it looks like an identifier"),
        ("  ", "it is blank"),
        ("two\nlines", r"a line break or another character that is not seen (`\n`, number 4)"),
        ("red\x1b[31m", r"(`\x1b`, number 4)"),
        ("back\u202ewards", r"(`\u202e`, number 5)"),
    ],
)
def test_no_version_gets_a_name_by_which_it_can_never_be_meant_or_that_breaks_a_table(
    built: House, name: str, why: str
) -> None:
    application = built.registered()
    version = built.version(application)
    asked: list[Callable[[], object]] = [
        lambda: built.services.versions.backup(built.asker, BackupRequest(id=application, name=name)),
        lambda: built.services.versions.update(
            built.asker, VersionQuery(version_id=version), VersionChange(name=name)
        ),
    ]
    for ask in asked:
        with pytest.raises(Invalid) as refused:
            ask()
        (problem,) = refused.value.problems
        assert (problem.path, why in problem.message, bool(problem.hint)) == ("name", True, True)


def test_a_version_may_be_called_what_people_call_things_and_lose_its_name(built: House) -> None:
    version = VersionQuery(version_id=built.version(built.registered()))
    for name in ("vor dem Umzug", "1.2.3-rc.1", "latest-good", "продажа ✓", ""):
        said = built.services.versions.update(built.asker, version, VersionChange(name=name, comment="a\nb"))
        assert (said.name, said.comment) == (name, "a\nb")


def test_a_restore_only_says_what_it_was_asked(built: House) -> None:
    version = built.version(built.registered())
    query = VersionQuery(version_id=version)
    started = built.services.versions.restore(built.asker, query, RestoreRequest())
    assert (started.kind, started.arguments) == ("restore", {"version": version})
    asked = RestoreRequest(
        mode="merge", on_failure="keep", safety="required", consent=["Namespace"], only=["Secret/*"]
    )
    assert built.services.versions.restore(built.asker, query, asked).arguments == {
        "version": version,
        "mode": "merge",
        "onFailure": "keep",
        "safety": "required",
        "consent": ["Namespace"],
        "only": ["Secret/*"],
    }


def test_a_dry_run_is_a_plan_and_changes_nothing(built: House) -> None:
    version = built.version(built.registered())
    plan = planned(built, version, mode="merge")
    assert [operation.kind.value for operation in built.engine.started] == ["plan"]
    assert built.repository.operations.find(plan).arguments == {"version": version, "mode": "merge"}


def test_a_saved_plan_decides_what_the_restore_does(built: House) -> None:
    version = built.version(built.registered())
    plan = planned(built, version, mode="merge", only=["ConfigMap/*"])
    query = VersionQuery(version_id=version)
    started = built.services.versions.restore(built.asker, query, RestoreRequest(plan=plan, safety="none"))
    assert started.arguments == {
        "version": version,
        "plan": plan,
        "mode": "merge",
        "only": ["ConfigMap/*"],
        "safety": "none",
    }
    with pytest.raises(Invalid, match="the plan decides"):
        built.services.versions.restore(built.asker, query, RestoreRequest(plan=plan, mode="exact"))


def test_a_plan_for_something_else_is_refused(built: House) -> None:
    application = built.registered()
    first, second = built.version(application), built.version(application)
    plan = planned(built, first)
    with pytest.raises(Invalid, match=first):
        built.services.versions.restore(built.asker, VersionQuery(version_id=second), RestoreRequest(plan=plan))
    backup = built.services.versions.backup(built.asker, BackupRequest(id=application)).id
    with pytest.raises(Invalid, match="no plan"):
        built.services.versions.restore(built.asker, VersionQuery(version_id=first), RestoreRequest(plan=backup))


def test_a_plan_that_is_not_finished_cannot_be_applied(built: House) -> None:
    version = built.version(built.registered())
    query = VersionQuery(version_id=version)
    plan = built.services.versions.restore(built.asker, query, RestoreRequest(dry_run=True)).id
    with pytest.raises(Conflict, match="queued"):
        built.services.versions.restore(built.asker, query, RestoreRequest(plan=plan))


def _asked(built: House, version: str, **request: Any) -> dict[str, Any]:
    asked = RestoreRequest.model_validate(request)
    return dict(built.services.versions.restore(built.asker, VersionQuery(version_id=version), asked).arguments)


def test_a_restore_to_where_the_application_is_is_a_restore_in_place(built: House) -> None:
    version = built.version(built.registered())
    assert _asked(built, version, namespace="shop", cluster="default") == {"version": version}


def test_a_restore_into_another_namespace_says_from_which_to_which(built: House) -> None:
    version = built.version(built.registered())
    wanted = {"version": version, "namespaces": {"shop": "copy"}}
    assert _asked(built, version, namespace="copy") == wanted
    assert _asked(built, version, namespaces={"shop": "copy"}) == wanted


@pytest.mark.parametrize("field", ["cluster", "namespace", "plan"])
def test_empty_text_is_not_taken_for_in_place(field: str) -> None:
    with pytest.raises(ValidationError):
        RestoreRequest.model_validate({field: ""})


@pytest.mark.parametrize(
    ("request_", "path", "said"),
    [
        ({"namespaces": {"other": "copy"}}, "namespaces", "other is no namespace of the version"),
        ({"namespace": "copy", "namespaces": {"shop": "copy"}}, "namespace", "says it already"),
        ({"namespace": "kube-system"}, "namespaces", "kube-system is the cluster's own"),
    ],
)
def test_a_destination_that_makes_no_sense_is_refused(
    built: House, request_: dict[str, Any], path: str, said: str
) -> None:
    version = built.version(built.registered())
    with pytest.raises(Invalid, match=said) as refused:
        _asked(built, version, **request_)
    assert refused.value.problems[0].path == path


def test_a_safety_version_goes_back_to_where_it_was_made(built: House) -> None:
    version = built.version(built.registered(), purpose="safety")
    with pytest.raises(Invalid, match="where it was made"):
        _asked(built, version, namespace="copy")


def test_versions_come_newest_first_and_filtered(built: House) -> None:
    application = built.registered()
    first = built.version(application)
    second = built.version(application, complete=False)
    third = built.version(application)
    safety = built.version(application, purpose="safety")
    query = VersionQuery(version_id=first)
    built.services.versions.update(built.asker, query, VersionChange(labels={"release": "1"}))

    def ids(**filters: object) -> list[str]:
        page = built.services.versions.list(built.asker, VersionsQuery(app_id=application, **filters))  # type: ignore[arg-type]
        return [item.id for item in page.items]

    assert ids() == [third, second, first]
    assert ids(purpose="safety") == [safety]
    assert ids(purpose="all") == [safety, third, second, first]
    assert ids(state="partial") == [second]
    assert ids(label="release=1") == [first]
    assert ids(label="!release") == [third, second]
    noon = NOON.isoformat()
    assert ids(before=noon) == []
    assert ids(after=noon) == [third, second, first]
    with pytest.raises(Invalid, match="selector"):
        ids(label=",,")


def test_pages_of_versions_are_complete_while_new_ones_come(built: House) -> None:
    application = built.registered()
    old = [built.version(application) for _ in range(3)]
    page = built.services.versions.list(built.asker, VersionsQuery(app_id=application, limit=2))
    built.version(application)
    rest = built.services.versions.list(built.asker, VersionsQuery(app_id=application, limit=2, next=page.next))
    assert [item.id for item in [*page.items, *rest.items]] == old[::-1]
    assert rest.next is None


def test_a_version_tells_everything_about_itself(built: House) -> None:
    version = built.version(built.registered(), complete=False)
    detail = built.services.versions.get(built.asker, VersionQuery(version_id=version))
    assert (detail.id, detail.state, detail.objects, detail.cluster) == (version, "partial", 7, "default")
    assert detail.gaps[0].kind == "Secret"
    assert detail.document.startswith("apiVersion: mainstay.dev/v1")
    assert detail.estimate_seconds is not None


def test_what_people_say_about_a_version_can_be_changed_piece_by_piece(built: House) -> None:
    version = built.version(built.registered())
    query = VersionQuery(version_id=version)
    built.services.versions.update(built.asker, query, VersionChange(name="v1", hold=True))
    changed = built.services.versions.update(built.asker, query, VersionChange(comment="good"))
    assert (changed.name, changed.comment, changed.hold) == ("v1", "good", True)


def test_a_held_version_is_never_deleted(built: House) -> None:
    application = built.registered()
    version = built.version(application)
    built.version(application)
    built.services.versions.update(built.asker, VersionQuery(version_id=version), VersionChange(hold=True))
    with pytest.raises(Conflict, match="held"):
        built.services.versions.delete(built.asker, VersionDeletionQuery(version_id=version, force=True))
    built.services.versions.update(built.asker, VersionQuery(version_id=version), VersionChange(hold=False))
    assert built.services.versions.delete(built.asker, VersionDeletionQuery(version_id=version)).deleted


def test_the_last_good_version_is_deleted_only_by_force(built: House) -> None:
    application = built.registered()
    good = built.version(application)
    built.version(application, complete=False)
    with pytest.raises(Conflict, match="last good"):
        built.services.versions.delete(built.asker, VersionDeletionQuery(version_id=good))
    built.services.versions.delete(built.asker, VersionDeletionQuery(version_id=good, force=True))
    with pytest.raises(NotFound, match="deleted by admin"):
        built.services.versions.get(built.asker, VersionQuery(version_id=good))


def altered(built: House, application: str, version: str) -> None:
    """One byte of a manifest, at rest."""
    key = layout.manifest(application, version)
    blob = built.repository.vault.get(key)
    assert blob is not None
    content = orjson.loads(blob.data)
    content["manifest"]["clusterVersion"] += "1"
    built.repository.vault.delete(key)
    built.repository.vault.create(key, orjson.dumps(content))


def test_a_damaged_version_takes_none_of_the_others_along(built: House) -> None:
    application = built.registered()
    good, bad = built.version(application), built.version(application)
    altered(built, application, bad)
    services = built.services
    page = services.versions.list(built.asker, VersionsQuery(app_id=application))
    assert [(each.id, each.state) for each in page.items] == [(bad, "damaged"), (good, "complete")]
    assert page.items[0].captured_at == time_of(bad)
    status = services.applications.status(built.asker, application, StatusQuery())
    assert status.last_good_version is not None
    assert status.last_good_version.id == good
    assert services.versions.get(built.asker, VersionQuery(version_id=good)).kept_because
    size = services.vaults.size(built.asker, application)
    assert (size.complete, size.damaged, [each.id for each in size.versions]) == (False, [bad], [good])
    assert size.unneeded_bytes is None
    with pytest.raises(Damaged, match="altered"):
        services.versions.restore(built.asker, VersionQuery(version_id=bad), RestoreRequest())


def test_a_damaged_version_can_be_deleted_unless_it_is_held(built: House) -> None:
    application = built.registered()
    bad = built.version(application)
    query = VersionDeletionQuery(version_id=bad)
    built.services.versions.update(built.asker, VersionQuery(version_id=bad), VersionChange(hold=True))
    altered(built, application, bad)
    with pytest.raises(Conflict, match="held"):
        built.services.versions.delete(built.asker, query)
    built.repository.notes.update(application, bad, lambda note: note.model_copy(update={"hold": False}))
    assert built.services.versions.delete(built.asker, query).id == bad
    assert built.services.versions.all(application) == []
    with pytest.raises(NotFound, match="deleted by admin"):
        built.services.versions.delete(built.asker, query)


def test_no_rule_ends_or_counts_what_nobody_can_read(built: House) -> None:
    application = built.registered()
    versions = [built.version(application) for _ in range(3)]
    altered(built, application, versions[1])
    document = load(DOCUMENT + "  backup: {keep: {last: 2}}\n")
    judged = judge(built.repository, application, document)
    assert [each.version for each in judged.verdicts] == [versions[2], versions[0]]
    assert all(each.stays for each in judged.verdicts)


def test_a_version_is_not_taken_away_under_a_restore(built: House) -> None:
    application = built.registered()
    version = built.version(application)
    built.version(application)
    restore = built.services.versions.restore(built.asker, VersionQuery(version_id=version), RestoreRequest())
    with pytest.raises(Conflict, match=restore.id):
        built.services.versions.delete(built.asker, VersionDeletionQuery(version_id=version))
    built.engine.change(restore.id, state=State.SUCCEEDED)
    assert built.services.versions.delete(built.asker, VersionDeletionQuery(version_id=version)).deleted


@pytest.mark.parametrize("known", ["safetyVersion", "safetyDraft"])
def test_the_version_a_restore_would_go_back_to_is_not_taken_away_under_it_or_its_undo(
    built: House, known: str
) -> None:
    application = built.registered()
    version, safety = built.version(application), built.version(application, purpose="safety")
    restore = built.services.versions.restore(built.asker, VersionQuery(version_id=version), RestoreRequest())
    built.engine.change(restore.id, state=State.RUNNING, checkpoint={known: safety})
    query = VersionDeletionQuery(version_id=safety)
    with pytest.raises(Conflict, match=restore.id):
        built.services.versions.delete(built.asker, query)
    built.engine.change(restore.id, state=State.SUCCEEDED)
    undo = built.services.operations.undo(built.asker, restore.id)
    with pytest.raises(Conflict, match=undo.id):
        built.services.versions.delete(built.asker, query)
    built.engine.change(undo.id, state=State.SUCCEEDED)
    assert built.services.versions.delete(built.asker, query).deleted


def test_nobody_is_told_that_a_version_is_held_which_went_meanwhile(
    built: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = built.registered()
    version = built.version(application)
    update = built.repository.notes.update

    def late(*arguments: Any) -> Any:
        built.repository.versions(application).end(version, "somebody", "deleted by request")
        return update(*arguments)

    monkeypatch.setattr(built.repository.notes, "update", late)
    with pytest.raises(NotFound, match="deleted by somebody"):
        built.services.versions.update(built.asker, VersionQuery(version_id=version), VersionChange(hold=True))


def test_an_unknown_version_is_not_found_and_a_wrong_id_is_malformed(built: House) -> None:
    with pytest.raises(NotFound):
        built.services.versions.get(built.asker, VersionQuery(version_id=new_id("ver", NOON)))
    with pytest.raises(Malformed):
        built.services.versions.get(built.asker, VersionQuery(version_id="../../vault/keys/1"))


def test_a_version_that_is_being_deleted_cannot_be_held_any_more(built: House) -> None:
    application = built.registered()
    version = built.version(application)
    notes = built.repository.notes
    notes.update(application, version, lambda note: note.model_copy(update={"ending": True}))
    query = VersionQuery(version_id=version)
    with pytest.raises(Conflict, match="too late to hold"):
        built.services.versions.update(built.asker, query, VersionChange(hold=True))
    assert not notes.get(application, version).hold
    assert built.services.versions.update(built.asker, query, VersionChange(comment="farewell")).comment == "farewell"


def test_deleting_a_version_asks_for_a_sweep(built: House) -> None:
    application = built.registered()
    version = built.version(application)
    built.services.versions.delete(built.asker, VersionDeletionQuery(version_id=version, force=True))
    due = [entry.reason for entry in built.repository.wake.due(built.repository.now())]
    assert due == ["sweep-later"]


def test_a_sweep_can_be_asked_for_by_hand(built: House) -> None:
    application = built.registered()
    started = built.services.sweeping.sweep(built.asker, application, SweepQuery(now=True))
    assert (started.kind, started.requested_by, started.arguments["graceSeconds"]) == ("sweep", "admin", 0)
    with pytest.raises(NotFound):
        built.services.sweeping.sweep(built.asker, new_id("app", NOON), SweepQuery())
