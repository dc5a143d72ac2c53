"""The loader: what is right becomes a document, what is wrong is told with its place and its remedy."""

# ruff: noqa: E501  (a table of texts and what is said of them: one case, one line)
from __future__ import annotations

from datetime import time, timedelta

import pytest

from chalicelib.domain.document import Document
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.patterns import KindPattern
from chalicelib.language.loader import load, read
from tests.unit.language.samples import EVERYTHING, JSON, LEAST, RIGHT_PARTS, with_scopes, with_spec


def problems(text: str | bytes) -> list[Problem]:
    with pytest.raises(Invalid) as caught:
        load(text)
    assert caught.value.problems
    return list(caught.value.problems)


def only_problem(text: str | bytes) -> Problem:
    found = problems(text)
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_the_least_document_has_the_documented_defaults() -> None:
    document = load(LEAST)
    assert document.name == "shop"
    state, restore = document.spec.state, document.spec.restore
    assert state.namespaces == ("shop",)
    assert (state.closure, state.images, state.dumps, state.volumes) == ("none", "none", (), ())
    assert document.spec.backup is None
    assert document.spec.drill is None
    assert document.spec.cluster is None
    assert (restore.mode, restore.safety, restore.on_failure) == ("exact", "bestEffort", "rollback")
    assert [str(kind) for kind in restore.protect] == [
        "PersistentVolumeClaim",
        "PersistentVolume",
        "Namespace",
        "CustomResourceDefinition",
    ]
    assert restore.health.timeout == timedelta(minutes=5)


def test_the_full_sample_of_the_design_is_read_in_full() -> None:
    spec = load(EVERYTHING).spec
    assert spec.cluster == "production"
    assert spec.state.objects[0].exclude.kinds == (KindPattern("Event"),)
    assert str(spec.state.objects[1].labels) == "app.kubernetes.io/part-of=shop"
    assert spec.state.dumps[0].capture == ("pg_dump", "-Fc", "-U", "shop", "shop")
    assert spec.state.hooks.after[0].on_error == "continue"
    assert spec.backup is not None
    assert spec.backup.every == timedelta(hours=1)
    assert spec.backup.quota == 20 * 1024**3
    assert spec.backup.alert is not None
    assert spec.backup.alert.no_good_version_for == timedelta(hours=2)
    assert spec.restore.rewrite[0].merge_patch == {"spec": {"ingressClassName": "inner", "tls": None}}
    assert spec.restore.health.checks[0].command[-1] == "localhost:8080/ready"
    assert spec.drill is not None
    assert spec.drill.rewrite[0].json_patch is not None


def test_json_is_accepted_also_when_it_is_indented_with_tabs() -> None:
    assert load(JSON).spec.state.objects[0].names == ("a-😀",)


def test_bytes_are_read_as_utf8_and_a_byte_order_mark_is_forgiven() -> None:
    assert load(b"\xef\xbb\xbf" + LEAST.encode()) == load(LEAST)


def test_line_ends_of_windows_are_forgiven() -> None:
    assert load(LEAST.replace("\n", "\r\n")) == load(LEAST)


@pytest.mark.parametrize("part", RIGHT_PARTS.values(), ids=RIGHT_PARTS.keys())
def test_every_right_part_is_accepted(part: str) -> None:
    assert load(with_spec(part)).name == "shop"


@pytest.mark.parametrize("text", [EVERYTHING, LEAST, *map(with_spec, RIGHT_PARTS.values())])
def test_a_document_survives_being_written_as_json(text: str) -> None:
    document = load(text)
    shown = document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert Document.model_validate(shown, by_alias=True, by_name=False) == document


def test_a_window_over_midnight_holds_the_night() -> None:
    backup = load(with_spec("backup: {every: 1h, window: 22:00-06:00}")).spec.backup
    assert backup is not None
    assert backup.window is not None
    assert backup.window.holds(time(23, 30))
    assert backup.window.holds(time(5, 59))
    assert not backup.window.holds(time(6, 0))


