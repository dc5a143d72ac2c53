"""Claims and their volumes, where volumes are provisioned, bound and deleted: nothing that is in them is lost."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest

from chalicelib.domain.operation import State
from tests.harness.processes import wait_until
from tests.support.moments import Moment
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

NOTE = "{apiVersion: v1, kind: ConfigMap, metadata: {name: note}, data: {a: '1'}}"
CLAIMS = ["PersistentVolumeClaim"]
MARKS = {"mainstay.dev/kept-for", "mainstay.dev/reclaim-policy"}


def claim(name: str, mode: str = "ReadWriteOnce") -> str:
    return f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec: {{accessModes: [{mode}], storageClassName: mainstay-hostpath, resources: {{requests: {{storage: 1Mi}}}}}}
"""


def volume_of(scene: Scene, key: str) -> str:
    """The volume a claim is bound to, once it is."""
    wait_until(lambda: scene.get(key)["status"].get("phase") == "Bound", seconds=30, what=f"{key} to be bound")
    return str(scene.get(key)["spec"]["volumeName"])


def volume(scene: Scene, name: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.api.get(f"/api/v1/persistentvolumes/{name}")
    return found


def policies(scene: Scene, names: Iterable[str]) -> set[tuple[str, str]]:
    """Phase and reclaim policy of volumes."""
    found = [volume(scene, name) for name in names]
    return {(each["status"]["phase"], each["spec"]["persistentVolumeReclaimPolicy"]) for each in found}


def marks(scene: Scene, name: str) -> set[str]:
    return MARKS & (volume(scene, name)["metadata"].get("annotations") or {}).keys()


def test_claims_that_a_restore_deleted_come_back_with_their_volumes(cluster) -> None:
    keys = [f"PersistentVolumeClaim/data-{number}" for number in range(6)]
    with open_scene(cluster, NOTE) as scene:
        version = scene.backup()
        scene.make("---".join(claim(key.partition("/")[2]) for key in keys))
        volumes = {key: volume_of(scene, key) for key in keys}

        restored = scene.restore_well(version, consent=CLAIMS)
        wait_until(
            lambda: policies(scene, volumes.values()) == {("Released", "Retain")}, seconds=20, what="released volumes"
        )
        undone = scene.undo_well(restored)

        assert all("kept with its data" in restored.rows[key].message for key in keys)
        assert {key: volume_of(scene, key) for key in keys} == volumes
        assert policies(scene, volumes.values()) == {("Bound", "Delete")}
        assert not any(marks(scene, name) for name in volumes.values())
        assert {row.verified for row in undone.rows.values()} == {"equal"}
        time.sleep(3)  # the provisioner looks once a second for volumes to delete
        assert policies(scene, volumes.values()) == {("Bound", "Delete")}


def test_a_claim_that_changed_before_its_delete_keeps_its_volume_s_policy(cluster) -> None:
    with open_scene(cluster, NOTE) as scene:
        version = scene.backup()
        scene.make(claim("data"))
        name = volume_of(scene, "PersistentVolumeClaim/data")
        scene.watch.add(
            Moment("step-begins", r"restore\.apply"),
            lambda: scene.patch("PersistentVolumeClaim/data", {"metadata": {"labels": {"somebody": "was-here"}}}),
        )

        restored = scene.restore(version, consent=CLAIMS)

        assert restored.state is State.FAILED
        assert "changed between plan and apply" in restored.message
        assert scene.get("PersistentVolumeClaim/data")["metadata"]["labels"] == {"somebody": "was-here"}
        assert policies(scene, [name]) == {("Bound", "Delete")}
        assert not marks(scene, name)
