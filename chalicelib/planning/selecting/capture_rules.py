"""Which objects are never worth keeping, and why. The list for users is `docs/capture-rules.md`.

Two questions: is a *kind* worth listing at all (`never_listed`), and is one *object* of it worth keeping (`verdict`)?
A planner asks them of the live objects as well. What falls under a rule is then no extra object to be deleted, and if
a version holds it nevertheless, the reason says what to do about it (see `plan`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from chalicelib.domain.objects import Body, Resource
from chalicelib.planning.bodies.kinds import GENERATED_TAIL
from chalicelib.planning.selecting.ownership_roots import always_derived, controller_reference


class Reason(StrEnum):
    """Why an object is not kept. The values are stable: they appear in plans."""

    TAKEN = ""
    #: It is on its way out.
    TERMINATING = "terminating"
    #: A label says so.
    EXCLUDED = "excluded"
    #: It has run, and would run again.
    FINISHED = "finished"
    #: Its controller makes it again.
    DERIVED = "derived"
    #: The cluster itself makes and keeps it.
    CLUSTERS_OWN = "clusters-own"
    #: As the cluster makes it, unchanged. Changed, it would be kept.
    UNTOUCHED = "untouched"
    #: It says something about one moment: a lock, a snapshot, a measurement.
    MOMENTARY = "momentary"


class Verdict(NamedTuple):
    """Whether to keep an object; if not, why."""

    take: bool
    reason: Reason = Reason.TAKEN


TAKE = Verdict(take=True)
_TERMINATING = Verdict(take=False, reason=Reason.TERMINATING)
_EXCLUDED = Verdict(take=False, reason=Reason.EXCLUDED)
_FINISHED = Verdict(take=False, reason=Reason.FINISHED)
_DERIVED = Verdict(take=False, reason=Reason.DERIVED)
_CLUSTERS_OWN = Verdict(take=False, reason=Reason.CLUSTERS_OWN)
_UNTOUCHED = Verdict(take=False, reason=Reason.UNTOUCHED)
_MOMENTARY = Verdict(take=False, reason=Reason.MOMENTARY)

#: With the value `true` an object stays out of every version. The second is Velero's.
EXCLUDE_LABELS = ("mainstay.dev/exclude", "velero.io/exclude-from-backup")

_NEVER_KINDS = frozenset(
    {
        ("", "ComponentStatus"),
        ("", "Event"),
        ("", "Node"),
        ("apps", "ControllerRevision"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "PodCertificateRequest"),
        ("coordination.k8s.io", "Lease"),
        ("coordination.k8s.io", "LeaseCandidate"),
        ("events.k8s.io", "Event"),
        ("internal.apiserver.k8s.io", "StorageVersion"),
        ("networking.k8s.io", "IPAddress"),
        ("resource.k8s.io", "ResourceSlice"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotContent"),
        ("groupsnapshot.storage.k8s.io", "VolumeGroupSnapshotContent"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "CSIStorageCapacity"),
        ("storage.k8s.io", "VolumeAttachment"),
    }
)
#: Groups in which nothing is wanted state: measurements, reviews, the storage's own migrations.
NEVER_GROUPS = frozenset(
    {
        "authentication.k8s.io",
        "authorization.k8s.io",
        "custom.metrics.k8s.io",
        "external.metrics.k8s.io",
        "metrics.k8s.io",
        "migration.k8s.io",
        "storagemigration.k8s.io",
        "velero.io",
    }
)
#: The same objects are served in two groups; the second is the one to read.
_COHABITING = {
    ("extensions", "DaemonSet"): "apps",
    ("extensions", "Deployment"): "apps",
    ("extensions", "ReplicaSet"): "apps",
    ("extensions", "Ingress"): "networking.k8s.io",
    ("extensions", "NetworkPolicy"): "networking.k8s.io",
    ("policy", "PodSecurityPolicy"): "policy",
}


def never_listed(resource: Resource) -> bool:
    """Whether no object of this kind is ever kept: nothing of it is wanted state, or it cannot be made again."""
    return (
        "/" in resource.plural
        or not resource.verbs.issuperset(("list", "create"))
        or resource.group in NEVER_GROUPS
        or (resource.group, resource.kind) in _NEVER_KINDS
    )


def listable(resources: Iterable[Resource]) -> list[Resource]:
    """What of the discovery's resources is worth listing: cohabiting groups once. The order is kept."""
    worth = [resource for resource in resources if not never_listed(resource)]
    served = {(resource.group, resource.kind) for resource in worth}
    return [
        resource
        for resource in worth
        if (_COHABITING.get((resource.group, resource.kind), resource.group), resource.kind) not in served
        or (resource.group, resource.kind) not in _COHABITING
    ]


