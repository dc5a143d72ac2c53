"""Who uses a claim. A claim that a pod uses cannot be deleted: it would only be doomed, for good."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.engine.clusters import ClusterSession
from chalicelib.engine.volumes import Volumes

_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class User:
    """A pod that uses a claim, the workload it belongs to (such as `Deployment web`, or itself), and the uids of all
    of these: who of them is deleted takes the pod away."""

    pod: str
    workload: str
    uids: frozenset[str]


class Claims:
    """Whether claims can be deleted, asked by a planner. Pods of a namespace are read once."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session
        self._pods: dict[str, list[Body]] = {}

    def held(self, claim: ObjectKey, going: frozenset[str]) -> str:
        """Why a claim cannot be deleted once the objects of these uids are gone; empty if it can."""
        if claim.namespace not in self._pods:
            self._pods[claim.namespace] = pods_of(self._session, claim.namespace)
        pods = self._pods[claim.namespace]
        users = [user for user in users_of(self._session, claim, pods) if user.uids.isdisjoint(going)]
        return in_use(users) or Volumes(self._session, "").cannot_keep(claim)


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
    while (controller := _controller(owned)) is not None:
        uids.add(str(controller.get("uid")))
        workload = f"{controller.get('kind')} {controller.get('name')}"
        group = str(controller.get("apiVersion") or "").rpartition("/")[0]
        resource = session.discovery.resource_for(group, str(controller.get("kind")))
        found = session.objects.get(resource, namespace, str(controller["name"])) if resource else None
        if found is None or found["metadata"]["uid"] != controller.get("uid"):
            break
        owned = found
    return User(metadata["name"], workload, frozenset(uids))


def _controller(body: Body) -> Body | None:
    references: list[Body] = body["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


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
