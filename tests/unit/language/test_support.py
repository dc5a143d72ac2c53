"""What this release does not carry out is refused in words, never ignored."""

from __future__ import annotations

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.language.loader import load, read
from chalicelib.language.support import LATER, accept, unsupported
from tests.unit.language.samples import EVERYTHING, LEAST, with_spec


def test_a_document_that_is_silent_is_carried_out_whole() -> None:
    assert unsupported(load(LEAST)) == []
    assert accept(LEAST).document == load(LEAST)


def test_the_full_sample_uses_exactly_the_sections_that_come_later_each_at_its_line() -> None:
    loaded = read(EVERYTHING)
    lines = EVERYTHING.splitlines()
    found = unsupported(loaded.document, loaded.positions)
    assert [problem.path for problem in found] == [
        "spec.state.dumps",
        "spec.state.volumes",
        "spec.state.images",
        "spec.state.hooks",
        "spec.backup.quota",
        "spec.backup.alert",
        "spec.backup.notify",
        "spec.drill",
    ]
    for problem in found:
        assert problem.line is not None
        assert problem.column is not None
        name = problem.path.rpartition(".")[2]
        assert lines[problem.line - 1][problem.column - 1 :].startswith(f"{name}:")
        assert problem.message.startswith("This is understood but not carried out by this release: ")
        assert problem.hint


#: The sample asks for the opposite, which is carried out.
NOT_IN_THE_SAMPLE = {"spec.backup.keep.lastGood"}


def test_the_full_sample_uses_every_section_of_the_table() -> None:
    found = {problem.path for problem in unsupported(load(EVERYTHING))}
    assert found == {later.path for later in LATER} - NOT_IN_THE_SAMPLE


def test_nobody_can_let_the_last_good_version_go_by_a_rule() -> None:
    refused = unsupported(load(with_spec("backup: {keep: {last: 1, lastGood: false}}")))
    assert [problem.path for problem in refused] == ["spec.backup.keep.lastGood"]


@pytest.mark.parametrize("part", ["restore: {order: [], rewrite: []}", "restore: {health: {checks: []}}"])
def test_a_section_that_asks_for_nothing_is_accepted(part: str) -> None:
    assert unsupported(load(with_spec(part))) == []


def test_values_that_ask_for_nothing_are_accepted() -> None:
    text = LEAST + "    closure: none\n    images: none\n    dumps: []\n    volumes: []\n    hooks: {before: []}\n"
    assert unsupported(load(text)) == []


def test_accepting_refuses_with_every_section_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        accept(EVERYTHING)
    assert len(caught.value.problems) == len(LATER) - len(NOT_IN_THE_SAMPLE)
    assert "line 13, column 5: spec.state.dumps: " in caught.value.message


def rewriting(patch: str) -> str:
    return with_spec(f"restore: {{rewrite: [{{match: {{kind: A}}, {patch}}}]}}")


@pytest.mark.parametrize(
    ("patch", "path", "name"),
    [
        ("mergePatch: {metadata: {uid: abc}}", "mergePatch.metadata.uid", "uid"),
        (
            "mergePatch: {metadata: {creationTimestamp: null}}",
            "mergePatch.metadata.creationTimestamp",
            "creationTimestamp",
        ),
        ("jsonPatch: [{op: add, path: /metadata/uid, value: abc}]", "jsonPatch[0].path", "uid"),
        (
            'jsonPatch: [{op: add, path: /metadata/resourceVersion, value: "5"}]',
            "jsonPatch[0].path",
            "resourceVersion",
        ),
        ("jsonPatch: [{op: remove, path: /metadata/managedFields/0}]", "jsonPatch[0].path", "managedFields"),
        ("jsonPatch: [{op: copy, from: /data/a, path: /metadata/generation}]", "jsonPatch[0].path", "generation"),
        ("jsonPatch: [{op: move, from: /metadata/managedFields, path: /data}]", "jsonPatch[0].from", "managedFields"),
        (
            "jsonPatch: [{op: replace, path: /metadata, value: {name: a, selfLink: b}}]",
            "jsonPatch[0].value.selfLink",
            "selfLink",
        ),
        (
            'jsonPatch: [{op: replace, path: "", value: {kind: A, metadata: {deletionTimestamp: b}}}]',
            "jsonPatch[0].value.metadata.deletionTimestamp",
            "deletionTimestamp",
        ),
    ],
)
def test_a_rewrite_of_what_is_never_restored_is_refused_with_its_place(patch: str, path: str, name: str) -> None:
    text = rewriting(patch)
    with pytest.raises(Invalid) as caught:
        accept(text)
    (problem,) = caught.value.problems
    assert problem.path == f"spec.restore.rewrite[0].{path}"
    assert f"`metadata.{name}`" in problem.message
    assert problem.line is not None
    assert problem.column is not None
    assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith(path.rpartition(".")[2])
    # The document of a version that says so can still be read: other rules than its own are applied to it.
    assert load(text).spec.restore.rewrite


@pytest.mark.parametrize(
    "patch",
    [
        "mergePatch: {spec: {template: {metadata: {uid: a}}}, uid: a}",
        "mergePatch: {metadata: {labels: {uid: a}, annotations: null}}",
        "jsonPatch: [{op: test, path: /metadata/uid, value: a}]",
        "jsonPatch: [{op: add, path: /metadata/labels/uid, value: a}]",
        "jsonPatch: [{op: add, path: /metadata/annotations, value: {uid: a}}]",
        "jsonPatch: [{op: replace, path: /metadata, value: [uid]}]",
    ],
)
def test_a_rewrite_of_anything_else_is_carried_out(patch: str) -> None:
    assert accept(rewriting(patch)).document.spec.restore.rewrite


def test_health_checks_and_the_rest_of_restore_are_carried_out() -> None:
    text = with_spec(
        "restore: {mode: merge, protect: [Secret], safety: required, onFailure: keep, health: {timeout: 1m, "
        "checks: [{pod: {labels: a}, command: [id]}]}}"
    )
    assert unsupported(load(text)) == []