def verdict(body: Body, resource: Resource) -> Verdict:
    """Whether to keep one object, given as the server sent it (before `normalise`).

    What has a controller that is always there (a Deployment's ReplicaSet, its Pods, …) is `derived` at once. Whether
    other controlled objects are, depends on their owner: see `ownership_roots`.
    """
    metadata = body["metadata"]
    if "deletionTimestamp" in metadata:
        return _TERMINATING
    labels = metadata.get("labels")
    if labels:
        for name in EXCLUDE_LABELS:
            if labels.get(name) == "true":
                return _EXCLUDED
    if "ownerReferences" in metadata:
        owner = controller_reference(body)
        if owner is not None and always_derived(owner.group, owner.kind, resource.group, resource.kind):
            return _DERIVED
    rule = _RULES.get((resource.group, resource.kind))
    return TAKE if rule is None else rule(body, metadata)


# ── rules of single kinds ───────────────────────────────────────────────────────────────────────────────────

_Rule = Callable[[Body, dict[str, Any]], Verdict]

_LEADER = "control-plane.alpha.kubernetes.io/leader"
_CLUSTER_CONFIG_MAPS = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
#: Namespaces that the cluster makes for itself.
CLUSTER_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_ENDPOINT_CONTROLLERS = frozenset({"kube-controller-manager", "endpoint-controller", "endpoints-controller"})
_SLICE_CONTROLLERS = frozenset({"endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"})
_OPENSHIFT_BINDINGS = frozenset({"system:image-pullers", "system:image-builders", "system:deployers"})
_GENERATED_TOKEN = re.compile(f"-token-{GENERATED_TAIL}")


