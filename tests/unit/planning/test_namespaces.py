"""Every place where an object names a namespace is changed with it, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.domain.objects import ObjectKey
from chalicelib.planning.bodies.normalise import copy_of
from chalicelib.planning.elsewhere.namespaces import move, moved_key

THERE = {"shop": "copy"}
BACK = {"copy": "shop"}

_OWN = {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}
_LISTED = {
    "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "infra"]}]
}
_TERM = {"topologyKey": "zone", "namespaces": ["shop", "infra"], "namespaceSelector": _OWN}
_POD = {
    "containers": [{"name": "web", "image": "web"}],
    "affinity": {
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": _TERM}]},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]},
    },
}
_SERVICE = {"service": {"name": "hook", "namespace": "shop"}}
_ACCOUNT = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
_OTHER = {"kind": "ServiceAccount", "name": "agent", "namespace": "infra"}
_GROUP = {"kind": "Group", "name": "system:serviceaccounts:shop"}
_USER = {"kind": "User", "name": "system:serviceaccount:shop:web"}
_APPLIED = (
    '{"apiVersion":"v1","data":{"a":"\\u003cshop\\u003e"},"kind":"ConfigMap",'
    '"metadata":{"name":"a","namespace":"shop"}}\n'
)


def body(kind: str, version: str = "v1", *, metadata: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "one", "namespace": "shop", **(metadata or {})},
        **copy_of(members),
    }


_PLACE = {"destination": {"namespace": "shop", "name": "in-cluster"}}
ARGO = "argoproj.io/v1alpha1"
ADMISSION = "admissionregistration.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io/v1"
#: What it is → an object, and how many times it names the namespace beside its own place.
NAMING = {
    "an object's own": (body("ConfigMap"), 0),
    "accounts of a RoleBinding": (body("RoleBinding", RBAC, subjects=[_ACCOUNT, _OTHER, _GROUP, _USER]), 3),
    "accounts of a ClusterRoleBinding": (body("ClusterRoleBinding", RBAC, subjects=[_ACCOUNT, _OTHER, _GROUP]), 2),
    "a webhook's server": (
        body("ValidatingWebhookConfiguration", ADMISSION, webhooks=[{"clientConfig": _SERVICE}]),
        1,
    ),
    "a webhook's namespaces": (
        body("MutatingWebhookConfiguration", ADMISSION, webhooks=[{"namespaceSelector": _LISTED}]),
        1,
    ),
    "an APIService's server": (body("APIService", "apiregistration.k8s.io/v1", spec=_SERVICE), 1),
    "a definition's converter": (
        body(
            "CustomResourceDefinition",
            "apiextensions.k8s.io/v1",
            spec={"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": _SERVICE}}},
        ),
        1,
    ),
    "a volume's claim": (body("PersistentVolume", spec={"claimRef": {"name": "data", "namespace": "shop"}}), 1),
    "peers of a NetworkPolicy": (
        body(
            "NetworkPolicy",
            "networking.k8s.io/v1",
            spec={
                "ingress": [{"from": [{"namespaceSelector": _OWN}]}],
                "egress": [{"to": [{"namespaceSelector": _LISTED}, {"podSelector": {}}]}],
            },
        ),
        2,
    ),
    "affinity of pods": (body("Deployment", "apps/v1", spec={"template": {"spec": _POD}}), 4),
    "affinity of pods of a CronJob": (
        body("CronJob", "batch/v1", spec={"jobTemplate": {"spec": {"template": {"spec": _POD}}}}),
        4,
    ),
    "a monitor's namespaces": (
        body(
            "ServiceMonitor",
            "monitoring.coreos.com/v1",
            spec={"namespaceSelector": {"matchNames": ["shop", "infra"]}},
        ),
        1,
    ),
    "where a Prometheus sends its alerts": (
        body(
            "Prometheus",
            "monitoring.coreos.com/v1",
            spec={"alerting": {"alertmanagers": [{"name": "main", "namespace": "shop", "port": "web"}]}},
        ),
        1,
    ),
    "parameters of a policy": (
        body("ValidatingAdmissionPolicyBinding", ADMISSION, spec={"paramRef": {"name": "p", "namespace": "shop"}}),
        1,
    ),
    "an alias of a Service": (body("Service", spec={"externalName": "web.shop.svc.cluster.local"}), 1),
    "accounts of a FlowSchema": (
        body(
            "FlowSchema",
            "flowcontrol.apiserver.k8s.io/v1",
            spec={
                "rules": [
                    {
                        "subjects": [
                            {"kind": "ServiceAccount", "serviceAccount": {"name": "web", "namespace": "shop"}},
                            {"kind": "Group", "group": {"name": "system:serviceaccounts:shop"}},
                        ]
                    }
                ]
            },
        ),
        2,
    ),
    "routes of a Gateway": (
        body(
            "HTTPRoute",
            "gateway.networking.k8s.io/v1",
            spec={
                "parentRefs": [{"name": "edge", "namespace": "infra"}],
                "rules": [{"backendRefs": [{"name": "web", "namespace": "shop"}]}],
            },
        ),
        1,
    ),
    "whose certificate is injected": (
        body("Secret", metadata={"annotations": {"cert-manager.io/inject-ca-from": "shop/ca"}}),
        1,
    ),
    "secrets that an ingress controller is to read": (
        body(
            "Ingress",
            "networking.k8s.io/v1",
            metadata={
                "annotations": {
                    "nginx.ingress.kubernetes.io/auth-secret": "shop/basic",
                    "nginx.ingress.kubernetes.io/auth-tls-secret": "infra/ca",
                    "nginx.ingress.kubernetes.io/proxy-ssl-secret": "shop/upstream",
                    "haproxy.org/server-ca": "shop/ca",
                }
            },
        ),
        3,
    ),
    "networks of pods": (
        body(
            "Deployment",
            "apps/v1",
            spec={"template": {"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": "shop/a,infra/b"}}}},
        ),
        1,
    ),
    "where an Application deploys to": (
        body(
            "Application",
            ARGO,
            spec={
                "project": "default",
                "destination": {"namespace": "shop", "server": "https://kubernetes.default.svc"},
                "ignoreDifferences": [{"kind": "ConfigMap", "namespace": "shop"}, {"namespace": "infra"}],
                "source": {"helm": {"namespace": "shop"}},
                "sources": [{"kustomize": {"namespace": "shop"}}, {"path": "x"}],
                "sourceHydrator": {"drySource": {"helm": {"namespace": "shop"}}},
            },
            operation={"sync": {"resources": [{"kind": "ConfigMap", "namespace": "shop"}]}},
        ),
        6,
    ),
    "where an ApplicationSet makes Applications, and these deploy to": (
        body(
            "ApplicationSet",
            ARGO,
            spec={
                "generators": [{"matrix": {"generators": [{"git": {"template": {"spec": _PLACE}}}]}}],
                "template": {"metadata": {"namespace": "shop"}, "spec": _PLACE},
            },
        ),
        3,
    ),
    "where Applications of a project may be, and lead to": (
        body(
            "AppProject",
            ARGO,
            spec={
                "sourceNamespaces": ["shop", "infra"],
                "destinations": [{"namespace": "shop", "server": "*"}, {"namespace": "infra", "name": "in-cluster"}],
                "destinationServiceAccounts": [{"namespace": "shop", "defaultServiceAccount": "shop:deployer"}],
                "syncWindows": [{"namespaces": ["shop"]}],
            },
        ),
        5,
    ),
    "what a Kustomization deploys from, after and to": (
        body(
            "Kustomization",
            "kustomize.toolkit.fluxcd.io/v1",
            spec={
                "sourceRef": {"kind": "GitRepository", "name": "git", "namespace": "shop"},
                "dependsOn": [{"name": "db", "namespace": "shop"}, {"name": "dns", "namespace": "infra"}],
                "targetNamespace": "shop",
                "healthChecks": [{"kind": "Deployment", "name": "web", "namespace": "shop"}],
                "ignore": [{"paths": ["/spec"], "target": {"namespace": "shop"}}],
            },
        ),
        5,
    ),
    "what a HelmRelease deploys from, after and to": (
        body(
            "HelmRelease",
            "helm.toolkit.fluxcd.io/v2",
            spec={
                "chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "a", "namespace": "shop"}}},
                "chartRef": {"kind": "OCIRepository", "name": "a", "namespace": "shop"},
                "dependsOn": [{"name": "db", "namespace": "shop"}],
                "targetNamespace": "shop",
                "storageNamespace": "shop",
                "driftDetection": {"ignore": [{"paths": ["/spec"], "target": {"namespace": "shop"}}]},
            },
        ),
        6,
    ),
    "who may use a source": (
        body("GitRepository", "source.toolkit.fluxcd.io/v1", spec={"accessFrom": {"namespaceSelectors": [_OWN]}}),
        1,
    ),
    "what an Alert listens to": (
        body(
            "Alert",
            "notification.toolkit.fluxcd.io/v1beta3",
            spec={"eventSources": [{"kind": "Kustomization", "name": "a", "namespace": "shop"}]},
        ),
        1,
    ),
    "the release and the object of Flux that it is deployed by": (
        body(
            "ConfigMap",
            metadata={
                "annotations": {"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop"},
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "web",
                    "kustomize.toolkit.fluxcd.io/namespace": "shop",
                },
            },
        ),
        2,
    ),
    "what kubectl remembers": (
        body("ConfigMap", metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": _APPLIED}}),
        1,
    ),
}


def times(content: dict[str, Any], name: str) -> int:
    """How often a name is in an object, its own place aside."""
    rest = {**content, "metadata": {**content["metadata"], "namespace": ""}}
    return json.dumps(rest).count(name)


@pytest.mark.parametrize("what", NAMING)
def test_every_name_of_the_namespace_is_changed(what: str) -> None:
    original, naming = NAMING[what]
    moved = move(copy_of(original), THERE)
    assert moved["metadata"]["namespace"] == "copy"
    assert times(moved, "copy") == naming
    assert times(moved, "infra") == times(original, "infra")


@pytest.mark.parametrize("what", NAMING)
def test_moving_there_and_back_changes_nothing(what: str) -> None:
    original, _ = NAMING[what]
    assert move(move(copy_of(original), THERE), BACK) == original


@pytest.mark.parametrize("what", NAMING)
def test_who_names_another_namespace_is_left(what: str) -> None:
    original, _ = NAMING[what]
    assert move(copy_of(original), {"elsewhere": "there"}) == original


def test_the_namespace_itself_and_its_label_are_changed() -> None:
    labels = {"kubernetes.io/metadata.name": "shop", "team": "shop"}
    original = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}
    moved = move(copy_of(original), THERE)
    assert moved["metadata"] == {
        "name": "copy",
        "labels": {"kubernetes.io/metadata.name": "copy", "team": "shop"},
    }
    assert move(moved, BACK) == original
    assert moved_key(ObjectKey("", "Namespace", "", "shop"), THERE) == ObjectKey("", "Namespace", "", "copy")


def test_namespaces_can_change_places() -> None:
    swap = {"a": "b", "b": "a"}
    binding = body("RoleBinding", RBAC, subjects=[{**_ACCOUNT, "namespace": name} for name in ("a", "b", "c")])
    assert [subject["namespace"] for subject in move(binding, swap)["subjects"]] == ["b", "a", "c"]


def test_texts_are_not_changed() -> None:
    config = body("ConfigMap", data={"url": "http://db.shop.svc.cluster.local/x"})
    assert move(copy_of(config), THERE)["data"] == config["data"]


@pytest.mark.parametrize(
    ("name", "text", "moved"),
    [
        ("nginx.ingress.kubernetes.io/auth-secret", "shop/basic", "copy/basic"),
        ("nginx.ingress.kubernetes.io/auth-secret", "basic", "basic"),
        ("nginx.ingress.kubernetes.io/auth-tls-secret", "infra/ca", "infra/ca"),
        ("nginx.ingress.kubernetes.io/auth-url", "http://auth.shop.svc/", "http://auth.shop.svc/"),
        ("k8s.v1.cni.cncf.io/networks", "shop/one@eth1, infra/two,shop/three", "copy/one@eth1, infra/two,copy/three"),
        ("haproxy-ingress.github.io/auth-tls-secret", "file:///etc/shop/ca.pem", "file:///etc/shop/ca.pem"),
        ("projectcontour.io/tls-cert-namespace", "shop", "copy"),
        ("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:shop/web", "shop:apps/Deployment:copy/web"),
        ("example.com/secret", "shop/basic", "shop/basic"),
    ],
)
def test_an_annotation_is_changed_where_it_is_known_what_it_names(name: str, text: str, moved: str) -> None:
    ingress = body("Ingress", "networking.k8s.io/v1", metadata={"annotations": {name: text}})
    assert move(ingress, THERE)["metadata"]["annotations"] == {name: moved}
