"""Fields that cannot be changed in place: a first guess, and how to understand the server's own answer.

The truth is the server's: a planner that can ask it (dry run) does. The table is for where it cannot be asked, and
spares the question where the answer is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.bodies import services

Kind = Literal["immutable", "invalid", "malformed", "forbidden", "cannot-tell"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an update cannot be made: the field it fails on, and a sentence.

    `immutable` means that deleting and creating helps; `invalid`, `malformed` (it cannot even be read) and
    `forbidden` that it does not; `cannot-tell` that the server could not be asked (a webhook without dry run, a
    namespace that is not there yet), or that its answer may be another one by then.
    """

    field: str
    message: str
    kind: Kind = "immutable"


_IMMUTABLE_WORDS = (
    "field is immutable",
    "is immutable",
    "may not be changed",
    "cannot be changed",
    "can not be changed",
    "cannot change",
    "may not change",
    "updates to",
    "update to",
    "are forbidden",
    "is forbidden after creation",
    "not be updated",
    "pod updates may not",
    # Of tolerations, of gates of scheduling, and of a deadline: a pod without any can be made.
    "can not be modified",
    "only deletion is allowed",
    "must not update from",
    "self.spec == oldself",
    "value is immutable",
)


#: The question was refused, not what was asked about.
_NO_DRY_RUN = re.compile(r"dry.?run", re.IGNORECASE)


def understand(http_status: int, message: str, causes: tuple[tuple[str, str], ...] = ()) -> Refusal:
    """What a refused dry run means. `causes` are the server's own `(field, message)`."""
    field = causes[0][0] if causes else ""
    if http_status == 422:
        texts = [text.lower() for _, text in causes] or [message.lower()]
        if any(services.is_taken(text) for text in texts):
            # Who has it may be changed by the same restore.
            return Refusal(field, message, "cannot-tell")
        # Every cause must be one that a new object does not have; else the replacement would be refused as well.
        if all(any(word in text for word in _IMMUTABLE_WORDS) for text in texts):
            fields = sorted({name for name, _ in causes if name}) or ["A field"]
            return Refusal(field, f"{' and '.join(fields)} cannot be changed once the object exists.", "immutable")
        return Refusal(field, message, "invalid")
    if http_status == 403 or (http_status == 400 and "denied the request" in message):
        return Refusal(field, message, "forbidden")  # a webhook that says no may give no status of its own
    if http_status == 400 and not _NO_DRY_RUN.search(message):
        return Refusal(field, message, "malformed")
    return Refusal(field, message, "cannot-tell")


def conclude(answer: Refusal, live: Body, wanted: Body) -> Refusal | None:
    """The server's refusal, and the table where that says too little; `None` if the update may well be possible.

    Of Secrets the server's words are not passed on (they can quote the content), so that a fixed field cannot be
    told from a wrong one by them.
    """
    key = key_of(wanted)
    if answer.kind == "cannot-tell":
        return first_guess(live, wanted)
    if answer.kind == "invalid" and (key.group, key.kind) == ("", "Secret"):
        return first_guess(live, wanted) or answer
    return answer


def first_guess(live: Body, wanted: Body) -> Refusal | None:
    """What is known to be immutable and differs; both normalised, `wanted` laid over `live`."""
    key = key_of(wanted)
    for path in _FIELDS.get((key.group, key.kind), ()):
        if _at(live, path) != _at(wanted, path):
            return Refusal(".".join(path), f"{'.'.join(path)} cannot be changed once the object exists.")
    rule = _RULES.get((key.group, key.kind))
    return None if rule is None else rule(live, wanted)


