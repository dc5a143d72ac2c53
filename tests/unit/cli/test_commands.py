"""Whole command lines: what is asked, what is said on which stream, and the exit codes."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.cli.exits import Exit
from chalicelib.cli.http import HttpGateway
from chalicelib.cli.session import Session
from tests.unit.cli import fake_service as fake
from tests.unit.cli.conftest import Said
from tests.unit.cli.fake_service import APP, BACKUP, NEW, OLD, PLAN, RESTORE, UNDO, FakeService

Mainstay = Callable[..., Said]


def _sent(service: FakeService, method: str, path: str) -> list[Any]:
    return [body for verb, where, _, body in service.asked if (verb, where) == (method, path)]


# ── making versions ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_backup_says_what_it_made_and_what_comes_next(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("backup", "shop", "--name", "n", "--comment", "c", "--label", "a=b", "--label", "x=")
    assert _sent(service, "POST", "/app/backup") == [
        {"id": APP, "name": "n", "comment": "c", "labels": {"a": "b", "x": ""}}
    ]
    assert said.out == f"Version {NEW} of shop made in 3.2 s.\n  42 objects, 121 KiB, 2.0 KiB new\n"
    assert said.err == f"See it: mainstay show {NEW}\n"
    assert said.code is Exit.OK or said.code == 0


def test_what_took_no_time_by_the_storages_clock_took_less_than_a_second(
    mainstay: Mainstay, service: FakeService
) -> None:
    service.operations[BACKUP]["finishedAt"] = service.operations[BACKUP]["startedAt"]
    assert mainstay("backup", "shop").out.startswith(f"Version {NEW} of shop made in less than a second.\n")


def test_a_backup_waits_and_tells_how_far_it_is(mainstay: Mainstay, service: FakeService) -> None:
    done = service.operations[BACKUP]
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "queued")
    progress = {"done": 3, "total": 9, "bytes": 0, "unit": "kinds"}
    service.later[BACKUP] = [fake.operation(BACKUP, "backup", "running", step="capture", progress=progress), done]
    said = mainstay("backup", "shop")
    assert said.code == 0
    told = [line.rpartition(" · ")[0] for line in said.err.splitlines()[:2]]
    assert told == ["backup · waits in line", "backup · capture · 3/9 kinds"]


def test_without_waiting_it_says_how_to_follow(mainstay: Mainstay, service: FakeService) -> None:
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "queued")
    said = mainstay("backup", "shop", "--no-wait")
    assert said.code == 0
    assert said.out == ""
    assert f"mainstay operation {BACKUP} --wait" in said.err


def test_quiet_prints_the_versions_id_and_nothing_else(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("backup", "shop", "-q")
    assert (said.out, said.err) == (f"{NEW}\n", "")


def test_a_partial_version_has_an_exit_code_of_its_own(mainstay: Mainstay, service: FakeService) -> None:
    gap = {"group": "", "kind": "Secret", "namespace": "shop", "status": 403, "message": "forbidden"}
    away = {"group": "things.example.com", "kind": "*", "namespace": "", "status": 0, "message": "no answer"}
    outcome = {"version": NEW, "objects": 41, "plainBytes": 1, "addedBytes": 1, "gaps": [gap, away]}
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "partial", outcome=outcome)
    said = mainstay("backup", "shop")
    assert said.code == Exit.PARTIAL
    assert "An incomplete version" in said.out
    assert "not read: Secret in shop: forbidden" in said.out
    assert "not read: *.things.example.com: no answer" in said.out


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("damaged", Exit.FAILED), ("cluster-unreachable", Exit.UNREACHABLE), ("conflict", Exit.REFUSED)],
)
def test_a_failed_operation_says_why_even_when_quiet(
    mainstay: Mainstay, service: FakeService, code: str, exit_code: Exit
) -> None:
    error = {"code": code, "message": "Because.", "details": {}, "consequence": "Everything was undone."}
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "failed", error=error)
    said = mainstay("backup", "shop", "-q")
    assert said.code == exit_code
    assert "The backup of shop failed" in said.err
    assert "Because." in said.err
    assert "Everything was undone." in said.err


def test_a_label_is_written_with_an_equals_sign(mainstay: Mainstay) -> None:
    said = mainstay("backup", "shop", "--label", "stage")
    assert said.code == Exit.USAGE
    assert "KEY=VALUE" in said.err


def test_ctrl_c_leaves_the_operation_and_says_how_to_follow_it(
    mainstay: Mainstay, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "running", step="capture")
    monkeypatch.setattr("chalicelib.cli.gateway.Gateway", object)

    def interrupted(_gateway: HttpGateway, _operation: str) -> dict[str, Any]:
        raise KeyboardInterrupt

    # What the signal's handler raises, at the place where the command waits: a real signal in a process of threads
    # can be delivered late.
    monkeypatch.setattr(HttpGateway, "operation", interrupted)
    said = mainstay("backup", "shop")
    assert said.code == Exit.INTERRUPTED
    assert f"{BACKUP} goes on without this terminal." in said.err
    assert f"mainstay operation {BACKUP} --wait" in said.err
    assert f"mainstay cancel {BACKUP}" in said.err
    assert not _sent(service, "DELETE", f"/operation/{BACKUP}")


def test_the_waiting_survives_a_restart_of_the_server(mainstay: Mainstay, service: FakeService) -> None:
    done = service.operations[BACKUP]
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "running", step="capture")
    service.later[BACKUP] = [done]
    service.script["GET", f"/operation/{BACKUP}"] = [(503, fake.problem("storage-unavailable", "Starting."))] * 2
    assert mainstay("backup", "shop").code == 0


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_is_what_the_api_answers(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("versions", "shop", "--all", "--output", "json")
    assert json.loads(said.out) == {"items": service.versions}
    assert said.err == ""
    assert json.loads(mainstay("show", NEW, "-o", "json").out) == fake.detail(service.versions[1])
    assert json.loads(mainstay("plan", "shop", "-o", "json").out) == service.plan
    assert json.loads(mainstay("diff", "shop", "-o", "json").out) == service.comparison
    assert json.loads(mainstay("status", "shop", "-o", "json").out) == service.status
    assert json.loads(mainstay("backup", "shop", "-o", "json").out) == service.operations[BACKUP]


def test_yaml_says_the_same_as_json(mainstay: Mainstay, service: FakeService) -> None:
    assert yaml.safe_load(mainstay("plan", "shop", "--output=yaml").out) == service.plan


def test_shared_options_work_before_and_after_the_command(mainstay: Mainstay) -> None:
    assert mainstay("-o", "json", "versions", "shop").out == mainstay("versions", "shop", "-o", "json").out
    assert mainstay("-o", "yaml", "versions", "shop", "-o", "json").out.startswith("{")


def test_versions_are_bounded_and_say_so(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("versions", "shop", "--limit", "1", "-q")
    assert said.out.split() == [NEW]
    assert "There are more" in mainstay("versions", "shop", "--limit", "1").err
    assert "There are more" not in mainstay("versions", "shop", "--limit", "2").err


def test_versions_that_restores_made_are_shown_to_who_asks_for_all(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("versions", "shop", "-q").out.split() == [NEW, OLD]
    assert mainstay("versions", "shop", "--all", "-q").out.split() == [each["id"] for each in service.versions]
    assert mainstay("show", "01kb3333", "-q").out.split() == [service.versions[0]["id"]]


def test_labels_are_left_to_the_service(mainstay: Mainstay, service: FakeService) -> None:
    mainstay("versions", "shop", "--label", "a=b", "--label", "!draft")
    assert service.asked[-1][2]["label"] == "a=b,!draft"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (NEW, NEW),
        (NEW.upper().replace("VER", "ver"), NEW),
        ("ver-01kb1111", OLD),
        ("01kb1111", OLD),
        ("before-upgrade", NEW),
        ("shop@before-upgrade", NEW),
        ("latest", NEW),
        ("previous", OLD),
        ("shop@previous", OLD),
    ],
)
def test_a_version_can_be_called_in_many_ways(mainstay: Mainstay, typed: str, meant: str) -> None:
    assert json.loads(mainstay("show", typed, "-o", "json").out)["id"] == meant


def test_a_name_that_means_two_versions_is_refused(mainstay: Mainstay, service: FakeService) -> None:
    service.versions[2]["name"] = "before-upgrade"
    said = mainstay("show", "before-upgrade")
    assert said.code == Exit.NOT_FOUND
    assert OLD in said.err
    assert NEW in said.err
    # Both are of one application: to say whose it is would not tell them apart.
    assert "hint: Give the id.\n" in said.err


def test_latest_needs_to_know_whose(mainstay: Mainstay, service: FakeService) -> None:
    service.applications.append(fake.application(fake.OTHER_APP, "blog"))
    said = mainstay("show", "latest")
    assert said.code == Exit.NOT_FOUND
    assert "APP@latest" in said.err
    assert mainstay("show", "latest", "--app", "shop").code == 0


def test_show_also_shows_operations_and_applications(mainstay: Mainstay) -> None:
    assert f"Operation    {RESTORE}" in mainstay("show", RESTORE).out
    assert f"Application  {APP}" in mainstay("show", APP).out


def test_a_misspelt_application_gets_the_nearest_name(mainstay: Mainstay) -> None:
    said = mainstay("backup", "shpo")
    assert said.code == Exit.NOT_FOUND
    assert said.err == "error: There is no application 'shpo'.\nhint: Did you mean 'shop'?\n"


@pytest.mark.parametrize(
    ("args", "from_", "to"),
    [
        (("shop",), NEW, "live"),
        (("shop", "live"), NEW, "live"),
        (("shop", "previous"), OLD, "live"),
        (("shop", "previous", "latest"), OLD, NEW),
        ((OLD,), OLD, "live"),
        ((OLD, "latest"), OLD, NEW),
        (("before-upgrade", "previous"), NEW, OLD),
        (("shop@previous", NEW), OLD, NEW),
    ],
)
def test_diff_compares_what_is_meant(
    mainstay: Mainstay, service: FakeService, args: tuple[str, ...], from_: str, to: str
) -> None:
    assert mainstay("diff", *args).code == 0
    assert service.asked[-1][2] == {"from": from_, "to": to}


def test_scripts_learn_from_the_exit_code_whether_anything_differs(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("diff", "shop", "--exit-code", "-q").code == Exit.DIFFERS
    assert mainstay("plan", "shop", "--exit-code", "-q").code == Exit.DIFFERS
    assert mainstay("plan", "shop").code == Exit.OK
    service.comparison = fake.comparison(changes=[], counts={})
    service.plan = fake.plan(**fake.EMPTY_PLAN)
    assert mainstay("diff", "shop", "--exit-code").code == Exit.OK
    assert mainstay("plan", "shop", "--exit-code").code == Exit.OK


def test_the_newest_good_version_is_neither_partial_nor_made_by_a_restore(
    mainstay: Mainstay, service: FakeService
) -> None:
    service.versions[1]["state"] = "partial"
    mainstay("plan", "shop")
    assert [query["versionId"] for _, path, query, _ in service.asked if path == "/version/restoreVersion"] == [OLD]


def test_what_is_said_about_a_version_can_change(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay(
        "note", "before-upgrade", "--name", "n", "--comment", "", "--hold", "--label", "a=b", "--label", "stage-"
    )
    assert _sent(service, "PUT", "/version/updateVersion") == [
        {"name": "n", "comment": "", "hold": True, "labels": {"a": "b"}}
    ]
    assert "complete held" in said.out
    assert mainstay("note", "before-upgrade").code == Exit.USAGE
    assert mainstay("note", "before-upgrade", "--label", "x").code == Exit.USAGE


def test_forgetting_a_version_asks_first(
    mainstay: Mainstay, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mainstay("forget", "before-upgrade").code == Exit.REFUSED
    service.versions[1]["hold"] = True
    assert f"mainstay note {NEW} --no-hold" in mainstay("forget", "before-upgrade", "--yes").err
    service.versions[1]["hold"] = False
    monkeypatch.setattr("chalicelib.cli.screen.Screen.interactive", True)
    said = mainstay("forget", "before-upgrade", stdin="n\n")
    assert f"Delete {NEW} (before-upgrade) of shop, made 2 h ago? [y/N]" in said.err
    assert not _sent(service, "DELETE", "/version/deleteVersion")
    assert mainstay("forget", "before-upgrade", "--force", "--yes").code == 0
    assert service.asked[-1][2] == {"versionId": NEW, "force": "true"}


# ── putting back ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_asks_for_what_was_wished(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("plan", "shop", "--mode", "merge", "--only", "ConfigMap/*", "--consent", "Namespace")
    wished = {"dryRun": True, "mode": "merge", "only": ["ConfigMap/*"], "consent": ["Namespace"]}
    assert _sent(service, "PUT", "/version/restoreVersion") == [wished]
    assert f"mainstay restore shop --plan {PLAN}" in said.err


def test_a_restore_without_a_terminal_needs_yes(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("restore", "shop")
    assert said.code == Exit.REFUSED
    assert "--yes" in said.err
    assert not _sent(service, "PUT", "/version/restoreVersion")


def test_a_restore_with_yes_starts_at_once(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay(
        "restore", "shop", "latest", "--yes", "--mode", "exact", "--on-failure", "keep", "--safety", "none"
    )
    assert _sent(service, "PUT", "/version/restoreVersion") == [
        {"mode": "exact", "onFailure": "keep", "safety": "none"}
    ]
    assert said.code == 0
    assert said.out == "shop restored in 3.2 s.\n  1 created, 3 updated, 1 deleted\n  read back: 42 as wanted\n"
    assert f"mainstay undo {RESTORE}" in said.err


def test_a_restore_elsewhere_says_where(mainstay: Mainstay, service: FakeService) -> None:
    service.operations[RESTORE]["arguments"] |= {"namespaces": {"shop": "copy"}, "cluster": "cl-2"}
    said = mainstay("restore", "shop", "latest", "--yes", "--namespace", "copy", "--to-cluster", "standby")
    assert said.out.startswith("shop restored (shop → copy on cluster cl-2) in 3.2 s.\n")


def test_after_a_stale_plan_the_same_is_planned_again(mainstay: Mainstay, service: FakeService) -> None:
    asked: dict[str, Any] = {
        "version": NEW,
        "mode": "merge",
        "only": ["ConfigMap/*"],
        "consent": ["Namespace"],
        "shared": True,
        "namespaces": {"shop": "copy"},
        "cluster": "cl-2",
        "storageClasses": {"fast": "standard"},
        "suspend": False,
    }
    stale = {"code": "conflict", "message": "The plan is stale."}
    service.operations[RESTORE] = fake.operation(RESTORE, "restore", "failed", arguments=asked, error=stale)
    line = (
        f"plan shop {NEW} --mode=merge '--only=ConfigMap/*' --consent=Namespace --shared --namespace=shop=copy "
        "--to-cluster=cl-2 --storage-class=fast=standard --no-suspend"
    )
    assert f"See what has changed: mainstay {line}\n" in mainstay("restore", "shop", "--plan", PLAN, "--yes").err
    assert mainstay(*shlex.split(line)).code == 0
    (sent,) = _sent(service, "PUT", "/version/restoreVersion")[1:]
    wished = {name: value for name, value in asked.items() if name != "version"}
    assert sent == {"dryRun": True, **wished}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.cli.screen.Screen.interactive", True)


@pytest.mark.parametrize(
    ("options", "wished"),
    [
        (["--namespace", "copy"], {"namespace": "copy"}),
        (["-n", "a=b", "-n", "c=d"], {"namespaces": {"a": "b", "c": "d"}}),
        (
            ["--to-cluster", "standby", "--storage-class", "fast=slow"],
            {"cluster": "standby", "storageClasses": {"fast": "slow"}},
        ),
        (["-n", "copy", "--no-suspend"], {"namespace": "copy", "suspend": False}),
        (["--suspend"], {"suspend": True}),
    ],
)
def test_a_plan_says_where_to_restore_to(
    mainstay: Mainstay, service: FakeService, options: list[str], wished: dict[str, Any]
) -> None:
    service.plan["destination"] = {"cluster": None, "namespaces": {"shop": "copy"}, "storageClasses": {}}
    said = mainstay("plan", "shop", *options)
    assert said.code == 0
    assert _sent(service, "PUT", "/version/restoreVersion") == [{"dryRun": True, **wished}]
    assert "shop elsewhere to" in said.out
    assert "shop → copy" in said.out


@pytest.mark.parametrize(
    "options", [["-n", "copy", "-n", "a=b"], ["--storage-class", "fast"], ["-n", "a=b", "-n", "a=c"]]
)
def test_a_destination_of_another_form_is_an_error_of_usage(mainstay: Mainstay, options: list[str]) -> None:
    assert mainstay("plan", "shop", *options).code == Exit.USAGE


@pytest.mark.usefixtures("terminal")
def test_a_restore_shows_its_plan_and_does_exactly_that(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("restore", "shop", stdin="y\n")
    assert _sent(service, "PUT", "/version/restoreVersion") == [{"dryRun": True}, {"plan": PLAN}]
    assert "Plan: 1 to create" in said.err
    assert "It deletes 1 object: ConfigMap shop/leftover." in said.err
    assert f"Restore shop to {NEW}? [y/N]" in said.err
    assert said.out.startswith("shop restored")
    assert said.code == 0


def test_a_restore_says_what_it_left_and_why(mainstay: Mainstay, service: FakeService) -> None:
    service.operations[RESTORE]["outcome"]["counts"]["skip"] = 2
    for name, reason in (("data-0", "protected"), ("data-1", "in-use")):
        claim = fake.identity("PersistentVolumeClaim", name)
        service.rows.append(fake.row("skip", claim, "skipped", reason=reason, verified=""))
    said = mainstay("restore", "shop", "--yes")
    assert "  left as it is, 1 protected: PersistentVolumeClaim shop/data-0\n" in said.out
    assert "  left as it is, 1 in use: PersistentVolumeClaim shop/data-1\n" in said.out


def test_what_went_less_well_is_told_at_the_end_and_later(mainstay: Mainstay, service: FakeService) -> None:
    told = "No safety version could be made, so this restore cannot be undone: it is \x1b[2J late."
    service.operations[RESTORE]["outcome"]["warnings"] = [told]
    shown = told.replace("\x1b", "\\x1b")
    assert f"warning: {shown}\n" in mainstay("restore", "shop", "--yes").err
    assert shown in mainstay("operation", RESTORE).out


def test_of_many_warnings_the_number_of_the_others_is_told_and_where_they_are(
    mainstay: Mainstay, service: FakeService
) -> None:
    service.operations[RESTORE]["outcome"]["warnings"] = [f"warning {number} of many" for number in range(23)]
    said = mainstay("restore", "shop", "--yes").err
    assert said.count(" of many\n") == 20
    assert f"warning: And 3 more: mainstay operation {RESTORE}\n" in said
    assert mainstay("operation", RESTORE).out.count(" of many\n") == 23


def test_a_restore_that_changed_nothing_cannot_be_taken_back(mainstay: Mainstay, service: FakeService) -> None:
    service.operations[RESTORE]["outcome"]["counts"] = {"keep": 42}
    said = mainstay("restore", "shop", "--yes")
    assert "nothing changed" in said.out
    assert "mainstay result" in said.err
    assert "mainstay undo" not in said.err


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answer", ["n\n", "\n", "", "yep\n"])
def test_anything_but_yes_does_nothing(mainstay: Mainstay, service: FakeService, answer: str) -> None:
    said = mainstay("restore", "shop", stdin=answer)
    assert _sent(service, "PUT", "/version/restoreVersion") == [{"dryRun": True}]
    assert said.code == Exit.REFUSED
    assert "Nothing was done." in said.err


@pytest.mark.usefixtures("terminal")
def test_a_saved_plan_is_applied_as_it_is(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("restore", "shop", "--plan", PLAN, stdin="y\n").code == 0
    assert _sent(service, "PUT", "/version/restoreVersion") == [{"plan": PLAN}]
    assert mainstay("restore", "shop", "latest", "--plan", PLAN).code == Exit.USAGE


@pytest.mark.usefixtures("terminal")
def test_a_blocked_plan_is_not_even_asked_about(mainstay: Mainstay, service: FakeService) -> None:
    service.plan = fake.plan(blockers=["The namespace shop is being deleted."])
    said = mainstay("restore", "shop", stdin="y\n")
    assert said.code == Exit.REFUSED
    assert "The namespace shop is being deleted." in said.err
    assert len(_sent(service, "PUT", "/version/restoreVersion")) == 1


def test_nobody_is_told_to_apply_a_blocked_plan_or_that_there_is_nothing_to_do(
    mainstay: Mainstay, service: FakeService
) -> None:
    for plan in (fake.plan(), fake.plan(**fake.EMPTY_PLAN)):
        service.plan = {**plan, "blockers": ["The namespace shop is being deleted."]}
        said = mainstay("plan", "shop", "--exit-code")
        assert said.code == Exit.DIFFERS
        assert "Apply exactly this" not in said.err
        assert "Nothing to do" not in said.out


@pytest.mark.usefixtures("terminal")
def test_an_empty_plan_is_not_applied(mainstay: Mainstay, service: FakeService) -> None:
    service.plan = fake.plan(**fake.EMPTY_PLAN)
    said = mainstay("restore", "shop", stdin="y\n")
    assert said.code == 0
    assert "Nothing to do" in said.err
    assert len(_sent(service, "PUT", "/version/restoreVersion")) == 1


def test_a_plan_that_cannot_be_made_is_an_error(mainstay: Mainstay, service: FakeService) -> None:
    error = {"code": "cluster-unreachable", "message": "The API server does not answer.", "details": {}}
    service.operations[PLAN] = fake.operation(PLAN, "plan", "failed", error=error)
    said = mainstay("plan", "shop")
    assert said.code == Exit.UNREACHABLE
    assert said.err.startswith("error: The API server does not answer.\n")


@pytest.mark.parametrize(
    "line",
    [
        ["restore", "shop", "", "--yes"],
        ["restore", "shop", "--plan", "", "--yes"],
        ["restore", "shop", "--namespace", "", "--yes"],
        ["restore", "shop", "--to-cluster", " ", "--yes"],
        ["restore", "", "--yes"],
        ["plan", "shop", ""],
        ["plan", "shop", "-n", ""],
        ["forget", "", "--yes"],
        ["undo", "", "--yes"],
        ["diff", "shop", ""],
    ],
)
def test_a_variable_that_is_not_set_is_not_taken_for_a_word_that_was_left_out(
    mainstay: Mainstay, service: FakeService, line: list[str]
) -> None:
    said = mainstay(*line)
    assert said.code == Exit.USAGE
    assert "Is a variable not set?" in said.err
    assert service.asked == []


def test_undo_takes_an_operation_or_the_newest_restore_of_an_application(
    mainstay: Mainstay, service: FakeService
) -> None:
    assert mainstay("undo", RESTORE, "--yes").code == 0
    assert mainstay("undo", "shop", "--yes").code == 0
    assert len(_sent(service, "POST", f"/operation/{RESTORE}/undo")) == 2
    del service.operations[RESTORE]
    said = mainstay("undo", "shop", "--yes")
    assert said.code == Exit.NOT_FOUND
    assert "nothing to undo" in said.err


@pytest.mark.parametrize(("undone", "code"), [(False, Exit.OK), (True, Exit.NOT_FOUND), (None, Exit.NOT_FOUND)])
def test_undo_takes_back_a_restore_that_failed_and_left_something(
    mainstay: Mainstay, service: FakeService, undone: bool | None, code: Exit
) -> None:
    outcome = {"counts": {"create": 1251}} | ({} if undone is None else {"undone": undone})
    service.operations[RESTORE] = fake.operation(RESTORE, "restore", "failed", outcome=outcome)
    assert mainstay("undo", "shop", "--yes").code == code
    told = mainstay("operation", RESTORE)
    assert "Changed" not in told.out
    said = mainstay("restore", "shop", "--yes")
    assert ("Take back what it left" in said.err) is (undone is False)


def test_what_is_undone_already_is_not_undone_again(mainstay: Mainstay, service: FakeService) -> None:
    undo = service.operations.pop(UNDO)
    undo["arguments"] = {"restore": RESTORE}
    service.operations = {UNDO: undo, **service.operations}
    said = mainstay("undo", "shop", "--yes")
    assert said.code == Exit.NOT_FOUND
    assert f"mainstay undo {UNDO}" in said.err
    assert not _sent(service, "POST", f"/operation/{RESTORE}/undo")


def test_undo_passes_over_restores_that_changed_nothing(mainstay: Mainstay, service: FakeService) -> None:
    idle = "op-01kb4444000000000000000009"
    empty = fake.operation(idle, "restore", outcome={"counts": {"keep": 42, "skip": 1}})
    service.operations = {idle: empty, **service.operations}
    said = mainstay("undo", "shop", "--yes")
    assert f"{idle} changed nothing" in said.err
    assert len(_sent(service, "POST", f"/operation/{RESTORE}/undo")) == 1


def test_a_restore_that_was_undone_is_called_so(mainstay: Mainstay, service: FakeService) -> None:
    service.operations[UNDO]["arguments"] = {"restore": RESTORE}
    assert f"{RESTORE} was undone already, by {UNDO}" in mainstay("undo", RESTORE, "--yes").err


def test_versions_of_one_name_are_listed_newest_first(mainstay: Mainstay, service: FakeService) -> None:
    for each in service.versions[1:]:
        each["name"] = "v2"
    said = mainstay("plan", "shop", "v2")
    assert said.code == Exit.NOT_FOUND
    assert 0 < said.err.index(NEW) < said.err.index(OLD)
    assert "hint: Give the id." in said.err


@pytest.mark.usefixtures("terminal")
def test_undo_says_what_it_takes_back_before_it_does(mainstay: Mainstay) -> None:
    said = mainstay("undo", "shop", stdin="n\n")
    assert "Undo the restore of shop of 1 h ago (1 created, 3 updated, 1 deleted)? [y/N]" in said.err
    assert said.code == Exit.REFUSED
    assert mainstay("undo", "shop", stdin="y\n").code == 0


# ── operations ───────────────────────────────────────────────────────────────────────────────────────────────


def test_following_an_operation_ends_with_its_exit_code(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("operation", RESTORE, "--wait").code == 0
    service.operations[UNDO] = fake.operation(UNDO, "undo", "running", step="apply")
    service.later[UNDO] = [service.operations[UNDO], fake.operation(UNDO, "undo", "partial")]
    assert mainstay("operation", UNDO, "--wait").code == Exit.PARTIAL


def test_an_operation_can_be_called_by_its_beginning(mainstay: Mainstay) -> None:
    assert mainstay("operation", RESTORE[:-1]).code == Exit.NOT_FOUND
    assert mainstay("operation", "op-nothing").code == Exit.NOT_FOUND
    assert mainstay("operation", RESTORE).code == 0


def test_only_what_went_wrong_can_be_asked_for(mainstay: Mainstay) -> None:
    assert mainstay("result", RESTORE, "--failed", "-q").out == "failed ConfigMap shop/leftover\n"
    assert len(json.loads(mainstay("result", RESTORE, "-o", "json").out)["items"]) == 2


def test_cancel_says_what_became_of_it(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("cancel", BACKUP)
    assert said.code == 0
    assert "is cancelled" in said.err
    service.script["DELETE", f"/operation/{BACKUP}"] = [(409, fake.problem("conflict", "It is being sealed."))]
    said = mainstay("cancel", BACKUP)
    assert said.code == Exit.REFUSED
    assert "It is being sealed." in said.err


# ── applications and documents ───────────────────────────────────────────────────────────────────────────────


def test_a_document_is_registered_under_its_own_name(
    mainstay: Mainstay, service: FakeService, tmp_path: Path
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(fake.DOCUMENT)
    said = mainstay("app", "add", str(file))
    assert _sent(service, "POST", "/app") == [{"document": fake.DOCUMENT, "name": "shop"}]
    assert "Next: mainstay backup shop" in said.err
    mainstay("app", "add", str(file), "--name", "other", "--description", "d")
    assert _sent(service, "POST", "/app")[1] == {"document": fake.DOCUMENT, "name": "other", "description": "d"}


def test_a_document_can_come_by_stdin(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("app", "add", "-", stdin=fake.DOCUMENT).code == 0
    assert _sent(service, "POST", "/app")[0]["document"] == fake.DOCUMENT


def test_a_wrong_document_is_never_sent(mainstay: Mainstay, service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(fake.DOCUMENT.replace("objects", "objcts"))
    said = mainstay("app", "add", str(file))
    assert said.code == Exit.FAILED
    assert said.err.startswith(f"error: {file} cannot be used.\n  line 5, column 3: ")
    assert f"mainstay check {file}" in said.err
    assert not _sent(service, "POST", "/app")


def test_an_application_can_be_registered_from_a_namespace(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("app", "add", "-n", "shop").code == 0
    assert _sent(service, "POST", "/app") == [{"namespace": "shop", "name": "shop"}]
    assert mainstay("app", "add").code == Exit.USAGE


def test_only_what_is_given_changes(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("app", "update", "shop", "--inactive").code == 0
    assert _sent(service, "PUT", f"/app/{APP}") == [{"status": "inactive"}]
    assert mainstay("app", "update", "shop").code == Exit.USAGE


def test_what_an_application_shares_with_others_is_warned_of_when_it_is_registered_and_changed(
    mainstay: Mainstay, service: FakeService, tmp_path: Path
) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(fake.DOCUMENT)
    shares = "It shares the namespace shop with the application lab: restoring one may change the other."
    renamed = "The document calls it shop; here it goes by the name other."
    answer = (200, fake.application(name="other", warnings=[shares, renamed]))
    for method, path, line in (
        ("POST", "/app", ("app", "add", str(file), "--name", "other")),
        ("PUT", f"/app/{APP}", ("app", "update", "shop", "--file", str(file))),
    ):
        service.script[method, path] += [answer, answer, answer]
        said = mainstay(*line)
        assert said.code == 0
        assert [text for text in said.err.splitlines() if text.startswith("warning: ")] == [
            f"warning: {shares}",
            f"warning: {renamed}",
        ]
        assert shares not in said.out
        # Who reads JSON has them there, and on stderr; who wants no words gets none.
        as_json = mainstay(*line, "-o", "json")
        assert json.loads(as_json.out)["warnings"] == [shares, renamed]
        assert shares in as_json.err
        assert mainstay(*line, "-q").err == ""


def test_deleting_an_application_asks_and_counts_what_is_lost(
    mainstay: Mainstay, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mainstay("app", "delete", "shop").code == Exit.REFUSED
    monkeypatch.setattr("chalicelib.cli.screen.Screen.interactive", True)
    said = mainstay("app", "delete", "shop", stdin="n\n")
    assert "Delete shop and its 3 versions? [y/N]" in said.err
    assert not _sent(service, "DELETE", f"/app/{APP}")
    assert mainstay("app", "delete", "shop", "--yes").code == 0


def test_the_document_can_be_taken_out_and_put_in_again(mainstay: Mainstay) -> None:
    assert mainstay("app", "show", "shop", "--document").out == fake.DOCUMENT


def test_init_refuses_to_overwrite(mainstay: Mainstay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mainstay("init", "-n", "shop").code == 0
    assert (tmp_path / "shop.yaml").read_text() == fake.DOCUMENT
    said = mainstay("init", "-n", "shop")
    assert said.code == Exit.REFUSED
    assert "--force" in said.err
    assert mainstay("init", "-n", "shop", "--force").code == 0


def test_init_can_write_to_stdout(mainstay: Mainstay) -> None:
    said = mainstay("init", "-n", "shop", "-o", "-")
    assert (said.out, said.err) == (fake.DOCUMENT, "")


def test_check_needs_no_server(mainstay: Mainstay, service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(fake.DOCUMENT)
    assert mainstay("check", str(file)).out == f"{file} is fine.\n"
    file.write_text(fake.DOCUMENT.replace("objects", "objcts"))
    said = mainstay("check", str(file))
    assert said.code == Exit.FAILED
    assert "    6 |     objcts:\n      |     ^^^^^^\n" in said.out
    answer = json.loads(mainstay("check", str(file), "-o", "json").out)
    assert answer["valid"] is False
    assert answer["problems"][-1]["line"] == 6
    assert service.asked == []


def test_a_document_that_is_too_long_is_not_shown(mainstay: Mainstay, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"x" * (2 * 1024 * 1024))
    said = mainstay("check", str(file))
    assert "KiB is the most" in said.out
    assert len(said.out) < 500


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * (3 * 1024 * 1024)])
def test_what_is_no_document_is_refused_in_a_sentence(mainstay: Mainstay, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    said = mainstay("check", str(file))
    assert said.code == Exit.FAILED
    assert said.err.startswith("error: ")
    assert mainstay("check", str(tmp_path)).code == Exit.USAGE


# ── errors, help, surroundings ───────────────────────────────────────────────────────────────────────────────


def test_errors_are_json_where_json_is_asked_for(mainstay: Mainstay) -> None:
    for args in (("app", "show", "nope", "-o", "json"), ("--output", "json", "app", "show", "nope")):
        said = mainstay(*args)
        assert said.out == ""
        assert json.loads(said.err)["error"]["code"] == "not-found"
    assert json.loads(mainstay("backup", "--nonsense", "--output=json").err)["error"]["code"] == "usage"


def test_the_requests_id_is_told_for_reports(mainstay: Mainstay, service: FakeService) -> None:
    service.script["GET", "/app"] = [(500, fake.problem("internal", "Something went wrong."))]
    assert "request: req-1" in mainstay("app", "list").err


def test_every_problem_of_a_refused_document_is_listed(mainstay: Mainstay, service: FakeService) -> None:
    problems = [{"path": "spec.cluster", "message": "no such cluster", "line": 5, "column": 3, "hint": "it is `dev`"}]
    service.script["PUT", f"/app/{APP}"] = [(422, fake.problem("invalid", "It cannot be used.", problems=problems))]
    said = mainstay("app", "update", "shop", "--description", "x")
    assert said.code == Exit.FAILED
    assert "  line 5, column 3: spec.cluster: no such cluster (it is `dev`)" in said.err


def test_a_wrong_token_says_where_tokens_come_from(mainstay: Mainstay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAY_TOKEN", "wrong")
    said = mainstay("app", "list")
    assert said.code == Exit.REFUSED
    assert "MAINSTAY_TOKEN" in said.err
    assert "wrong" not in said.err


def test_a_token_that_travels_in_clear_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAY_TOKEN", fake.TOKEN)
    for url, warned in (
        ("http://mainstay.invalid", True),
        ("https://mainstay.invalid", False),
        ("http://[::1]:1", False),
    ):
        err = io.StringIO()
        assert Session(url=url, err=err).gateway is not None
        assert ("unencrypted" in err.getvalue()) is warned
        assert fake.TOKEN not in err.getvalue()


def test_help_speaks_in_the_name_it_was_called_by(mainstay: Mainstay) -> None:
    from chalicelib.cli.main import program_name

    assert program_name("/usr/local/bin/kubectl-mainstay") == "kubectl mainstay"
    assert program_name("/usr/local/bin/mainstay") == "mainstay"
    import contextlib

    with contextlib.redirect_stdout(io.StringIO()) as out:
        mainstay("restore", "--help", program="kubectl mainstay")
    assert "Usage: kubectl mainstay restore" in out.getvalue()
    assert "  kubectl mainstay restore shop before-upgrade" in out.getvalue()
    assert "`kubectl mainstay undo`" in out.getvalue()
    with contextlib.redirect_stdout(io.StringIO()) as out:
        mainstay("--help", program="kubectl mainstay")
    assert "(kubectl mainstay serve)" in out.getvalue()
    assert "{program}" not in out.getvalue()
    assert "kubectl mainstay app list" in mainstay("app", "show", "x-y", program="kubectl mainstay").err


@pytest.mark.parametrize("program", ["mainstay", "kubectl mainstay"])
def test_every_command_explains_itself_within_eighty_columns(
    mainstay: Mainstay, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    from chalicelib.cli.main import cli

    monkeypatch.setenv("COLUMNS", "80")

    def walk(group: Any, names: tuple[str, ...]) -> list[tuple[str, ...]]:
        found = []
        for name, command in group.commands.items():
            assert command.examples, f"{name} has no example"
            assert command.then, f"{name} does not say what happens"
            assert command.short_help.endswith(".")
            assert all(purpose.strip(" …") for purpose, _ in command.examples)
            found += [(*names, name), *(walk(command, (*names, name)) if hasattr(command, "commands") else [])]
        return found

    for names in walk(cli, ()):
        assert mainstay(*names, "--help", program=program).code == 0
        text = capsys.readouterr().out
        assert "Examples:" in text
        assert "{program}" not in text
        assert [line for line in text.splitlines() if len(line) > 80] == []


def test_help_keeps_the_paragraphs_of_a_long_explanation_and_breaks_no_option(
    mainstay: Mainstay, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    mainstay("cluster", "add", "--help")
    explained = capsys.readouterr().out.partition("Options:")[0]
    assert "\n\n  Two names for one cluster are refused" in explained
    assert "\n\n  Registered once more" in explained
    assert "(--same-as)" in explained


def test_the_exit_codes_are_in_the_help(mainstay: Mainstay, capsys: pytest.CaptureFixture[str]) -> None:
    mainstay("--help")
    text = capsys.readouterr().out
    for code in Exit:
        assert f"  {int(code):3}  " in text


def test_no_command_at_all_shows_the_help(mainstay: Mainstay) -> None:
    said = mainstay()
    assert said.code == Exit.USAGE
    assert said.err.startswith("Usage: mainstay")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(mainstay: Mainstay, shell: str) -> None:
    assert f"_MAINSTAY_COMPLETE={shell}_complete" in mainstay("completion", shell).out


def test_settings_are_shown_without_secrets(mainstay: Mainstay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAY_PASSPHRASE", "correct horse")
    said = mainstay("settings")
    assert said.code == 0
    assert "correct horse" not in said.out
    assert fake.TOKEN not in said.out
    assert json.loads(mainstay("settings", "-o", "json").out)["MAINSTAY_LISTEN"] == "127.0.0.1:8700"


def test_settings_say_whose_token_it_is(mainstay: Mainstay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def told() -> str:
        return str(json.loads(mainstay("settings", "-o", "json").out)["MAINSTAY_TOKEN"])

    assert told() == "set"
    monkeypatch.delenv("MAINSTAY_TOKEN")
    assert told() == "not set"
    file = tmp_path / "data" / "token"
    file.parent.mkdir(exist_ok=True)
    file.write_text("the-runners-own")
    assert told() == f"from {file}"


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("Versions are held: release them, or keep the versions (`keepVersions=true`).", "(`--keep-versions`)"),
        ("It is the last good version. Make a new one first, or say `force=true`.", "say `--force`"),
        ("It is held. Let it go first (`hold: false`).", "(`--no-hold`)"),
    ],
)
def test_the_option_is_named_and_not_the_apis_parameter(
    mainstay: Mainstay, service: FakeService, message: str, named: str
) -> None:
    service.script["DELETE", f"/app/{APP}"] = [(409, fake.problem("conflict", message))]
    assert named in mainstay("app", "delete", "shop", "--yes").err


def test_a_sentence_and_its_problem_are_told_once(mainstay: Mainstay, service: FakeService) -> None:
    problems = [{"path": "namespace", "message": "there is no namespace x"}]
    answer = fake.problem("invalid", "There is no namespace x on this cluster.", problems=problems)
    service.script["POST", "/document/draft"] = [(422, answer)]
    said = mainstay("init", "-n", "x", "-o", "-")
    assert said.err.casefold().count("there is no namespace x") == 1


def test_a_name_that_is_taken_leads_on(
    mainstay: Mainstay, service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    file = tmp_path / "shop.yaml"
    file.write_text(fake.DOCUMENT)
    answer = fake.problem("conflict", "There is an application called 'shop' already.", name="shop")
    service.script["POST", "/app"] = [(409, answer)]
    said = mainstay("app", "add", str(file))
    assert said.code == Exit.REFUSED
    assert f"mainstay app update shop --file {file}" in said.err
    assert "--name NAME" in said.err


def test_without_a_cluster_it_is_said_how_one_comes(mainstay: Mainstay, service: FakeService) -> None:
    service.script["GET", "/kubernetes/clusters"] = [(200, {"items": [], "next": None})]
    said = mainstay("clusters")
    assert (said.code, said.out) == (0, "No cluster is known.\n")
    assert "mainstay cluster add NAME --kubeconfig FILE\n" in said.err


def test_a_cluster_that_does_not_answer_has_its_exit_code(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("clusters").code == 0
    assert mainstay("clusters", "dev").code == 0
    service.cluster.update(reachable=False, message="connection refused")
    said = mainstay("clusters", "dev")
    assert said.code == Exit.UNREACHABLE
    assert "connection refused" in said.out


def test_a_cluster_is_registered_by_a_kubeconfig_or_at_aws(
    mainstay: Mainstay, service: FakeService, tmp_path: Path
) -> None:
    def sent() -> Any:
        return [asked for asked in service.asked if asked[0] == "PUT"][-1][3]

    file = tmp_path / "kubeconfig"
    file.write_text("kind: Config\n")
    assert mainstay("cluster", "add", "dev", "--kubeconfig", str(file), "--context", "kind").code == 0
    assert sent() == {"name": "dev", "kubeconfig": "kind: Config\n", "context": "kind"}
    said = mainstay("cluster", "add", "prod", "--eks", "shop", "--region", "eu-central-1", "--connections", "4")
    assert (said.code, "eks" in said.out) == (0, True)
    assert sent() == {
        "name": "prod",
        "eks": {"name": "shop", "region": "eu-central-1"},
        "connections": 4,
    }
    through = ("--proxy", "http://proxy:3128", "--same-as", "dev")
    assert mainstay("cluster", "add", "prod", "--eks", "shop", "--region", "eu-central-1", *through).code == 0
    assert sent()["eks"]["proxy"] == "http://proxy:3128"
    assert sent()["sameAs"] == "dev"
    # Nothing is said, and said to be nothing: the service tells these apart.
    assert mainstay("cluster", "add", "prod", "--eks", "shop", "--region", "eu-central-1", "--proxy", "").code == 0
    assert sent()["eks"]["proxy"] == ""
    assert mainstay("cluster", "add", "prod", "--moved").code == 0
    assert sent() == {"name": "prod", "moved": True}


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--eks", "shop"],
        ["--region", "x"],
        ["--kubeconfig", "-", "--eks", "e", "--region", "r"],
        ["--kubeconfig", "-", "--proxy", "http://proxy:3128"],
    ],
)
def test_a_cluster_without_a_way_to_it_is_a_wrong_command_line(
    mainstay: Mainstay, service: FakeService, options: list[str]
) -> None:
    assert mainstay("cluster", "add", "dev", *options).code == Exit.USAGE
    assert not [asked for asked in service.asked if asked[0] == "PUT"]


def test_a_cluster_is_forgotten_when_that_was_agreed_to(mainstay: Mainstay, service: FakeService) -> None:
    assert mainstay("cluster", "remove", "dev").code != 0
    assert not [asked for asked in service.asked if asked[0] == "DELETE"]
    assert mainstay("cluster", "remove", "dev", "--yes").code == 0
    assert service.asked[-1][:2] == ("DELETE", "/kubernetes/clusters/dev")
