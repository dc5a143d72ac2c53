"""In which order a plan's actions are carried out: waves, each finished before the next begins.

    hindrances, custom objects, workloads that are to go         (room is made, nothing new is refused)
    definitions · namespaces · limits · classes · accounts · configuration · permissions ·
    volumes · claims · services · workloads · custom objects · exposure · admission
    everything else that is to go, in the reverse order          (nobody needs it any more)

Nothing runs unprotected or beyond its limit: network policies and quotas come before workloads. Nothing is refused by
what is only half there: webhooks, API services and disruption budgets come after. A user's rules are added as edges;
the result is a topological order, and rules that go in a circle are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Action, Verb


class Stage(IntEnum):
    """Places in the order. Kinds within one stage do not need each other."""

    DEFINITIONS = 10
    NAMESPACES = 11
    LIMITS = 12
    CLASSES = 13
    LEVELS = 14
    ACCOUNTS = 15
    CONFIGURATION = 16
    ROLES = 17
    BINDINGS = 18
    VOLUMES = 19
    CLAIMS = 20
    SERVICES = 21
    WORKLOADS = 22
    CUSTOM = 23
    EXPOSURE = 24
    ADMISSION = 25
    ADMISSION_BINDINGS = 26


#: Where deletes come first, they have these places, before all others.
_EARLY_DELETES = {
    Stage.ADMISSION_BINDINGS: 0,
    Stage.ADMISSION: 1,
    Stage.EXPOSURE: 2,
    # Their operator must still run to take their finalizers off.
    Stage.CUSTOM: 3,
    Stage.WORKLOADS: 4,
}

#: The reason of an action that gives an object back the owners that were made anew: after everything is made.
OWNER = "owner"
_WITH_NEW_OWNER = 30

_ADMISSION_GROUP = "admissionregistration.k8s.io"

STAGES: Mapping[tuple[str, str], Stage] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Stage.DEFINITIONS,
    ("", "Namespace"): Stage.NAMESPACES,
    ("", "LimitRange"): Stage.LIMITS,
    ("", "ResourceQuota"): Stage.LIMITS,
    ("networking.k8s.io", "NetworkPolicy"): Stage.LIMITS,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): Stage.CLASSES,
    ("networking.k8s.io", "IngressClass"): Stage.CLASSES,
    ("networking.k8s.io", "ServiceCIDR"): Stage.CLASSES,
    ("node.k8s.io", "RuntimeClass"): Stage.CLASSES,
    ("resource.k8s.io", "DeviceClass"): Stage.CLASSES,
    ("scheduling.k8s.io", "PriorityClass"): Stage.CLASSES,
    ("snapshot.storage.k8s.io", "VolumeSnapshotClass"): Stage.CLASSES,
    ("storage.k8s.io", "CSIDriver"): Stage.CLASSES,
    ("storage.k8s.io", "StorageClass"): Stage.CLASSES,
    ("storage.k8s.io", "VolumeAttributesClass"): Stage.CLASSES,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): Stage.LEVELS,
    ("certificates.k8s.io", "ClusterTrustBundle"): Stage.CONFIGURATION,
    # Before Secrets, so that the controller fills the token Secrets of accounts.
    ("", "ServiceAccount"): Stage.ACCOUNTS,
    ("", "ConfigMap"): Stage.CONFIGURATION,
    ("", "PodTemplate"): Stage.CONFIGURATION,
    ("", "Secret"): Stage.CONFIGURATION,
    ("resource.k8s.io", "ResourceClaimTemplate"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "ClusterRole"): Stage.ROLES,
    ("rbac.authorization.k8s.io", "Role"): Stage.ROLES,
    # A binding to a role that is not there is refused to who may not grant what is in it.
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): Stage.BINDINGS,
    ("rbac.authorization.k8s.io", "RoleBinding"): Stage.BINDINGS,
    ("", "PersistentVolume"): Stage.VOLUMES,
    ("", "PersistentVolumeClaim"): Stage.CLAIMS,
    ("resource.k8s.io", "ResourceClaim"): Stage.CLAIMS,
    # Before pods, whose environment has the addresses of Services.
    ("", "Endpoints"): Stage.SERVICES,
    ("", "Service"): Stage.SERVICES,
    ("discovery.k8s.io", "EndpointSlice"): Stage.SERVICES,
    ("", "Pod"): Stage.WORKLOADS,
    ("", "ReplicationController"): Stage.WORKLOADS,
    ("apps", "DaemonSet"): Stage.WORKLOADS,
    ("apps", "Deployment"): Stage.WORKLOADS,
    ("apps", "ReplicaSet"): Stage.WORKLOADS,
    ("apps", "StatefulSet"): Stage.WORKLOADS,
    ("batch", "CronJob"): Stage.WORKLOADS,
    ("batch", "Job"): Stage.WORKLOADS,
    ("autoscaling", "HorizontalPodAutoscaler"): Stage.EXPOSURE,
    ("networking.k8s.io", "Ingress"): Stage.EXPOSURE,
    ("policy", "PodDisruptionBudget"): Stage.EXPOSURE,
    (_ADMISSION_GROUP, "MutatingAdmissionPolicy"): Stage.ADMISSION,
    (_ADMISSION_GROUP, "MutatingWebhookConfiguration"): Stage.ADMISSION,
    (_ADMISSION_GROUP, "ValidatingAdmissionPolicy"): Stage.ADMISSION,
    (_ADMISSION_GROUP, "ValidatingWebhookConfiguration"): Stage.ADMISSION,
    ("apiregistration.k8s.io", "APIService"): Stage.ADMISSION,
    (_ADMISSION_GROUP, "MutatingAdmissionPolicyBinding"): Stage.ADMISSION_BINDINGS,
    (_ADMISSION_GROUP, "ValidatingAdmissionPolicyBinding"): Stage.ADMISSION_BINDINGS,
}


def stage_of(group: str, kind: str) -> Stage:
    """The stage of a kind. What is not in the table is taken for a custom object: after the workloads among which
    its operator is."""
    return STAGES.get((group, kind), Stage.CUSTOM)


@dataclass(frozen=True, slots=True)
class After:
    """A rule of a user: `first` is done (and ready) before `then` is begun."""

    first: ObjectKey
    then: ObjectKey


@dataclass(frozen=True, slots=True)
class Order:
    """The wave of each action by the object's key, and sentences about rules that could not be kept."""

    waves: Mapping[ObjectKey, int]
    problems: tuple[str, ...] = ()