def _annotations(metadata: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = metadata.get("annotations") or {}
    return found


def _labels(metadata: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = metadata.get("labels") or {}
    return found


def _config_map(body: Body, metadata: dict[str, Any]) -> Verdict:
    if metadata["name"] in _CLUSTER_CONFIG_MAPS:
        return _CLUSTERS_OWN
    if _LEADER in _annotations(metadata) and not body.get("data") and not body.get("binaryData"):
        return _MOMENTARY
    return TAKE


def _namespace(_body: Body, metadata: dict[str, Any]) -> Verdict:
    return _CLUSTERS_OWN if metadata["name"] in CLUSTER_NAMESPACES else TAKE


def _service_account(body: Body, metadata: dict[str, Any]) -> Verdict:
    """Every namespace gets a ServiceAccount `default`; it is kept once somebody changed it."""
    if metadata["name"] != "default":
        return TAKE
    token = re.compile(f"default-(?:token|dockercfg)-{GENERATED_TAIL}")
    references = (*(body.get("secrets") or ()), *(body.get("imagePullSecrets") or ()))
    changed = (
        metadata.get("labels")
        or metadata.get("annotations")
        or metadata.get("finalizers")
        or "automountServiceAccountToken" in body
        or any(not token.fullmatch(item.get("name") or "") for item in references)
    )
    return TAKE if changed else _UNTOUCHED


def _secret(body: Body, metadata: dict[str, Any]) -> Verdict:
    """Tokens that a controller made up for an account; those that a user asked for have names of their own."""
    kind = body.get("type")
    annotations = _annotations(metadata)
    if kind == "kubernetes.io/service-account-token":
        account = annotations.get("kubernetes.io/service-account.name") or ""
        tail = metadata["name"].removeprefix(account)
        return _CLUSTERS_OWN if account and _GENERATED_TOKEN.fullmatch(tail) else TAKE
    if kind == "kubernetes.io/dockercfg" and (
        "openshift.io/token-secret.name" in annotations
        or "openshift.io/internal-registry-auth-token.service-account" in annotations
    ):
        return _CLUSTERS_OWN
    return TAKE


def _pod(body: Body, metadata: dict[str, Any]) -> Verdict:
    if "kubernetes.io/config.mirror" in _annotations(metadata):
        return _DERIVED
    phase = (body.get("status") or {}).get("phase")
    return _FINISHED if phase in {"Succeeded", "Failed"} else TAKE


def _job(body: Body, _metadata: dict[str, Any]) -> Verdict:
    """A finished Job would run again, and its effect is in the data already."""
    status = body.get("status") or {}
    if status.get("completionTime"):
        return _FINISHED
    for condition in status.get("conditions") or ():
        if condition.get("type") in {"Complete", "Failed"} and condition.get("status") == "True":
            return _FINISHED
    return TAKE


def _service(_body: Body, metadata: dict[str, Any]) -> Verdict:
    return _CLUSTERS_OWN if _is_api_server(metadata) else TAKE


def _is_api_server(metadata: dict[str, Any]) -> bool:
    return metadata["name"] == "kubernetes" and metadata.get("namespace") == "default"


def _endpoints(body: Body, metadata: dict[str, Any]) -> Verdict:
    """Endpoints of a Service with a selector are the controller's; those of one without are the user's."""
    if _is_api_server(metadata):
        return _CLUSTERS_OWN
    annotations = _annotations(metadata)
    if _LEADER in annotations and not body.get("subsets"):
        return _MOMENTARY
    managers = {entry.get("manager") for entry in metadata.get("managedFields") or ()}
    if (
        not managers.isdisjoint(_ENDPOINT_CONTROLLERS)
        or "endpoints.kubernetes.io/managed-by" in _labels(metadata)
        or "endpoints.kubernetes.io/last-change-trigger-time" in annotations
    ):
        return _DERIVED
    return TAKE


def _endpoint_slice(_body: Body, metadata: dict[str, Any]) -> Verdict:
    if _is_api_server(metadata):
        return _CLUSTERS_OWN
    by = _labels(metadata).get("endpointslice.kubernetes.io/managed-by")
    return _DERIVED if by in _SLICE_CONTROLLERS else TAKE


def _rbac(_body: Body, metadata: dict[str, Any]) -> Verdict:
    """The server's bootstrap roles, unless somebody took one over by switching the server's updates off."""
    if metadata["name"] in _OPENSHIFT_BINDINGS:
        return _CLUSTERS_OWN
    if _labels(metadata).get("kubernetes.io/bootstrapping") != "rbac-defaults":
        return TAKE
    taken_over = _annotations(metadata).get("rbac.authorization.kubernetes.io/autoupdate") == "false"
    return TAKE if taken_over else _CLUSTERS_OWN


def _api_service(_body: Body, metadata: dict[str, Any]) -> Verdict:
    automanaged = "kube-aggregator.kubernetes.io/automanaged" in _labels(metadata)
    return _CLUSTERS_OWN if automanaged else TAKE


def _flow_control(_body: Body, metadata: dict[str, Any]) -> Verdict:
    updated = _annotations(metadata).get("apf.kubernetes.io/autoupdate-spec") == "true"
    return _CLUSTERS_OWN if updated or metadata["name"] in {"exempt", "catch-all"} else TAKE


def _priority_class(_body: Body, metadata: dict[str, Any]) -> Verdict:
    return _CLUSTERS_OWN if metadata["name"].startswith("system-") else TAKE


def _service_cidr(_body: Body, metadata: dict[str, Any]) -> Verdict:
    return _CLUSTERS_OWN if metadata["name"] == "kubernetes" else TAKE


def _snapshot(_body: Body, _metadata: dict[str, Any]) -> Verdict:
    """Made again, it would take another snapshot, of what is there by then."""
    return _MOMENTARY


_RULES: dict[tuple[str, str], _Rule] = {
    ("", "ConfigMap"): _config_map,
    ("", "Endpoints"): _endpoints,
    ("", "Namespace"): _namespace,
    ("", "Pod"): _pod,
    ("", "Secret"): _secret,
    ("", "Service"): _service,
    ("", "ServiceAccount"): _service_account,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("batch", "Job"): _job,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): _flow_control,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): _flow_control,
    ("groupsnapshot.storage.k8s.io", "VolumeGroupSnapshot"): _snapshot,
    ("networking.k8s.io", "ServiceCIDR"): _service_cidr,
    ("rbac.authorization.k8s.io", "ClusterRole"): _rbac,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _rbac,
    ("rbac.authorization.k8s.io", "Role"): _rbac,
    ("rbac.authorization.k8s.io", "RoleBinding"): _rbac,
    ("scheduling.k8s.io", "PriorityClass"): _priority_class,
    ("snapshot.storage.k8s.io", "VolumeSnapshot"): _snapshot,
}


# ── what is not in a version because it is as the cluster makes it ──────────────────────────────────────────


def implied(group: str, kind: str, namespace: str, name: str) -> Body | None:
    """The content that an object has where a version is silent about it because it was `untouched`.

    So a `default` ServiceAccount that somebody changed since is brought back to how its namespace's controller
    makes it, and never deleted: the tokens of running pods would be void. `None` for everything else.
    """
    if (group, kind, name) == ("", "ServiceAccount", "default"):
        return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    return None