def test_positions_tell_where_fields_and_entries_stand() -> None:
    positions = read(LEAST).positions
    assert positions["spec.state.objects"] == (6, 5)
    assert positions["spec.state.objects[0]"] == (7, 9)
    assert positions["spec.state.objects[0].namespaces"] == (7, 9)
    assert positions["metadata.name"] == (3, 12)


# The text, then of its only problem: path, line, column, words of the sentence and of the hint.
WRONG = [
    # unknown fields
    (LEAST.replace("namespaces", "namespace"), "spec.state.objects[0].namespace", 7, 9, "no field", "`namespaces`?"),
    (with_spec("backups: {}"), "spec.backups", 8, 3, "no field `backups`", "did you mean `backup`?"),
    (with_spec("restore: {onfailure: keep}"), "spec.restore.onfailure", 8, 13, "no field", "`onFailure`?"),
    (with_spec("restore: {on_failure: keep}"), "spec.restore.on_failure", 8, 13, "no field", "`onFailure`?"),
    (with_spec("dumps: []"), "spec.dumps", 8, 3, "no field", "belongs under `spec.state`"),
    (with_spec("zzz: 1"), "spec.zzz", 8, 3, "no field", "known here: cluster, state"),
    # missing fields
    (LEAST.replace("apiVersion: mainstay.dev/v1\n", ""), "apiVersion", 1, 1, "missing", "add `apiVersion: mainstay.dev/v1`"),
    (LEAST.replace("{name: shop}", "{}"), "metadata.name", 3, 1, "`name` is missing", None),
    (with_spec("restore: {rewrite: [{mergePatch: {a: 1}}]}"), "spec.restore.rewrite[0].match", 8, 23, "missing", None),
    # another kind of document
    (LEAST.replace("kind: Application", "kind: Deployment"), "kind", 2, 7, "not `Deployment`", None),
    (LEAST.replace("dev/v1", "dev/v2"), "apiVersion", 1, 13, "not `mainstay.dev/v2`", "`mainstay.dev/v1`?"),
    # wrong types
    (LEAST.replace("[shop]", "shop"), "spec.state.objects[0].namespaces", 7, 21, "A list is needed", "write [shop]"),
    (LEAST.replace("[shop]", "{shop: 1}"), "spec.state.objects[0].namespaces", 7, 21, "not a mapping", "- `"),
    (LEAST.replace("[shop]", "[12]"), "spec.state.objects[0].namespaces[0]", 7, 22, "not the number 12", '"12"'),
    (LEAST.replace("[shop]", "[true]"), "spec.state.objects[0].namespaces[0]", 7, 22, "not `true`", '"true"'),
    (LEAST.replace("{name: shop}", "shop"), "metadata", 3, 11, "A mapping", None),
    (with_spec("backup: {keep: {last: '5'}}"), "spec.backup.keep.last", 8, 25, "A whole number", "write 5 without"),
    (with_spec("backup: {keep: {last: 1.5}}"), "spec.backup.keep.last", 8, 25, "A whole number", None),
    (with_spec("backup: {keep: {last: 012}}"), "spec.backup.keep.last", 8, 25, "not the text `012`", None),
    (with_spec("backup: {keep: {last: -1}}"), "spec.backup.keep.last", 8, 25, "at least 0", None),
    (with_spec("backup: {keep: {last: 1000000}}"), "spec.backup.keep.last", 8, 25, "at most 100000", None),
    (with_spec("backup: {keep: {last: 1, lastGood: yes}}"), "spec.backup.keep.lastGood", 8, 38, "`true` or", "write true"),
    (with_spec("backup: {every: 30}"), "spec.backup.every", 8, 19, "A duration", "such as `30s`"),
    (with_spec("backup: {quota: 20}"), "spec.backup.quota", 8, 19, "A size", "such as `20Gi`"),
    # empty fields
    (with_spec("restore:"), "spec.restore", 8, 3, "is empty", "remove it"),
    (with_spec("cluster: ~"), "spec.cluster", 8, 3, "is empty", "remove it"),
    (with_scopes("{namespaces: [a], labels: }"), "spec.state.objects[1].labels", 8, 27, "is empty", "remove it"),
    # enumerations
    (with_spec("restore: {mode: exactly}"), "spec.restore.mode", 8, 19, "`merge`", "did you mean `exact`?"),
    (with_spec("restore: {safety: on}"), "spec.restore.safety", 8, 21, "not the text `on`", None),
    # values
    (LEAST.replace("name: shop", "name: Shop"), "metadata.name", 3, 18, "cannot be a name here", None),
    (LEAST.replace("[shop]", '["shop-*"]'), "spec.state.objects[0].namespaces[0]", 7, 22, "exact names in this release", None),
    (with_spec("backup: {every: PT1H}"), "spec.backup.every", 8, 19, "`PT1H` is not a duration", None),
    (with_spec("backup: {every: 30s}"), "spec.backup.every", 8, 19, "Once a minute is the most often", None),
    (with_spec("backup: {every: 0s}"), "spec.backup.every", 8, 19, "longer than nothing", None),
    (with_spec("backup: {every: 9999w}"), "spec.backup.every", 8, 19, "ten years", None),
    (with_spec("backup: {quota: 20GB}"), "spec.backup.quota", 8, 19, "`20GB` is not a size", None),
    (with_spec('backup: {cron: "0 3 * *"}'), "spec.backup.cron", 8, 18, "five fields", None),
    (with_spec('backup: {cron: "0 25 * * *"}'), "spec.backup.cron", 8, 18, "field for the hour", None),
    (with_spec('backup: {cron: "0 3 * * *", timezone: europe/berlin}'), "spec.backup.timezone", 8, 41, "`Europe/Berlin`?", None),
    (with_spec('backup: {cron: "0 3 * * *", timezone: ../UTC}'), "spec.backup.timezone", 8, 41, "IANA", None),
    (with_spec("backup: {every: 1h, window: 6-22}"), "spec.backup.window", 8, 31, "not a window", None),
    (with_spec("backup: {every: 1h, window: 06:00-06:00}"), "spec.backup.window", 8, 31, "starts when it ends", None),
    (with_spec("backup: {notify: [{webhook: ftp://x}]}"), "spec.backup.notify[0].webhook", 8, 31, "not a web address", None),
    (with_spec("backup: {notify: [{webhook: 'https://u:p@x'}]}"), "spec.backup.notify[0].webhook", 8, 31, "user or password", None),
    (with_scopes("kinds: [deployments]"), "spec.state.objects[1].kinds[0]", 8, 17, "`deployments.apps`", None),
    (with_scopes("kinds: [Ab.C_D]"), "spec.state.objects[1].kinds[0]", 8, 17, "API group", None),
    (with_scopes("{namespaces: [a], names: [a/b]}"), "spec.state.objects[1].names[0]", 8, 35, "name of an object", None),
    (with_scopes("{namespaces: [a], labels: 'a in (b'}"), "spec.state.objects[1].labels", 8, 35, "the text ends", None),
    (with_scopes("{namespaces: [a], labels: {a: b}}"), "spec.state.objects[1].labels", 8, 35, "selector in text", 'write "a=b"'),
    # rules between fields
    (LEAST.replace("namespaces: [shop]", "labels: a"), "spec.state.objects[0]", 7, 9, "selects nothing", None),
    (LEAST.replace("- namespaces: [shop]", "[]"), "spec.state.objects", 7, 7, "at least one entry", None),
    (with_scopes("{namespaces: [a], kinds: [Secret, ClusterRole]}"), "spec.state.objects[1].kinds[1]", 8, 43, "not in any namespace", "scope of their own"),
    (with_scopes("kinds: [Secret]"), "spec.state.objects[1].kinds[0]", 8, 17, "live in namespaces", "say which"),
    (with_scopes("namespaces: [a, a]"), "spec.state.objects[1].namespaces[1]", 8, 25, "`a` is there twice", None),
    (with_spec("backup: {every: 1h, cron: '0 3 * * *'}"), "spec.backup.cron", 8, 29, "exclude each other", None),
    (with_spec("backup: {jitter: 1m}"), "spec.backup.jitter", 8, 20, "has no effect", None),
    (with_spec("backup: {every: 1h, timezone: UTC}"), "spec.backup.timezone", 8, 33, "has no effect", None),
    (with_spec("backup: {every: 1h, jitter: 1h}"), "spec.backup.jitter", 8, 31, "must be shorter", None),
    (with_spec("backup: {keep: {lastGood: true}}"), "spec.backup.keep", 8, 18, "keep nothing", None),
    (with_spec("restore: {safety: none, onFailure: rollback}"), "spec.restore.onFailure", 8, 38, "needs a safety version", None),
    (with_spec("restore: {health: {checks: [{pod: {}, command: [id]}]}}"), "spec.restore.health.checks[0].pod", 8, 37, "either `labels` or `name`", None),
    (with_spec("restore: {health: {checks: [{pod: {name: a, namespace: b}, command: [id]}]}}"), "spec.restore.health.checks[0].pod.namespace", 8, 58, "only in the application's own pods", None),
    (with_spec("restore: {health: {checks: [{pod: {name: a}, command: []}]}}"), "spec.restore.health.checks[0].command", 8, 57, "at least one entry", None),
    (with_spec("restore: {health: {checks: [{pod: {name: a}, command: id}]}}"), "spec.restore.health.checks[0].command", 8, 57, "A list", "write [id]"),
    (with_spec("restore: {health: {checks: [{pod: {name: a}, command: [sleep, 5]}]}}"), "spec.restore.health.checks[0].command[1]", 8, 65, "not the number 5", '"5"'),
    (with_spec("restore: {rewrite: [{match: {kind: A}}]}"), "spec.restore.rewrite[0]", 8, 23, "exactly one of", None),
    (with_spec("restore: {rewrite: [{match: {}, mergePatch: {a: 1}}]}"), "spec.restore.rewrite[0].match", 8, 31, "at least one of", None),
    (with_spec("restore: {rewrite: [{match: {kind: A}, mergePatch: {kind: B}}]}"), "spec.restore.rewrite[0].mergePatch.kind", 8, 61, "cannot change the `kind`", None),
    (with_spec("restore: {rewrite: [{match: {kind: A}, jsonPatch: [{op: remove, path: /kind}]}]}"), "spec.restore.rewrite[0].jsonPatch[0].path", 8, 73, "cannot change the `kind`", None),
    (with_spec("restore: {rewrite: [{match: {kind: A}, jsonPatch: [{op: add, path: /a}]}]}"), "spec.restore.rewrite[0].jsonPatch[0]", 8, 54, "`add` needs `value`", None),
    (with_spec("restore: {rewrite: [{match: {kind: A}, jsonPatch: [{op: move, path: /a}]}]}"), "spec.restore.rewrite[0].jsonPatch[0]", 8, 54, "`move` needs `from`", None),
    (with_spec("restore: {rewrite: [{match: {kind: A}, jsonPatch: [{op: remove, path: /a, value: 1}]}]}"), "spec.restore.rewrite[0].jsonPatch[0].value", 8, 84, "takes no `value`", None),
    (with_spec("restore: {rewrite: [{match: {kind: A}, jsonPatch: [{op: remove, path: a}]}]}"), "spec.restore.rewrite[0].jsonPatch[0].path", 8, 73, "JSON Pointer", None),
    (with_spec("restore: {order: [{before: {kind: A, name: a}, ready: {kind: A, name: a}}]}"), "spec.restore.order[0].ready", 8, 57, "cannot wait for itself", None),
    (with_spec("drill: {namespace: x}"), "spec.drill", 8, 10, "needs a schedule", None),
    (with_spec("drill: {every: 1w, namespace: shop}"), "spec.drill.namespace", 8, 33, "cannot be one of the application's own", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "line", "column", "words", "hint"), WRONG, ids=[f"{case[1]}: {case[4]}" for case in WRONG]
)
def test_what_is_wrong_is_told_with_its_place_and_its_remedy(
    text: str, path: str, line: int, column: int, words: str, hint: str | None
) -> None:
    problem = only_problem(text)
    assert (problem.path, problem.line, problem.column) == (path, line, column), str(problem)
    assert words in problem.message
    assert problem.message.endswith((".", "?"))
    if hint is None:
        assert problem.hint is None or "known here" not in problem.hint
    else:
        assert hint in (problem.hint or "")


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_text() -> None:
    text = EVERYTHING.replace("every: 1h", "evry: 1h").replace("20Gi", "lots").replace("mode: exact", "mode: all")
    text = text.replace("metadata: {name: shop}", "metadata: {name: shop, name: shop2}")
    found = problems(text)
    assert [problem.path for problem in found] == [
        "metadata.name",
        "spec.backup.evry",
        "spec.backup.quota",
        "spec.restore.mode",
    ]
    assert [problem.line for problem in found] == sorted(problem.line or 0 for problem in found)


