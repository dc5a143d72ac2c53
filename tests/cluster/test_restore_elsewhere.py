"""A version restored into another namespace of its own cluster: a copy that works by itself, beside an original that
nobody touched."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.operation import State
from tests.harness.errors import ApiError
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

APP = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {tier: front}}
data: {database: "db.NS.svc.cluster.local", colour: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {word: hidden}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: web.NS.svc.cluster.local}
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
subjects: [{kind: ServiceAccount, name: web, namespace: NS}, {kind: Group, name: "system:serviceaccounts:NS"}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: own}
spec:
  podSelector: {}
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NS}}}]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers: [{name: web, image: registry.invalid/web:1, envFrom: [{configMapRef: {name: settings}}]}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: none-such, resources: {requests: {storage: 1Mi}}}
"""


@pytest.fixture
def scene(control_plane) -> Iterator[Scene]:
    with open_scene(control_plane, APP) as opened:
        yield opened


@pytest.fixture
def copy(control_plane) -> Iterator[str]:
    """The name of a namespace that is not there yet."""
    name = f"copy-{secrets.token_hex(3)}"
    yield name
    if control_plane.api.exists(f"/api/v1/namespaces/{name}"):
        with contextlib.suppress(ApiError):  # it is on its way out already
            control_plane.api.delete(f"/api/v1/namespaces/{name}")


def there(scene: Scene, namespace: str) -> dict[str, Any]:
    """What is in another namespace, of the kinds that were made here."""
    own, scene.namespace = scene.namespace, namespace
    try:
        return scene.look()
    finally:
        scene.namespace = own


def raw(scene: Scene) -> dict[str, Any]:
    """Every object of the original, with its resourceVersion: a write of any kind would show."""
    found = {}
    for head in scene._used.values():
        for body in scene.api.get(scene.kinds.path(head, scene.namespace))["items"]:
            # Controllers go on writing the status of what they care for.
            body.pop("status", None)
            if head["kind"] == "Deployment":
                body["metadata"].pop("resourceVersion")
                body["metadata"].pop("managedFields")
            found[f"{head['kind']}/{body['metadata']['name']}"] = body
    return found


def test_a_copy_is_made_in_another_namespace_and_the_original_is_not_touched(scene: Scene, copy: str) -> None:
    version, before = scene.backup(), raw(scene)
    into = {scene.namespace: copy}
    restored = scene.restore_well(version, namespaces=into)
    assert raw(scene) == before
    made = there(scene, copy)
    assert made.keys() == scene.look().keys()
    subjects = made["RoleBinding/reader"]["subjects"]
    assert subjects[0]["namespace"] == copy
    assert subjects[1]["name"] == f"system:serviceaccounts:{copy}"
    peer = made["NetworkPolicy/own"]["spec"]["ingress"][0]["from"][0]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": copy}
    assert made["Service/alias"]["spec"]["externalName"] == f"web.{copy}.svc.cluster.local"
    own = scene.get("Service/web")["spec"]
    assert made["Service/web"]["spec"]["clusterIP"] != own["clusterIP"]
    assert made["Service/web"]["spec"]["ports"][0]["nodePort"] != own["ports"][0]["nodePort"]
    assert made["ConfigMap/settings"]["data"] == scene.get("ConfigMap/settings")["data"]
    assert restored.operation.outcome["destination"]["namespaces"] == into
    # The application itself is where it was.
    assert scene.repository.applications.get(scene.application.id).current_version == version
    assert all(f"/{scene.namespace}/" not in write for write in restored.writes)


def test_a_text_that_names_the_old_namespace_is_told_with_its_place(scene: Scene, copy: str) -> None:
    version = scene.backup()
    plan = scene.plan(version, namespaces={scene.namespace: copy})
    said = [warning for warning in plan.warnings if "DNS names" in warning]
    assert f"ConfigMap {scene.namespace}/settings /data/database" in said[0]
    assert {action.object.namespace for action in plan.actions} <= {"", copy}


INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    nginx.ingress.kubernetes.io/auth-secret: NS/basic
    nginx.ingress.kubernetes.io/auth-url: http://auth.NS.svc.cluster.local/check
    traefik.ingress.kubernetes.io/router.middlewares: NS-auth@kubernetescrd
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
"""


def test_annotations_that_name_the_old_namespace_are_changed_or_told_and_what_is_changed_is_not_told(
    scene: Scene, copy: str
) -> None:
    scene.make(INGRESS)
    version, into, own = scene.backup(), {scene.namespace: copy}, scene.namespace
    warnings = scene.plan(version, namespaces=into).warnings
    (names,) = [warning for warning in warnings if warning.startswith("DNS names")]
    (others,) = [warning for warning in warnings if warning.startswith("Annotations")]
    place = f"Ingress.networking.k8s.io {own}/web /metadata/annotations/"
    assert f"{place}nginx.ingress.kubernetes.io~1auth-url" in names
    assert f"Service {own}/alias" not in names
    assert others.endswith(f"{place}traefik.ingress.kubernetes.io~1router.middlewares.")
    scene.restore_well(version, namespaces=into)
    annotations = there(scene, copy)["Ingress/web"]["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/auth-secret"] == f"{copy}/basic"
    assert annotations["nginx.ingress.kubernetes.io/auth-url"] == f"http://auth.{own}.svc.cluster.local/check"


def test_an_undo_takes_the_copy_away_and_an_undo_of_it_brings_it_back(scene: Scene, copy: str) -> None:
    version, before = scene.backup(), raw(scene)
    restored = scene.restore_well(version, namespaces={scene.namespace: copy})
    made = there(scene, copy)
    undone = scene.undo_well(restored)
    assert there(scene, copy) == {}
    assert raw(scene) == before
    again = scene.undo(undone)
    assert again.state is State.FAILED or there(scene, copy).keys() == made.keys()


def test_an_undo_leaves_a_namespace_in_which_somebody_made_something_since(scene: Scene, copy: str) -> None:
    restored = scene.restore_well(scene.backup(), namespaces={scene.namespace: copy})
    strangers = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"a": "b"}}
    scene.api.post(f"/api/v1/namespaces/{copy}/configmaps", strangers)
    undone = scene.undo(restored)
    assert scene.api.get(f"/api/v1/namespaces/{copy}/configmaps/theirs")["data"] == {"a": "b"}
    assert set(there(scene, copy)) == {"ConfigMap/theirs"}
    assert undone.state is State.PARTIAL
    assert "ConfigMap " + copy + "/theirs" in str(undone.rows)


def test_merge_is_the_default_elsewhere_and_exact_deletes_only_there(scene: Scene, copy: str) -> None:
    version, before = scene.backup(), raw(scene)
    into = {scene.namespace: copy}
    scene.restore_well(version, namespaces=into)
    api = scene.api
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}}
    api.post(f"/api/v1/namespaces/{copy}/configmaps", extra)
    api.patch(f"/api/v1/namespaces/{copy}/configmaps/settings", {"data": {"colour": "red"}})
    merged = scene.restore_well(version, namespaces=into)
    assert merged.outcomes() == {"ConfigMap/settings": "update"}
    exact = scene.restore_well(version, namespaces=into, mode="exact")
    assert exact.outcomes() == {"ConfigMap/extra": "delete"}
    assert raw(scene) == before


def test_a_namespace_that_somebody_prepared_keeps_its_labels(scene: Scene, copy: str) -> None:
    version, path = scene.backup(), f"/api/v1/namespaces/{copy}"
    labels = {"pod-security.kubernetes.io/enforce": "baseline", "team": "platform"}
    scene.api.post("/api/v1/namespaces", {"metadata": {"name": copy, "labels": labels}})
    for mode in ("merge", "exact"):
        restored = scene.restore_well(version, namespaces={scene.namespace: copy}, mode=mode)
        assert "Namespace" not in {key.partition("/")[0] for key in restored.outcomes()}
        assert scene.api.get(path)["metadata"]["labels"].items() >= labels.items()
    assert "Namespace" in " ".join(scene.plan(version, namespaces={scene.namespace: copy}).warnings)


# ── changed on the way ──────────────────────────────────────────────────────────────────────────────────────

STATE = "objects: [{namespaces: [NS]}]"
FRONT = "rewrite: [{match: {labels: tier=front}, mergePatch: {data: {colour: green}}}]"
REPLICAS = (
    "rewrite: [{match: {kind: Deployment}, jsonPatch: [{op: test, path: /spec/replicas, value: 1}, "
    "{op: replace, path: /spec/replicas, value: 0}]}]"
)


def test_rewrites_change_what_is_restored_and_nothing_is_left_to_do_then(scene: Scene, copy: str) -> None:
    version, before = scene.backup(), raw(scene)
    scene.describe(STATE, FRONT)
    scene.restore_well(version, namespaces={scene.namespace: copy})
    assert there(scene, copy)["ConfigMap/settings"]["data"]["colour"] == "green"
    assert raw(scene) == before


def test_rewrites_change_a_restore_in_place_too_and_an_undo_brings_back_what_was(scene: Scene) -> None:
    version, before = scene.backup(), scene.look()
    scene.describe(STATE, REPLICAS)
    restored = scene.restore_well(version)
    assert restored.outcomes() == {"Deployment/web": "update"}
    assert scene.get("Deployment/web")["spec"]["replicas"] == 0
    scene.undo_well(restored)
    assert scene.look() == before


def test_a_rewrite_that_does_not_fit_stops_the_restore_before_anything_is_written(scene: Scene, copy: str) -> None:
    version = scene.backup()
    scene.describe(STATE, "rewrite: [{match: {kind: Service}, jsonPatch: [{op: remove, path: /spec/none}]}]")
    refused = scene.restore(version, namespaces={scene.namespace: copy})
    assert (refused.state, refused.writes) == (State.FAILED, [])
    assert f"Rewrite 1 of the document does not fit Service {scene.namespace}/" in refused.message
    assert not scene.api.exists(f"/api/v1/namespaces/{copy}")


def test_a_rewrite_that_means_nothing_is_told(scene: Scene) -> None:
    version = scene.backup()
    scene.describe(STATE, "rewrite: [{match: {name: nobody}, mergePatch: {data: {a: b}}}]")
    assert "Rewrite 1 of the document (name nobody) means no object of the version." in scene.plan(version).warnings


def test_claims_get_the_storage_class_that_is_named_for_theirs_if_it_is_there(scene: Scene, copy: str) -> None:
    version, into = scene.backup(), {scene.namespace: copy}
    missing = scene.restore(version, namespaces=into, storageClasses={"none-such": f"{copy}-missing"})
    assert (missing.state, missing.writes) == (State.FAILED, [])
    assert f"There is no StorageClass {copy}-missing" in missing.message
    path = "/apis/storage.k8s.io/v1/storageclasses"
    scene.api.post(path, {"metadata": {"name": copy}, "provisioner": "scene.test/none"})
    try:
        scene.describe(STATE, f"storageClasses: {{none-such: {copy}}}")
        scene.restore_well(version, namespaces=into)
        assert there(scene, copy)["PersistentVolumeClaim/data"]["spec"]["storageClassName"] == copy
        # In place the document's classes mean nothing.
        assert scene.restore_well(version).writes == []
    finally:
        scene.api.delete(f"{path}/{copy}")


def test_of_a_restore_of_a_part_only_what_is_restored_is_told(scene: Scene, copy: str) -> None:
    version = scene.backup()
    asked = {"namespaces": {scene.namespace: copy}, "storageClasses": {"none-such": f"{copy}-missing"}}
    whole, part = scene.plan(version, **asked), scene.plan(version, **asked, only=["Namespace", "Role"])
    assert "There is no StorageClass" in " ".join(whole.blockers)
    assert "DNS names of the old namespace" in " ".join(whole.warnings)
    assert (part.blockers, part.warnings) == ((), ())
    assert scene.plan(version, **asked, only=["PersistentVolumeClaim", "Namespace"]).blockers == whole.blockers


JOBS = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: bill}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: it, image: "scene.test/it:1"}]}}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: mail}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: it, image: "scene.test/it:1"}]}}}
"""


