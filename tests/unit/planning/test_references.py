"""What objects refer to, and who names them from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from chalicelib.domain.objects import ObjectKey, Resource
from chalicelib.planning.content.selectors import selects
from chalicelib.planning.selecting.references import Reference, references_of
from chalicelib.planning.selecting.referrers import aggregates, grants, named_by

_PLACES = {"apps/v1": "apps", "v1": ""}


def _body(text: str) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load(text)
    body.setdefault("metadata", {}).setdefault("name", "it")
    return body


def _resource(body: dict[str, Any]) -> Resource:
    group, _, version = body["apiVersion"].rpartition("/")
    return Resource(group, version, body["kind"].lower() + "s", body["kind"], namespaced=True)


def _found(text: str) -> set[str]:
    body = _body(text)
    return {f"{each.key.kind} {each.key.namespace}/{each.key.name}" for each in references_of(body, _resource(body))}


POD = """
{apiVersion: v1, kind: Pod, metadata: {namespace: a}, spec: {
  serviceAccountName: web, priorityClassName: urgent, runtimeClassName: runc, imagePullSecrets: [{name: pull}],
  resourceClaims: [{name: x, resourceClaimName: gpu}, {name: y, resourceClaimTemplateName: gpus}],
  volumes: [{configMap: {name: c1}}, {secret: {secretName: s1}}, {persistentVolumeClaim: {claimName: data}},
    {projected: {sources: [{configMap: {name: c2}}, {secret: {name: s2}}]}},
    {csi: {driver: drv, nodePublishSecretRef: {name: s3}}},
    {ephemeral: {volumeClaimTemplate: {spec: {storageClassName: fast}}}}],
  initContainers: [{envFrom: [{configMapRef: {name: c3}}]}],
  containers: [{envFrom: [{secretRef: {name: s4}}],
    env: [{name: X, value: "1"}, {name: A, valueFrom: {configMapKeyRef: {name: c4, key: k}}},
          {name: B, valueFrom: {secretKeyRef: {name: s5, key: k}}}]}]}}
