"""Who owns which fields is after a restore what it was: whoever applied an object applies it again without conflict.

All cases share one version and one restore of each kind of damage; each object is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.cluster.transport import TransportFailure
from chalicelib.domain.operation import State
from tests.harness.errors import ApiError
from tests.support.moments import Moment
from tests.support.scene import Body, Scene, managers, open_scene

pytestmark = pytest.mark.cluster

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "scene.test/web:1", env: [{name: A, value: "1"}]}]}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, name: http}]}
"""
SHARED_BY_HELM = "{apiVersion: v1, kind: ConfigMap, metadata: {name: shared, labels: {by: helm}}, data: {a: '1'}}"
SHARED_BY_FLUX = "{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {b: '2'}}"
CLIENT_SIDE = "{apiVersion: v1, kind: ConfigMap, metadata: {name: client-side}, data: {a: '1', b: '2'}}"
CREATED = "{apiVersion: v1, kind: ConfigMap, metadata: {name: created}, data: {a: '1'}}"
SECRET = "{apiVersion: v1, kind: Secret, metadata: {name: applied}, type: Opaque, stringData: {a: sesame}}"
FROZEN = "{apiVersion: v1, kind: ConfigMap, metadata: {name: frozen}, immutable: true, data: {a: '1'}}"
KEYS = [
    "Deployment/web",
    "Service/web",
    "ConfigMap/shared",
    "ConfigMap/client-side",
    "ConfigMap/created",
    "ConfigMap/frozen",
    "Secret/applied",
]
APPLIED = [
    ("helm", WEB),
    ("helm", SERVICE),
    ("helm", SHARED_BY_HELM),
    ("flux", SHARED_BY_FLUX),
    ("helm", FROZEN),
    ("helm", SECRET),
]


def deploy(scene: Scene) -> None:
    for manager, text in APPLIED:
        scene.apply(text, manager)
    for text, manager in ((CREATED, "an-operator"), (CLIENT_SIDE, "kubectl")):
        if manager == "kubectl":
            scene.cluster.kubectl("-n", scene.namespace, "apply", "-f", "-", stdin=text)
        else:
            scene.post(scene.bodies(text)[0], manager)
    # Somebody who writes without applying, and one who only sets replicas.
    patch_as(scene, "ConfigMap/shared", "a-controller", {"metadata": {"annotations": {"seen": "yes"}}})
    scale_as(scene, "an-autoscaler", 3)


def patch_as(scene: Scene, key: str, manager: str, patch: Body) -> None:
    scene.api.patch(f"{scene.find(key)}?fieldManager={manager}", patch)


def scale_as(scene: Scene, manager: str, replicas: int) -> None:
    scene.api.patch(f"{scene.find('Deployment/web')}/scale?fieldManager={manager}", {"spec": {"replicas": replicas}})


def change(scene: Scene) -> None:
    patch_as(scene, "Deployment/web", "somebody", {"metadata": {"labels": {"app": "x", "new": "y"}}})
    patch_as(scene, "Deployment/web", "somebody", {"spec": {"paused": True}})
    scale_as(scene, "somebody", 1)
    patch_as(scene, "Service/web", "somebody", {"spec": {"selector": {"app": "other"}}})
    patch_as(scene, "ConfigMap/shared", "somebody", {"data": {"a": "x", "b": "y", "c": "z"}})
    patch_as(scene, "ConfigMap/client-side", "somebody", {"data": {"a": "x", "b": None}})
    patch_as(scene, "ConfigMap/created", "somebody", {"data": {"a": "x"}})
    patch_as(scene, "Secret/applied", "somebody", {"stringData": {"a": "other"}})
    scene.delete("ConfigMap/frozen")
    scene.apply(FROZEN.replace("'1'", "'2'"), "somebody")


def remove(scene: Scene) -> None:
    scene.delete(*KEYS)


