"""What admission changes when an object is made, and nobody can change afterwards; and when one is updated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import Conflict, TurnEnded
from chalicelib.domain.operation import State
from chalicelib.domain.plan import Verb
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until
from tests.support.moments import Moment
from tests.support.scene import Scene, open_scene
from tests.support.webhook import changing, serve

pytestmark = pytest.mark.cluster

POD = """
apiVersion: v1
kind: Pod
metadata: {name: lone, labels: {app: lone}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "scene.test/main:1"}]
"""
STATE = "objects: [{namespaces: [NS], exclude: {kinds: [LimitRange]}}]"
#: What meshes and the like put into a pod.
ADDED = [
    {"op": "add", "path": "/metadata/labels/injected", "value": "yes"},
    {"op": "add", "path": "/spec/containers/-", "value": {"name": "side", "image": "scene.test/side:1"}},
    {"op": "add", "path": "/spec/tolerations/-", "value": {"key": "spot", "operator": "Exists"}},
    {"op": "add", "path": "/spec/volumes/-", "value": {"name": "certificates", "emptyDir": {}}},
]
CONF = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {colour: red}
"""
LIMITS = {"default": {"cpu": "200m"}, "defaultRequest": {"cpu": "100m"}, "type": "Container"}


@contextmanager
def by_a_webhook(scene: Scene, directory: Path) -> Iterator[None]:
    with serve(directory) as webhook:
        webhook.changes = ADDED
        with changing(scene.api, scene.namespace, webhook, "pods"):
            yield


@contextmanager
def by_a_limit_range(scene: Scene, directory: Path) -> Iterator[None]:
    scene.post(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": {"limits": [LIMITS]}}
    )
    yield


@pytest.fixture(params=[by_a_webhook, by_a_limit_range], ids=lambda each: each.__name__)
def changed(request: pytest.FixtureRequest) -> Any:
    return request.param


def made_now(scene: Scene) -> dict[str, Any]:
    """What would become of the pod if it were made now."""
    (pod,) = scene.bodies(POD.replace("lone", "probe"))
    made: dict[str, Any] = scene.api.post(f"/api/v1/namespaces/{scene.namespace}/pods?dryRun=All", pod)
    return made


def refuses(scene: Scene) -> bool:
    try:
        made_now(scene)
    except ApiError:
        return True
    return False


def is_changed(spec: dict[str, Any]) -> bool:
    return len(spec["containers"]) > 1 or "limits" in (spec["containers"][0].get("resources") or {})


def test_a_pod_to_which_admission_adds_is_made_once_and_then_left_as_it_is(
    control_plane, tmp_path: Path, changed: Any
) -> None:
    with open_scene(control_plane, POD, state=STATE) as scene:
        version = scene.backup()
        with changed(scene, tmp_path):
            wait_until(lambda: is_changed(made_now(scene)["spec"]), seconds=30, what="admission to change pods")
            scene.delete("Pod/lone")

            restored = scene.restore_well(version)

            row, uid = restored.rows["Pod/lone"], scene.uid("Pod/lone")
            assert (row.verb, row.outcome, row.verified) == (Verb.CREATE, "done", "equal")
            assert is_changed(scene.get("Pod/lone")["spec"])

            assert scene.restore_well(version).writes == []
            assert scene.uid("Pod/lone") == uid


def test_a_pod_that_differs_by_more_than_admission_adds_is_replaced_once(
    control_plane, tmp_path: Path, changed: Any
) -> None:
    with open_scene(control_plane, POD, state=STATE) as scene:
        version = scene.backup()
        scene.delete("Pod/lone")
        scene.make(POD.replace("name: main,", "name: other,"))
        with changed(scene, tmp_path):
            wait_until(lambda: is_changed(made_now(scene)["spec"]), seconds=30, what="admission to change pods")

            restored = scene.restore_well(version)

            row, uid = restored.rows["Pod/lone"], scene.uid("Pod/lone")
            assert (row.verb, row.outcome, row.verified) == (Verb.REPLACE, "done", "equal")
            assert scene.get("Pod/lone")["spec"]["containers"][0]["name"] == "main"
            assert is_changed(scene.get("Pod/lone")["spec"])

            assert scene.restore_well(version).writes == []
            assert scene.uid("Pod/lone") == uid


@pytest.mark.parametrize("verb", ["create", "replace"])
def test_a_worker_knows_the_pod_that_another_made_by_what_admission_adds(
    control_plane, tmp_path: Path, verb: str
) -> None:
    with open_scene(control_plane, POD, state=STATE) as scene:
        version = scene.backup()
        scene.delete("Pod/lone")
        if verb == "replace":
            scene.make(POD.replace("name: main,", "name: other,"))
        with by_a_webhook(scene, tmp_path):
            wait_until(lambda: is_changed(made_now(scene)["spec"]), seconds=30, what="admission to change pods")

            def end() -> None:
                raise TurnEnded("The worker's time is over.")

            scene.watch.add(Moment("write-answered", r"POST .*/pods"), end)
            done = scene.finish(scene.start("restore", version=version))

            assert (done.state, done.error) == (State.SUCCEEDED, None)
            assert done.turns >= 1
            assert done.outcome["verified"] == {"equal": 1}


