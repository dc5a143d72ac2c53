"""Who uses a claim: while a pod does, the claim cannot go."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.planning.selecting.ownership_roots import controller_reference

_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class User:
    """A pod that uses a claim, the workload it belongs to (such as `Deployment web`, or itself), and the uids of all
    of these: who of them is deleted takes the pod away."""

    pod: str
    workload: str
    uids: frozenset[str]


def pods_of(session: ClusterSession, namespace: str) -> list[Body]:
    """The pods of a namespace; none if they may not be listed."""
    try:
        return session.client.get_json(f"/api/v1/namespaces/{namespace}/pods").get("items") or []
    except ClusterRefused as error:
        if error.http_status in {403, 404}:
            return []
        raise


def users_of(session: ClusterSession, claim: ObjectKey, pods: list[Body]) -> list[User]:
    """Those of the pods that use a claim, and are neither ended nor waiting for a node: these hold a claim."""
    return [_user(session, pod) for pod in pods if _uses(pod, claim.name)]


def _uses(pod: Body, name: str) -> bool:
    if not pod["spec"].get("nodeName") or pod.get("status", {}).get("phase") in _ENDED:
        return False
    return any(
        (volume.get("persistentVolumeClaim") or {}).get("claimName") == name
        for volume in pod["spec"].get("volumes") or ()
    )


def _user(session: ClusterSession, pod: Body) -> User:
    metadata = pod["metadata"]
    namespace, uids, workload, owned = metadata["namespace"], {metadata["uid"]}, f"Pod {metadata['name']}", pod
    while (controller := controller_reference(owned)) is not None:
        uids.add(controller.uid)
        workload = f"{controller.kind} {controller.name}"
        resource = session.discovery.resource_for(controller.group, controller.kind)
        found = session.objects.get(resource, namespace, controller.name) if resource else None
        if found is None or found["metadata"]["uid"] != controller.uid:
            break
        owned = found
    return User(metadata["name"], workload, frozenset(uids))


def in_use(users: list[User]) -> str:
    """What to say of a claim with these users; nothing if there are none."""
    if not users:
        return ""
    pods = ", ".join(sorted(user.pod for user in users)[:5])
    workloads = ", ".join(sorted({user.workload for user in users})[:5])
    return (
        f"Pods use it ({pods}), and a claim in use cannot be deleted. Stop {workloads} first (scale it to 0, or "
        "delete it), wait until the pods are gone, then restore again."
    )