"""


def test_everything_that_a_pod_needs_is_found() -> None:
    names = {"c1", "c2", "c3", "c4"}, {"s1", "s2", "s3", "s4", "s5", "pull"}
    assert _found(POD) == {
        *(f"ConfigMap a/{name}" for name in names[0]),
        *(f"Secret a/{name}" for name in names[1]),
        "PriorityClass a/urgent",
        "RuntimeClass a/runc",
        "ResourceClaim a/gpu",
        "ResourceClaimTemplate a/gpus",
        "PersistentVolumeClaim a/data",
        "CSIDriver a/drv",
        "StorageClass a/fast",
        "ServiceAccount a/web",
    }


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("apps/v1 Deployment", ["spec", "template", "spec"]),
        ("apps/v1 StatefulSet", ["spec", "template", "spec"]),
        ("apps/v1 DaemonSet", ["spec", "template", "spec"]),
        ("apps/v1 ReplicaSet", ["spec", "template", "spec"]),
        ("v1 ReplicationController", ["spec", "template", "spec"]),
        ("v1 PodTemplate", ["template", "spec"]),
        ("batch/v1 Job", ["spec", "template", "spec"]),
        ("batch/v1 CronJob", ["spec", "jobTemplate", "spec", "template", "spec"]),
    ],
)
def test_what_makes_pods_needs_what_they_need(kind: str, place: list[str]) -> None:
    inner: Any = _body(POD)["spec"]
    for member in reversed(place):
        inner = {member: inner}
    version, name = kind.split()
    text = yaml.safe_dump({"apiVersion": version, "kind": name, "metadata": {"namespace": "a"}, **inner})
    assert _found(text) == _found(POD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            (
                "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: a}, "
                "spec: {storageClassName: fast, volumeName: pv-1, volumeAttributesClassName: gold}}"
            ),
            {"StorageClass a/fast", "PersistentVolume a/pv-1", "VolumeAttributesClass a/gold"},
        ),
        (
            (
                "{apiVersion: apps/v1, kind: StatefulSet, metadata: {namespace: a}, "
                "spec: {volumeClaimTemplates: [{spec: {storageClassName: fast}}]}}"
            ),
            {"StorageClass a/fast"},
        ),
        (
            (
                "{apiVersion: v1, kind: PersistentVolume, spec: {storageClassName: fast, "
                "csi: {driver: drv, nodeStageSecretRef: {name: s, namespace: other}}}}"
            ),
            {"StorageClass /fast", "CSIDriver /drv", "Secret other/s"},
        ),
        (
            (
                "{apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: drv, parameters: {"
                "csi.storage.k8s.io/provisioner-secret-name: s, "
                "csi.storage.k8s.io/provisioner-secret-namespace: other, "
                "csi.storage.k8s.io/node-stage-secret-name: '${pvc.name}', "
                "csi.storage.k8s.io/node-stage-secret-namespace: other}}"
            ),
            {"CSIDriver /drv", "Secret other/s"},
        ),
        (
            (
                "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {namespace: a, annotations: "
                "{cert-manager.io/cluster-issuer: le, kubernetes.io/ingress.class: old}}, "
                "spec: {ingressClassName: nginx, tls: [{secretName: tls}], defaultBackend: {service: {name: d}}, "
                "rules: [{http: {paths: [{backend: {service: {name: web}}}]}}]}}"
            ),
            {
                "IngressClass a/nginx",
                "IngressClass a/old",
                "ClusterIssuer a/le",
                "Secret a/tls",
                "Service a/d",
                "Service a/web",
            },
        ),
        (
            (
                "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {namespace: a}, "
                "spec: {gatewayClassName: public, "
                "listeners: [{tls: {certificateRefs: [{name: t}, {name: u, namespace: b}]}}]}}"
            ),
            {
                "CustomResourceDefinition /gateways.gateway.networking.k8s.io",
                "APIService /v1.gateway.networking.k8s.io",
                "GatewayClass a/public",
                "Secret a/t",
                "Secret b/u",
            },
        ),
        (
            (
                "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {namespace: a}, spec: "
                "{parentRefs: [{name: g, namespace: infra}], rules: [{backendRefs: [{name: s, namespace: b}]}]}}"
            ),
            {
                "CustomResourceDefinition /httproutes.gateway.networking.k8s.io",
                "APIService /v1.gateway.networking.k8s.io",
                "Gateway infra/g",
                "Service b/s",
            },
        ),
        (
            (
                "{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {namespace: a}, "
                "spec: {issuerRef: {kind: ClusterIssuer, name: le}}}"
            ),
            {
                "CustomResourceDefinition /certificates.cert-manager.io",
                "APIService /v1.cert-manager.io",
                "ClusterIssuer a/le",
            },
        ),
        (
            (
                "{apiVersion: example.com/v1, kind: Database, metadata: {namespace: a}, "
                "spec: {volumeSnapshotClassName: snap, storageClassName: fast, priorityClassName: urgent}}"
            ),
            {
                "CustomResourceDefinition /databases.example.com",
                "APIService /v1.example.com",
                "VolumeSnapshotClass a/snap",
                "StorageClass a/fast",
                "PriorityClass a/urgent",
            },
        ),
        (
            (
                "{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {namespace: a}, spec: {devices: "
                "{requests: [{exactly: {deviceClassName: gpu}}, {firstAvailable: [{deviceClassName: fpga}]}]}}}"
            ),
            {"DeviceClass a/gpu", "DeviceClass a/fpga"},
        ),
        (
            (
                "{apiVersion: v1, kind: ResourceQuota, metadata: {namespace: a}, spec: {scopeSelector: "
                "{matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}}}"
            ),
            {"PriorityClass /high"},
        ),
        (
            (
                "{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: FlowSchema, "
                "spec: {priorityLevelConfiguration: {name: low}}}"
            ),
            {"PriorityLevelConfiguration /low"},
        ),
        (
            (
                "{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: a}, imagePullSecrets: [{name: p}], "
                "secrets: [{name: t}]}"
            ),
            {"Secret a/p", "Secret a/t"},
        ),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a}, data: {x: 'http://s.b.svc'}}", set()),
    ],
)
def test_references_of_one_kind(text: str, expected: set[str]) -> None:
    assert _found(text) == expected


def test_a_role_is_bound_for_a_reason_that_names_the_account() -> None:
    body = _body(
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: a, name: b}, "
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}, "
        "subjects: [{kind: User, name: me}, {kind: ServiceAccount, name: web}]}"
    )
    (reference,) = references_of(body, _resource(body))
    assert reference.key[1:] == ("ClusterRole", "a", "r")
    assert reference.reason == "bound by RoleBinding.rbac.authorization.k8s.io a/b to ServiceAccount a/web"


def _named(text: str) -> list[tuple[str, str, str]]:
    return [(each.key.kind, each.key.namespace, each.key.name) for each in named_by(_body(text))]


def test_accounts_are_named_one_by_one_by_group_and_as_users() -> None:
    text = """{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, subjects: [
      {kind: ServiceAccount, namespace: a, name: web}, {kind: Group, name: "system:serviceaccounts:a"},
      {kind: Group, name: "system:serviceaccounts"}, {kind: User, name: "system:serviceaccount:a:job"},
      {kind: Group, name: "system:authenticated"}, {kind: User, name: someone}]}"""
    assert _named(text) == [
        ("ServiceAccount", "a", "web"),
        ("ServiceAccount", "a", "*"),
        ("ServiceAccount", "*", "*"),
        ("ServiceAccount", "a", "job"),
    ]


def test_a_flow_schema_names_accounts_in_its_own_way() -> None:
    text = """{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: FlowSchema, spec: {rules: [{subjects: [
      {kind: ServiceAccount, serviceAccount: {namespace: a, name: web}},
      {kind: Group, group: {name: "system:serviceaccounts:b"}}]}]}}"""
    assert _named(text) == [("ServiceAccount", "a", "web"), ("ServiceAccount", "b", "*")]


@pytest.mark.parametrize(
    "text",
    [
        (
            "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, "
            "webhooks: [{clientConfig: {service: {namespace: a, name: s}}}, {clientConfig: {url: 'https://x'}}]}"
        ),
        (
            "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, "
            "webhooks: [{clientConfig: {service: {namespace: a, name: s}}}]}"
        ),
        "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, spec: {service: {namespace: a, name: s}}}",
        (
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, "
            "spec: {conversion: {webhook: {clientConfig: {service: {namespace: a, name: s}}}}}}"
        ),
    ],
)
def test_what_a_service_answers_names_it(text: str) -> None:
    assert _named(text) == [("Service", "a", "s")]


def test_limits_name_their_namespace() -> None:
    assert _named("{apiVersion: v1, kind: ResourceQuota, metadata: {namespace: a}}") == [("Namespace", "", "a")]


def test_an_aggregated_role_takes_in_what_its_selectors_fit() -> None:
    (selector,) = aggregates(
        {
            "aggregationRule": {
                "clusterRoleSelectors": [
                    {
                        "matchLabels": {"a": "1"},
                        "matchExpressions": [
                            {"key": "b", "operator": "In", "values": ["x"]},
                            {"key": "c", "operator": "NotIn", "values": ["x"]},
                            {"key": "d", "operator": "Exists"},
                            {"key": "e", "operator": "DoesNotExist"},
                        ],
                    }
                ]
            }
        }
    )
    fits = {"a": "1", "b": "x", "d": ""}
    assert selects(selector, fits)
    for change in ({"a": "2"}, {"b": "y"}, {"c": "x"}, {"e": ""}):
        assert not selects(selector, fits | change)
    assert not selects(selector, {"a": "1", "b": "x"})


def test_a_secret_of_another_namespace_is_not_reached_for_by_calling_it_a_backend() -> None:
    route = (
        "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {namespace: a}, spec: "
        "{rules: [{backendRefs: [{group: '', kind: Secret, name: admin, namespace: kube-system}]}]}}"
    )
    assert not any("Secret" in found for found in _found(route))


GRANT = """
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {namespace: infra}
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: shop}]
  to: [{group: "", kind: Secret, name: lent}]
"""
BY = ObjectKey("gateway.networking.k8s.io", "Gateway", "shop", "web")
LENT = ObjectKey("", "Secret", "infra", "lent")


@pytest.mark.parametrize(
    ("key", "by", "granted"),
    [
        (LENT, BY, True),
        (LENT._replace(name="other"), BY, False),
        (LENT._replace(namespace="else"), BY, False),
        (LENT._replace(kind="ConfigMap"), BY, False),
        (LENT, BY._replace(namespace="else"), False),
        (LENT, BY._replace(kind="HTTPRoute"), False),
        (LENT, BY._replace(namespace=""), False),
    ],
)
def test_a_grant_is_for_whom_and_what_it_names(key: ObjectKey, by: ObjectKey, granted: bool) -> None:
    assert grants(_body(GRANT), Reference(key, "", by)) is granted


def test_a_grant_without_a_name_is_for_every_object_of_the_kind() -> None:
    grant = _body(GRANT.replace(", name: lent", ""))
    assert grants(grant, Reference(LENT._replace(name="other"), "", BY))
