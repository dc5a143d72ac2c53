"""Objects in other versions of their API: chosen as Kubernetes would, and never at a loss that is not told."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.planning.bodies.normalise import copy_of
from chalicelib.planning.elsewhere.versions import CannotConvert, Served, convert, known, order

SCALER = ("autoscaling", "HorizontalPodAutoscaler")
BUDGET = ("policy", "PodDisruptionBudget")
INGRESS = ("networking.k8s.io", "Ingress")
CLAIM = ("resource.k8s.io", "ResourceClaim")
TEMPLATE = ("resource.k8s.io", "ResourceClaimTemplate")
LEVEL = ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration")
WIDGET = ("example.com", "Widget")

_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}


def test_versions_are_ranked_as_kubernetes_does() -> None:
    ranked = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    assert order(reversed(ranked)) == ranked


@pytest.mark.parametrize(
    ("kind", "stored", "served", "one_shape", "chosen"),
    [
        (BUDGET, "v1", ["v1", "v1beta1"], False, "v1"),
        (BUDGET, "v1beta1", ["v1"], False, "v1"),
        (SCALER, "v2", ["v1", "v2"], False, "v2"),
        (SCALER, "v2beta1", ["v2", "v1"], False, None),
        (WIDGET, "v1beta1", ["v1"], True, "v1"),
        (WIDGET, "v1beta1", ["v1"], False, None),
        (WIDGET, "v1", ["v2alpha1", "v1alpha1", "v1beta1"], True, "v2alpha1"),
    ],
)
def test_the_version_it_was_kept_in_is_spoken_where_it_is_served_else_the_preferred_one(
    kind: tuple[str, str], stored: str, served: list[str], one_shape: bool, chosen: str | None
) -> None:
    assert Served(served, one_shape).choose(kind, stored) == chosen


def of(kind: tuple[str, str], version: str, spec: dict[str, Any]) -> dict[str, Any]:
    managers = [{"manager": "kubectl", "operation": "Apply", "apiVersion": f"{kind[0]}/{version}"}]
    metadata = {"name": "one", "namespace": "shop", "managedFields": managers}
    return {"apiVersion": f"{kind[0]}/{version}", "kind": kind[1], "metadata": metadata, "spec": copy_of(spec)}


def _path(backend: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"rules": [{"http": {"paths": [{"path": "/", "backend": backend, **more}]}}]}


OLD = {"serviceName": "web", "servicePort": 80}
NEW = {"service": {"name": "web", "port": {"number": 80}}}

#: kind, version, spec; version, spec.
SHAPES = [
    (SCALER, "v1", {"targetCPUUtilizationPercentage": 70}, "v2", {"metrics": [_CPU]}),
    (
        INGRESS,
        "v1beta1",
        {"backend": OLD, **_path(OLD, pathType="Prefix")},
        "v1",
        {"defaultBackend": NEW, **_path(NEW, pathType="Prefix")},
    ),
    (
        INGRESS,
        "v1beta1",
        _path({"serviceName": "web", "servicePort": "http"}, pathType="Exact"),
        "v1",
        _path({"service": {"name": "web", "port": {"name": "http"}}}, pathType="Exact"),
    ),
    (
        CLAIM,
        "v1beta1",
        {"devices": {"requests": [{"name": "gpu", "deviceClassName": "gpu", "count": 1}]}},
        "v1",
        {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu", "count": 1}}]}},
    ),
    (
        TEMPLATE,
        "v1beta1",
        {"spec": {"devices": {"requests": [{"name": "gpu", "firstAvailable": [{"name": "a"}]}]}}},
        "v1beta2",
        {"spec": {"devices": {"requests": [{"name": "gpu", "firstAvailable": [{"name": "a"}]}]}}},
    ),
    (
        LEVEL,
        "v1beta2",
        {"limited": {"assuredConcurrencyShares": 5}},
        "v1",
        {"limited": {"nominalConcurrencyShares": 5}},
    ),
]


@pytest.mark.parametrize(("kind", "old", "was", "new", "then"), SHAPES)
def test_what_changed_its_shape_is_converted_there_and_back(
    kind: tuple[str, str], old: str, was: dict[str, Any], new: str, then: dict[str, Any]
) -> None:
    assert known(kind, old, new)
    there = convert(of(kind, old, was), kind, new)
    assert (there["apiVersion"], there["spec"]) == (f"{kind[0]}/{new}", then)
    back = convert(there, kind, old)
    assert (back["apiVersion"], back["spec"]) == (f"{kind[0]}/{old}", was)


def test_an_ingress_path_without_a_type_gets_the_one_it_meant() -> None:
    converted = convert(of(INGRESS, "v1beta1", _path(OLD)), INGRESS, "v1")
    assert converted["spec"]["rules"][0]["http"]["paths"][0]["pathType"] == "ImplementationSpecific"


@pytest.mark.parametrize(
    ("kind", "stored", "spec", "version", "said"),
    [
        (BUDGET, "v1beta1", {"selector": {}}, "v1", "empty selector"),
        (SCALER, "v2", {"metrics": [_CPU, _CPU]}, "v1", "no metric but"),
        (SCALER, "v2", {"behavior": {"scaleUp": {}}}, "v1", "no `behavior`"),
        (LEVEL, "v1", {"limited": {"nominalConcurrencyShares": 0}}, "v1beta3", "no share at all"),
        (LEVEL, "v1", {"limited": {"nominalConcurrencyShares": 0}}, "v1beta2", "no share at all"),
    ],
)
def test_what_the_other_version_cannot_say_is_not_lost_silently(
    kind: tuple[str, str], stored: str, spec: dict[str, Any], version: str, said: str
) -> None:
    with pytest.raises(CannotConvert, match=said):
        convert(of(kind, stored, spec), kind, version)


def test_metrics_that_an_autoscaler_has_in_annotations_are_not_lost_silently() -> None:
    scaler = of(SCALER, "v1", {})
    scaler["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": "[]"}
    with pytest.raises(CannotConvert, match="in annotations"):
        convert(scaler, SCALER, "v2")


def test_field_ownership_goes_along_where_the_shape_is_the_same_and_is_dropped_where_not() -> None:
    kept = convert(of(BUDGET, "v1beta1", {"selector": {"matchLabels": {"a": "b"}}}), WIDGET, "v1")
    assert kept["metadata"]["managedFields"][0]["apiVersion"] == "example.com/v1"
    dropped = convert(of(SCALER, "v1", {}), SCALER, "v2")
    assert "managedFields" not in dropped["metadata"]
