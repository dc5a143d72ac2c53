"""Claims and their volumes, where volumes are provisioned, bound and deleted: nothing that is in them is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.domain.errors import ClusterRefused, TurnEnded
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


POD = """
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "registry.k8s.io/pause:3.10", volumeMounts: [{name: d, mountPath: /d}]}]
  volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]
"""


def test_a_claim_in_use_is_left_alone_and_replaced_once_its_pod_has_stopped(cluster) -> None:
    key = "PersistentVolumeClaim/data"
    with open_scene(cluster, claim("data")) as scene:
        version = scene.backup()
        scene.delete(key)
        scene.make(f"{claim('data', 'ReadWriteMany')}---{POD}")
        wait_until(lambda: scene.get("Pod/user")["spec"].get("nodeName"), seconds=30, what="the pod to have a node")
        name = volume_of(scene, key)

        kept = scene.restore(version, mode="merge", consent=CLAIMS)

        assert kept.writes == []
        assert (kept.rows[key].outcome, kept.rows[key].reason) == ("skipped", "in-use")
        assert "Stop Pod user first" in kept.rows[key].message
        assert not scene.get(key)["metadata"].get("deletionTimestamp")
        assert policies(scene, [name]) == {("Bound", "Delete")}

        scene.delete("Pod/user")
        replaced = scene.restore_well(version, mode="merge", consent=CLAIMS)

        assert replaced.rows[key].outcome == "done"
        assert scene.get(key)["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert policies(scene, [name]) == {("Released", "Retain")}


STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: "registry.k8s.io/pause:3.10"}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: mainstay-hostpath, resources: {requests: {storage: 1Mi}}}
"""
ITS_CLAIM = "PersistentVolumeClaim/data-db-0"


def when_deleted(scene: Scene) -> str:
    return str(scene.get("StatefulSet/db")["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"])


def owners(scene: Scene, key: str) -> list[str]:
    return [owner["uid"] for owner in scene.get(key)["metadata"].get("ownerReferences") or ()]


@pytest.mark.parametrize(
    "state",
    ["objects: [{namespaces: [NS]}]", "objects: [{namespaces: [NS], exclude: {kinds: [PersistentVolumeClaim]}}]"],
)
def test_claims_stay_when_the_stateful_set_that_would_take_them_goes(cluster, state: str) -> None:
    with open_scene(cluster, NOTE, state=state) as scene:
        version = scene.backup()
        scene.expect("v1", "PersistentVolumeClaim")
        scene.make(STATEFUL_SET)
        wait_until(lambda: scene.api.exists(scene.find(ITS_CLAIM)), seconds=30, what="the claim")
        name = volume_of(scene, ITS_CLAIM)
        wait_until(lambda: owners(scene, ITS_CLAIM), seconds=30, what="the claim to be owned")
        uid = scene.uid(ITS_CLAIM)

        def come_by() -> None:
            scene.patch("Pod/db-0", {"metadata": {"labels": {"seen": "yes"}}})
            wait_until(
                lambda: owners(scene, ITS_CLAIM) or when_deleted(scene) == "Retain",
                seconds=30,
                what="the controller to own the claim once more, if it may",
            )

        scene.expect("v1", "Pod")
        scene.watch.add(Moment("write-allowed", r"DELETE .*/statefulsets/db"), come_by)
        planned = scene.planned(version)[ITS_CLAIM]
        restored = scene.restore_well(version)

        assert (planned.verb.value, planned.reason) == ("update", "owner")
        assert "is deleted: it stays" in planned.message
        assert "StatefulSet/db" not in scene.look()
        time.sleep(3)  # the garbage collector would have come by
        assert (scene.uid(ITS_CLAIM), owners(scene, ITS_CLAIM)) == (uid, [])
        assert policies(scene, [name]) == {("Bound", "Delete")}

        scene.undo_well(restored)

        assert scene.uid(ITS_CLAIM) == uid
        wait_until(
            lambda: owners(scene, ITS_CLAIM) == [scene.uid("StatefulSet/db")],
            seconds=20,
            what="the claim to be owned",
        )
        assert policies(scene, [name]) == {("Bound", "Delete")}
        assert when_deleted(scene) == "Delete"