@dataclass
class Story:
    """What was seen on the way."""

    scene: Scene
    wanted: dict[str, list[Body]]
    before: dict[str, list[Body]]
    after: dict[str, list[Body]]
    content: tuple[dict[str, Any], dict[str, Any]]
    undone: dict[str, list[Body]]


def owners(scene: Scene) -> dict[str, list[Body]]:
    return {key: managers(scene.get(key)) for key in KEYS if scene.api.exists(scene.find(key))}


@pytest.fixture(scope="module", params=[change, remove], ids=["changed", "removed"])
def story(control_plane, request: pytest.FixtureRequest) -> Iterator[Story]:
    with open_scene(control_plane) as scene:
        deploy(scene)
        wanted, content, version = owners(scene), scene.look(), scene.backup()
        request.param(scene)
        before = owners(scene)
        restored = scene.restore_well(version)
        after, seen = owners(scene), scene.look()
        scene.undo_well(restored)
        undone = owners(scene)
        scene.restore_well(version)
        yield Story(scene, wanted, before, after, (content, seen), undone)


@pytest.mark.parametrize("key", KEYS)
def test_fields_have_the_owners_they_had(story: Story, key: str) -> None:
    assert story.after[key] == story.wanted[key]
    assert story.content[1][key] == story.content[0][key]


@pytest.mark.parametrize("key", KEYS)
def test_an_undo_gives_them_the_owners_they_had_before(story: Story, key: str) -> None:
    assert story.undone.get(key) == story.before.get(key)


@pytest.mark.parametrize("number", range(len(APPLIED)))
def test_who_applied_applies_again_without_a_conflict_and_changes_nothing(story: Story, number: int) -> None:
    manager, text = APPLIED[number]
    key = next(f"{body['kind']}/{body['metadata']['name']}" for body in story.scene.bodies(text))
    before = story.scene.look()
    scene = story.scene
    if key == "Deployment/web":
        # Its replicas belong to who scaled it last, as before.
        with pytest.raises(ApiError, match="replicas"):
            scene.apply(text, manager)
        text = text.replace("replicas: 2\n", "paused: false\n")
    scene.apply(text, manager)
    assert {name: scene.look()[name] for name in before if name != key} == {
        name: body for name, body in before.items() if name != key
    }


def test_what_a_manager_no_longer_applies_goes_away(story: Story) -> None:
    scene = story.scene
    scene.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {}}", "flux")
    assert "b" not in scene.get("ConfigMap/shared")["data"]
    assert scene.get("ConfigMap/shared")["data"]["a"] == "1"


def test_kubectl_apply_removes_what_is_no_longer_in_the_file(story: Story) -> None:
    scene = story.scene
    less = "{apiVersion: v1, kind: ConfigMap, metadata: {name: client-side}, data: {a: '3'}}"
    scene.cluster.kubectl("-n", scene.namespace, "apply", "-f", "-", stdin=less)
    assert scene.get("ConfigMap/client-side")["data"] == {"a": "3"}


def test_ownership_alone_is_no_difference(control_plane) -> None:
    with open_scene(control_plane) as scene:
        scene.apply(SHARED_BY_HELM, "helm")
        version = scene.backup()
        scene.apply(SHARED_BY_HELM, "somebody-else", force=True)
        restored = scene.restore_well(version)
        assert (restored.state, restored.writes) == (State.SUCCEEDED, [])


@pytest.mark.parametrize("moment", ["write-allowed", "write-answered"])
def test_owners_are_put_back_although_the_servers_answer_does_not_come(control_plane, moment: str) -> None:
    def no_answer() -> None:
        raise TransportFailure("timed out", sent=True)

    with open_scene(control_plane) as scene:
        scene.apply(WEB, "helm")
        wanted, version = managers(scene.get("Deployment/web")), scene.backup()
        scene.delete("Deployment/web")
        scene.watch.add(Moment(moment, "PATCH .*/deployments/web"), no_answer)
        scene.restore_well(version)
        assert managers(scene.get("Deployment/web")) == wanted
