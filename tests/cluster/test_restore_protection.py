"""What is protected is neither deleted nor replaced unless somebody agrees, kind by kind or object by object."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.domain.operation import State
from chalicelib.domain.plan import Verb
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: scene-none, resources: {requests: {storage: 1Mi}}}
"""
CONF = "{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {a: '1'}}"
KEY = "PersistentVolumeClaim/data"


@pytest.fixture
def scene(control_plane) -> Iterator[Scene]:
    with open_scene(control_plane, CONF) as opened:
        yield opened


def consents(namespace: str) -> list[str]:
    return ["PersistentVolumeClaim", f"PersistentVolumeClaim {namespace}/data", "*"]


def test_a_protected_extra_is_left_alone_and_said(scene: Scene) -> None:
    version = scene.backup()
    scene.make(CLAIM)
    scene.patch("ConfigMap/conf", {"data": {"a": "2"}})
    plan = scene.plan(version)
    assert any("Protected" in warning and "PersistentVolumeClaim" in warning for warning in plan.warnings)
    restored = scene.restore_well(version)
    assert restored.outcomes() == {"ConfigMap/conf": "update"}
    assert restored.rows[KEY].outcome == "skipped"
    assert restored.rows[KEY].reason == "protected"
    assert scene.api.exists(scene.find(KEY))


@pytest.mark.parametrize("number", range(3))
def test_a_protected_extra_is_deleted_with_consent(scene: Scene, number: int) -> None:
    version = scene.backup()
    scene.make(CLAIM)
    before = scene.look()
    restored = scene.restore_well(version, consent=[consents(scene.namespace)[number]])
    assert restored.outcomes() == {KEY: "delete"}
    assert not scene.api.exists(scene.find(KEY))
    scene.undo_well(restored)
    assert scene.look() == before


def test_consent_to_something_else_is_no_consent(scene: Scene) -> None:
    version = scene.backup()
    scene.make(CLAIM)
    given = ["Namespace", "PersistentVolume", f"PersistentVolumeClaim {scene.namespace}/other"]
    assert scene.restore_well(version, consent=given).outcomes() == {}


def test_a_protected_object_is_replaced_only_with_consent(scene: Scene) -> None:
    scene.make(CLAIM)
    wanted, version = scene.look(), scene.backup()
    scene.delete(KEY)
    scene.make(CLAIM.replace("scene-none", "scene-other"))
    before = scene.look()
    planned = scene.planned(version)[KEY]
    assert (planned.verb, planned.reason) == (Verb.SKIP, "protected")
    assert "replaced" in planned.message
    assert scene.restore_well(version).outcomes() == {}
    assert scene.look() == before
    restored = scene.restore_well(version, consent=["PersistentVolumeClaim"])
    assert restored.outcomes() == {KEY: "replace"}
    assert scene.look() == wanted
    scene.undo_well(restored)
    assert scene.look() == before


def test_a_protected_object_is_created_and_updated_without_asking(scene: Scene) -> None:
    scene.make(CLAIM)
    wanted, version = scene.look(), scene.backup()
    scene.patch(KEY, {"metadata": {"labels": {"new": "label"}}})
    assert scene.restore_well(version).outcomes() == {KEY: "update"}
    scene.delete(KEY)
    assert scene.restore_well(version).outcomes() == {KEY: "create"}
    assert scene.look() == wanted


def test_the_documents_own_list_counts(control_plane) -> None:
    with open_scene(control_plane, CONF, restore="protect: [ConfigMap]") as scene:
        version = scene.backup()
        scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}")
        scene.make(CLAIM)
        assert scene.restore_well(version).outcomes() == {KEY: "delete"}


def test_a_namespace_is_never_deleted_without_consent(control_plane) -> None:
    """It is selected by its labels, and came after the version."""
    with control_plane.namespace("extra") as other, open_scene(control_plane, CONF) as scene:
        scene.describe(f'objects: [{{namespaces: [NS]}}, {{kinds: [Namespace], labels: "scene={scene.namespace}"}}]')
        version = scene.backup()
        control_plane.api.patch(f"/api/v1/namespaces/{other}", {"metadata": {"labels": {"scene": scene.namespace}}})
        restored = scene.restore_well(version)
        assert restored.rows[f"Namespace/{other}"].reason == "protected"
        assert restored.writes == []
        done = scene.restore(version, consent=["Namespace"])
        assert done.state is State.SUCCEEDED
        assert not control_plane.api.exists(f"/api/v1/namespaces/{other}")
