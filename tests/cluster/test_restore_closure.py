"""`closure: references`: what the selection refers to is in the version with its reason, is made again if it is
missing, and is otherwise only reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.operation import State
from chalicelib.domain.plan import Verb
from chalicelib.engine.lane.engine import Engine
from tests.harness.access import Access
from tests.harness.processes import wait_until
from tests.support.manifests import CLAIM, HOOK, TOYS, VOLUME
from tests.support.rights import limited
from tests.support.scene import Scene, managers, open_scene

pytestmark = pytest.mark.cluster

REFERENCES = "{objects: [{namespaces: [NS]}], closure: references}"
APP = """
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      priorityClassName: NS-urgent
      runtimeClassName: NS-runtime
      containers: [{name: web, image: "scene.test/web:1"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: view}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NS-all}
subjects: [{kind: ServiceAccount, name: web, namespace: NS}]
---
{apiVersion: v1, kind: Service, metadata: {name: hook}, spec: {selector: {app: web}, ports: [{port: 443}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: NS-disk, resources: {requests: {storage: 1Mi}}}
"""
#: Outside of the namespace: all of it removed after the test.
ELSEWHERE = """
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: NS-urgent}, value: 7}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: NS-runtime}, handler: runc}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: NS-disk}, provisioner: scene.test/none}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {to-NS: "true"}}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-part, labels: {to-NS: "true"}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-nodes}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NS-nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NS-nodes}
subjects: [{kind: ServiceAccount, name: web, namespace: NS}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NS-group}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts:NS"}]
"""


@pytest.fixture
def scene(control_plane: Access) -> Iterator[Scene]:
    """An application that uses classes, roles and a webhook outside of its namespace."""
    with open_scene(control_plane, state=REFERENCES) as opened, elsewhere(opened, f"{ELSEWHERE}---{HOOK}"):
        opened.make(APP)
        yield opened


class elsewhere:  # noqa: N801 - used as a context, like a function
    """Objects outside of the scene's namespace, there for as long as the context lasts."""

    def __init__(self, scene: Scene, manifests: str) -> None:
        self._scene = scene
        self._bodies = scene.bodies(manifests)

    def __enter__(self) -> None:
        for body in self._bodies:
            self._scene.post(body)

    def __exit__(self, *_: object) -> None:
        for body in self._bodies:
            path = self._scene.at(body)
            if self._scene.api.exists(path):
                self._scene.api.delete(path)


def pulled(scene: Scene, version: str) -> dict[str, str]:
    """`Kind/name` of what a version pulled in, with the reasons; `NS` for the namespace's name."""
    manifest = scene.repository.versions(scene.application.id).get(version)
    found = {f"{each.kind}/{each.name}": each.reason for each in manifest.pulled}
    return {key.replace(scene.namespace, "NS"): why.replace(scene.namespace, "NS") for key, why in found.items()}


def at(scene: Scene, key: str) -> str:
    return scene.find(key.replace("NS", scene.namespace))


def test_what_an_application_refers_to_is_in_its_version_with_the_reason(scene: Scene) -> None:
    version = scene.backup()
    assert pulled(scene, version) == {
        "ClusterRole/NS-all": "bound by RoleBinding.rbac.authorization.k8s.io NS/view to ServiceAccount NS/web",
        "ClusterRole/NS-part": "aggregated into ClusterRole.rbac.authorization.k8s.io NS-all",
        "ClusterRole/NS-nodes": "bound by ClusterRoleBinding.rbac.authorization.k8s.io NS-nodes "
        "to ServiceAccount NS/web",
        "ClusterRoleBinding/NS-nodes": "grants permissions to ServiceAccount NS/web",
        "ClusterRoleBinding/NS-group": "grants permissions to every ServiceAccount of namespace NS",
        "PriorityClass/NS-urgent": "priority class of Deployment.apps NS/web",
        "RuntimeClass/NS-runtime": "runtime class of Deployment.apps NS/web",
        "StorageClass/NS-disk": "storage class of PersistentVolumeClaim NS/data",
        "ValidatingWebhookConfiguration/NS-hook": "webhook answered by Service NS/hook",
    }
    names = {name.replace(scene.namespace, "NS") for name in scene.held(version)}
    assert names >= set(pulled(scene, version))


