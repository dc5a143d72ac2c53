"""An object in another version of its API, for a cluster that does not serve the one it was kept in.

Only what loses nothing: versions of the same shape, and a small table of those that differ in ways that are known.
For custom resources the definition of the target cluster says whether its versions have one shape.

The version is chosen among those the cluster serves: its preferred one first, then the most stable one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.objects import Body

Kind = tuple[str, str]
_Change = Callable[[Body], None]

_ADMISSION = "admissionregistration.k8s.io"
_FLOWS = "flowcontrol.apiserver.k8s.io"
_NET = "networking.k8s.io"
_DEVICES = "resource.k8s.io"

#: Versions of built-in kinds that have one shape.
_SAME: Mapping[Kind, frozenset[str]] = {
    kind: frozenset(versions)
    for kind, versions in {
        ("autoscaling", "HorizontalPodAutoscaler"): ("v2beta2", "v2"),
        ("batch", "CronJob"): ("v1beta1", "v1"),
        ("networking.k8s.io", "IngressClass"): ("v1beta1", "v1"),
        ("node.k8s.io", "RuntimeClass"): ("v1beta1", "v1"),
        ("scheduling.k8s.io", "PriorityClass"): ("v1beta1", "v1"),
        ("storage.k8s.io", "StorageClass"): ("v1beta1", "v1"),
        ("storage.k8s.io", "CSIDriver"): ("v1beta1", "v1"),
        ("storage.k8s.io", "VolumeAttributesClass"): ("v1alpha1", "v1beta1", "v1"),
        ("rbac.authorization.k8s.io", "Role"): ("v1beta1", "v1"),
        ("rbac.authorization.k8s.io", "RoleBinding"): ("v1beta1", "v1"),
        ("rbac.authorization.k8s.io", "ClusterRole"): ("v1beta1", "v1"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("v1beta1", "v1"),
        (_ADMISSION, "ValidatingAdmissionPolicy"): ("v1beta1", "v1"),
        (_ADMISSION, "ValidatingAdmissionPolicyBinding"): ("v1beta1", "v1"),
        (_ADMISSION, "MutatingAdmissionPolicy"): ("v1alpha1", "v1beta1", "v1"),
        (_ADMISSION, "MutatingAdmissionPolicyBinding"): ("v1alpha1", "v1beta1", "v1"),
        (_FLOWS, "FlowSchema"): ("v1beta2", "v1beta3", "v1"),
        (_FLOWS, "PriorityLevelConfiguration"): ("v1beta3", "v1"),
        (_DEVICES, "DeviceClass"): ("v1beta1", "v1beta2", "v1"),
        (_DEVICES, "ResourceClaim"): ("v1beta2", "v1"),
        (_DEVICES, "ResourceClaimTemplate"): ("v1beta2", "v1"),
    }.items()
}


class CannotConvert(Exception):  # told to the caller, who says what it means for the restore
    """The object says something that the other version cannot, or nobody knows whether it can."""


@dataclass(frozen=True, slots=True)
class Served:
    """In which versions a cluster serves a kind, the preferred one first."""

    versions: Sequence[str]
    #: Of a custom resource: whether all of its versions have one shape (the conversion of its definition is `None`).
    one_shape: bool = False

    def choose(self, kind: Kind, stored: str) -> str | None:
        """The version to restore in what was kept in version `stored`; `None` if no way is known."""
        if stored in self.versions:
            return stored
        preferred = self.versions[:1]
        others = sorted(self.versions[1:], key=_stability)
        for version in (*preferred, *others):
            if self.one_shape or known(kind, stored, version):
                return version
        return None


def known(kind: Kind, stored: str, version: str) -> bool:
    """Whether objects of a built-in kind can be brought from one version to another."""
    return {stored, version} <= _SAME.get(kind, frozenset()) or (kind, stored, version) in _CHANGES


def convert(body: Body, kind: Kind, version: str) -> Body:
    """`body` in another version of its group. **Changes and returns the very body it is given.** Raises
    `CannotConvert`. That a way is known is the caller's to have asked."""
    group = kind[0]
    stored = str(body.get("apiVersion", "")).rpartition("/")[2]
    change = _CHANGES.get((kind, stored, version))
    if change is not None:
        change(body)
    body["apiVersion"] = f"{group}/{version}" if group else version
    metadata = body["metadata"]
    # Ownership is written in fields of one version; the server knows no other way to read it.
    kept = [
        {**entry, "apiVersion": body["apiVersion"]} if change is None else entry
        for entry in metadata.pop("managedFields", None) or ()
        if change is None
    ]
    if kept:
        metadata["managedFields"] = kept
    return body


def order(versions: Iterable[str]) -> list[str]:
    """Versions as Kubernetes ranks them: v10, v2, v1, v11beta2, v10beta3, v3beta1, v12alpha1, foo1, foo10."""
    return sorted(versions, key=_stability)


_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def _stability(version: str) -> tuple[int, int, int, str]:
    found = _VERSION.fullmatch(version)
    if found is None:
        return (3, 0, 0, version)
    major, level, minor = found.groups()
    return ({None: 0, "beta": 1, "alpha": 2}[level], -int(major), -int(minor or 0), "")


# ── those that differ ───────────────────────────────────────────────────────────────────────────────────────


