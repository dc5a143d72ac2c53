"""Which objects a version never holds."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.objects import Resource
from chalicelib.planning.selecting.capture_rules import Reason, implied, listable, never_listed, verdict
from tests.unit.planning.samples import ALL, VERBS, controlled_by, make, served


def why(kind: str, name: str = "web", namespace: str = "shop", **members: Any) -> Reason:
    return verdict(make(kind, name, namespace, **members), served(kind)).reason


@pytest.mark.parametrize("kind", [each.kind for each in ALL if each.kind != "VolumeSnapshot"])
def test_an_ordinary_object_of_any_kind_is_kept(kind: str) -> None:
    assert verdict(make(kind), served(kind)).take


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("", "Event"),
        ("events.k8s.io", "Event"),
        ("", "Node"),
        ("", "ComponentStatus"),
        ("apps", "ControllerRevision"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("coordination.k8s.io", "Lease"),
        ("internal.apiserver.k8s.io", "StorageVersion"),
        ("metrics.k8s.io", "NodeMetrics"),
        ("metrics.k8s.io", "PodMetrics"),
        ("migration.k8s.io", "StorageState"),
        ("networking.k8s.io", "IPAddress"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotContent"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "CSIStorageCapacity"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storagemigration.k8s.io", "StorageVersionMigration"),
        ("velero.io", "Backup"),
        ("authorization.k8s.io", "SubjectAccessReview"),
    ],
)
def test_kinds_in_which_nothing_is_wanted_state_are_never_listed(group: str, kind: str) -> None:
    assert never_listed(Resource(group, "v1", kind.lower(), kind, namespaced=True, verbs=VERBS))


@pytest.mark.parametrize("verbs", [{"list", "get"}, {"create"}, set()])
def test_kinds_that_cannot_be_listed_and_created_are_never_listed(verbs: set[str]) -> None:
    assert never_listed(Resource("x.example", "v1", "things", "Thing", namespaced=True, verbs=frozenset(verbs)))


def test_subresources_are_never_listed() -> None:
    assert never_listed(Resource("", "v1", "pods/exec", "PodExecOptions", namespaced=True, verbs=VERBS))


def test_kinds_that_are_served_in_two_groups_are_listed_once() -> None:
    old = Resource("extensions", "v1beta1", "deployments", "Deployment", namespaced=True, verbs=VERBS)
    assert listable([old, served("Deployment")]) == [served("Deployment")]
    assert listable([old]) == [old]


def test_what_is_being_deleted_is_not_kept() -> None:
    assert why("ConfigMap", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}) is Reason.TERMINATING


@pytest.mark.parametrize("label", ["mainstay.dev/exclude", "velero.io/exclude-from-backup"])
def test_a_label_keeps_an_object_out(label: str) -> None:
    assert why("ConfigMap", metadata={"labels": {label: "true"}}) is Reason.EXCLUDED
    assert why("ConfigMap", metadata={"labels": {label: "false"}}) is Reason.TAKEN


@pytest.mark.parametrize("name", ["kube-root-ca.crt", "openshift-service-ca.crt"])
def test_certificates_that_the_cluster_puts_into_every_namespace_are_not_kept(name: str) -> None:
    assert why("ConfigMap", name) is Reason.CLUSTERS_OWN


def test_a_lock_is_not_kept_but_data_beside_one_is() -> None:
    lock = {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}
    assert why("ConfigMap", metadata=lock) is Reason.MOMENTARY
    assert why("ConfigMap", metadata=lock, data={"a": "b"}) is Reason.TAKEN
    assert why("Endpoints", metadata=lock) is Reason.MOMENTARY


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "kube-node-lease"])
def test_the_clusters_own_namespaces_are_not_kept(name: str) -> None:
    assert why("Namespace", name) is Reason.CLUSTERS_OWN


def test_a_users_namespace_is_kept_whatever_it_is_called() -> None:
    assert why("Namespace", "kube-prometheus") is Reason.TAKEN


def test_an_untouched_default_account_is_not_kept() -> None:
    assert why("ServiceAccount", "default") is Reason.UNTOUCHED
    assert why("ServiceAccount", "default", secrets=[{"name": "default-token-x7k2p"}]) is Reason.UNTOUCHED


@pytest.mark.parametrize(
    "change",
    [
        {"imagePullSecrets": [{"name": "registry"}]},
        {"secrets": [{"name": "mine"}]},
        {"automountServiceAccountToken": False},
        {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn"}}},
        {"metadata": {"labels": {"a": "b"}}},
    ],
)
def test_a_changed_default_account_is_kept(change: dict[str, Any]) -> None:
    assert why("ServiceAccount", "default", **change) is Reason.TAKEN


def test_where_a_version_is_silent_about_the_default_account_it_means_the_untouched_one() -> None:
    body = implied("", "ServiceAccount", "shop", "default")
    assert body is not None
    assert body["metadata"] == {"name": "default", "namespace": "shop"}
    assert implied("", "ServiceAccount", "shop", "robot") is None
    assert implied("", "Secret", "shop", "default") is None


def test_generated_tokens_are_not_kept_but_those_a_user_asked_for_are() -> None:
    token = {"type": "kubernetes.io/service-account-token"}
    of_robot = {"annotations": {"kubernetes.io/service-account.name": "robot"}}
    assert why("Secret", "robot-token-x7k2p", metadata=of_robot, **token) is Reason.CLUSTERS_OWN
    assert why("Secret", "robot-token-forever", metadata=of_robot, **token) is Reason.TAKEN
    assert why("Secret", "for-ci", metadata=of_robot, **token) is Reason.TAKEN
    registry = {"annotations": {"openshift.io/token-secret.name": "x"}}
    assert (
        why("Secret", "robot-dockercfg-x7k2p", type="kubernetes.io/dockercfg", metadata=registry)
        is Reason.CLUSTERS_OWN
    )


def test_mirror_pods_are_not_kept() -> None:
    assert why("Pod", metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}) is Reason.DERIVED


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_finished_pods_are_not_kept(phase: str) -> None:
    assert why("Pod", status={"phase": phase}) is Reason.FINISHED


@pytest.mark.parametrize("phase", ["Running", "Pending", "Unknown"])
def test_pods_that_nobody_owns_are_kept_while_they_run(phase: str) -> None:
    assert why("Pod", status={"phase": phase}) is Reason.TAKEN


def test_finished_jobs_are_not_kept_because_they_would_run_again() -> None:
    assert why("Job", status={"completionTime": "2026-01-01T00:00:00Z"}) is Reason.FINISHED
    assert why("Job", status={"conditions": [{"type": "Failed", "status": "True"}]}) is Reason.FINISHED
    assert why("Job", status={"active": 1, "conditions": [{"type": "Suspended", "status": "True"}]}) is Reason.TAKEN


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        ("Deployment", "ReplicaSet"),
        ("ReplicaSet", "Pod"),
        ("StatefulSet", "Pod"),
        ("DaemonSet", "Pod"),
        ("Job", "Pod"),
        ("CronJob", "Job"),
        ("Service", "EndpointSlice"),
    ],
)
def test_what_kubernetes_own_controllers_make_is_derived(owner: str, kind: str) -> None:
    assert why(kind, metadata=controlled_by(owner)) is Reason.DERIVED


def test_what_others_control_is_decided_by_who_knows_the_owners() -> None:
    assert why("Deployment", metadata=controlled_by("Order")) is Reason.TAKEN


def test_claims_of_a_stateful_set_are_roots() -> None:
    assert why("PersistentVolumeClaim", "data-db-0", metadata=controlled_by("StatefulSet", "db")) is Reason.TAKEN


@pytest.mark.parametrize(
    "sign",
    [
        {"managedFields": [{"manager": "kube-controller-manager", "operation": "Update"}]},
        {"labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}},
        {"annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"}},
    ],
)
def test_endpoints_of_a_service_with_a_selector_are_derived(sign: dict[str, Any]) -> None:
    assert why("Endpoints", metadata=sign) is Reason.DERIVED


def test_endpoints_that_a_user_wrote_are_kept() -> None:
    mine = {"managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update"}]}
    assert why("Endpoints", metadata=mine, subsets=[{"addresses": [{"ip": "192.0.2.1"}]}]) is Reason.TAKEN


@pytest.mark.parametrize("by", ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"])
def test_endpoint_slices_of_the_controllers_are_derived(by: str) -> None:
    assert why("EndpointSlice", metadata={"labels": {"endpointslice.kubernetes.io/managed-by": by}}) is Reason.DERIVED
    mine = {"labels": {"endpointslice.kubernetes.io/managed-by": "me"}}
    assert why("EndpointSlice", metadata=mine) is Reason.TAKEN


@pytest.mark.parametrize("kind", ["Service", "Endpoints", "EndpointSlice"])
def test_the_service_of_the_api_server_itself_is_not_kept(kind: str) -> None:
    assert why(kind, "kubernetes", "default") is Reason.CLUSTERS_OWN
    assert why(kind, "kubernetes", "shop") is Reason.TAKEN


@pytest.mark.parametrize("kind", ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"])
def test_bootstrap_permissions_are_not_kept_unless_somebody_took_them_over(kind: str) -> None:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    assert why(kind, metadata={"labels": labels}) is Reason.CLUSTERS_OWN
    taken_over = {"labels": labels, "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}
    assert why(kind, metadata=taken_over) is Reason.TAKEN


def test_api_services_that_register_themselves_are_not_kept() -> None:
    for value in ("onstart", "true"):
        automanaged = {"labels": {"kube-aggregator.kubernetes.io/automanaged": value}}
        assert why("APIService", metadata=automanaged) is Reason.CLUSTERS_OWN


def test_the_servers_flow_schemas_are_not_kept() -> None:
    updated = {"annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}
    assert why("FlowSchema", metadata=updated) is Reason.CLUSTERS_OWN
    assert why("FlowSchema", "exempt") is Reason.CLUSTERS_OWN
    assert why("FlowSchema", metadata={"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}) is Reason.TAKEN


def test_system_priority_classes_and_the_first_service_range_are_not_kept() -> None:
    assert why("PriorityClass", "system-node-critical") is Reason.CLUSTERS_OWN
    assert why("ServiceCIDR", "kubernetes") is Reason.CLUSTERS_OWN
    assert why("ServiceCIDR", "more") is Reason.TAKEN


def test_snapshots_are_not_kept_because_they_would_be_taken_anew() -> None:
    assert why("VolumeSnapshot") is Reason.MOMENTARY