@contextmanager
def a_webhook_that_changes_updates(scene: Scene, directory: Path) -> Iterator[None]:
    """In force as long as the context lasts."""
    with serve(directory) as webhook:
        webhook.changes = [{"op": "add", "path": "/data/injected", "value": "yes"}]
        with changing(scene.api, scene.namespace, webhook, "configmaps", operation="UPDATE"):

            def in_force() -> bool:
                asked = scene.api.patch(scene.find("ConfigMap/conf") + "?dryRun=All", {"data": {"asked": "yes"}})
                return "injected" in asked["data"]

            wait_until(in_force, seconds=30, what="admission to change updates")
            yield


def end_of_time() -> None:
    raise TurnEnded("The worker's time is over.")


@pytest.mark.parametrize("before", [False, True], ids=["new", "there before"])
def test_a_worker_knows_the_update_that_another_made_by_what_admission_changes(
    control_plane, tmp_path: Path, before: bool
) -> None:
    with open_scene(control_plane, CONF) as scene:
        version = scene.backup()
        if not before:
            scene.patch("ConfigMap/conf", {"data": {"colour": "blue"}})
        with a_webhook_that_changes_updates(scene, tmp_path):
            if before:
                scene.patch("ConfigMap/conf", {"data": {"colour": "blue"}})
                assert scene.get("ConfigMap/conf")["data"]["injected"] == "yes"
            scene.watch.add(Moment("write-answered", r"PUT .*/configmaps/conf"), end_of_time)
            done = scene.finish(scene.start("restore", version=version))

            assert (done.state, done.error) == (State.SUCCEEDED, None)
            assert done.turns >= 1
            assert done.outcome["verified"] == {"equal": 1}
            assert scene.get("ConfigMap/conf")["data"] == {"colour": "red", "injected": "yes"}


@pytest.mark.parametrize("moment", ["write-allowed", "write-answered"])
def test_what_somebody_changed_beside_an_update_of_a_worker_that_ended_is_not_taken_for_its(
    control_plane, tmp_path: Path, moment: str
) -> None:
    """Right before the update, which is then refused, and right after it."""
    with open_scene(control_plane, CONF) as scene:
        version = scene.backup()
        scene.patch("ConfigMap/conf", {"data": {"colour": "blue"}})
        with a_webhook_that_changes_updates(scene, tmp_path):

            def end() -> None:
                scene.patch("ConfigMap/conf", {"data": {"theirs": "yes"}})
                end_of_time()

            scene.watch.add(Moment(moment, r"PUT .*/configmaps/conf"), end)
            done = scene.finish(scene.start("restore", version=version))

            assert done.state is State.FAILED
            assert "between plan and apply" in done.error.message
            assert scene.get("ConfigMap/conf")["data"]["theirs"] == "yes"


def test_what_a_rollback_wrote_is_as_before_although_admission_changes_updates(control_plane, tmp_path: Path) -> None:
    with open_scene(control_plane, CONF) as scene:
        version = scene.backup()
        scene.patch("ConfigMap/conf", {"data": {"colour": "blue"}})
        with a_webhook_that_changes_updates(scene, tmp_path):

            def fail() -> None:
                raise Conflict("It is to be undone.")

            scene.watch.add(Moment("step-begins", r"restore\.health"), fail)
            restored = scene.restore(version)

            assert (restored.state, restored.operation.outcome["undone"]) == (State.FAILED, True)
            row = restored.rows["ConfigMap/conf"]
            assert (row.outcome, row.verified) == ("undone", "equal")
            assert scene.get("ConfigMap/conf")["data"] == {"colour": "blue", "injected": "yes"}


def test_a_pod_of_which_no_other_may_be_made_is_replaced_as_ever(control_plane, tmp_path: Path) -> None:
    with open_scene(control_plane, POD, state=STATE) as scene:
        version = scene.backup()
        with by_a_limit_range(scene, tmp_path):
            wait_until(lambda: is_changed(made_now(scene)["spec"]), seconds=30, what="admission to change pods")
            scene.delete("Pod/lone")
            scene.make(POD)
            quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}}
            scene.post({**quota, "spec": {"hard": {"pods": "1"}}})
            wait_until(lambda: refuses(scene), seconds=60, what="the quota to be in force")

            action = scene.planned(version, mode="merge")["Pod/lone"]

            assert (action.verb, action.reason) == (Verb.REPLACE, "immutable")