def order(actions: Iterable[Action], rules: Sequence[After] = ()) -> Order:
    """Waves for the actions of one plan (one action for each object). Skips get the wave they would have."""
    places = {action.object.key: _place(action) for action in actions}
    edges: dict[ObjectKey, list[ObjectKey]] = {}
    for rule in rules:
        if rule.first in places and rule.then in places:
            edges.setdefault(rule.then, []).append(rule.first)
    problems: list[str] = []
    settled: dict[ObjectKey, tuple[int, int]] = {}
    for key in sorted(edges):
        _settle(key, places, edges, settled, [], problems)
    positions = {key: settled.get(key, (place, 0)) for key, place in places.items()}
    numbers = {position: number for number, position in enumerate(sorted(set(positions.values())))}
    return Order({key: numbers[position] for key, position in positions.items()}, tuple(problems))


def _place(action: Action) -> int:
    stage = stage_of(action.object.group, action.object.kind)
    if action.reason == OWNER:
        return _WITH_NEW_OWNER
    if action.verb is not Verb.DELETE:
        return int(stage)
    early = _EARLY_DELETES.get(stage)
    if early is not None:
        return early
    if action.reason == "in-the-way":
        return 5
    if stage is Stage.LIMITS and action.object.kind != "NetworkPolicy":
        # An extra quota may refuse what is to be created; an extra policy only protects more, and goes last.
        return 5
    # In the reverse order, after everything else.
    return 100 - int(stage)


def _settle(
    key: ObjectKey,
    places: Mapping[ObjectKey, int],
    edges: Mapping[ObjectKey, list[ObjectKey]],
    settled: dict[ObjectKey, tuple[int, int]],
    path: list[ObjectKey],
    problems: list[str],
) -> tuple[int, int]:
    """The position of an object: its stage, or that of what it waits for if that is later; and how deep it waits
    within the stage."""
    if key in settled:
        return settled[key]
    position = (places[key], 0)
    for first in sorted(edges.get(key, ())):
        if first in (*path, key):
            circle = [*path[path.index(first) :], key] if first in path else [key]
            names = " → ".join(str(each) for each in (*circle, first))
            problems.append(f"These wait for each other, so the last of these rules was left out: {names}.")
            continue
        stage, depth = _settle(first, places, edges, settled, [*path, key], problems)
        if stage >= position[0]:
            position = max(position, (stage, depth + 1))
    settled[key] = position
    return position