def test_jobs_of_a_copy_wait_unless_they_are_to_run_beside_the_originals(scene: Scene, copy: str) -> None:
    scene.make(JOBS)
    scene.apply(JOBS.partition("---")[0].replace("bill", "applied"), "deployer")
    version, before, into = scene.backup(), scene.get("CronJob/bill")["spec"], {scene.namespace: copy}
    plan = scene.plan(version, namespaces=into)
    (said,) = [warning for warning in plan.warnings if warning.startswith("Suspended")]
    assert all(f"batch {copy}/{name}" in said for name in ("bill", "applied", "mail"))
    assert plan.destination is not None
    assert plan.destination.suspend
    scene.restore_well(version, namespaces=into)
    jobs = ("CronJob/bill", "CronJob/applied", "Job/mail")
    assert [there(scene, copy)[name]["spec"]["suspend"] for name in jobs] == [True, True, True]
    # They are to go on: one update each, and the plan says which ones run twice then.
    done = scene.restore_well(version, namespaces=into, suspend=False)
    assert done.outcomes() == dict.fromkeys(jobs, "update")
    assert any("as well" in warning and "CronJob.batch" in warning for warning in scene.plan_of(done).warnings)
    assert [there(scene, copy)[name]["spec"]["suspend"] for name in jobs] == [False, False, False]
    # The document can say it too, for elsewhere only.
    scene.describe(STATE, "suspend: false")
    assert scene.restore_well(version, namespaces=into).writes == []
    scene.describe(STATE, "suspend: true")
    assert scene.restore_well(version).writes == []
    assert scene.get("CronJob/bill")["spec"] == before