def _budget(body: Body) -> None:
    """An empty selector meant no pod in v1beta1, and means every pod in v1."""
    if not any(((body.get("spec") or {}).get("selector") or {}).values()):
        raise CannotConvert("an empty selector means no pods in the one version and all pods in the other")


def _scaler_from_v1(body: Body) -> None:
    annotations = body["metadata"].get("annotations") or {}
    if any(f"autoscaling.alpha.kubernetes.io/{name}" in annotations for name in ("metrics", "behavior")):
        raise CannotConvert("it has metrics or `behavior` in annotations, which only v1 reads")
    spec = body.get("spec") or {}
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _scaler_to_v1(body: Body) -> None:
    spec = body.get("spec") or {}
    metrics = spec.pop("metrics", None) or []
    if spec.pop("behavior", None):
        raise CannotConvert("v1 has no `behavior`")
    for metric in metrics:
        resource = metric.get("resource") or {}
        target = resource.get("target") or {}
        if len(metrics) > 1 or resource.get("name") != "cpu" or target.get("type") != "Utilization":
            raise CannotConvert("v1 knows no metric but the utilisation of CPUs")
        spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]


def _level(old: str, new: str) -> _Change:
    def change(body: Body) -> None:
        limited = (body.get("spec") or {}).get("limited") or {}
        if limited.get(old) == 0:
            raise CannotConvert("no share at all (0) means the default before v1")
        if old in limited:
            limited[new] = limited.pop(old)

    return change


def _ingress_from_beta(body: Body) -> None:
    def backend(given: dict[str, Any]) -> dict[str, Any]:
        if "serviceName" not in given:
            return given
        port = given["servicePort"]
        name = {"name": port} if isinstance(port, str) else {"number": port}
        return {"service": {"name": given["serviceName"], "port": name}}

    spec = body.get("spec") or {}
    if "backend" in spec:
        spec["defaultBackend"] = backend(spec.pop("backend"))
    for path in _paths(spec):
        path["backend"] = backend(path["backend"])
        path.setdefault("pathType", "ImplementationSpecific")


def _ingress_to_beta(body: Body) -> None:
    def backend(given: dict[str, Any]) -> dict[str, Any]:
        service = given.get("service")
        if service is None:
            return given
        port = service.get("port") or {}
        return {"serviceName": service["name"], "servicePort": port.get("name") or port.get("number")}

    spec = body.get("spec") or {}
    if "defaultBackend" in spec:
        spec["backend"] = backend(spec.pop("defaultBackend"))
    for path in _paths(spec):
        path["backend"] = backend(path["backend"])


def _paths(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [path for rule in spec.get("rules") or () for path in (rule.get("http") or {}).get("paths") or ()]


_EXACTLY = ("deviceClassName", "selectors", "allocationMode", "count", "adminAccess", "tolerations", "capacity")


def _devices(*place: str, inner: bool) -> _Change:
    """From v1beta1 a request for devices moved its members into `exactly` (`inner`), or back."""

    def change(body: Body) -> None:
        spec: Any = body
        for member in place:
            spec = (spec or {}).get(member)
        devices = (spec or {}).get("devices") or {}
        for request in devices.get("requests") or ():
            if inner and "firstAvailable" not in request and "exactly" not in request:
                request["exactly"] = {name: request.pop(name) for name in _EXACTLY if name in request}
            elif not inner:
                request.update(request.pop("exactly", None) or {})

    return change


_SCALER = ("autoscaling", "HorizontalPodAutoscaler")
_BUDGET = ("policy", "PodDisruptionBudget")
_INGRESS = (_NET, "Ingress")
_LEVEL = (_FLOWS, "PriorityLevelConfiguration")
_NEWER = ("v1beta2", "v1")

#: (kind, from, to) → what to change beside the version's name.
_CHANGES: dict[tuple[Kind, str, str], _Change] = {
    (_BUDGET, "v1beta1", "v1"): _budget,
    (_BUDGET, "v1", "v1beta1"): _budget,
    (_SCALER, "v1", "v2"): _scaler_from_v1,
    (_SCALER, "v1", "v2beta2"): _scaler_from_v1,
    (_SCALER, "v2", "v1"): _scaler_to_v1,
    (_SCALER, "v2beta2", "v1"): _scaler_to_v1,
    (_INGRESS, "v1beta1", "v1"): _ingress_from_beta,
    (_INGRESS, "v1", "v1beta1"): _ingress_to_beta,
    **{
        (_LEVEL, "v1beta2", to): _level("assuredConcurrencyShares", "nominalConcurrencyShares")
        for to in ("v1beta3", "v1")
    },
    **{
        (_LEVEL, of, "v1beta2"): _level("nominalConcurrencyShares", "assuredConcurrencyShares")
        for of in ("v1beta3", "v1")
    },
    (_LEVEL, "v1", "v1beta3"): _level("nominalConcurrencyShares", "nominalConcurrencyShares"),
}
for _claim_kind, _place in (("ResourceClaim", ("spec",)), ("ResourceClaimTemplate", ("spec", "spec"))):
    for _newer in _NEWER:
        _CHANGES[((_DEVICES, _claim_kind), "v1beta1", _newer)] = _devices(*_place, inner=True)
        _CHANGES[((_DEVICES, _claim_kind), _newer, "v1beta1")] = _devices(*_place, inner=False)
