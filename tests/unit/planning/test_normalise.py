"""What is stripped of every object, and of single kinds."""

from __future__ import annotations

import orjson
import pytest

from chalicelib.domain.objects import Resource
from chalicelib.planning.bodies.normalise import canonical_line, content_of, copy_of, digest, normalise
from tests.unit.planning.samples import controlled_by, kept, make, template

MANAGERS = [
    {
        "manager": "kubectl",
        "operation": "Apply",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
    },
    {
        "manager": "controller",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-02T00:00:00Z",
        "subresource": "status",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:status": {}},
    },
    {
        "manager": "autoscaler",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2026-01-02T00:00:00Z",
        "subresource": "scale",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    },
]


@pytest.mark.parametrize(
    "member",
    [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generateName",
    ],
)
def test_nothing_of_one_incarnation_is_kept(member: str) -> None:
    assert member not in kept(make("ConfigMap", metadata={member: "x"}))["metadata"]


def test_names_labels_annotations_and_finalizers_are_kept() -> None:
    said = {"labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["shop.example/cleanup"]}
    assert kept(make("ConfigMap", metadata=said))["metadata"] == {"name": "web", "namespace": "shop", **said}


def test_status_goes_where_the_kind_has_a_status_subresource() -> None:
    assert "status" not in kept(make("Deployment", status={"replicas": 2}))


def test_status_is_data_where_the_kind_has_no_status_subresource() -> None:
    assert kept(make("Order", status={"paid": True}))["status"] == {"paid": True}


def test_an_item_of_a_list_gets_its_kind_back() -> None:
    body = normalise(
        {"metadata": {"name": "a"}}, Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
    )
    assert (body["apiVersion"], body["kind"]) == ("apps/v1", "Deployment")


def test_field_ownership_is_kept_without_times_and_without_the_status() -> None:
    found = kept(make("Deployment", metadata={"managedFields": MANAGERS}))["metadata"]["managedFields"]
    assert [(entry["manager"], entry.get("subresource")) for entry in found] == [
        ("autoscaler", "scale"),
        ("kubectl", None),
    ]
    assert not any("time" in entry for entry in found)


def test_the_order_of_field_managers_does_not_matter() -> None:
    one = kept(make("ConfigMap", metadata={"managedFields": MANAGERS}))
    other = kept(make("ConfigMap", metadata={"managedFields": MANAGERS[::-1]}))
    assert canonical_line(one) == canonical_line(other)


def test_the_digest_does_not_know_field_ownership() -> None:
    assert digest(kept(make("ConfigMap", metadata={"managedFields": MANAGERS}))) == digest(kept(make("ConfigMap")))


def test_taking_a_digest_changes_nothing() -> None:
    body = kept(make("ConfigMap", metadata={"managedFields": MANAGERS}))
    before = copy_of(body)
    digest(body)
    assert body == before
    assert "managedFields" not in content_of(body)["metadata"]


def test_a_line_is_canonical_json_that_ends_with_a_line_feed() -> None:
    line = canonical_line(kept(make("ConfigMap", data={"b": "1", "a": "2"})))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.index(b'"a"') < line.index(b'"b"')
    assert orjson.loads(line)["data"] == {"a": "2", "b": "1"}


def test_owners_are_kept_by_name_never_by_uid() -> None:
    (reference,) = kept(make("Secret", metadata=controlled_by("Deployment")))["metadata"]["ownerReferences"]
    assert reference == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True}


@pytest.mark.parametrize("finalizer", ["foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking"])
def test_finalizers_of_something_going_on_just_then_are_not_kept(finalizer: str) -> None:
    assert "finalizers" not in kept(make("ConfigMap", metadata={"finalizers": [finalizer]}))["metadata"]


def test_normalise_works_on_the_body_it_is_given() -> None:
    body = make("ConfigMap")
    assert normalise(body, Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)) is body


# ── single kinds ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "annotation",
    [
        "pv.kubernetes.io/bind-completed",
        "pv.kubernetes.io/bound-by-controller",
        "volume.kubernetes.io/storage-provisioner",
        "volume.beta.kubernetes.io/storage-provisioner",
        "volume.kubernetes.io/selected-node",
    ],
)
def test_a_claim_forgets_that_it_was_bound(annotation: str) -> None:
    assert (
        "annotations"
        not in kept(make("PersistentVolumeClaim", metadata={"annotations": {annotation: "x"}}))["metadata"]
    )


