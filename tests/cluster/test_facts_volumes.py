"""What becomes of a claim and its volume, by the volume's reclaim policy and by how it is found: gone, left, on its
way out. The table for users is in `docs/restore-rules.md`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chalicelib.domain.operation import State
from chalicelib.engine.write import deleting
from tests.harness.access import Access
from tests.harness.processes import wait_until
from tests.support.manifests import CLAIM
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

#: A class of its own: no claim of another test may take the volume.
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: NS-data, annotations: {ANNOTATION: scene.test/none}}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Mi}
  persistentVolumeReclaimPolicy: POLICY
  storageClassName: NS-none
  hostPath: {path: /nowhere}
"""
PROVISIONED = "pv.kubernetes.io/provisioned-by"


def phase(scene: Scene, key: str) -> str:
    return str((scene.get(key).get("status") or {}).get("phase"))


@contextmanager
def bound(control_plane: Access, policy: str, annotation: str = "made-by") -> Iterator[tuple[Scene, str]]:
    """A claim that is bound to a volume with a reclaim policy, and the volume's key."""
    with open_scene(control_plane, state="{objects: [{namespaces: [NS]}], closure: references}") as scene:
        volume = f"PersistentVolume/{scene.namespace}-data"
        scene.make(VOLUME.replace("POLICY", policy).replace("ANNOTATION", annotation))
        try:
            scene.make(CLAIM)
            wait_until(lambda: phase(scene, "PersistentVolumeClaim/data") == "Bound", seconds=90, what="the binding")
            yield scene, volume
        finally:
            if scene.api.exists(scene.find(volume)):
                scene.patch(volume, {"metadata": {"finalizers": None}})
                if scene.api.exists(scene.find(volume)):
                    scene.delete(volume, wait=False)


def rebound(scene: Scene, volume: str) -> bool:
    claim = scene.get("PersistentVolumeClaim/data")
    return claim["status"].get("phase") == "Bound" and f"PersistentVolume/{claim['spec']['volumeName']}" == volume


@pytest.mark.parametrize(
    ("policy", "annotation"), [("Retain", "made-by"), ("Retain", PROVISIONED), ("Delete", "made-by")]
)
def test_a_volume_that_is_gone_is_made_again_for_its_claim(
    control_plane: Access, policy: str, annotation: str
) -> None:
    """One that was not provisioned, or whose storage outlives it."""
    with bound(control_plane, policy, annotation) as (scene, volume):
        version = scene.backup()
        scene.patch(volume, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
        scene.delete("PersistentVolumeClaim/data", volume)
        done = scene.restore_well(version)
        assert done.outcomes() == {volume: "create", "PersistentVolumeClaim/data": "create"}
        wait_until(lambda: rebound(scene, volume), seconds=90, what="the claim to be bound again")
        assert scene.get(volume)["spec"]["persistentVolumeReclaimPolicy"] == policy


def test_a_provisioned_volume_that_went_with_its_data_is_not_made_again(control_plane: Access) -> None:
    with bound(control_plane, "Delete", PROVISIONED) as (scene, volume):
        version = scene.backup()
        scene.patch(volume, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
        scene.delete("PersistentVolumeClaim/data", volume)
        plan = scene.planned(version)
        assert (plan[volume].verb.value, plan[volume].reason) == ("skip", "volume-gone")
        assert plan["PersistentVolumeClaim/data"].effects == ("The claim gets a new, empty volume.",)
        done = scene.restore_well(version)
        assert done.outcomes() == {"PersistentVolumeClaim/data": "create"}
        assert "volumeName" not in scene.get("PersistentVolumeClaim/data")["spec"]


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_volume_that_is_there_is_left_as_it_is(control_plane: Access, policy: str) -> None:
    with bound(control_plane, policy) as (scene, volume):
        version, before = scene.backup(), scene.uid(volume)
        assert scene.restore_well(version).writes == []
        assert scene.uid(volume) == before


def test_a_volume_that_was_released_is_bound_to_its_claim_again(control_plane: Access) -> None:
    with bound(control_plane, "Retain") as (scene, volume):
        version, before = scene.backup(), scene.uid(volume)
        scene.delete("PersistentVolumeClaim/data")
        wait_until(lambda: phase(scene, volume) == "Released", seconds=90, what="the volume to be released")
        assert scene.restore_well(version).outcomes() == {"PersistentVolumeClaim/data": "create"}
        wait_until(lambda: rebound(scene, volume), seconds=90, what="the claim to be bound again")
        assert scene.uid(volume) == before


def test_a_volume_on_its_way_out_is_waited_for_in_bounds_and_named(
    control_plane: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bound(control_plane, "Retain") as (scene, volume):
        version = scene.backup()
        scene.patch(volume, {"metadata": {"finalizers": ["scene.test/nobody"]}})
        scene.delete("PersistentVolumeClaim/data")
        scene.delete(volume, wait=False)
        monkeypatch.setattr(deleting, "_LIMIT", 1.0)
        refused = scene.restore(version)
        assert refused.state is State.FAILED
        assert "scene.test/nobody" in refused.message
        scene.patch(volume, {"metadata": {"finalizers": None}})
        done = scene.restore_well(version)
        assert done.outcomes() == {volume: "create", "PersistentVolumeClaim/data": "create"}
        wait_until(lambda: rebound(scene, volume), seconds=90, what="the claim to be bound again")


def test_a_claim_on_its_way_out_is_made_again_once_it_is_gone(
    control_plane: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bound(control_plane, "Retain") as (scene, volume):
        version = scene.backup()
        scene.patch("PersistentVolumeClaim/data", {"metadata": {"finalizers": ["scene.test/nobody"]}})
        scene.delete("PersistentVolumeClaim/data", wait=False)
        monkeypatch.setattr(deleting, "_LIMIT", 1.0)
        refused = scene.restore(version)
        assert refused.state is State.FAILED
        assert "scene.test/nobody" in refused.message
        scene.patch("PersistentVolumeClaim/data", {"metadata": {"finalizers": None}})
        assert scene.restore_well(version).outcomes() == {"PersistentVolumeClaim/data": "create"}
        wait_until(lambda: rebound(scene, volume), seconds=90, what="the claim to be bound again")
