"""What will be felt when an action is carried out, in sentences: restarts, interruptions, what is lost."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.content.quantities import larger
from chalicelib.planning.plan.order import Stage, stage_of


def of_update(live: Body, wanted: Body) -> tuple[str, ...]:
    """Of changing `live` into `wanted` (both normalised) in place."""
    key = key_of(live)
    rule = _UPDATES.get((key.group, key.kind))
    return () if rule is None else tuple(rule(live, wanted))


def of_create(wanted: Body) -> tuple[str, ...]:
    """Of making an object that is missing."""
    key, spec = key_of(wanted), wanted.get("spec") or {}
    if (key.group, key.kind) == ("", "Service") and spec.get("type") == "LoadBalancer":
        return ("It gets a load balancer anew: its external address may be another one.",)
    return ()


def of_replace(live: Body, wanted: Body) -> tuple[str, ...]:
    """Of deleting an object and creating it anew."""
    key = key_of(live)
    orphans = propagation(live, wanted) == "Orphan"
    if (key.group, key.kind) == ("apps", "StatefulSet") and orphans:
        restart = ", then restart one after the other" if _template_differs(live, wanted) else ""
        return (f"The StatefulSet is made anew; its pods stay and are adopted{restart}.",)
    if key.group == "apps" or key.kind == "ReplicationController":
        pods = _pods(live)
        return (f"{_sentence(pods, 'stop')} before new ones start.",) if pods else ()
    if (key.group, key.kind) == ("", "Service"):
        return _service_replaced(live)
    if (key.group, key.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition"):
        return (f"Every {_served_kind(live)} in the cluster is deleted with its definition.",)
    if orphans:
        return ("What belongs to it stays; its operator may or may not take it over.",)
    return _REPLACED.get((key.group, key.kind), ())


_REPLACED: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "PersistentVolume"): ("The volume's object is made anew; what is stored in it is not touched.",),
    ("", "PersistentVolumeClaim"): (
        "The claim is made anew.",
        "The old volume is kept, with its data.",
    ),
    ("", "Pod"): ("The pod is stopped and started anew.",),
    ("batch", "Job"): ("The Job runs again from its beginning.",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("The permissions are missing for a moment.",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("The permissions are missing for a moment.",),
}


def of_delete(group: str, kind: str) -> tuple[str, ...]:
    """Of deleting an object that is not in the version."""
    match (group, kind):
        case ("apps", "StatefulSet"):
            return ("Its pods stop. Their claims stay unless they are deleted as well.",)
        case ("apps", _) | ("", "ReplicationController"):
            return ("Its pods stop.",)
        case ("batch", "Job" | "CronJob"):
            return ("What it runs just now is stopped.",)
        case ("", "PersistentVolumeClaim"):
            return ("Pods that use it can no longer start. Its volume is kept, with its data.",)
        case ("", "Namespace"):
            return ("Everything in the namespace is deleted.",)
        case ("apiextensions.k8s.io", "CustomResourceDefinition"):
            return ("Every object of the kind it defines is deleted, in the whole cluster.",)
        case ("", "Service"):
            return ("Its address, and its load balancer if it has one, are given up.",)
    if stage_of(group, kind) is Stage.CUSTOM:
        return ("Its operator takes away what it made for it.",)
    return ()


def propagation(live: Body, wanted: Body) -> str:
    """What becomes of the objects that an object owns while it is replaced.

    A StatefulSet's pods can stay, if the new one has the same selector. Pods of other workloads go first, or old and
    new would run side by side. Of custom objects nobody knows what they own: it is kept.
    """
    key = key_of(live)
    if (key.group, key.kind) == ("apps", "StatefulSet"):
        same = (live.get("spec") or {}).get("selector") == (wanted.get("spec") or {}).get("selector")
        return "Orphan" if same else "Foreground"
    stage = stage_of(key.group, key.kind)
    if stage is Stage.WORKLOADS:
        return "Foreground"
    return "Orphan" if stage is Stage.CUSTOM else "Background"


def _template_differs(live: Body, wanted: Body) -> bool:
    return bool((live.get("spec") or {}).get("template") != (wanted.get("spec") or {}).get("template"))


def _pods(live: Body) -> str:
    """Such as `2 pods`; `its pods` where only the status tells how many. Empty if there are none."""
    count = (live.get("spec") or {}).get("replicas")
    if count is None:
        return "its pods"
    return {0: "", 1: "1 pod"}.get(count, f"{count} pods")


def _sentence(subject: str, verb: str) -> str:
    return f"{subject[0].upper()}{subject[1:]} {verb}{'s' if subject == '1 pod' else ''}"


def _scaled(live: Body, wanted: Body) -> list[str]:
    was, will = (live.get("spec") or {}).get("replicas"), (wanted.get("spec") or {}).get("replicas")
    return [f"It is scaled from {was} to {will}."] if was != will and None not in {was, will} else []


def _deployment(live: Body, wanted: Body) -> list[str]:
    said = _scaled(live, wanted)
    if _template_differs(live, wanted) and (pods := _pods(live)):
        if (wanted.get("spec") or {}).get("paused"):
            said.append("It is paused: its pods restart once it is resumed.")
        else:
            said.append(f"{_sentence(pods, 'restart')}.")
    return said


def _rolled(live: Body, wanted: Body) -> list[str]:
    said = _scaled(live, wanted)
    if _template_differs(live, wanted) and (pods := _pods(live)):
        strategy = ((wanted.get("spec") or {}).get("updateStrategy") or {}).get("type")
        if strategy == "OnDelete":
            said.append(f"{_sentence(pods, 'stay')} as before until somebody deletes them (strategy OnDelete).")
        else:
            said.append(f"{_sentence(pods, 'restart')}, one after the other.")
    return said


def _replica_set(live: Body, wanted: Body) -> list[str]:
    said = _scaled(live, wanted)
    if _template_differs(live, wanted):
        said.append("Running pods stay as they are; only new ones follow the change.")
    return said


def _configuration(live: Body, wanted: Body) -> list[str]:
    if any(live.get(name) != wanted.get(name) for name in ("data", "binaryData", "stringData")):
        return ["Pods that have it in their environment see it only when they restart."]
    return []


def _service(live: Body, wanted: Body) -> list[str]:
    was, will = (live.get("spec") or {}).get("type"), (wanted.get("spec") or {}).get("type")
    if was != will and "LoadBalancer" in {was, will}:
        return ["Its load balancer is taken away." if was == "LoadBalancer" else "It gets a load balancer."]
    return []


def _service_replaced(live: Body) -> tuple[str, ...]:
    said = "Connections to it fail for a moment."
    if (live.get("spec") or {}).get("type") == "LoadBalancer":
        return (said, "Its load balancer is replaced: its external address changes.")
    return (said,)


def _claim(live: Body, wanted: Body) -> list[str]:
    had, will = _size(live), _size(wanted)
    return [f"Its volume is enlarged from {had} to {will}."] if larger(will, had) else []


def _size(claim: Body) -> str:
    return str((((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage") or "")


def _served_kind(definition: Body) -> str:
    names = (definition.get("spec") or {}).get("names") or {}
    return str(names.get("kind") or "object of its kind")


_UPDATES: dict[tuple[str, str], Callable[[Body, Body], list[str]]] = {
    ("", "ConfigMap"): _configuration,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "ReplicationController"): _replica_set,
    ("", "Secret"): _configuration,
    ("", "Service"): _service,
    ("apps", "DaemonSet"): _rolled,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _rolled,
}


def claim_notes(wanted: Body, live: Body) -> list[str]:
    """What of a claim stays other than in the version, because nothing can be done about it."""
    key, said = key_of(wanted), []
    if larger(_size(live), _size(wanted)):
        said.append(f"{key} was enlarged since ({_size(wanted)} → {_size(live)}). Claims cannot shrink: it stays so.")
    was, now = (wanted.get("spec") or {}).get("volumeName"), (live.get("spec") or {}).get("volumeName")
    if was and now and was != now:
        said.append(f"{key} is bound to volume {now} now, and was to {was}. It stays with the volume it has.")
    return said
