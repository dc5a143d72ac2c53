"""What a restore does and leaves, by mode, part and repetition."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.domain.operation import State
from tests.harness.processes import wait_until
from tests.support import policy
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

APP = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: same}, data: {a: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: changed}, data: {a: "1", b: "2"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: gone}, data: {a: "1"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: cred}, stringData: {password: sesame}}
"""
EXTRA = '{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}, data: {a: "1"}}'


def damage(scene: Scene) -> None:
    scene.patch("ConfigMap/changed", {"data": {"a": "other", "b": None, "c": "3"}})
    scene.delete("ConfigMap/gone")
    scene.make(EXTRA)


@pytest.fixture
def scene(control_plane) -> Iterator[Scene]:
    with open_scene(control_plane, APP) as opened:
        yield opened


@pytest.mark.parametrize(
    ("mode", "done"),
    [
        ("exact", {"ConfigMap/changed": "update", "ConfigMap/gone": "create", "ConfigMap/extra": "delete"}),
        ("merge", {"ConfigMap/changed": "update", "ConfigMap/gone": "create"}),
        ("missing", {"ConfigMap/gone": "create"}),
    ],
)
def test_a_mode_does_what_it_says_and_leaves_the_rest(scene: Scene, mode: str, done: dict[str, str]) -> None:
    wanted, version = scene.look(), scene.backup()
    damage(scene)
    before = scene.look()
    planned = {key: action.verb.value for key, action in scene.planned(version, mode=mode).items()}
    restored = scene.restore_well(version, mode=mode)
    assert restored.outcomes() == done
    assert {key: verb for key, verb in planned.items() if verb != "skip"} == done
    expected = dict(before)
    for key, verb in done.items():
        if verb == "delete":
            del expected[key]
        else:
            expected[key] = wanted[key]
    assert scene.look() == expected


def test_a_restore_of_what_nobody_changed_writes_nothing(scene: Scene) -> None:
    version = scene.backup()
    restored = scene.restore_well(version)
    assert restored.writes == []
    assert restored.rows == {}
    assert restored.operation.outcome["counts"].keys() == {"keep"}


def test_unchanged_objects_cost_no_request_beside_changed_ones(scene: Scene) -> None:
    version = scene.backup()
    scene.patch("ConfigMap/changed", {"data": {"a": "other"}})
    restored = scene.restore_well(version)
    assert len(restored.writes) == 1
    assert restored.writes[0].startswith(f"PUT /api/v1/namespaces/{scene.namespace}/configmaps/changed")


def test_a_namespace_of_which_only_a_part_is_selected_is_left_to_others_but_made_where_it_is_missing(
    scene: Scene,
) -> None:
    scene.describe("objects: [{namespaces: [NS], names: [gone]}]")
    path = f"/api/v1/namespaces/{scene.namespace}"
    version = scene.backup()
    assert f"Namespace/{scene.namespace}" in scene.held(version)
    scene.api.patch(path, {"metadata": {"labels": {"team": "others"}}})
    scene.delete("ConfigMap/gone")
    restored = scene.restore_well(version)
    assert restored.outcomes() == {"ConfigMap/gone": "create"}
    assert "some of what is in it is selected" in restored.rows[f"Namespace/{scene.namespace}"].message
    assert scene.api.get(path)["metadata"]["labels"]["team"] == "others"
    asked = scene.restore_well(version, shared=True)
    assert asked.outcomes() == {f"Namespace/{scene.namespace}": "update"}
    scene.api.delete(path)
    wait_until(lambda: not scene.api.exists(path), seconds=60, what="the namespace to be gone")
    assert scene.restore_well(version).outcomes()["ConfigMap/gone"] == "create"