def test_names_of_dumps_are_unique() -> None:
    dump = "{name: a, pod: {name: db}, capture: [x], load: [y]}"
    problem = only_problem(LEAST + f"    dumps: [{dump}, {dump}]\n")
    assert (problem.path, problem.line) == ("spec.state.dumps[1].name", 8)


def test_commands_need_a_namespace_in_which_their_pod_can_be() -> None:
    text = LEAST.replace("namespaces: [shop]", "kinds: [ClusterRole]")
    problem = only_problem(text + "  restore: {health: {checks: [{pod: {name: a}, command: [id]}]}}\n")
    assert problem.path == "spec.restore.health.checks[0].pod"


def test_the_scratch_namespace_of_drills_is_never_one_of_the_applications_own_even_by_default() -> None:
    text = LEAST.replace("[shop]", "[shop, shop-drill]") + "  drill: {every: 1w}\n"
    problem = only_problem(text)
    assert (problem.path, problem.line, problem.column) == ("spec.drill.namespace", 8, 10)


def test_no_guess_is_made_where_it_would_be_dangerous() -> None:
    assert only_problem(with_spec("restore: {safety: on}")).hint is None


def test_a_secret_in_a_web_address_is_never_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        load(with_spec("backup: {notify: [{webhook: 'https://user:hunter2@x/hunter2'}, {webhook: 'hunter2'}]}"))
    assert "hunter2" not in f"{caught.value.message} {caught.value.details}"


def test_another_kind_of_manifest_gets_no_list_of_unknown_fields() -> None:
    found = problems("apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 1, template: {}}\n")
    assert [(problem.path, problem.line) for problem in found] == [("apiVersion", 1), ("kind", 2)]


def test_thousands_of_problems_are_counted_not_listed() -> None:
    found = problems(LEAST + "".join(f"  x{number}: 1\n" for number in range(9000)))
    assert len(found) == 101
    assert found[-1].message == "There are 8900 more problems after these."


def test_a_list_has_a_most_number_of_entries() -> None:
    found = problems(with_scopes(*["namespaces: [a]"] * 100))
    assert [(problem.path, problem.message) for problem in found] == [
        ("spec.state.objects", "This list can have at most 100 entries.")
    ]


def test_the_error_says_the_first_problem_and_how_many_more() -> None:
    with pytest.raises(Invalid) as caught:
        load(with_spec("a: 1") + "  b: 2\n  c: 3\n")
    assert caught.value.message.startswith("This document cannot be used: line 8, column 3: spec.a: ")
    assert caught.value.message.endswith("(and 2 more)")
    assert caught.value.code == "invalid"