def test_what_was_pulled_in_is_made_again_if_it_is_missing_and_an_undo_takes_it_away(scene: Scene) -> None:
    version = scene.backup()
    keys = [key.replace("NS", scene.namespace) for key in pulled(scene, version)]
    before = {key: scene.get(key)["metadata"]["uid"] for key in keys}
    scene.delete(*keys)
    done = scene.restore_well(version)
    assert done.outcomes() == dict.fromkeys(keys, "create")
    assert all(scene.uid(key) != before[key] for key in keys)
    scene.undo_well(done)
    assert not any(scene.api.exists(scene.find(key)) for key in keys)


def test_what_was_pulled_in_and_differs_is_reported_and_left_unless_asked_for(scene: Scene) -> None:
    version = scene.backup()
    key = f"ClusterRole/{scene.namespace}-nodes"
    scene.patch(key, {"rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]})
    plan = scene.plan(version)
    (action,) = plan.actions
    assert (action.verb, action.reason) == (Verb.SKIP, "shared")
    assert [difference.path for difference in action.differences] == ["/rules/0/verbs"]
    assert any("used by others, so left as it is" in warning for warning in plan.warnings)
    left = scene.restore(version)
    assert (left.state, left.writes) == (State.SUCCEEDED, [])
    done = scene.restore_well(version, shared=True)
    assert done.outcomes() == {key: "update"}
    assert scene.get(key)["rules"][0]["verbs"] == ["get"]
    scene.undo_well(done)
    assert scene.get(key)["rules"][0]["verbs"] == ["list"]


def test_an_exact_restore_deletes_nothing_outside_of_the_selection(scene: Scene) -> None:
    version = scene.backup()
    binding: dict[str, Any] = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{scene.namespace}-later"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": scene.namespace}],
    }
    scene.post(binding)
    try:
        assert scene.restore_well(version).writes == []
        assert scene.api.exists(scene.at(binding))
    finally:
        scene.api.delete(scene.at(binding))


def test_a_second_backup_without_changes_adds_no_segment(scene: Scene) -> None:
    scene.backup()
    again = scene.run("backup")
    manifest = scene.repository.versions(scene.application.id).get(again.outcome["version"])
    assert (again.state, manifest.added_bytes) == (State.SUCCEEDED, 0)


def test_what_is_excluded_in_so_many_words_is_not_pulled_in(scene: Scene) -> None:
    scene.describe(
        "{objects: [{namespaces: [NS], exclude: {kinds: [PriorityClass, RuntimeClass]}}], closure: references}"
    )
    found = pulled(scene, scene.backup())
    assert not {"PriorityClass/NS-urgent", "RuntimeClass/NS-runtime"} & set(found)
    assert "StorageClass/NS-disk" in found


def test_without_closure_nothing_is_pulled_in(scene: Scene) -> None:
    scene.describe("{objects: [{namespaces: [NS]}]}")
    assert pulled(scene, scene.backup()) == {}


# ── kinds, volumes, other namespaces ────────────────────────────────────────────────────────────────────────


def test_a_definition_that_was_pulled_in_comes_back_before_its_objects_with_its_field_owners(
    control_plane: Access,
) -> None:
    with open_scene(control_plane, state=REFERENCES) as scene, elsewhere(scene, TOYS):
        definition, group = (
            f"CustomResourceDefinition/toys.{scene.namespace}.scene.test",
            f"{scene.namespace}.scene.test",
        )
        scene.apply(TOYS, "deployer", force=True)
        wait_until(lambda: scene.api.exists(f"/apis/{group}/v1"), seconds=30, what="the kind to be served")
        scene.make("{apiVersion: NS.scene.test/v1, kind: Toy, metadata: {name: bear}, spec: {eyes: 2}}")
        version, owners = scene.backup(), managers(scene.get(definition))
        assert pulled(scene, version) == {
            "CustomResourceDefinition/toys.NS.scene.test": "defines the kind of Toy.NS.scene.test NS/bear"
        }
        scene.delete("Toy/bear", definition)
        done = scene.restore_well(version)
        assert done.outcomes() == {definition: "create", "Toy/bear": "create"}
        assert scene.get("Toy/bear")["spec"] == {"eyes": 2}
        assert managers(scene.get(definition)) == owners
        scene.undo_well(done)
        assert not scene.api.exists(scene.find(definition))