def test_labels_and_annotations_of_the_namespace_itself_are_restored(scene: Scene) -> None:
    path = f"/api/v1/namespaces/{scene.namespace}"
    scene.api.patch(path, {"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "1"}}})
    was, version = scene.api.get(path)["metadata"], scene.backup()
    changed = {"labels": {"team": "other", "new": "label"}, "annotations": {"note": None}}
    scene.api.patch(path, {"metadata": changed})
    restored = scene.restore_well(version)
    assert restored.outcomes() == {f"Namespace/{scene.namespace}": "update"}
    now = scene.api.get(path)["metadata"]
    assert (now["labels"], now["annotations"], now["uid"]) == (was["labels"], was["annotations"], was["uid"])


def test_more_objects_than_are_done_at_once_are_restored(scene: Scene) -> None:
    for number in range(300):
        name = f"many-{number:03}"
        scene.post({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": name}})
    wanted, version = scene.look(), scene.backup()
    scene.api.delete(f"/api/v1/namespaces/{scene.namespace}/configmaps")
    restored = scene.restore_well(version)
    assert len(restored.outcomes()) >= 303
    assert scene.look() == wanted


@pytest.mark.parametrize(
    ("only", "done"),
    [
        (["ConfigMap/gone"], {"ConfigMap/gone"}),
        (["ConfigMap/g*", "Secret"], {"ConfigMap/gone"}),
        (["ConfigMap"], {"ConfigMap/gone", "ConfigMap/changed", "ConfigMap/extra"}),
    ],
)
def test_a_restore_of_a_part_touches_nothing_else(scene: Scene, only: list[str], done: set[str]) -> None:
    version = scene.backup()
    damage(scene)
    before = scene.look()
    restored = scene.restore_well(version, only=only)
    assert restored.outcomes().keys() == done
    now = scene.look()
    assert {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)} == done


def test_names_that_mean_nothing_are_told_and_nothing_is_done_if_all_do(scene: Scene) -> None:
    version = scene.backup()
    damage(scene)
    plan = scene.plan(version, only=["ConfigMap/gone", "ConfigMap/gnoe"])
    assert [action.object.name for action in plan.actions] == ["gone"]
    assert any("`ConfigMap/gnoe`" in warning for warning in plan.warnings)
    refused = scene.restore(version, only=["ConfigMap/gnoe"])
    assert (refused.state, refused.writes) == (State.FAILED, [])
    assert "Nothing goes by `ConfigMap/gnoe`" in refused.message


# ── undo ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_undo_brings_back_what_was_and_an_undo_of_it_what_was_restored(scene: Scene) -> None:
    wanted, version = scene.look(), scene.backup()
    damage(scene)
    before = scene.look()
    restored = scene.restore_well(version)
    undone = scene.undo_well(restored)
    assert scene.look() == before
    scene.undo_well(undone)
    assert scene.look() == wanted


def test_a_second_undo_of_the_same_restore_finds_nothing_to_do(scene: Scene) -> None:
    version = scene.backup()
    damage(scene)
    before = scene.look()
    restored = scene.restore_well(version)
    scene.undo_well(restored)
    again = scene.undo_well(restored)
    assert again.writes == []
    assert scene.look() == before


def test_an_undo_touches_only_what_the_restore_touched(scene: Scene) -> None:
    version = scene.backup()
    damage(scene)
    restored = scene.restore_well(version)
    scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: newer}, data: {a: '1'}}")
    scene.patch("ConfigMap/same", {"data": {"a": "changed since"}})
    scene.undo_well(restored)
    now = scene.look()
    assert now["ConfigMap/newer"]["data"] == {"a": "1"}
    assert now["ConfigMap/same"]["data"] == {"a": "changed since"}


def test_an_undo_tells_what_a_user_changed_since_and_the_users_change_is_not_lost(scene: Scene) -> None:
    version = scene.backup()
    damage(scene)
    before = scene.look()
    restored = scene.restore_well(version)
    scene.patch("ConfigMap/changed", {"data": {"mine": "precious"}})
    undone = scene.undo_well(restored)
    assert scene.look() == before
    planned = next(action for action in scene.plan_of(undone).actions if action.object.name == "changed")
    assert "/data/mine" in {difference.path for difference in planned.differences}
    # The undo made a safety version of its own: what the user had written comes back with an undo of the undo.
    scene.undo_well(undone)
    assert scene.get("ConfigMap/changed")["data"]["mine"] == "precious"


def test_what_somebody_made_anew_since_is_left_by_an_undo_and_named(scene: Scene) -> None:
    version = scene.backup()
    scene.delete("ConfigMap/gone")
    restored = scene.restore_well(version)
    scene.delete("ConfigMap/gone")
    scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: gone}, data: {a: mine}}")
    undone = scene.undo_well(restored)
    assert undone.rows["ConfigMap/gone"].outcome == "left"
    assert "Somebody else made it since" in undone.rows["ConfigMap/gone"].message
    assert scene.get("ConfigMap/gone")["data"] == {"a": "mine"}


def test_what_a_failed_undo_made_anew_on_its_way_back_is_no_strangers(scene: Scene) -> None:
    version = scene.backup()
    scene.delete("ConfigMap/gone", "ConfigMap/same")
    before = scene.look()
    restored = scene.restore_well(version)
    with policy.refusing(scene.api, scene.namespace, "ConfigMap", "same", ["DELETE"]):
        failed = scene.undo(restored)
        assert (failed.state, failed.operation.outcome["undone"]) == (State.FAILED, True)
    undone = scene.undo_well(restored)
    assert undone.outcomes() == {"ConfigMap/gone": "delete", "ConfigMap/same": "delete"}
    assert scene.look() == before