def test_a_claim_forgets_where_its_content_came_from_but_not_its_volume() -> None:
    spec = {
        "volumeName": "pv-1",
        "dataSource": {"kind": "VolumeSnapshot"},
        "dataSourceRef": {"kind": "VolumeSnapshot"},
    }
    assert kept(make("PersistentVolumeClaim", spec=spec))["spec"] == {"volumeName": "pv-1"}


def test_a_volume_is_promised_to_a_claim_by_name() -> None:
    claim = {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data"}
    spec = {"claimRef": {**claim, "uid": "u", "resourceVersion": "7"}, "capacity": {"storage": "1Gi"}}
    body = kept(
        make("PersistentVolume", spec=spec, metadata={"annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}})
    )
    assert body["spec"]["claimRef"] == claim
    assert "annotations" not in body["metadata"]


def test_a_job_loses_the_selector_and_labels_that_name_its_uid() -> None:
    labels = {
        "app": "load",
        "controller-uid": "u",
        "batch.kubernetes.io/controller-uid": "u",
        "job-name": "load",
        "batch.kubernetes.io/job-name": "load",
    }
    spec = {
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
        "template": template(**labels),
    }
    body = kept(make("Job", spec=spec, metadata={"labels": {"app": "load", "controller-uid": "u"}}))
    assert "selector" not in body["spec"]
    assert body["spec"]["template"]["metadata"]["labels"] == {"app": "load"}
    assert body["metadata"]["labels"] == {"app": "load"}


def test_a_job_with_a_selector_of_its_own_keeps_it() -> None:
    spec = {
        "manualSelector": True,
        "selector": {"matchLabels": {"job-name": "x"}},
        "template": template(**{"job-name": "x"}),
    }
    body = kept(make("Job", spec=spec))
    assert body["spec"] == spec


def test_a_pod_loses_its_node_its_priority_and_its_debuggers() -> None:
    spec = {
        "containers": [],
        "nodeName": "n1",
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
        "ephemeralContainers": [{"name": "debug"}],
        "priorityClassName": "high",
        "schedulingGates": [{"name": "shop.example/wait"}],
    }
    assert kept(make("Pod", spec=spec))["spec"] == {
        "containers": [],
        "priorityClassName": "high",
        "schedulingGates": [{"name": "shop.example/wait"}],
    }


@pytest.mark.parametrize("volume", ["kube-api-access-x7k2p", "robot-token-x7k2p"])
def test_a_pod_loses_the_volume_of_its_token(volume: str) -> None:
    mounts = [{"name": volume, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}, {"name": "data"}]
    spec = {
        "serviceAccountName": "robot",
        "volumes": [{"name": volume}, {"name": "data"}],
        "initContainers": [{"name": "i", "volumeMounts": mounts[:1]}],
        "containers": [{"name": "c", "volumeMounts": mounts}],
    }
    assert kept(make("Pod", spec=spec))["spec"] == {
        "serviceAccountName": "robot",
        "volumes": [{"name": "data"}],
        "initContainers": [{"name": "i"}],
        "containers": [{"name": "c", "volumeMounts": [{"name": "data"}]}],
    }


def test_a_pod_keeps_a_volume_that_only_looks_like_a_tokens() -> None:
    spec = {"volumes": [{"name": "robot-token-production"}], "serviceAccountName": "robot", "containers": []}
    assert kept(make("Pod", spec=spec))["spec"]["volumes"] == [{"name": "robot-token-production"}]


def test_a_pod_without_a_controller_loses_the_labels_of_the_one_it_had() -> None:
    labels = {"app": "web", "pod-template-hash": "abc"}
    assert kept(make("Pod", metadata={"labels": labels}, spec={}))["metadata"]["labels"] == {"app": "web"}
    owned = {"labels": labels, **controlled_by("ReplicaSet")}
    assert kept(make("Pod", metadata=owned, spec={}))["metadata"]["labels"] == labels


@pytest.mark.parametrize(
    ("kind", "annotation"),
    [
        ("Deployment", "deployment.kubernetes.io/revision"),
        ("ReplicaSet", "deployment.kubernetes.io/desired-replicas"),
        ("ReplicaSet", "deployment.kubernetes.io/max-replicas"),
        ("DaemonSet", "deprecated.daemonset.template.generation"),
        ("HorizontalPodAutoscaler", "autoscaling.alpha.kubernetes.io/conditions"),
        ("Endpoints", "endpoints.kubernetes.io/last-change-trigger-time"),
        ("EndpointSlice", "endpoints.kubernetes.io/last-change-trigger-time"),
        ("ConfigMap", "control-plane.alpha.kubernetes.io/leader"),
    ],
)
def test_what_a_controller_counts_in_annotations_is_not_kept(kind: str, annotation: str) -> None:
    body = make(kind, metadata={"annotations": {annotation: "7", "mine": "x"}})
    assert kept(body)["metadata"]["annotations"] == {"mine": "x"}


def test_what_kubectl_apply_remembers_is_kept() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    assert kept(make("Deployment", metadata={"annotations": annotations}))["metadata"]["annotations"] == annotations


def test_a_null_time_in_a_template_is_no_difference() -> None:
    spec = {"template": template()}
    older = {"template": {**template(), "metadata": {"creationTimestamp": None, "labels": {"app": "web"}}}}
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        assert kept(make(kind, spec=older)) == kept(make(kind, spec=spec))


def test_a_token_secret_is_kept_without_its_token() -> None:
    body = make(
        "Secret",
        type="kubernetes.io/service-account-token",
        data={"token": "t", "ca.crt": "c", "namespace": "bg==", "extra": "e"},
        metadata={
            "annotations": {"kubernetes.io/service-account.name": "robot", "kubernetes.io/service-account.uid": "u"},
            "labels": {"kubernetes.io/legacy-token-last-used": "2026-01-01"},
        },
    )
    found = kept(body)
    assert found["data"] == {"extra": "e"}
    assert found["metadata"]["annotations"] == {"kubernetes.io/service-account.name": "robot"}
    assert "labels" not in found["metadata"]


def test_any_other_secret_keeps_all_its_data() -> None:
    data = {"token": "t", "ca.crt": "c"}
    assert kept(make("Secret", type="Opaque", data=data))["data"] == data


def test_an_account_forgets_the_secrets_that_were_made_for_it() -> None:
    body = make(
        "ServiceAccount",
        "robot",
        secrets=[{"name": "robot-token-x7k2p"}, {"name": "robot-token-mine"}],
        imagePullSecrets=[{"name": "robot-dockercfg-x7k2p"}],
    )
    found = kept(body)
    assert found["secrets"] == [{"name": "robot-token-mine"}]
    assert "imagePullSecrets" not in found


def test_a_namespace_is_its_labels_and_annotations() -> None:
    body = make(
        "Namespace",
        "shop",
        metadata={"labels": {"kubernetes.io/metadata.name": "shop", "team": "a"}, "annotations": {"b": "c"}},
        spec={"finalizers": ["kubernetes"]},
        status={"phase": "Active"},
    )
    assert kept(body) == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"team": "a"}, "annotations": {"b": "c"}},
    }


