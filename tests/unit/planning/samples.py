"""Objects and resources that the tests of planning are made of."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.domain.document import Restore
from chalicelib.domain.objects import Body, ObjectKey, Resource, key_of
from chalicelib.domain.plan import Action, Plan, Verb
from chalicelib.domain.version import IndexRow
from chalicelib.planning.bodies import creation
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.normalise import copy_of, digest, normalise
from chalicelib.planning.bodies.overlay import overlay
from chalicelib.planning.plan.join import LiveRow
from chalicelib.planning.plan.making import make_plan

VERBS = frozenset({"create", "delete", "get", "list", "patch", "update", "watch"})


def resource(group: str, version: str, kind: str, *, namespaced: bool = True, status: bool = False) -> Resource:
    """A resource as discovery would give it."""
    lower = kind.lower()
    plural = lower if lower.endswith("s") else lower.removesuffix("y") + "ies" if lower.endswith("y") else f"{lower}s"
    return Resource(group, version, plural, kind, namespaced, VERBS, has_status=status)


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

ALL = [
    resource("", "v1", "ConfigMap"),
    resource("", "v1", "Endpoints"),
    resource("", "v1", "LimitRange"),
    resource("", "v1", "Namespace", namespaced=False, status=True),
    resource("", "v1", "PersistentVolume", namespaced=False, status=True),
    resource("", "v1", "PersistentVolumeClaim", status=True),
    resource("", "v1", "Pod", status=True),
    resource("", "v1", "ResourceQuota", status=True),
    resource("", "v1", "Secret"),
    resource("", "v1", "Service", status=True),
    resource("", "v1", "ServiceAccount"),
    resource(_ADMISSION, "v1", "MutatingWebhookConfiguration", namespaced=False),
    resource(_ADMISSION, "v1", "ValidatingWebhookConfiguration", namespaced=False),
    resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", namespaced=False, status=True),
    resource("apiregistration.k8s.io", "v1", "APIService", namespaced=False, status=True),
    resource("apps", "v1", "DaemonSet", status=True),
    resource("apps", "v1", "Deployment", status=True),
    resource("apps", "v1", "ReplicaSet", status=True),
    resource("apps", "v1", "StatefulSet", status=True),
    resource("autoscaling", "v2", "HorizontalPodAutoscaler", status=True),
    resource("batch", "v1", "CronJob", status=True),
    resource("batch", "v1", "Job", status=True),
    resource("discovery.k8s.io", "v1", "EndpointSlice"),
    resource("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", namespaced=False, status=True),
    resource("networking.k8s.io", "v1", "Ingress", status=True),
    resource("networking.k8s.io", "v1", "NetworkPolicy"),
    resource("networking.k8s.io", "v1", "ServiceCIDR", namespaced=False, status=True),
    resource("policy", "v1", "PodDisruptionBudget", status=True),
    resource(_RBAC, "v1", "ClusterRole", namespaced=False),
    resource(_RBAC, "v1", "ClusterRoleBinding", namespaced=False),
    resource(_RBAC, "v1", "Role"),
    resource(_RBAC, "v1", "RoleBinding"),
    resource("scheduling.k8s.io", "v1", "PriorityClass", namespaced=False),
    resource("shop.example", "v1", "Order"),
    resource("snapshot.storage.k8s.io", "v1", "VolumeSnapshot", status=True),
    resource("storage.k8s.io", "v1", "StorageClass", namespaced=False),
]
RESOURCES: Mapping[tuple[str, str], Resource] = {(each.group, each.kind): each for each in ALL}


def served(kind: str) -> Resource:
    """The resource of a kind, by its name alone."""
    return next(each for each in ALL if each.kind == kind)


def make(kind: str, name: str = "web", namespace: str = "shop", **members: Any) -> Body:
    """A live object as the server would send it. `metadata` in `members` is laid over the usual one."""
    of = served(kind)
    metadata: dict[str, Any] = {
        "name": name,
        "uid": f"uid-{kind}-{namespace}-{name}",
        "resourceVersion": "100",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "generation": 1,
    }
    if of.namespaced:
        metadata["namespace"] = namespace
    metadata |= copy.deepcopy(members.pop("metadata", {}))
    return {"apiVersion": of.api_version, "kind": kind, "metadata": metadata, **copy.deepcopy(members)}


def kept(body: Body) -> Body:
    """Its normalised form; the argument stays as it is."""
    return normalise(copy_of(body), served(body["kind"]))


def controlled_by(kind: str, name: str = "web", uid: str = "uid-owner") -> dict[str, Any]:
    """Metadata with a controlling owner."""
    owner = {"apiVersion": served(kind).api_version, "kind": kind, "name": name, "uid": uid, "controller": True}
    return {"ownerReferences": [owner]}


def template(image: str = "shop/web:1", **labels: str) -> Body:
    """A pod template."""
    return {
        "metadata": {"labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }


def deployment(name: str = "web", *, image: str = "shop/web:1", replicas: int = 2, app: str = "web") -> Body:
    """A live Deployment."""
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template(image, app=app)}
    return make("Deployment", name, spec=spec)


CONTEXT = PlanContext(resources=RESOURCES)


class World:
    """A version and a live state in memory, to plan with. Bodies are given as the server would send them."""

    def __init__(
        self,
        version: Iterable[Body],
        live: Iterable[Body],
        *,
        standing: Mapping[ObjectKey, str] | None = None,
        context: PlanContext = CONTEXT,
    ) -> None:
        self.version = {key_of(body): kept(body) for body in version}
        self.live = {key_of(body): copy_of(body) for body in live}
        self.standing = dict(standing or {})
        self.context = context
        self.reads: list[ObjectKey] = []

    def plan(self, mode: str = "exact", restore: Restore | None = None, **more: Any) -> Plan:
        """The plan from the live state to the version."""
        return make_plan(
            [IndexRow(key, digest(body), "segment", 0, 0) for key, body in sorted(self.version.items())],
            [
                LiveRow(
                    key,
                    digest(kept(body)),
                    body["metadata"]["uid"],
                    body["metadata"]["resourceVersion"],
                    self.standing.get(key, ""),
                )
                for key, body in sorted(self.live.items())
            ],
            application="app-1",
            version="ver-1",
            mode=mode,
            restore=restore or Restore(),
            read_wanted=lambda rows: [(row.key, self.version[row.key]) for row in rows],
            read_live=self._read,
            context=self.context,
            **more,
        )

    def _read(self, key: ObjectKey) -> Body | None:
        self.reads.append(key)
        body = self.live.get(key)
        return None if body is None else kept(body)

    def apply(self, plan: Plan) -> None:
        """Carry a plan out on the live state, as the executor and a server would."""
        for action in plan.actions:
            key = action.object.key
            if action.verb in {Verb.DELETE, Verb.REPLACE}:
                del self.live[key]
            if action.verb in {Verb.CREATE, Verb.REPLACE}:
                body = copy_of(creation.for_creation(self.version[key], self.context))
                body["metadata"] |= {"uid": f"new-{key}", "resourceVersion": "200"}
                self.live[key] = body
            elif action.verb is Verb.UPDATE:
                raw = self.live[key]
                wanted = self.version.get(key) or {
                    "apiVersion": "v1",
                    "kind": key.kind,
                    "metadata": {"name": key.name, "namespace": key.namespace},
                }
                target = overlay(wanted, kept(raw), self.context)
                self.live[key] = creation.for_update(target, raw, served(key.kind))


def one(plan: Plan) -> Action:
    """The only action of a plan."""
    (action,) = plan.actions
    return action
