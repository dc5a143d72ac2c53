"""What objects refer to: a table of kinds and paths. (Who refers to an application from elsewhere is `referrers`.)

Only references that are certain: a name in a field that can mean nothing else. A namespace that is not written is the
object's own; for a kind that is not in namespaces it means nothing, and whoever looks the object up drops it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chalicelib.domain.objects import DEFINITION, Body, ObjectKey, Resource, key_of
from chalicelib.planning.content.paths import values
from chalicelib.planning.content.pod_specs import POD_SPECS
from chalicelib.planning.selecting.accounts import ACCOUNT, account_of, accounts_named, called

_Kind = tuple[str, str]

_ADMISSION = "admissionregistration.k8s.io"
_CERTIFICATES = "cert-manager.io"
_GATEWAYS = "gateway.networking.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_STORAGE = "storage.k8s.io"

CONFIG_MAP: _Kind = ("", "ConfigMap")
SECRET: _Kind = ("", "Secret")
SERVICE: _Kind = ("", "Service")
CLUSTER_ROLE: _Kind = (_RBAC, "ClusterRole")
_CLAIM: _Kind = ("", "PersistentVolumeClaim")
_CLASS: _Kind = (_STORAGE, "StorageClass")
_DRIVER: _Kind = (_STORAGE, "CSIDriver")
_DEVICE_CLASS: _Kind = ("resource.k8s.io", "DeviceClass")
_PRIORITY: _Kind = ("scheduling.k8s.io", "PriorityClass")
_SNAPSHOTS: _Kind = ("snapshot.storage.k8s.io", "VolumeSnapshotClass")

#: Groups whose kinds every API server has by itself.
BUILT_IN = frozenset(
    {
        "",
        _ADMISSION,
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        _RBAC,
        "resource.k8s.io",
        "scheduling.k8s.io",
        _STORAGE,
        "storagemigration.k8s.io",
    }
)


class Reference(NamedTuple):
    """One object that is named, what for (`priority class of Deployment.apps shop/web`), and by whom."""

    key: ObjectKey
    reason: str
    by: ObjectKey


class _Named(NamedTuple):
    """A path to a name, or to a mapping with a `name` (and perhaps a `namespace`, a `group` and a `kind`)."""

    path: str
    kind: _Kind
    what: str


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────

_CONTAINERS = ("containers[]", "initContainers[]")

_POD = (
    _Named("priorityClassName", _PRIORITY, "priority class of"),
    _Named("runtimeClassName", ("node.k8s.io", "RuntimeClass"), "runtime class of"),
    _Named("imagePullSecrets[].name", SECRET, "image pull secret of"),
    _Named("resourceClaims[].resourceClaimName", ("resource.k8s.io", "ResourceClaim"), "used by"),
    _Named("resourceClaims[].resourceClaimTemplateName", ("resource.k8s.io", "ResourceClaimTemplate"), "used by"),
    _Named("volumes[].configMap.name", CONFIG_MAP, "used by"),
    _Named("volumes[].secret.secretName", SECRET, "used by"),
    _Named("volumes[].persistentVolumeClaim.claimName", _CLAIM, "used by"),
    _Named("volumes[].projected.sources[].configMap.name", CONFIG_MAP, "used by"),
    _Named("volumes[].projected.sources[].secret.name", SECRET, "used by"),
    _Named("volumes[].csi.driver", _DRIVER, "driver of a volume of"),
    _Named("volumes[].csi.nodePublishSecretRef.name", SECRET, "used by"),
    _Named("volumes[].ephemeral.volumeClaimTemplate.spec.storageClassName", _CLASS, "storage class of"),
    *(
        _Named(f"{containers}.{path}", kind, "used by")
        for containers in _CONTAINERS
        for path, kind in (
            ("envFrom[].configMapRef.name", CONFIG_MAP),
            ("envFrom[].secretRef.name", SECRET),
            ("env[].valueFrom.configMapKeyRef.name", CONFIG_MAP),
            ("env[].valueFrom.secretKeyRef.name", SECRET),
        )
    ),
)

_CLAIM_SPEC = (
    _Named("storageClassName", _CLASS, "storage class of"),
    _Named("volumeAttributesClassName", (_STORAGE, "VolumeAttributesClass"), "volume attributes class of"),
)
_DEVICES = (
    _Named("devices.requests[].deviceClassName", _DEVICE_CLASS, "device class of"),
    _Named("devices.requests[].exactly.deviceClassName", _DEVICE_CLASS, "device class of"),
    _Named("devices.requests[].firstAvailable[].deviceClassName", _DEVICE_CLASS, "device class of"),
)
_CSI_SECRETS = ("controllerExpand", "controllerPublish", "nodeExpand", "nodePublish", "nodeStage")
_ISSUER: _Kind = (_CERTIFICATES, "Issuer")
_ROUTE = (
    _Named("spec.parentRefs[]", (_GATEWAYS, "Gateway"), "parent of"),
    _Named("spec.rules[].backendRefs[]", SERVICE, "backend of"),
)


def _below(place: str, rules: Sequence[_Named]) -> tuple[_Named, ...]:
    return tuple(_Named(f"{place}.{rule.path}", rule.kind, rule.what) for rule in rules)


_TABLE: dict[_Kind, tuple[_Named, ...]] = {
    ("", "PersistentVolume"): (
        _Named("spec.storageClassName", _CLASS, "storage class of"),
        _Named("spec.csi.driver", _DRIVER, "driver of"),
        *(_Named(f"spec.csi.{name}SecretRef", SECRET, "used by") for name in _CSI_SECRETS),
    ),
    _CLAIM: (
        *_below("spec", _CLAIM_SPEC),
        _Named("spec.volumeName", ("", "PersistentVolume"), "volume of"),
    ),
    ACCOUNT: (
        _Named("imagePullSecrets[].name", SECRET, "image pull secret of"),
        _Named("secrets[].name", SECRET, "secret of"),
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): (_Named("spec.scaleTargetRef", ("apps", "Deployment"), "scaled by"),),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): (
        _Named(
            "spec.priorityLevelConfiguration.name",
            ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
            "priority level of",
        ),
    ),
    ("networking.k8s.io", "Ingress"): (
        _Named("spec.ingressClassName", ("networking.k8s.io", "IngressClass"), "ingress class of"),
        _Named("spec.tls[].secretName", SECRET, "certificate of"),
        _Named("spec.defaultBackend.service.name", SERVICE, "backend of"),
        _Named("spec.rules[].http.paths[].backend.service.name", SERVICE, "backend of"),
    ),
    ("networking.k8s.io", "IngressClass"): (_Named("spec.parameters", ("", ""), "parameters of"),),
    ("resource.k8s.io", "ResourceClaim"): _below("spec", _DEVICES),
    ("resource.k8s.io", "ResourceClaimTemplate"): _below("spec.spec", _DEVICES),
    _CLASS: (_Named("provisioner", _DRIVER, "driver of"),),
    _SNAPSHOTS: (_Named("driver", _DRIVER, "driver of"),),
    ("apps", "StatefulSet"): _below("spec.volumeClaimTemplates[].spec", _CLAIM_SPEC),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): (
        _Named("spec.policyName", (_ADMISSION, "ValidatingAdmissionPolicy"), "policy of"),
    ),
    (_ADMISSION, "MutatingAdmissionPolicyBinding"): (
        _Named("spec.policyName", (_ADMISSION, "MutatingAdmissionPolicy"), "policy of"),
    ),
    (_RBAC, "RoleBinding"): (_Named("roleRef", (_RBAC, "Role"), "bound by"),),
    (_RBAC, "ClusterRoleBinding"): (_Named("roleRef", CLUSTER_ROLE, "bound by"),),
    (_CERTIFICATES, "Certificate"): (_Named("spec.issuerRef", _ISSUER, "issuer of"),),
    (_CERTIFICATES, "CertificateRequest"): (_Named("spec.issuerRef", _ISSUER, "issuer of"),),
    (_GATEWAYS, "Gateway"): (
        _Named("spec.gatewayClassName", (_GATEWAYS, "GatewayClass"), "gateway class of"),
        _Named("spec.listeners[].tls.certificateRefs[]", SECRET, "certificate of"),
    ),
    (_GATEWAYS, "GatewayClass"): (_Named("spec.parametersRef", ("", ""), "parameters of"),),
    **{(_GATEWAYS, f"{name}Route"): _ROUTE for name in ("GRPC", "HTTP", "TCP", "TLS", "UDP")},
}
for _kind, _place in POD_SPECS.items():
    _TABLE[_kind] = (*_TABLE.get(_kind, ()), *_below(_place, _POD))

#: Of any kind: annotations that name an object.
_ANNOTATIONS: Mapping[str, tuple[_Kind, str]] = {
    "cert-manager.io/cluster-issuer": ((_CERTIFICATES, "ClusterIssuer"), "issuer of"),
    "cert-manager.io/issuer": (_ISSUER, "issuer of"),
    "kubernetes.io/ingress.class": (("networking.k8s.io", "IngressClass"), "ingress class of"),
    "volume.beta.kubernetes.io/storage-class": (_CLASS, "storage class of"),
}
#: Of kinds that a definition made: fields that mean the same wherever they are.
_CUSTOM = (
    _Named("spec.priorityClassName", _PRIORITY, "priority class of"),
    _Named("spec.storageClassName", _CLASS, "storage class of"),
    _Named("spec.volumeSnapshotClassName", _SNAPSHOTS, "snapshot class of"),
)


def references_of(body: Body, resource: Resource) -> Iterator[Reference]:
    """What an object (normalised or not) names, in the order of the table. The same object can come twice."""
    key = key_of(body)
    kind = (key.group, key.kind)
    rules = _TABLE.get(kind, ())
    if key.group not in BUILT_IN:
        yield Reference(ObjectKey(*DEFINITION, "", resource.defined_by), f"defines the kind of {key}", key)
        service = ObjectKey("apiregistration.k8s.io", "APIService", "", f"{resource.version}.{key.group}")
        yield Reference(service, f"serves the kind of {key}", key)
        rules = (*rules, *_CUSTOM)
    for rule in rules:
        for value in values(body, rule.path):
            target = _target(value, rule.kind, key.namespace)
            if target is not None and not _reaches_for_a_secret(target, rule.kind, key):
                yield Reference(target, _reason(rule.what, key, body), key)
    annotations = body["metadata"].get("annotations") or {}
    for name in annotations.keys() & _ANNOTATIONS.keys():
        target_kind, what = _ANNOTATIONS[name]
        yield Reference(ObjectKey(*target_kind, key.namespace, annotations[name]), f"{what} {key}", key)
    account = account_of(body)
    if account is not None:
        yield Reference(account, f"account of {key}", key)
    yield from _parameters_of_class(body, key)
    yield from _quota_of_priority(body, key)


def _reaches_for_a_secret(target: ObjectKey, kind: _Kind, key: ObjectKey) -> bool:
    """Whether an object calls a Secret of another namespace what cannot be one (a backend, a parent): who may write
    the one could have the other read for them."""
    return target[:2] == SECRET != kind and bool(key.namespace) and target.namespace != key.namespace


def _parameters_of_class(body: Body, key: ObjectKey) -> Iterator[Reference]:
    """Secrets that a class of storage names in its parameters; a template (`${pvc.name}`) names none."""
    if key[:2] not in {_CLASS, _SNAPSHOTS}:
        return
    parameters = body.get("parameters") or {}
    for name, value in sorted(parameters.items()):
        prefix = name.removesuffix("-secret-name")
        namespace = parameters.get(f"{prefix}-secret-namespace")
        if prefix != name and prefix.startswith("csi.storage.k8s.io/") and namespace and "$" not in value + namespace:
            yield Reference(ObjectKey(*SECRET, namespace, value), f"used by {key}", key)


def _quota_of_priority(body: Body, key: ObjectKey) -> Iterator[Reference]:
    if key[:2] != ("", "ResourceQuota"):
        return
    for term in values(body, "spec.scopeSelector.matchExpressions[]"):
        if term.get("scopeName") == "PriorityClass":
            for name in term.get("values") or ():
                yield Reference(ObjectKey(*_PRIORITY, "", name), f"priority class of {key}", key)


def _reason(what: str, key: ObjectKey, body: Body) -> str:
    bound = next(accounts_named(body), None) if what == "bound by" else None
    return f"{what} {key} to {called(bound)}" if bound is not None else f"{what} {key}"


def _target(value: Any, kind: _Kind, namespace: str) -> ObjectKey | None:
    """The object that a name, or a mapping with a name, stands for."""
    if isinstance(value, str):
        return ObjectKey(*kind, namespace, value) if value else None
    if not isinstance(value, dict) or not value.get("name"):
        return None
    named = str(value.get("kind") or "")
    group = value.get("apiGroup", value.get("group"))
    if group is None and "apiVersion" in value:
        group = str(value["apiVersion"]).rpartition("/")[0]
    found = (str(group if group is not None else kind[0]), named or kind[1])
    if not found[1]:
        return None
    return ObjectKey(*found, str(value.get("namespace") or namespace), str(value["name"]))
