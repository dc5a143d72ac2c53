"""Rewrites that do not fit: told before anything is written, and nothing is. Those that fit but for a slip of the pen
are carried out, and the slip is told."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.operation import State
from chalicelib.planning.bodies.immutable import understand
from tests.harness.errors import ApiError
from tests.support.scene import Restored, Scene, open_scene

pytestmark = pytest.mark.cluster

APP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: b}
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {word: hidden}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.invalid/web:1}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 0
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: registry.invalid/db:1}]}
"""
STATE = "objects: [{namespaces: [NS]}]"


@pytest.fixture
def scene(control_plane) -> Iterator[Scene]:
    with open_scene(control_plane, APP) as opened:
        yield opened


def add(path: str, value: Any) -> dict[str, Any]:
    return {"jsonPatch": [{"op": "add", "path": path, "value": value}]}


def rewriting(scene: Scene, kind: str, patch: dict[str, Any]) -> None:
    """Register a document with this rewrite, as an earlier release took it, unread."""
    scene.describe(STATE, json.dumps({"rewrite": [{"match": {"kind": kind}, **patch}]}))


#: Patches that leave no object that the server would read, and what is said of them.
ODD: list[tuple[str, dict[str, Any], str]] = [
    ("Deployment", {"mergePatch": {"spec": "x"}}, "`spec` takes a mapping, not text"),
    ("Deployment", {"mergePatch": {"spec": {"replicas": "3"}}}, "`spec.replicas` takes a number, not text"),
    ("Deployment", add("/spec/template/spec/volumes", {"a": 1}), "`spec.template.spec.volumes` takes a list"),
    ("Deployment", {"mergePatch": {"status": {"replicas": 3}}}, "`status` is the cluster's to write"),
    (
        "StatefulSet",
        {"mergePatch": {"spec": {"volumeClaimTemplates": "x"}}},
        "`spec.volumeClaimTemplates` takes a list",
    ),
    ("Service", {"mergePatch": {"spec": {"ports": "x"}}}, "`spec.ports` takes a list, not text"),
    ("ConfigMap", add("/metadata/annotations", ["x"]), "`metadata.annotations` takes a mapping"),
    ("ConfigMap", {"mergePatch": {"data": {"a": 5}}}, "`data.a` takes text, not a number"),
    ("Secret", {"mergePatch": {"type": 5}}, "`type` takes text, not a number"),
    ("ConfigMap", add("/metadata/uid", "abc"), "cannot change `metadata.uid`"),
    ("ConfigMap", add("/metadata/resourceVersion", "5"), "cannot change `metadata.resourceVersion`"),
]


def test_a_rewrite_that_leaves_no_object_of_its_kind_is_told_and_nothing_is_written(scene: Scene) -> None:
    version, copy = scene.backup(), f"copy-{secrets.token_hex(3)}"
    live = {key: scene.uid(key) for key in ("Deployment/web", "StatefulSet/db", "Service/web", "ConfigMap/conf")}
    for kind, patch, said in ODD:
        rewriting(scene, kind, patch)
        for where in ({}, {"namespaces": {scene.namespace: copy}}):
            refused = scene.restore(version, **where)
            assert (refused.state, refused.writes) == (State.FAILED, []), patch
            assert "Rewrite 1 of the document does not fit" in refused.message
            assert said in refused.message
            assert "hidden" not in refused.message
    assert {key: scene.uid(key) for key in live} == live
    assert not scene.api.exists(f"/api/v1/namespaces/{copy}")


def test_a_field_that_the_server_would_drop_is_told_of_what_was_rewritten(scene: Scene) -> None:
    version, copy = scene.backup(), f"copy-{secrets.token_hex(3)}"
    odd = {"mergePatch": {"metadata": {"label": {"a": "b"}}, "spec": {"replica": 3, "minReadySeconds": 7}}}
    rewriting(scene, "Deployment", odd)
    try:
        here = scene.restore_well(version)
        beside = scene.restore_well(version, namespaces={scene.namespace: copy})
        web = f"Deployment.apps {scene.namespace}/web"
        said = f"Fields that the cluster does not know, and drops: {web} metadata.label, {web} spec.replica."
        assert dropped(scene, here) == dropped(scene, beside) == [said]
        assert said in here.operation.outcome["warnings"]  # nobody has read its plan
        assert here.outcomes() == {"Deployment/web": "update"}
        assert scene.get("Deployment/web")["spec"]["minReadySeconds"] == 7
    finally:
        scene.api.delete(f"/api/v1/namespaces/{copy}")
    # Without rewrites nothing is said: an object has, where it was kept, the fields that the cluster knows.
    scene.describe(STATE)
    assert dropped(scene, scene.restore_well(version)) == []


def dropped(scene: Scene, restored: Restored) -> list[str]:
    return [warning for warning in scene.plan_of(restored).warnings if warning.startswith("Fields")]


def test_a_value_that_the_server_refuses_leaves_the_object_that_is_there_and_is_told(scene: Scene) -> None:
    version, uid = scene.backup(), scene.uid("Deployment/web")
    rewriting(scene, "Deployment", {"mergePatch": {"spec": {"replicas": -1}}})
    action = scene.planned(version)["Deployment/web"]
    assert (action.verb.value, action.reason) == ("skip", "refused")
    assert "must be greater than or equal to 0" in action.message
    scene.restore(version)
    assert scene.uid("Deployment/web") == uid


@pytest.mark.parametrize(
    ("key", "patch"), [("Deployment/web", {"spec": "x"}), ("StatefulSet/db", {"spec": {"replicas": "x"}})]
)
def test_the_servers_word_that_it_cannot_read_an_object_is_no_reason_to_replace_it(
    scene: Scene, key: str, patch: dict[str, Any]
) -> None:
    with pytest.raises(ApiError) as refused:
        scene.api.request("PUT", f"{scene.find(key)}?dryRun=All", {**scene.get(key), **patch})
    assert understand(refused.value.status, str(refused.value)).kind == "malformed"
