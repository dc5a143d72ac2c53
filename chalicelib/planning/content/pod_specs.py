"""Where the kinds that make pods have the pod's spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.domain.objects import Body, key_of

#: (group, kind) → members on the way to it, separated by dots.
POD_SPECS: Mapping[tuple[str, str], str] = {
    ("", "Pod"): "spec",
    ("", "PodTemplate"): "template.spec",
    ("", "ReplicationController"): "spec.template.spec",
    ("apps", "DaemonSet"): "spec.template.spec",
    ("apps", "Deployment"): "spec.template.spec",
    ("apps", "ReplicaSet"): "spec.template.spec",
    ("apps", "StatefulSet"): "spec.template.spec",
    ("batch", "CronJob"): "spec.jobTemplate.spec.template.spec",
    ("batch", "Job"): "spec.template.spec",
}


def pod_spec_of(body: Body) -> dict[str, Any] | None:
    """The spec of the pods that an object makes, or of the pod itself; `None` for what makes none."""
    place = POD_SPECS.get(key_of(body)[:2])
    if place is None:
        return None
    found: Any = body
    for member in place.split("."):
        found = found.get(member) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None