def _at(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(body, dict):
            return None
        body = body.get(name)
    return body


_SELECTOR = (("spec", "selector"),)

_FIELDS: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    ("", "Secret"): (("type",),),
    ("", "PersistentVolume"): (("spec", "volumeMode"),),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        ("spec", "group"),
        ("spec", "scope"),
        ("spec", "names", "plural"),
        ("spec", "names", "kind"),
    ),
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "ReplicaSet"): _SELECTOR,
    ("batch", "Job"): (("spec", "completionMode"), ("spec", "podFailurePolicy"), ("spec", "backoffLimitPerIndex")),
    ("networking.k8s.io", "IngressClass"): (("spec", "controller"),),
    ("node.k8s.io", "RuntimeClass"): (("handler",),),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (("roleRef",),),
    ("rbac.authorization.k8s.io", "RoleBinding"): (("roleRef",),),
    ("scheduling.k8s.io", "PriorityClass"): (("value",), ("preemptionPolicy",)),
    ("storage.k8s.io", "StorageClass"): (
        ("provisioner",),
        ("parameters",),
        ("reclaimPolicy",),
        ("volumeBindingMode",),
    ),
}

#: All else in the spec of a StatefulSet is fixed.
_STATEFUL_SET_MUTABLE = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
_CLAIM_MUTABLE = frozenset({"resources", "volumeAttributesClassName", "volumeName"})


def _rest_of_spec(mutable: frozenset[str], live: Body, wanted: Body) -> Refusal | None:
    was, will = live.get("spec") or {}, wanted.get("spec") or {}
    for name in sorted((was.keys() | will.keys()) - mutable):
        if was.get(name) != will.get(name):
            return Refusal(f"spec.{name}", f"spec.{name} cannot be changed once the object exists.")
    return None


def _stateful_set(live: Body, wanted: Body) -> Refusal | None:
    return _rest_of_spec(_STATEFUL_SET_MUTABLE, live, wanted)


def _claim(live: Body, wanted: Body) -> Refusal | None:
    return _rest_of_spec(_CLAIM_MUTABLE, live, wanted)


def _frozen_data(live: Body, wanted: Body) -> Refusal | None:
    """Immutable Secrets and ConfigMaps cannot even be made mutable again."""
    if live.get("immutable") is not True:
        return None
    for name in ("data", "binaryData", "immutable"):
        if live.get(name) != wanted.get(name):
            return Refusal(name, "It is marked as immutable, so its data cannot be changed in place.")
    return None


def _secret(live: Body, wanted: Body) -> Refusal | None:
    return _frozen_data(live, wanted)


def _service(live: Body, wanted: Body) -> Refusal | None:
    was, will = live.get("spec") or {}, wanted.get("spec") or {}
    if "ExternalName" in {was.get("type"), will.get("type")}:
        return None
    if was.get("clusterIP") and will.get("clusterIP") and was["clusterIP"] != will["clusterIP"]:
        return Refusal("spec.clusterIP", "The address of a Service cannot be changed once it has one.")
    if will.get("type") == was.get("type") == "LoadBalancer" and was.get("loadBalancerClass") != will.get(
        "loadBalancerClass"
    ):
        return Refusal("spec.loadBalancerClass", "The load balancer's class cannot be changed.")
    return None


def _job(live: Body, wanted: Body) -> Refusal | None:
    was, will = live.get("spec") or {}, wanted.get("spec") or {}
    if was.get("suspend") or will.get("manualSelector") != was.get("manualSelector"):
        return None  # the template of a suspended Job may change in part: only the server knows
    if was.get("template") != will.get("template") or was.get("selector") != will.get("selector"):
        return Refusal("spec.template", "The pods of a Job cannot be changed once it exists.")
    return None


def _volume(live: Body, wanted: Body) -> Refusal | None:
    was, will = _source(live), _source(wanted)
    if was != will:
        return Refusal("spec.persistentvolumesource", "Where a volume's data are cannot be changed.")
    return None


_VOLUME_MEMBERS = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)


def _source(volume: Body) -> dict[str, Any]:
    return {name: value for name, value in (volume.get("spec") or {}).items() if name not in _VOLUME_MEMBERS}


_RULES: dict[tuple[str, str], Callable[[Body, Body], Refusal | None]] = {
    ("", "ConfigMap"): _frozen_data,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Secret"): _secret,
    ("", "Service"): _service,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
}
