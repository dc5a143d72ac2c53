"""A copy beside the original has the rights of the original, those too that were granted elsewhere than in its own
namespace; and the original's bindings are nobody's but its own."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.operation import State
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

RBAC = "/apis/rbac.authorization.k8s.io/v1"
CLUSTER_BINDINGS = f"{RBAC}/clusterrolebindings"
BINDINGS = f"{RBAC}/namespaces/kube-system/rolebindings"

APP = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
"""
#: What an API server that is added to a cluster needs: a right in `kube-system`, and others beside it.
RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: NS-reader, namespace: kube-system, labels: {of: NS}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects:
- {kind: ServiceAccount, name: web, namespace: NS}
- {kind: Group, name: "system:serviceaccounts:NS", apiGroup: rbac.authorization.k8s.io}
- {kind: ServiceAccount, name: agent, namespace: others}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NS-viewer, labels: {of: NS}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects:
- {kind: ServiceAccount, name: web, namespace: NS}
- {kind: User, name: jane, apiGroup: rbac.authorization.k8s.io}
"""
STATE = "{objects: [{namespaces: [NS]}], closure: references}"


@pytest.fixture
def scene(control_plane) -> Iterator[Scene]:
    with open_scene(control_plane, APP, state=STATE) as opened:
        try:
            for body in opened.bodies(RIGHTS):
                opened.api.post(opened.kinds.path(body, "kube-system"), body)
            yield opened
        finally:
            for path in (BINDINGS, CLUSTER_BINDINGS):
                opened.api.delete(f"{path}?labelSelector=of={opened.namespace}")


@pytest.fixture
def copy(control_plane) -> Iterator[str]:
    """The name of a namespace that is not there yet."""
    name = f"copy-{secrets.token_hex(3)}"
    yield name
    api = control_plane.api
    for path in (BINDINGS, CLUSTER_BINDINGS):
        for body in api.get(path)["items"]:
            if body["metadata"]["name"].endswith(name):
                api.delete(f"{path}/{body['metadata']['name']}")
    if api.exists(f"/api/v1/namespaces/{name}"):
        with contextlib.suppress(ApiError):  # it is on its way out already
            api.delete(f"/api/v1/namespaces/{name}")


def originals(scene: Scene) -> list[Any]:
    return [
        scene.api.get(f"{BINDINGS}/{scene.namespace}-reader"),
        scene.api.get(f"{CLUSTER_BINDINGS}/{scene.namespace}-viewer"),
    ]


def may(scene: Scene, account: str, verb: str, name: str) -> bool:
    """Whether an account may do something with a ConfigMap of `kube-system`, by the API server's own word."""
    asked = {"verb": verb, "resource": "configmaps", "name": name, "namespace": "kube-system"}
    spec = {"user": f"system:serviceaccount:{account}", "resourceAttributes": asked}
    answer = scene.api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    return bool(answer["status"]["allowed"])


@pytest.mark.parametrize("mode", ["merge", "exact"])
def test_a_copy_may_what_the_original_may_and_an_undo_takes_that_away(scene: Scene, copy: str, mode: str) -> None:
    version, before, into = scene.backup(), originals(scene), {scene.namespace: copy}
    reader, viewer = f"{scene.namespace}-reader-{copy}", f"{scene.namespace}-viewer-{copy}"
    restored = scene.restore_well(version, namespaces=into, mode=mode)
    assert originals(scene) == before
    made, wide = scene.api.get(f"{BINDINGS}/{reader}"), scene.api.get(f"{CLUSTER_BINDINGS}/{viewer}")
    assert [subject.get("namespace") or subject["name"] for subject in made["subjects"]] == [
        copy,
        f"system:serviceaccounts:{copy}",
    ]
    assert [subject.get("namespace") for subject in wide["subjects"]] == [copy]
    assert all("labels" not in binding["metadata"] for binding in (made, wide))
    assert may(scene, f"{copy}:web", "get", "extension-apiserver-authentication")
    assert not may(scene, f"{copy}:web", "update", "extension-apiserver-authentication")
    assert scene.restore_well(version, namespaces=into, mode=mode).writes == []
    undone = scene.undo_well(restored)
    assert not scene.api.exists(f"{BINDINGS}/{reader}")
    assert not scene.api.exists(f"{CLUSTER_BINDINGS}/{viewer}")
    assert originals(scene) == before
    assert undone.state is State.SUCCEEDED


def test_the_plan_names_the_second_bindings_with_their_reason_and_no_other_binding(scene: Scene, copy: str) -> None:
    plan = scene.plan(scene.backup(), namespaces={scene.namespace: copy}, mode="exact")
    bindings = {
        str(action.object.key): (action.verb.value, action.message)
        for action in plan.actions
        if action.object.kind.endswith("Binding")
    }
    said = ("create", "It grants to accounts of the copy what the original's have.")
    assert bindings == {
        f"ClusterRoleBinding.rbac.authorization.k8s.io {scene.namespace}-viewer-{copy}": said,
        f"RoleBinding.rbac.authorization.k8s.io kube-system/{scene.namespace}-reader-{copy}": said,
    }
    assert plan.blockers == ()


def test_a_strangers_binding_of_that_name_in_a_namespace_of_others_is_left_as_it_is(scene: Scene, copy: str) -> None:
    version, name = scene.backup(), f"{scene.namespace}-reader-{copy}"
    stranger = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "others"}],
    }
    before = scene.api.post(BINDINGS, stranger)
    restored = scene.restore_well(version, namespaces={scene.namespace: copy})
    assert scene.api.get(f"{BINDINGS}/{name}") == before
    row = restored.rows[f"RoleBinding/{name}"]
    assert (row.verb.value, row.reason) == ("skip", "shared")


def test_a_second_binding_that_was_changed_is_brought_back(scene: Scene, copy: str) -> None:
    version, into, name = scene.backup(), {scene.namespace: copy}, f"{scene.namespace}-reader-{copy}"
    scene.restore_well(version, namespaces=into)
    made = scene.api.get(f"{BINDINGS}/{name}")
    scene.api.patch(f"{BINDINGS}/{name}", {"subjects": made["subjects"][:1]})
    assert scene.restore_well(version, namespaces=into).outcomes() == {f"RoleBinding/{name}": "update"}
    assert scene.api.get(f"{BINDINGS}/{name}")["subjects"] == made["subjects"]


def test_a_namespace_of_others_that_is_gone_keeps_no_copy_from_being_made(scene: Scene, copy: str) -> None:
    gone = f"gone-{secrets.token_hex(3)}"
    scene.api.post("/api/v1/namespaces", {"metadata": {"name": gone}})
    (binding,) = [body for body in scene.bodies(RIGHTS) if body["kind"] == "RoleBinding"]
    binding["metadata"] = {"name": "reader", "namespace": gone}
    scene.api.post(f"{RBAC}/namespaces/{gone}/rolebindings", binding)
    version = scene.backup()
    scene.api.delete(f"/api/v1/namespaces/{gone}")
    wait_until(lambda: not scene.api.exists(f"/api/v1/namespaces/{gone}"), seconds=60, what=f"{gone} to be gone")
    restored = scene.restore_well(version, namespaces={scene.namespace: copy})
    assert restored.rows[f"RoleBinding/reader-{copy}"].reason == "no-namespace"
    said = f"as the namespace that it is in is not there: RoleBinding.rbac.authorization.k8s.io {gone}/reader-{copy}."
    assert said in " ".join(scene.plan_of(restored).warnings)
