"""Which workloads are ready, and why the others are not: from lists only, no request for each object.

The rules are pure functions of listed objects. A workload's `ready` counts what is ready *and* of its newest
template, so that a rollout that hangs is not taken for health because the old pods still run. The reasons are kept
where nothing is encrypted, so they hold no words that can quote a pod's template or what a command printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chalicelib.cluster.client import Client
from chalicelib.cluster.discovery import Discovery
from chalicelib.cluster.listing import Ended, Listing, Page, Restarted, each_parallel
from chalicelib.cluster.quoting import denied_by, quotes_nothing
from chalicelib.domain.application import WorkloadHealth
from chalicelib.domain.objects import Body

#: The kinds that are looked at, by group.
KINDS = (
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("batch", "Job"),
    ("", "Pod"),
)

#: Reasons of a waiting container whose messages are about images, and about the names of what is missing. Others
#: quote command lines, and what a hook printed.
_SPEAKABLE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"}
)

#: Reasons of conditions whose messages are the controllers' own.
_OWN_WORDS = frozenset({"MinimumReplicasUnavailable", "ProgressDeadlineExceeded"})

#: Reasons of a waiting container that are no fault: it is on its way.
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})


def observe(
    client: Client, discovery: Discovery, namespaces: Iterable[str], *, deadline: float | None = None
) -> list[WorkloadHealth]:
    """The health of every workload in some namespaces, sorted by kind, namespace and name.

    Raises the error of the first list that failed: half of a picture would look like health.
    """
    resources = [found for found in (discovery.resource_for(*each) for each in KINDS) if found is not None]
    wanted = [Listing(resource, namespace) for namespace in sorted(set(namespaces)) for resource in resources]
    bodies: dict[Listing, list[Body]] = {listing: [] for listing in wanted}
    for listing, event in each_parallel(client, wanted, deadline=deadline):
        match event:
            case Page():
                bodies[listing].extend(event.items)
            case Restarted():
                bodies[listing].clear()
            case Ended(error) if error is not None:
                raise error
    return health_of(body for found in bodies.values() for body in found)


def health_of(bodies: Iterable[Body]) -> list[WorkloadHealth]:
    """The health of the workloads among these objects; their pods must be among them too, for the reasons."""
    living = [body for body in bodies if not _metadata(body).get("deletionTimestamp")]
    pods = [body for body in living if body.get("kind") == "Pod"]
    found = [health for body in living for health in _health(body, pods)]
    return sorted(found, key=lambda health: (health.kind, health.namespace, health.name))


def pod_problem(pod: Body) -> str:
    """Why a pod is not ready, in a sentence such as `container web: ImagePullBackOff (…)`; `""` if it is."""
    status = pod.get("status") or {}
    conditions = {str(each.get("type")): each for each in status.get("conditions") or []}
    if status.get("phase") == "Succeeded" or conditions.get("Ready", {}).get("status") == "True":
        return ""
    if status.get("phase") == "Failed":
        return f"failed: {status.get('message') or status.get('reason') or _containers(status) or 'no reason given'}"
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"cannot be scheduled: {scheduled.get('message') or scheduled.get('reason') or 'no reason given'}"
    return _containers(status) or "not ready yet"


def _health(body: Body, pods: Sequence[Body]) -> Iterator[WorkloadHealth]:
    kind = str(body.get("kind"))
    rule = _RULES.get(kind)
    if rule is None or (kind in {"Pod", "ReplicaSet", "Job"} and _controller(body)):
        return
    counted = rule(body)
    if counted is None:
        return
    wanted, ready, message = counted
    metadata = _metadata(body)
    if ready < wanted and not message:
        message = _reason(body, pods)
    yield WorkloadHealth(
        kind=kind,
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        wanted=wanted,
        ready=max(min(ready, wanted), 0),
        message=message,
    )


_Counted = tuple[int, int, str]


def _deployment(body: Body) -> _Counted:
    spec, status = _parts(body)
    wanted = _count(spec, "replicas", 1)
    if _unseen(body):
        return wanted, 0, _UNSEEN
    if spec.get("paused"):
        # A paused rollout stays as it is until somebody resumes it: its old pods count.
        return wanted, _count(status, "availableReplicas"), ""
    return wanted, min(_count(status, "availableReplicas"), _count(status, "updatedReplicas")), ""


def _stateful_set(body: Body) -> _Counted:
    spec, status = _parts(body)
    wanted = _count(spec, "replicas", 1)
    if _unseen(body):
        return wanted, 0, _UNSEEN
    ready = _count(status, "readyReplicas")
    strategy = spec.get("updateStrategy") or {}
    partition = _count(strategy.get("rollingUpdate") or {}, "partition")
    moving = status.get("updateRevision") != status.get("currentRevision")
    if strategy.get("type") != "OnDelete" and moving:
        # Pods below the partition keep the old template, and shall.
        ready = min(ready, _count(status, "updatedReplicas") + partition)
    return wanted, ready, ""


def _daemon_set(body: Body) -> _Counted:
    spec, status = _parts(body)
    wanted = _count(status, "desiredNumberScheduled")
    if _unseen(body):
        return max(wanted, 1), 0, _UNSEEN
    ready = _count(status, "numberAvailable")
    if (spec.get("updateStrategy") or {}).get("type") != "OnDelete":
        ready = min(ready, _count(status, "updatedNumberScheduled"))
    return wanted, ready, ""


def _replica_set(body: Body) -> _Counted:
    spec, status = _parts(body)
    wanted = _count(spec, "replicas", 1)
    return (wanted, 0, _UNSEEN) if _unseen(body) else (wanted, _count(status, "availableReplicas"), "")


def _pod(body: Body) -> _Counted:
    problem = pod_problem(body)
    return 1, 0 if problem else 1, problem


def _job(body: Body) -> _Counted | None:
    """Only a failed Job is news: one that runs or has ended is as it should be."""
    for condition in (body.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "Failed" and condition.get("status") == "True":
            return 1, 0, f"failed: {condition.get('message') or condition.get('reason') or 'no reason given'}"
    return None


_RULES = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "ReplicaSet": _replica_set,
    "Pod": _pod,
    "Job": _job,
}

_UNSEEN = "its controller has not seen the newest change yet"


def _unseen(body: Body) -> bool:
    observed = (body.get("status") or {}).get("observedGeneration") or 0
    return int(observed) < int(_metadata(body).get("generation") or 0)


def _reason(body: Body, pods: Sequence[Body]) -> str:
    """The first problem of its pods, else the first condition that complains."""
    problems = [(str(_metadata(pod).get("name")), pod_problem(pod)) for pod in pods if _belongs(pod, body)]
    said = [(name, problem) for name, problem in problems if problem]
    if said:
        # The one that says most: `not ready yet` only if there is nothing better.
        name, problem = min(said, key=lambda each: (each[1] == "not ready yet", each[0]))
        return f"pod {name}: {problem}"
    for condition in (body.get("status") or {}).get("conditions") or []:
        bad = "True" if condition.get("type") == "ReplicaFailure" else "False"
        if condition.get("status") == bad and condition.get("message"):
            return _complaint(condition)
    return "its pods are not there yet" if not problems else "not ready yet"


def _complaint(condition: Mapping[str, Any]) -> str:
    """A condition's message, unless it can quote the template: those repeat what the API server said of a pod."""
    said, reason = str(condition["message"]), str(condition.get("reason") or "")
    if reason in _OWN_WORDS or quotes_nothing(said):
        return said
    return f"{denied_by(said) or reason or condition.get('type')} (its status says more)"