@contextmanager
def extra_stateful_set(control_plane) -> Iterator[tuple[Scene, str, str]]:
    """A scene, its version, and the claim's uid: the StatefulSet came later, and owns its claim."""
    with open_scene(control_plane, NOTE) as scene:
        version = scene.backup()
        scene.expect("v1", "PersistentVolumeClaim")
        scene.make(STATEFUL_SET)
        wait_until(lambda: scene.api.exists(scene.find(ITS_CLAIM)), seconds=30, what="the claim")
        wait_until(lambda: owners(scene, ITS_CLAIM), seconds=30, what="the claim to be owned")
        yield scene, version, scene.uid(ITS_CLAIM)


@pytest.mark.parametrize(
    "moment",
    [Moment("write-answered", r"PATCH .*/statefulsets/db"), Moment("write-allowed", r"DELETE .*/statefulsets/db")],
    ids=str,
)
def test_a_worker_finds_a_stateful_set_that_another_told_to_leave_its_claims(control_plane, moment: Moment) -> None:
    with extra_stateful_set(control_plane) as (scene, version, uid):

        def end() -> None:
            raise TurnEnded("The worker's time is over.")

        scene.watch.add(moment, end)
        done = scene.finish(scene.start("restore", version=version))

        assert (done.state, done.error) == (State.SUCCEEDED, None)
        assert done.turns >= 1
        assert "StatefulSet/db" not in scene.look()
        assert (scene.uid(ITS_CLAIM), owners(scene, ITS_CLAIM)) == (uid, [])


def broken() -> None:
    raise RuntimeError("something nobody thought of")


def refused() -> None:
    raise ClusterRefused("not on a Friday", http_status=403, reason="Forbidden", request="DELETE")


@pytest.mark.parametrize(("fail", "on_failure"), [(broken, "rollback"), (refused, "rollback"), (refused, "keep")])
def test_a_stateful_set_that_does_not_go_takes_its_claims_again(
    control_plane, fail: Callable[[], None], on_failure: str
) -> None:
    with extra_stateful_set(control_plane) as (scene, version, uid):
        scene.watch.add(Moment("write-allowed", r"DELETE .*/statefulsets/db"), fail)
        owner = scene.uid("StatefulSet/db")

        restored = scene.restore(version, onFailure=on_failure)

        assert restored.state is (State.FAILED if on_failure == "rollback" else State.PARTIAL)
        assert any("PATCH" in write and "statefulsets/db" in write for write in restored.writes)
        assert (scene.uid("StatefulSet/db"), when_deleted(scene)) == (owner, "Delete")
        assert scene.uid(ITS_CLAIM) == uid
        wait_until(lambda: owners(scene, ITS_CLAIM) == [owner], seconds=30, what="the claim to be owned")


def test_claims_that_go_with_consent_go_by_themselves_and_come_back_with_their_data(cluster) -> None:
    with open_scene(cluster, NOTE) as scene:
        version = scene.backup()
        scene.expect("v1", "PersistentVolumeClaim")
        scene.make(STATEFUL_SET)
        wait_until(lambda: scene.api.exists(scene.find(ITS_CLAIM)), seconds=30, what="the claim")
        name = volume_of(scene, ITS_CLAIM)
        wait_until(lambda: owners(scene, ITS_CLAIM), seconds=30, what="the claim to be owned")

        restored = scene.restore_well(version, consent=CLAIMS)

        assert restored.outcomes() == {"StatefulSet/db": "delete", ITS_CLAIM: "delete"}
        assert policies(scene, [name]) == {("Released", "Retain")}

        scene.undo_well(restored)

        assert volume_of(scene, ITS_CLAIM) == name
        wait_until(lambda: policies(scene, [name]) == {("Bound", "Delete")}, seconds=20, what="the old policy")


def web(label: str) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {label}}}}}
  template:
    metadata: {{labels: {{app: {label}}}}}
    spec: {{containers: [{{name: c, image: "registry.k8s.io/pause:3.10"}}]}}
