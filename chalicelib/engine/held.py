"""What must not be deleted as things are: claims that pods use, namespaces and definitions that others are in.

A claim that a pod uses would only be doomed, for good. What is in a namespace, or of a kind that is defined, would go
with it, and with claims their data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chalicelib.domain.document.state import Scope
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.clusters import ClusterSession
from chalicelib.engine.dependents import RowsOnly
from chalicelib.engine.reading import read
from chalicelib.engine.volumes import CLAIM, Volumes
from chalicelib.planning.capture_rules import implied
from chalicelib.planning.ownership_roots import controller_reference
from chalicelib.planning.sayings import named
from chalicelib.planning.selection import Selection

_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class User:
    """A pod that uses a claim, the workload it belongs to (such as `Deployment web`, or itself), and the uids of all
    of these: who of them is deleted takes the pod away."""

    pod: str
    workload: str
    uids: frozenset[str]


class Held:
    """Whether claims, namespaces and definitions can be deleted, asked by a planner. Pods of a namespace are read
    once."""

    def __init__(self, session: ClusterSession) -> None:
        self._session = session
        self._pods: dict[str, list[Body]] = {}

    def __call__(self, key: ObjectKey, going: frozenset[str]) -> str:
        """Why an object cannot be deleted once the objects of these uids are gone; empty if it can."""
        match (key.group, key.kind):
            case ("", "PersistentVolumeClaim"):
                return self._claim(key, going)
            case ("", "Namespace"):
                return self._lost(CLAIM, key.name, going) or self._lost_with(key.name, going)
            case ("apiextensions.k8s.io", "CustomResourceDefinition"):
                plural, _, group = key.name.partition(".")
                served = [each for each in self._session.discovery.resources if each.group == group]
                return " ".join(self._lost(each, "", going) for each in served if each.plural == plural)
        return ""

    def _lost(self, resource: Resource, namespace: str, going: frozenset[str]) -> str:
        """What would be lost of one kind."""
        path = resource.collection_path(namespace)
        try:
            items = self._session.client.get_json(path).get("items") or []
        except ClusterRefused as error:
            if error.http_status == 404:
                return ""
            if error.http_status != 403:
                raise
            return f"It cannot be seen what would be lost with it: {resource.plural} may not be listed."
        return _told(
            f"{resource.kind} {_where(body['metadata'])}" for body in items if body["metadata"]["uid"] not in going
        )

    def _lost_with(self, namespace: str, going: frozenset[str]) -> str:
        """What else would be lost with a namespace: what somebody made in it, not what is made by itself."""
        selection = Selection((Scope(namespaces=(namespace,)),))
        return _told(
            f"{row.key.kind} {namespace}/{row.key.name}"
            for row in read(self._session, selection, RowsOnly(), pause=lambda: None).rows
            if row.key.namespace == namespace
            and not row.standing
            and implied(*row.key) is None
            and going.isdisjoint((row.uid, *row.owners))
        )

    def _claim(self, claim: ObjectKey, going: frozenset[str]) -> str:
        if claim.namespace not in self._pods:
            self._pods[claim.namespace] = pods_of(self._session, claim.namespace)
        pods = self._pods[claim.namespace]
        users = [user for user in users_of(self._session, claim, pods) if user.uids.isdisjoint(going)]
        return in_use(users) or Volumes(self._session, "").cannot_keep(claim)


def _told(lost: Iterable[str]) -> str:
    left = sorted(lost)
    if not left:
        return ""
    return (
        f"With it these would be lost: {named(left)}. Delete them first, or have the restore "
        "delete them (consent to their kind), then restore again."
    )


def _where(metadata: Body) -> str:
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


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
