"""What is in volumes is there again after a restore: claims find their volumes, and no volume is given up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness.images import BUSYBOX
from tests.harness.processes import wait_until
from tests.harness.provisioner import DEFAULT_CLASS, RETAIN_CLASS, WAIT_CLASS
from tests.support.scene import Scene, open_scene

pytestmark = [pytest.mark.cluster, pytest.mark.node]

KEY = "PersistentVolumeClaim/data"
CLAIMS = ["PersistentVolumeClaim"]


def claim(storage_class: str, size: str = "1Mi") -> str:
    return f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: {storage_class}
  resources: {{requests: {{storage: {size}}}}}
"""


def volume_of(scene: Scene, key: str = KEY) -> str:
    wait_until(lambda: scene.get(key)["status"].get("phase") == "Bound", seconds=30, what=f"{key} to be bound")
    return str(scene.get(key)["spec"]["volumeName"])


def volume(scene: Scene, name: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.api.get(f"/api/v1/persistentvolumes/{name}")
    return found


def phase(scene: Scene, name: str) -> str:
    return str(volume(scene, name)["status"]["phase"])


def file_in(scene: Scene, name: str) -> Path:
    """A file in a volume: the node is this machine."""
    return Path(volume(scene, name)["spec"]["hostPath"]["path"]) / "file"


def test_a_deleted_claim_finds_its_kept_volume_with_what_is_in_it(cluster) -> None:
    with open_scene(cluster, claim(RETAIN_CLASS)) as scene:
        name = volume_of(scene)
        file_in(scene, name).write_text("precious")
        version = scene.backup()
        scene.delete(KEY)
        wait_until(lambda: phase(scene, name) == "Released", seconds=20, what="the volume to be released")
        planned = scene.planned(version)[KEY]
        assert f"bound to its volume {name} again, with its data" in " ".join(planned.effects)
        scene.restore_well(version)
        assert volume_of(scene) == name
        assert file_in(scene, name).read_text() == "precious"
        assert volume(scene, name)["spec"]["persistentVolumeReclaimPolicy"] == "Retain"


def test_a_claim_whose_volume_is_gone_gets_a_new_one_and_the_plan_says_so(cluster) -> None:
    with open_scene(cluster, claim(DEFAULT_CLASS)) as scene:
        name = volume_of(scene)
        version = scene.backup()
        scene.delete(KEY)
        path = f"/api/v1/persistentvolumes/{name}"
        wait_until(lambda: not cluster.api.exists(path), seconds=20, what="the volume to be deleted")
        assert "new, empty volume" in " ".join(scene.planned(version)[KEY].effects)
        scene.restore_well(version)
        assert volume_of(scene) != name


def test_a_volume_that_another_claim_has_by_now_is_left_to_it(cluster) -> None:
    with open_scene(cluster, claim(RETAIN_CLASS)) as scene:
        name = volume_of(scene)
        file_in(scene, name).write_text("precious")
        version = scene.backup()
        scene.delete(KEY)
        wait_until(lambda: phase(scene, name) == "Released", seconds=20, what="the volume to be released")
        cluster.api.patch(f"/api/v1/persistentvolumes/{name}", {"spec": {"claimRef": None}})
        other = scene.bodies(claim(RETAIN_CLASS).replace("name: data", "name: other"))[0]
        other["spec"]["volumeName"] = name
        scene.post(other)
        assert volume_of(scene, "PersistentVolumeClaim/other") == name
        restored = scene.restore_well(version)
        assert restored.outcomes() == {KEY: "create"}
        assert volume_of(scene) != name
        assert volume_of(scene, "PersistentVolumeClaim/other") == name
        assert file_in(scene, name).read_text() == "precious"


def test_a_replaced_claim_keeps_both_volumes_and_an_undo_finds_the_first_again(cluster) -> None:
    with open_scene(cluster, claim(RETAIN_CLASS)) as scene:
        old = volume_of(scene)
        file_in(scene, old).write_text("old")
        version = scene.backup()
        scene.delete(KEY)
        scene.make(claim(DEFAULT_CLASS, "2Mi"))
        new = volume_of(scene)
        file_in(scene, new).write_text("new")

        restored = scene.restore_well(version, consent=CLAIMS)
        assert restored.outcomes() == {KEY: "replace"}
        assert "kept with its data" in restored.rows[KEY].message
        assert volume_of(scene) == old
        assert file_in(scene, old).read_text() == "old"
        assert file_in(scene, new).read_text() == "new"

        scene.undo_well(restored)
        assert volume_of(scene) == new
        assert file_in(scene, new).read_text() == "new"
        assert volume(scene, new)["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        assert file_in(scene, old).read_text() == "old"


def test_a_claim_that_waits_for_its_first_pod_comes_back_waiting(cluster) -> None:
    with open_scene(cluster, claim(WAIT_CLASS)) as scene:
        wanted, version = scene.look(), scene.backup()
        scene.delete(KEY)
        scene.restore_well(version)
        assert scene.look() == wanted
        assert scene.get(KEY)["status"]["phase"] == "Pending"


STATEFUL_SET = f"""
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: db
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: db
          image: {BUSYBOX}
          imagePullPolicy: Never
          command: [sleep, "100000"]
          volumeMounts: [{{name: data, mountPath: /data}}]
  volumeClaimTemplates:
    - metadata: {{name: data}}
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {RETAIN_CLASS}
        resources: {{requests: {{storage: 1Mi}}}}
"""


def test_a_deleted_stateful_set_and_its_claims_come_back_ready_with_their_data(cluster) -> None:
    with open_scene(cluster, STATEFUL_SET, restore="health: {timeout: 60s}") as scene:
        scene.knows("v1", "PersistentVolumeClaim")

        def ready() -> bool:
            return scene.get("StatefulSet/db")["status"].get("readyReplicas") == 1

        wait_until(ready, seconds=60, what="the database to be ready")
        name = volume_of(scene, "PersistentVolumeClaim/data-db-0")
        file_in(scene, name).write_text("precious")
        version = scene.backup()
        assert scene.held(version).keys() >= {"StatefulSet/db", "PersistentVolumeClaim/data-db-0"}
        scene.delete("StatefulSet/db")
        scene.delete("PersistentVolumeClaim/data-db-0")
        restored = scene.restore_well(version)
        # The restore waited for what was ready when the version was made.
        assert ready()
        assert restored.operation.outcome["healthAfter"]["workloads"][0]["ready"] == 1
        assert volume_of(scene, "PersistentVolumeClaim/data-db-0") == name
        seen = scene.cluster.kubectl("-n", scene.namespace, "exec", "db-0", "--", "cat", "/data/file")
        assert seen == "precious"
        scene.undo_well(restored)
        assert not scene.api.exists(scene.find("StatefulSet/db"))
        assert file_in(scene, name).read_text() == "precious"
        scene.restore_well(version)
        assert volume_of(scene, "PersistentVolumeClaim/data-db-0") == name