"""


def test_what_a_replaced_object_owns_stays_and_belongs_to_the_new_one(control_plane) -> None:
    with open_scene(control_plane, web("one")) as scene:

        def own(*keys: str) -> None:
            owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": scene.uid("Deployment/web")}
            for key in keys:
                scene.patch(key, {"metadata": {"ownerReferences": [owner]}})

        scene.make(NOTE)
        scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: changed}, data: {a: '1'}}")
        own("ConfigMap/note", "ConfigMap/changed")
        version = scene.backup()
        scene.api.delete(scene.find("Deployment/web") + "?propagationPolicy=Orphan")
        wait_until(lambda: not scene.api.exists(scene.find("Deployment/web")), seconds=30, what="it to go")
        scene.make(web("two"))
        scene.patch("ConfigMap/changed", {"data": {"a": "2"}})
        scene.make("{apiVersion: v1, kind: Secret, metadata: {name: later}, stringData: {a: precious}}")
        keys = ["ConfigMap/note", "ConfigMap/changed", "Secret/later"]
        own(*keys)
        uids, before = {key: scene.uid(key) for key in keys}, scene.look()

        restored = scene.restore_well(version, mode="merge")

        new = scene.uid("Deployment/web")
        assert restored.rows["Deployment/web"].verb.value == "replace"
        time.sleep(3)  # the garbage collector would have come by
        assert {key: scene.uid(key) for key in keys} == uids
        assert {key: owners(scene, key) for key in keys} == {key: [new] for key in keys}
        assert scene.get("ConfigMap/changed")["data"] == {"a": "1"}

        scene.undo_well(restored)

        newest = scene.uid("Deployment/web")
        time.sleep(3)
        assert {key: scene.uid(key) for key in keys} == uids
        assert {key: owners(scene, key) for key in keys} == {key: [newest] for key in keys}
        assert scene.get("ConfigMap/changed")["data"] == {"a": "2"}
        assert _without_owners(scene.look()) == _without_owners(before)


def _without_owners(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {**body, "metadata": {**body["metadata"], "ownerReferences": None}}
        for key, body in found.items()
        if not key.startswith("ReplicaSet/")
    }


def test_a_restore_that_fails_after_it_detached_something_attaches_it_again(control_plane) -> None:
    with open_scene(control_plane, web("one")) as scene:
        version = scene.backup()
        scene.delete("Deployment/web")
        scene.make(f"{web('two')}---\n{NOTE}")
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": scene.uid("Deployment/web")}
        scene.patch("ConfigMap/note", {"metadata": {"ownerReferences": [owner]}})
        uid = scene.uid("ConfigMap/note")

        def fail() -> None:
            raise RuntimeError("something nobody thought of")

        scene.watch.add(Moment("write-answered", r"DELETE .*/deployments/web"), fail)
        restored = scene.restore(version, mode="merge")

        assert restored.state is State.FAILED
        assert "Every change was undone" in restored.message
        assert scene.uid("ConfigMap/note") == uid
        assert owners(scene, "ConfigMap/note") == [scene.uid("Deployment/web")]
        assert scene.get("Deployment/web")["spec"]["selector"] == {"matchLabels": {"app": "two"}}


def test_a_namespace_is_not_deleted_with_claims_that_stay(cluster) -> None:
    with cluster.namespace("extra") as other, open_scene(cluster, NOTE) as scene:
        scene.describe(
            f"objects: [{{namespaces: [NS]}}, {{namespaces: [{other}], kinds: [ConfigMap]}}, "
            f'{{kinds: [Namespace], labels: "scene={scene.namespace}"}}]'
        )
        version = scene.backup()
        cluster.api.patch(f"/api/v1/namespaces/{other}", {"metadata": {"labels": {"scene": scene.namespace}}})
        for body in scene.bodies(claim("data")):
            body["metadata"]["namespace"] = other
            scene.post(body)

        restored = scene.restore(version, consent=["Namespace"])

        row = restored.rows[f"Namespace/{other}"]
        assert (row.verb.value, row.reason) == ("skip", "in-use")
        assert f"PersistentVolumeClaim {other}/data" in row.message
        assert restored.writes == []