def test_the_volume_of_a_claim_comes_back_and_is_bound_again(control_plane: Access) -> None:
    with open_scene(control_plane, state=REFERENCES) as scene, elsewhere(scene, VOLUME):
        scene.make(CLAIM)

        def bound() -> bool:
            return bool(scene.get("PersistentVolumeClaim/data")["status"].get("phase") == "Bound")

        wait_until(bound, seconds=30, what="the claim to be bound")
        version, volume = scene.backup(), f"PersistentVolume/{scene.namespace}-data"
        assert pulled(scene, version) == {"PersistentVolume/NS-data": "volume of PersistentVolumeClaim NS/data"}
        scene.delete("PersistentVolumeClaim/data", volume)
        action = scene.planned(version)["PersistentVolumeClaim/data"]
        assert action.effects == (f"The claim is bound to its volume {scene.namespace}-data again, with its data.",)
        done = scene.restore_well(version)
        assert done.outcomes() == {volume: "create", "PersistentVolumeClaim/data": "create"}
        wait_until(bound, seconds=30, what="the claim to be bound again")


INFRA = """
{apiVersion: v1, kind: Namespace, metadata: {name: NS-infra, labels: {a: b}}}
---
{apiVersion: v1, kind: Secret, metadata: {name: storage, namespace: NS-infra}, stringData: {key: "1"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: other, namespace: NS-infra}, stringData: {key: "1"}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: NS-disk}
provisioner: scene.test/none
parameters:
  csi.storage.k8s.io/provisioner-secret-name: storage
  csi.storage.k8s.io/provisioner-secret-namespace: NS-infra
"""
CLASSY = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: NS-disk, resources: {requests: {storage: 1Mi}}}
"""


def withheld(scene: Scene, version: str) -> dict[str, str]:
    """`name` of the Secrets of others that a version refers to and does not hold, with the reasons."""
    manifest = scene.repository.versions(scene.application.id).get(version)
    assert {(each.kind, each.namespace) for each in manifest.withheld} <= {("Secret", f"{scene.namespace}-infra")}
    return {each.name: each.reason.replace(scene.namespace, "NS") for each in manifest.withheld}


def test_a_secret_of_others_is_not_kept_unless_it_is_selected_and_then_comes_back(control_plane: Access) -> None:
    with open_scene(control_plane, state=REFERENCES) as scene, elsewhere(scene, INFRA):
        scene.make(CLASSY)
        version = scene.backup()
        assert pulled(scene, version) == {"StorageClass/NS-disk": "storage class of PersistentVolumeClaim NS/data"}
        assert withheld(scene, version) == {"storage": "used by StorageClass.storage.k8s.io NS-disk"}
        assert "Secret/storage" not in scene.held(version)
        selected = "{namespaces: [NS-infra], kinds: [Namespace, Secret], names: [storage]}"
        scene.describe(f"{{objects: [{{namespaces: [NS]}}, {selected}], closure: references}}")
        chosen = scene.backup()
        assert withheld(scene, chosen) == {}
        namespace = f"Namespace/{scene.namespace}-infra"
        scene.delete(namespace)
        (said,) = [warning for warning in scene.plan(version).warnings if "does not hold it" in warning]
        assert said.startswith(f"Secret {scene.namespace}-infra/storage is not there")
        # Who restores a part is told of what that refers to.
        assert said in scene.plan(version, only=["StorageClass"]).warnings
        assert said not in scene.plan(version, only=["PersistentVolumeClaim"]).warnings
        done = scene.restore_well(chosen)
        assert done.outcomes() == {namespace: "create", "Secret/storage": "create"}
        assert not any("does not hold it" in warning for warning in scene.plan(version).warnings)


GATEWAY_KIND = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: PLURAL.gateway.networking.k8s.io
  annotations: {api-approved.kubernetes.io: "unapproved, of a test"}
spec:
  group: gateway.networking.k8s.io
  scope: Namespaced
  names: {plural: PLURAL, kind: KIND}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object,
    x-kubernetes-preserve-unknown-fields: true}}}]
"""
GATEWAY_KINDS = "---".join(
    GATEWAY_KIND.replace("PLURAL", f"{kind.lower()}s").replace("KIND", kind)
    for kind in ("Gateway", "HTTPRoute", "ReferenceGrant")
)
PLATFORM = """
{apiVersion: v1, kind: Namespace, metadata: {name: NS-infra}}
---
{apiVersion: v1, kind: Secret, metadata: {name: private, namespace: NS-infra}, stringData: {key: "1"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: lent, namespace: NS-infra}, stringData: {key: "1"}}
---
{apiVersion: v1, kind: Secret, metadata: {name: refused, namespace: NS-infra}, stringData: {key: "1"}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: platform, namespace: NS-infra}
spec: {listeners: [{name: web, tls: {certificateRefs: [{name: private}]}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: lent, namespace: NS-infra}
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: NS}]
  to: [{group: "", kind: Secret, name: lent}]
"""
TENANT = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: platform, namespace: NS-infra}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: own}
spec:
  listeners:
    - name: web
      tls: {certificateRefs: [{name: lent, namespace: NS-infra}, {name: refused, namespace: NS-infra}]}