# ── what belongs to the whole cluster ───────────────────────────────────────────────────────────────────────

CLUSTER_WIDE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS-lister, labels: {of: NS}}
rules: [{apiGroups: [""], resources: [nodes], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NS-lister, labels: {of: NS}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NS-lister}
subjects: [{kind: ServiceAccount, name: web, namespace: NS}]
"""
CLUSTER_STATE = "objects: [{namespaces: [NS]}, {kinds: [ClusterRole, ClusterRoleBinding], labels: 'of=NS'}]"


def test_a_copy_gets_a_binding_of_its_own_and_the_originals_stays(scene: Scene, copy: str) -> None:
    scene.describe(CLUSTER_STATE)
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    try:
        scene.make(CLUSTER_WIDE)
        version, own = scene.backup(), scene.api.get(f"{bindings}/{scene.namespace}-lister")
        restored = scene.restore_well(version, namespaces={scene.namespace: copy})
        assert scene.api.get(f"{bindings}/{scene.namespace}-lister") == own
        made = scene.api.get(f"{bindings}/{scene.namespace}-lister-{copy}")
        assert made["subjects"] == [{"kind": "ServiceAccount", "name": "web", "namespace": copy}]
        assert "labels" not in made["metadata"]  # the original selects by them
        assert "ClusterRole/NS-lister" not in restored.outcomes()
        scene.undo_well(restored)
        assert not scene.api.exists(f"{bindings}/{scene.namespace}-lister-{copy}")
        assert scene.api.get(f"{bindings}/{scene.namespace}-lister") == own
    finally:
        for path in (bindings, "/apis/rbac.authorization.k8s.io/v1/clusterroles"):
            scene.api.delete(f"{path}?labelSelector=of={scene.namespace}")


@pytest.mark.parametrize(
    "state", [CLUSTER_STATE, "{objects: [{namespaces: [NS]}], closure: references}"], ids=["selected", "pulled in"]
)
def test_an_exact_restore_elsewhere_deletes_nothing_that_belongs_to_the_whole_cluster(
    scene: Scene, copy: str, state: str
) -> None:
    scene.describe(state)
    kinds = [f"/apis/rbac.authorization.k8s.io/v1/{each}" for each in ("clusterrolebindings", "clusterroles")]
    own = f"?labelSelector=of={scene.namespace}"
    try:
        scene.make(CLUSTER_WIDE)
        version = scene.backup()
        scene.make(CLUSTER_WIDE.partition("---")[0].replace("name: NS-lister", "name: NS-newer"))
        before = [scene.api.get(path + own)["items"] for path in kinds]
        restored = scene.restore_well(version, namespaces={scene.namespace: copy}, mode="exact")
        assert f"ClusterRoleBinding/{scene.namespace}-lister-{copy}" in restored.outcomes()
        assert "delete" not in restored.outcomes().values()
        assert [scene.api.get(path + own)["items"] for path in kinds] == before
        again = scene.restore_well(version, namespaces={scene.namespace: copy}, mode="exact")
        assert again.writes == []
        scene.undo_well(restored)
        assert [scene.api.get(path + own)["items"] for path in kinds] == before
    finally:
        for path in kinds:
            scene.api.delete(path + own)


def test_a_strangers_binding_of_that_name_is_left_as_it_is(scene: Scene, copy: str) -> None:
    scene.describe(CLUSTER_STATE)
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    try:
        scene.make(CLUSTER_WIDE)
        version = scene.backup()
        scene.make(
            CLUSTER_WIDE.partition("---")[2]
            .replace("name: NS-lister,", f"name: NS-lister-{copy},", 1)
            .replace("name: NS-lister}", "name: view}")
            .replace("namespace: NS}", "namespace: other}")
        )
        stranger = scene.api.get(f"{bindings}/{scene.namespace}-lister-{copy}")
        scene.restore_well(version, namespaces={scene.namespace: copy})
        assert scene.api.get(f"{bindings}/{scene.namespace}-lister-{copy}") == stranger
        left = {
            action.object.name: action.reason
            for action in scene.plan(version, namespaces={scene.namespace: copy}).actions
        }
        assert left[f"{scene.namespace}-lister-{copy}"] == "shared"
    finally:
        for path in ("clusterrolebindings", "clusterroles"):
            scene.api.delete(f"/apis/rbac.authorization.k8s.io/v1/{path}?labelSelector=of={scene.namespace}")


def test_two_objects_that_would_be_called_the_same_stop_the_restore(scene: Scene, copy: str) -> None:
    scene.describe(CLUSTER_STATE)
    try:
        scene.make(CLUSTER_WIDE)
        scene.make(
            CLUSTER_WIDE.partition("---")[2]
            .replace("name: NS-lister,", f"name: NS-lister-{copy},")
            .replace("namespace: NS}", "namespace: other}")
        )
        plan = scene.plan(scene.backup(), namespaces={scene.namespace: copy})
        assert (
            f"would be called ClusterRoleBinding.rbac.authorization.k8s.io {scene.namespace}-lister-{copy}."
            in str(plan.blockers)
        )
    finally:
        for path in ("clusterrolebindings", "clusterroles"):
            scene.api.delete(f"/apis/rbac.authorization.k8s.io/v1/{path}?labelSelector=of={scene.namespace}")


# ── saved plans ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_saved_plan_for_elsewhere_is_applied_as_shown_and_refused_if_the_document_changed(
    scene: Scene, copy: str
) -> None:
    version, into = scene.backup(), {scene.namespace: copy}
    plan = scene.run("plan", version=version, namespaces=into)
    scene.describe(STATE, FRONT)
    stale = scene.restore(version, plan=plan.id, namespaces=into)
    assert (stale.state, stale.writes) == (State.FAILED, [])
    assert f"ConfigMap {copy}/settings" in stale.message
    assert "The document's `restore.rewrite` changed since." in stale.message
    scene.describe(STATE)
    applied = scene.restore_well(version, plan=plan.id, namespaces=into)
    assert applied.operation.outcome["counts"] == plan.outcome["counts"]
