"""The order in which things come back: nothing runs unprotected or beyond its limit, and nothing is refused by what
is only half there. Whole namespaces; and what a controller decides is not decided again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.domain.operation import State
from tests.harness.processes import wait_until
from tests.support.scene import Restored, Scene, managers, open_scene

pytestmark = pytest.mark.cluster

NAMESPACE = '{apiVersion: v1, kind: Namespace, metadata: {name: NS, labels: {team: shop}, annotations: {note: "1"}}}'
APP = """
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny}, spec: {podSelector: {}}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: few}, spec: {hard: {pods: "5"}}}
---
{apiVersion: v1, kind: LimitRange, metadata: {name: small}, spec: {limits: [{type: Container, default: {cpu: 100m}}]}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: runner}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {a: "1"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: cred}, stringData: {a: "1"}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: runner, namespace: NS}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: scene-none, resources: {requests: {storage: 1Mi}}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {serviceAccountName: runner, containers: [{name: web, image: "scene.test/web:1"}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {rules: [{host: NS.example, http: {paths: [{path: /, pathType: Prefix,
       backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 1, maxReplicas: 9}
"""


@dataclass
class Story:
    """A namespace that was deleted and came back."""

    scene: Scene
    wanted: dict[str, Any]
    restored: Restored
    after: dict[str, Any]
    namespace: tuple[Any, Any]

    def place(self, plural: str) -> int:
        """When the (first) object of a kind was made."""
        made = re.compile(rf"POST /\S+/{plural}(\?|$)")
        return next(number for number, write in enumerate(self.restored.writes) if made.match(write))


@pytest.fixture(scope="module")
def story(control_plane) -> Iterator[Story]:
    with open_scene(control_plane) as scene:
        path = f"/api/v1/namespaces/{scene.namespace}"
        scene.api.patch(path, {"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "1"}}})
        scene.make(APP)
        was, wanted, version = scene.api.get(path), scene.look(), scene.backup()
        scene.api.delete(path)
        wait_until(lambda: not scene.api.exists(path), seconds=60, what="the namespace to be gone")
        restored = scene.restore_well(version)
        yield Story(scene, wanted, restored, scene.look(), (was, scene.api.get(path)))


def test_a_deleted_namespace_comes_back_with_everything_in_it(story: Story) -> None:
    assert story.after == story.wanted
    was, now = story.namespace
    assert now["metadata"]["labels"] == was["metadata"]["labels"]
    assert now["metadata"]["annotations"] == was["metadata"]["annotations"]
    assert managers(now) == managers(was)
    assert now["metadata"]["uid"] != was["metadata"]["uid"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("namespaces", "networkpolicies"),
        ("networkpolicies", "deployments"),
        ("resourcequotas", "deployments"),
        ("limitranges", "deployments"),
        ("serviceaccounts", "secrets"),
        ("secrets", "deployments"),
        ("configmaps", "deployments"),
        ("roles", "rolebindings"),
        ("rolebindings", "deployments"),
        ("persistentvolumeclaims", "deployments"),
        ("services", "deployments"),
        ("deployments", "ingresses"),
        ("deployments", "poddisruptionbudgets"),
        ("deployments", "horizontalpodautoscalers"),
    ],
)
def test_what_is_needed_comes_first(story: Story, first: str, then: str) -> None:
    assert story.place(first) < story.place(then)


def test_a_namespace_on_its_way_out_stops_a_restore_before_it_begins(control_plane) -> None:
    with open_scene(control_plane, "{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}}") as scene:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["scene.test/f"]}}
        scene.post(body)
        version = scene.backup()
        scene.api.delete(f"/api/v1/namespaces/{scene.namespace}")
        restored = scene.restore(version)
        assert restored.state is State.FAILED
        assert f"Namespace {scene.namespace} is being deleted" in restored.message
        assert restored.writes == []


def test_replicas_that_an_autoscaler_set_are_not_set_back(control_plane) -> None:
    with open_scene(control_plane, APP) as scene:
        version = scene.backup()
        scene.api.patch(scene.find("Deployment/web") + "/scale", {"spec": {"replicas": 4}})
        assert scene.restore_well(version).writes == []
        scene.patch("Deployment/web", {"spec": {"template": {"spec": {"hostNetwork": True}}}})
        scene.restore_well(version)
        spec = scene.get("Deployment/web")["spec"]
        assert spec["replicas"] == 4
        assert "hostNetwork" not in spec["template"]["spec"]


@pytest.mark.parametrize("room", [0, 64 * 1024 * 1024], ids=["no-room", "room"])
def test_an_autoscaler_that_came_since_is_known_however_much_differs(
    control_plane, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr("chalicelib.engine.plan.planner._MOST_KEPT", room)
    with open_scene(control_plane, APP) as scene:
        scaler = {name: scene.get("HorizontalPodAutoscaler/web")[name] for name in ("apiVersion", "kind", "spec")}
        scene.delete("HorizontalPodAutoscaler/web")
        version = scene.backup()
        scene.post({**scaler, "metadata": {"name": "web"}})
        scene.api.patch(scene.find("Deployment/web") + "/scale", {"spec": {"replicas": 4}})
        assert "Deployment/web" not in scene.planned(version, mode="merge")


def test_replicas_are_set_back_where_no_autoscaler_does(control_plane) -> None:
    with open_scene(control_plane, APP) as scene:
        scene.delete("HorizontalPodAutoscaler/web")
        version = scene.backup()
        scene.api.patch(scene.find("Deployment/web") + "/scale", {"spec": {"replicas": 4}})
        scene.restore_well(version)
        assert scene.get("Deployment/web")["spec"]["replicas"] == 2


def test_a_quota_that_is_full_of_what_is_extra_does_not_refuse_what_is_wanted(control_plane) -> None:
    quota = '{apiVersion: v1, kind: ResourceQuota, metadata: {name: two}, spec: {hard: {count/configmaps: "4"}}}'
    with open_scene(control_plane, "{apiVersion: v1, kind: ConfigMap, metadata: {name: wanted}}") as scene:
        scene.make(quota)
        wait_until(
            lambda: scene.get("ResourceQuota/two").get("status", {}).get("used"), seconds=30, what="the quota's count"
        )
        wanted, version = scene.look(), scene.backup()
        scene.delete("ConfigMap/wanted")

        def filled() -> bool:
            used = int(scene.get("ResourceQuota/two")["status"]["used"]["count/configmaps"])
            if used < 4:
                scene.post({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "extra-"}})
            return used == 4

        wait_until(filled, seconds=30, what="the quota to be full")
        scene.restore_well(version)
        assert scene.look() == wanted
