"""What waits for what in a restore: the document's rules, operators before their objects, servers before what they
answer; each wait in bounds, and only for what was ready when the version was made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chalicelib.domain.operation import State
from tests.harness.access import Access
from tests.harness.processes import wait_until
from tests.support.manifests import TOYS
from tests.support.pods import SaysReady
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

ACCOUNT = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: NAME}}"
MAP = "{apiVersion: v1, kind: ConfigMap, metadata: {name: NAME}}"
SERVER = """
{apiVersion: v1, kind: Service, metadata: {name: hook}, spec: {selector: {app: hook}, ports: [{port: 443}]}}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {serviceAccountName: NAME, containers: [{name: it, image: "scene.test/it:1"}]}
"""
#: Without the rule both would be made at once.
RULE = (
    "{order: [{before: {kind: Deployment, name: app}, ready: {kind: Deployment, name: db}}], health: {timeout: TIME}}"
)
OPERATOR = f"""
{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: operator}}}}
---
{DEPLOYMENT.replace("NAME", "operator")}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: operator}}
rules: [{{apiGroups: [NS.scene.test], resources: [toys, toys/status], verbs: [get, list, watch, update]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: operator}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}}
subjects: [{{kind: ServiceAccount, name: operator, namespace: NS}}]
"""


def ready(scene: Scene, name: str) -> bool:
    return bool(scene.get(f"Deployment/{name}").get("status", {}).get("availableReplicas"))


@contextmanager
def two_deployments(control_plane: Access, timeout: str) -> Iterator[Scene]:
    """`app` and `db`, both ready, with the rule that `app` waits for `db`."""
    with open_scene(control_plane, restore=RULE.replace("TIME", timeout)) as scene:
        for name in ("app", "db"):
            scene.make(ACCOUNT.replace("NAME", name))
            scene.make(DEPLOYMENT.replace("NAME", name))
        with SaysReady(scene.api, scene.namespace, "app"):
            wait_until(lambda: ready(scene, "app") and ready(scene, "db"), seconds=30, what="both to be ready")
        yield scene


def made(writes: list[str]) -> list[str]:
    """The Deployments in the order in which they were written."""
    return [path.rpartition("/")[2] for path in writes if "deployments" in path]


def test_what_a_rule_names_is_ready_before_the_other_is_begun(control_plane: Access) -> None:
    with two_deployments(control_plane, "1m") as scene:
        version = scene.backup()
        scene.delete("Deployment/app", "Deployment/db")
        plan = scene.planned(version)
        assert plan["Deployment/db"].wave < plan["Deployment/app"].wave
        assert [each.object.name for each in plan["Deployment/app"].awaits] == ["db"]
        with SaysReady(scene.api, scene.namespace, "app"):
            done = scene.restore_well(version)
        assert set(done.outcomes()) == {"Deployment/app", "Deployment/db"}
        made_at = {name: scene.get(f"Deployment/{name}")["metadata"]["creationTimestamp"] for name in ("app", "db")}
        pod = scene.api.get(f"/api/v1/namespaces/{scene.namespace}/pods?labelSelector=app=db")["items"][0]
        assert made_at["db"] <= pod["metadata"]["creationTimestamp"] <= made_at["app"]


def test_what_waits_by_a_rule_fails_in_time_if_the_other_does_not_become_ready(control_plane: Access) -> None:
    with two_deployments(control_plane, "2s") as scene:
        version = scene.backup()
        scene.delete("Deployment/app", "Deployment/db")
        done = scene.restore(version)
        assert done.state is State.FAILED
        assert "Deployment.apps" in done.message
        assert "is not ready after" in done.message
        assert not scene.api.exists(scene.find("Deployment/app"))


def test_rules_that_mean_nothing_or_go_in_a_circle_are_told_in_the_plan(control_plane: Access) -> None:
    rules = (
        "{order: [{before: {kind: Deployment, name: app}, ready: {kind: Deployment, name: gone}},"
        "{before: {kind: ConfigMap, name: a}, ready: {kind: ConfigMap, name: b}},"
        "{before: {kind: ConfigMap, name: b}, ready: {kind: ConfigMap, name: a}}]}"
    )
    maps = f"{MAP.replace('NAME', 'a')}\n---\n{MAP.replace('NAME', 'b')}"
    with open_scene(control_plane, maps, restore=rules) as scene:
        version = scene.backup()
        scene.delete("ConfigMap/a", "ConfigMap/b")
        plan = scene.plan(version)
        told = " ".join(plan.warnings)
        assert (
            "The rule that Deployment app waits for Deployment gone has no effect: "
            "the version has no Deployment app and no Deployment gone." in told
        )
        assert "These wait for each other" in told
        assert scene.restore_well(version).outcomes() == {"ConfigMap/a": "create", "ConfigMap/b": "create"}


def test_a_rule_orders_without_waiting_for_what_was_not_ready_then(control_plane: Access) -> None:
    with open_scene(control_plane, restore=RULE.replace("TIME", "1m")) as scene:
        for name in ("app", "db"):
            scene.make(DEPLOYMENT.replace("NAME", name))
        version = scene.backup()
        scene.delete("Deployment/app", "Deployment/db")
        plan = scene.plan(version)
        assert any("was not ready when the version was made" in warning for warning in plan.warnings)
        done = scene.restore_well(version)
        assert done.outcomes() == {"Deployment/app": "create", "Deployment/db": "create"}


@pytest.fixture
def operated(control_plane: Access) -> Iterator[Scene]:
    """A custom object whose operator is in the application, and ready."""
    with open_scene(control_plane, restore="{health: {timeout: 30s}}") as scene:
        scene.make(TOYS)
        group = f"{scene.namespace}.scene.test"
        wait_until(lambda: scene.api.exists(f"/apis/{group}/v1"), seconds=30, what="the kind to be served")
        try:
            scene.make(OPERATOR)
            scene.make("{apiVersion: NS.scene.test/v1, kind: Toy, metadata: {name: bear}, spec: {eyes: 2}}")
            with SaysReady(scene.api, scene.namespace, "app"):
                wait_until(lambda: ready(scene, "operator"), seconds=30, what="the operator to be ready")
            yield scene
        finally:
            scene.delete("Toy/bear") if scene.api.exists(scene.find("Toy/bear")) else None
            scene.delete(f"CustomResourceDefinition/toys.{group}")


def test_a_custom_object_is_made_once_its_operator_is_ready(operated: Scene) -> None:
    version = operated.backup()
    operated.delete("Toy/bear", "Deployment/operator")
    action = operated.planned(version)["Toy/bear"]
    assert [(each.object.name, each.reason) for each in action.awaits] == [("operator", "it operates this kind")]
    with SaysReady(operated.api, operated.namespace, "app"):
        done = operated.restore_well(version)
    assert set(done.outcomes()) == {"Toy/bear", "Deployment/operator"}
    pod = operated.api.get(f"/api/v1/namespaces/{operated.namespace}/pods?labelSelector=app=operator")["items"][0]
    toy = operated.get("Toy/bear")
    assert pod["metadata"]["creationTimestamp"] <= toy["metadata"]["creationTimestamp"]


def test_an_operator_that_does_not_come_back_is_told_and_its_objects_are_made_all_the_same(operated: Scene) -> None:
    operated.describe("{objects: [{namespaces: [NS]}]}", "{health: {timeout: 1s}, onFailure: keep}")
    version = operated.backup()
    operated.delete("Toy/bear", "Deployment/operator")
    done = operated.restore(version)
    assert done.state is State.PARTIAL
    assert operated.get("Toy/bear")["spec"] == {"eyes": 2}
    assert "was written although Deployment.apps" in " ".join(done.operation.outcome["warnings"])


def test_a_webhook_comes_after_the_server_that_answers_it(control_plane: Access) -> None:
    hook = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NS-hook, labels: {scene: NS}}
webhooks:
  - name: hook.scene.test
    clientConfig: {service: {namespace: NS, name: hook, path: /}}
    rules: [{apiGroups: [NS.scene.test], apiVersions: [v1], resources: [nothing], operations: [CREATE]}]
    sideEffects: None
    admissionReviewVersions: [v1]
"""
    state = "{objects: [{namespaces: [NS]}, {kinds: [ValidatingWebhookConfiguration], labels: 'scene=NS'}]}"
    with open_scene(control_plane, state=state, restore="{health: {timeout: 30s}}") as scene:
        scene.make(ACCOUNT.replace("NAME", "hook"))
        scene.make(DEPLOYMENT.replace("NAME", "hook"))
        scene.make(SERVER)
        scene.make(hook)
        try:
            with SaysReady(scene.api, scene.namespace, "app"):
                wait_until(lambda: ready(scene, "hook"), seconds=30, what="the server to be ready")
            version = scene.backup()
            scene.delete(f"ValidatingWebhookConfiguration/{scene.namespace}-hook", "Deployment/hook")
            awaits = scene.planned(version)[f"ValidatingWebhookConfiguration/{scene.namespace}-hook"].awaits
            assert [(each.object.name, each.reason) for each in awaits] == [("hook", "it answers this")]
            with SaysReady(scene.api, scene.namespace, "app"):
                done = scene.restore_well(version)
            assert len(done.outcomes()) == 2
        finally:
            scene.delete(f"ValidatingWebhookConfiguration/{scene.namespace}-hook")