def test_a_service_keeps_its_addresses_and_ports() -> None:
    spec = {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ports": [{"port": 80, "nodePort": 30080}]}
    assert kept(make("Service", spec=spec))["spec"] == spec


def test_a_definition_from_v1beta1_is_kept_as_v1_can_create_it() -> None:
    spec = {
        "preserveUnknownFields": True,
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object"}}}],
    }
    found = kept(make("CustomResourceDefinition", spec=spec))["spec"]
    assert "preserveUnknownFields" not in found
    assert found["versions"][0]["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }


def test_side_effects_that_v1_does_not_know_become_none() -> None:
    hooks = [{"name": "a", "sideEffects": "Unknown"}, {"name": "b", "sideEffects": "NoneOnDryRun"}]
    found = kept(make("ValidatingWebhookConfiguration", webhooks=hooks))["webhooks"]
    assert [hook["sideEffects"] for hook in found] == ["None", "NoneOnDryRun"]


def test_endpoints_name_their_pods_without_uid() -> None:
    target = {"kind": "Pod", "name": "web-0", "uid": "u", "resourceVersion": "1"}
    body = make("Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1", "targetRef": target}]}])
    assert kept(body)["subsets"][0]["addresses"][0]["targetRef"] == {"kind": "Pod", "name": "web-0"}
