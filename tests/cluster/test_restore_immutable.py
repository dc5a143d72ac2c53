"""Fields that cannot be changed in place: the object is replaced, and comes back as the version has it.

All cases share one version, one plan, one restore and one undo; each is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.domain.operation import State
from chalicelib.domain.plan import Action, Verb
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until
from tests.support.scene import Restored, Scene, open_scene

pytestmark = pytest.mark.cluster

APP = """
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: role-ref},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: one},
 subjects: [{kind: ServiceAccount, name: runner, namespace: NS}]}
---
{apiVersion: v1, kind: Secret, metadata: {name: type}, type: Opaque, stringData: {a: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: frozen}, immutable: true, data: {a: "1"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: frozen}, immutable: true, stringData: {a: "1"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: selector}
spec:
  selector: {matchLabels: {app: one}}
  template:
    metadata: {labels: {app: one}}
    spec: {containers: [{name: web, image: "scene.test/web:1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: selector}
spec:
  selector: {matchLabels: {app: one}}
  template:
    metadata: {labels: {app: one}}
    spec: {containers: [{name: web, image: "scene.test/web:1"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: service-name}
spec:
  serviceName: one
  selector: {matchLabels: {app: service-name}}
  template:
    metadata: {labels: {app: service-name}}
    spec: {containers: [{name: db, image: "scene.test/db:1"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: claim-templates}
spec:
  serviceName: one
  replicas: 0
  selector: {matchLabels: {app: claim-templates}}
  template:
    metadata: {labels: {app: claim-templates}}
    spec: {containers: [{name: db, image: "scene.test/db:1"}]}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: template}
spec:
  template: {spec: {restartPolicy: Never, containers: [{name: job, image: "scene.test/job:1"}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: to-headless}, spec: {selector: {app: one}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: containers}, spec: {containers: [{name: a, image: "scene.test/a:1"}]}}
---
apiVersion: v1
kind: Service
metadata: {name: to-address}
spec: {clusterIP: None, selector: {app: one}, ports: [{port: 80}]}
"""
#: What each object was made anew with, as a JSON merge patch of the manifest above.
DAMAGE: dict[str, dict[str, Any]] = {
    "RoleBinding/role-ref": {"roleRef": {"name": "two"}},
    "Secret/type": {"type": "scene.test/other"},
    "ConfigMap/frozen": {"data": {"a": "2"}},
    "Secret/frozen": {"stringData": {"a": "2"}},
    "Deployment/selector": {
        "spec": {
            "selector": {"matchLabels": {"app": "two"}},
            "template": {"metadata": {"labels": {"app": "two"}}},
        }
    },
    "DaemonSet/selector": {
        "spec": {
            "selector": {"matchLabels": {"app": "two"}},
            "template": {"metadata": {"labels": {"app": "two"}}},
        }
    },
    "StatefulSet/service-name": {"spec": {"serviceName": "two"}},
    "StatefulSet/claim-templates": {"spec": {"volumeClaimTemplates": None}},
    "Job/template": {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}},
    "Service/to-headless": {"spec": {"clusterIP": "None"}},
    "Service/to-address": {"spec": {"clusterIP": None}},
    "Pod/containers": {"spec": {"containers": [{"name": "b", "image": "scene.test/b:1"}]}},
}


@dataclass
class Story:
    """What was seen on the way."""

    scene: Scene
    wanted: dict[str, Any]
    before: dict[str, Any]
    planned: dict[str, Action]
    restored: Restored
    after: dict[str, Any]
    pods: tuple[str, str]
    undone: Restored
    after_undo: dict[str, Any]


@pytest.fixture(scope="module")
def story(control_plane) -> Iterator[Story]:
    with open_scene(control_plane, APP) as scene:
        wanted, version = scene.look(), scene.backup()
        scene.delete(*DAMAGE)
        for body in scene.bodies(APP):
            scene.post(patched(body, DAMAGE[f"{body['kind']}/{body['metadata']['name']}"]))
        pod = pod_of(scene, "service-name-0")
        before, planned = scene.look(), scene.planned(version)
        restored = scene.restore_well(version)
        after, pods = scene.look(), (pod, pod_of(scene, "service-name-0"))
        undone = scene.undo_well(restored)
        yield Story(scene, wanted, before, planned, restored, after, pods, undone, scene.look())


def patched(body: Any, patch: Any) -> Any:
    """RFC 7386, on a copy."""
    if not isinstance(patch, dict):
        return patch
    result = dict(body) if isinstance(body, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), value)
    return result


def pod_of(scene: Scene, name: str) -> str:
    path = f"/api/v1/namespaces/{scene.namespace}/pods/{name}"
    wait_until(lambda: scene.api.exists(path), seconds=30, what=f"pod {name}")
    return str(scene.api.get(path)["metadata"]["uid"])


@pytest.mark.parametrize("key", DAMAGE)
def test_what_cannot_be_changed_in_place_is_replaced(story: Story, key: str) -> None:
    action = story.planned[key]
    assert (action.verb, action.reason) == (Verb.REPLACE, "immutable")
    assert "cannot be changed" in action.message
    row = story.restored.rows[key]
    assert (row.verb, row.outcome, row.verified) == (Verb.REPLACE, "done", "equal")
    assert story.before[key] != story.wanted[key]
    assert story.after[key] == story.wanted[key]


@pytest.mark.parametrize("key", DAMAGE)
def test_an_undo_replaces_it_once_more(story: Story, key: str) -> None:
    assert (story.undone.rows[key].verb, story.undone.rows[key].outcome) == (Verb.REPLACE, "done")
    assert story.after_undo[key] == story.before[key]


def test_pods_of_a_stateful_set_survive_its_replacement(story: Story) -> None:
    assert story.pods[0] == story.pods[1]


def test_a_plan_says_what_a_replacement_will_be_felt_as(story: Story) -> None:
    def felt(key: str) -> str:
        return " ".join(story.planned[key].effects)

    assert "1 pod stops" in felt("Deployment/selector")
    assert "adopted" in felt("StatefulSet/service-name")
    assert "runs again" in felt("Job/template")
    assert "Connections to it fail" in felt("Service/to-headless")
    assert "permissions" in felt("RoleBinding/role-ref")


def test_nothing_but_what_differed_is_touched(story: Story) -> None:
    assert story.restored.outcomes().keys() == DAMAGE.keys()


def test_a_pod_loses_a_toleration_by_being_replaced_and_gets_it_back_in_place(control_plane) -> None:
    container = "{name: a, image: scene.test/a:1}"
    pod = f"{{apiVersion: v1, kind: Pod, metadata: {{name: lone}}, spec: {{containers: [{container}]}}}}"
    with open_scene(control_plane, pod) as scene:
        version, wanted = scene.backup(), scene.look()
        scene.delete("Pod/lone")
        for body in scene.bodies(pod):
            scene.post(patched(body, {"spec": {"tolerations": [{"key": "spot", "operator": "Exists"}]}}))
        before = scene.look()
        restored = scene.restore_well(version)
        assert restored.outcomes() == {"Pod/lone": "replace"}
        assert scene.look() == wanted
        assert scene.undo_well(restored).outcomes() == {"Pod/lone": "update"}
        assert tolerated(scene.look()) == tolerated(before)


def tolerated(found: dict[str, Any]) -> list[Any]:
    return sorted(found["Pod/lone"]["spec"]["tolerations"], key=str)


@contextmanager
def refusing(scene: Scene, expression: str) -> Iterator[None]:
    """While this is open the API server takes no ConfigMap of the namespace for which `expression` is false."""
    root, name = "/apis/admissionregistration.k8s.io/v1", scene.namespace
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    where = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    policy = {
        "matchConstraints": {"namespaceSelector": where, "resourceRules": [rule]},
        "validations": [{"expression": expression, "message": "not this one"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    made = [("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)]
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}, "data": {"a": "1"}}

    def refuses() -> bool:
        try:
            scene.api.post(f"/api/v1/namespaces/{name}/configmaps?dryRun=All", probe)
        except ApiError:
            return True
        return False

    for plural, spec in made:
        scene.api.post(f"{root}/{plural}", {"metadata": {"name": name}, "spec": spec})
    try:
        wait_until(refuses, seconds=30, what="the policy to be in force")
        yield
    finally:
        for plural, _ in made:
            scene.api.delete(f"{root}/{plural}/{name}")
        wait_until(lambda: not refuses(), seconds=30, what="the policy to be out of force")


def test_what_was_deleted_to_be_made_anew_comes_back_if_the_new_one_is_refused(control_plane) -> None:
    frozen = "{apiVersion: v1, kind: ConfigMap, metadata: {name: frozen}, immutable: true, data: {a: '1'}}"
    with open_scene(control_plane, frozen) as scene:
        version = scene.backup()
        scene.delete("ConfigMap/frozen")
        scene.make(frozen.replace("'1'", "'2'"))
        before = scene.look()
        with refusing(scene, "object.data['a'] != '1'"):
            restored = scene.restore(version)
        assert restored.state is State.FAILED
        row = restored.rows["ConfigMap/frozen"]
        assert (row.outcome, row.verified) == ("undone", "equal")
        assert "not this one" in row.message
        assert "Every change was undone." in restored.message
        assert scene.look() == before
        # The refusal gone, the same restore goes through.
        assert scene.restore_well(version).outcomes() == {"ConfigMap/frozen": "replace"}