def _belongs(pod: Body, owner: Body) -> bool:
    """Whether a pod is the workload's own; a Deployment's pods belong to it through a ReplicaSet, found by name."""
    if _metadata(pod).get("namespace") != _metadata(owner).get("namespace"):
        return False
    controller = _controller(pod)
    name = str(_metadata(owner).get("name"))
    if owner.get("kind") == "Deployment":
        return (
            controller.get("kind") == "ReplicaSet"
            and str(controller.get("name", "")).rpartition("-")[0] == name
            and _selected(pod, owner)
        )
    return controller.get("kind") == owner.get("kind") and controller.get("name") == name


def _selected(pod: Body, owner: Body) -> bool:
    labels = _metadata(pod).get("labels") or {}
    wanted = ((owner.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items())


def _containers(status: Mapping[str, Any]) -> str:
    """The first container (init containers first) that does not run, and why."""
    listed = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in listed:
        state, last = container.get("state") or {}, container.get("lastState") or {}
        problem = _waiting(state.get("waiting") or {}, last.get("terminated") or {})
        problem = problem or _terminated(state.get("terminated") or {})
        if problem:
            return f"container {container.get('name')}: {problem}"
    unready = [container for container in status.get("containerStatuses") or [] if not container.get("ready")]
    if unready and all("running" in (each.get("state") or {}) for each in unready):
        return f"container {unready[0].get('name')}: runs, but its readiness probe does not pass"
    return ""


def _waiting(waiting: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    reason = str(waiting.get("reason") or "")
    if reason in _STARTING:
        return ""
    said = str(waiting.get("message") or "") if reason in _SPEAKABLE else ""
    if reason == "CrashLoopBackOff" and last:
        said = f"it ended with exit code {last.get('exitCode')}"
    return f"{reason} ({said[:300]})" if said else reason


def _terminated(terminated: Mapping[str, Any]) -> str:
    code = terminated.get("exitCode")
    if not code:
        return ""
    return f"ended with exit code {code} ({terminated.get('reason') or 'Error'})"


def _controller(body: Body) -> Mapping[str, Any]:
    owners: Iterable[Mapping[str, Any]] = _metadata(body).get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def _parts(body: Body) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return body.get("spec") or {}, body.get("status") or {}


def _metadata(body: Body) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = body.get("metadata") or {}
    return metadata


def _count(members: Mapping[str, Any], name: str, absent: int = 0) -> int:
    value = members.get(name)
    return absent if value is None else int(value)