def test_what_an_undo_of_an_undo_brought_back_is_taken_away_by_an_undo_again(scene: Scene) -> None:
    version = scene.backup()
    scene.delete("ConfigMap/gone")
    before = scene.look()
    restored = scene.restore_well(version)
    scene.undo_well(scene.undo_well(restored))
    assert scene.get("ConfigMap/gone")["data"] == {"a": "1"}
    scene.undo_well(restored)
    assert scene.look() == before


# ── safety ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_safety_no_version_is_made_and_an_undo_is_refused(scene: Scene) -> None:
    version = scene.backup()
    damage(scene)
    restored = scene.restore_well(version, safety="none")
    assert "safetyVersion" not in restored.operation.outcome
    assert list(scene.repository.versions(scene.application.id).list()) == [version]
    undone = scene.undo(restored)
    assert undone.state is State.FAILED
    assert "without a safety version" in undone.message
    assert undone.writes == []


@pytest.mark.parametrize("safety", ["bestEffort", "required"])
def test_a_safety_version_holds_what_was_there_of_what_is_touched(scene: Scene, safety: str) -> None:
    version = scene.backup()
    damage(scene)
    before = scene.look()
    restored = scene.restore_well(version, safety=safety)
    held = scene.held(str(restored.operation.outcome["safetyVersion"]))
    assert held.keys() == {"ConfigMap/changed", "ConfigMap/extra"}
    assert all(body["data"] == before[key]["data"] for key, body in held.items())


def test_a_safety_version_says_nothing_of_what_it_does_not_hold(scene: Scene) -> None:
    version = scene.backup()
    scene.patch("ConfigMap/changed", {"data": {"a": "other"}})
    before = scene.look()
    safety = str(scene.restore_well(version).operation.outcome["safetyVersion"])
    scene.make(EXTRA)
    restored = scene.restore_well(safety)
    assert restored.outcomes() == {"ConfigMap/changed": "update"}
    now = scene.look()
    assert now.pop("ConfigMap/extra")
    assert now == before
    # The application is not at a version that is only a part of it.
    assert scene.repository.applications.get(scene.application.id).current_version == version


# ── saved plans ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_saved_plan_is_applied_as_it_was_shown(scene: Scene) -> None:
    wanted, version = scene.look(), scene.backup()
    damage(scene)
    plan = scene.run("plan", version=version)
    restored = scene.restore_well(version, plan=plan.id)
    assert restored.operation.outcome["counts"] == plan.outcome["counts"]
    assert scene.look() == wanted


def test_a_saved_plan_is_refused_if_the_cluster_moved_since_and_says_what_moved(scene: Scene) -> None:
    version = scene.backup()
    damage(scene)
    plan = scene.run("plan", version=version)
    scene.patch("ConfigMap/changed", {"data": {"a": "moved"}})
    scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: unseen}}")
    before = scene.look()
    restored = scene.restore(version, plan=plan.id)
    assert restored.state is State.FAILED
    assert "stale" in restored.message
    assert f"ConfigMap {scene.namespace}/changed" in restored.message
    assert f"ConfigMap {scene.namespace}/unseen" in restored.message
    assert restored.writes == []
    assert scene.look() == before


# ── a document that changed ─────────────────────────────────────────────────────────────────────────────────


def test_a_version_is_restored_by_the_document_it_was_made_with(control_plane) -> None:
    with control_plane.namespace("other") as other, open_scene(control_plane, APP) as scene:
        scene.describe(f"objects: [{{namespaces: [NS, {other}]}}]")
        there = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: there, namespace: {other}}}, data: {{a: b}}}}"
        scene.make(there)
        version = scene.backup()
        scene.describe("objects: [{namespaces: [NS]}]")
        alone = scene.backup()
        control_plane.api.patch(f"/api/v1/namespaces/{other}/configmaps/there", {"data": {"a": "changed"}})
        scene.make(there.replace("there", "stray"))
        # The newer version knows nothing of the other namespace, and deletes nothing there.
        assert scene.restore_well(alone).writes == []
        restored = scene.restore_well(version)
        assert restored.outcomes() == {"ConfigMap/there": "update", "ConfigMap/stray": "delete"}
        assert control_plane.api.get(f"/api/v1/namespaces/{other}/configmaps/there")["data"] == {"a": "b"}