"""


def test_a_gateways_certificate_is_kept_only_where_a_grant_lets_the_application_refer_to_it(
    control_plane: Access,
) -> None:
    state = REFERENCES.replace("[NS]", "[NS], exclude: {kinds: [CustomResourceDefinition]}")
    with open_scene(control_plane, state=state) as scene, elsewhere(scene, GATEWAY_KINDS):
        served = "/apis/gateway.networking.k8s.io/v1"
        wait_until(
            lambda: scene.api.exists(served) and len(scene.api.get(served)["resources"]) >= 3,
            seconds=30,
            what="the kinds to be served",
        )
        with elsewhere(scene, PLATFORM):
            scene.make(TENANT)
            version = scene.backup()
            assert pulled(scene, version) == {
                "Gateway/platform": "parent of HTTPRoute.gateway.networking.k8s.io NS/web",
                "Secret/lent": "certificate of Gateway.gateway.networking.k8s.io NS/own",
                "Namespace/NS-infra": "namespace of Secret NS-infra/lent",
            }
            assert withheld(scene, version) == {
                "private": "certificate of Gateway.gateway.networking.k8s.io NS-infra/platform",
                "refused": "certificate of Gateway.gateway.networking.k8s.io NS/own",
            }
            assert not {"Secret/private", "Secret/refused"} & scene.held(version).keys()
            assert scene.restore_well(version).writes == []


def test_a_selection_by_labels_is_completed_in_its_own_namespace(control_plane: Access) -> None:
    state = "{objects: [{namespaces: [NS], labels: app=web}], closure: references}"
    manifests = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {a: "1"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: strange}, data: {a: "1"}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: few}, spec: {hard: {pods: "5"}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  automountServiceAccountToken: false
  containers: [{name: it, image: "scene.test/it:1", envFrom: [{configMapRef: {name: conf}}]}]
"""
    with open_scene(control_plane, manifests, state=state) as scene:
        version = scene.backup()
        assert pulled(scene, version) == {
            "ConfigMap/conf": "used by Pod NS/web",
            "ResourceQuota/few": "limits what runs in namespace NS",
        }
        scene.patch("ConfigMap/conf", {"data": {"a": "2"}})
        scene.delete("ResourceQuota/few")
        assert scene.restore_well(version).outcomes() == {"ResourceQuota/few": "create"}
        assert scene.get("ConfigMap/conf")["data"] == {"a": "2"}


def test_what_may_not_be_followed_is_told_and_the_selection_is_as_good_as_without(control_plane: Access) -> None:
    with (
        open_scene(control_plane, state=REFERENCES) as scene,
        elsewhere(scene, VOLUME),
        limited(control_plane, "persistentvolumes") as user,
    ):
        scene.make(CLAIM)
        engine = scene.engine
        clusters = scene.watch.clusters(scene.repository, str(user.kubeconfig))
        scene.engine = Engine(scene.repository, clusters, scene.watch.flows())
        made = scene.run("backup")
        scene.engine = engine
        assert made.state is State.PARTIAL
        assert [gap["kind"] for gap in made.outcome["unfollowed"]] == ["PersistentVolume"]
        assert made.outcome["gaps"] == []
        scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}}")
        assert scene.restore_well(made.outcome["version"]).outcomes() == {"ConfigMap/extra": "delete"}
