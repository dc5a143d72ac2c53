"""Kubernetes API objects as Mainstay names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: A raw Kubernetes object: decoded JSON, never a typed model (those are ten times slower).
Body = dict[str, Any]

#: Group and kind of the objects that namespaces are.
NAMESPACE = ("", "Namespace")
#: And of those that define further kinds.
DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")

#: Metadata of one incarnation of an object: no part of what is kept or restored. `generateName` has done its work
#: once there is a name.
INCARNATION = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "generateName",
)


class ObjectKey(NamedTuple):
    """The identity of one object, whatever version of the API it is read through.

    Tuples of this order sort the index: group (`""` is the core group), kind, namespace (`""` for
    cluster-scoped objects), name.
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Such as `Deployment.apps shop/web`, or `ClusterRole.rbac.authorization.k8s.io reader`."""
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One listable kind as the API server's discovery tells it, in its preferred version."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str] = field(default_factory=frozenset)
    #: `status` has a subresource of its own, so that a PUT of the object leaves it alone.
    has_status: bool = False

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`, as objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def defined_by(self) -> str:
        """The name of its CustomResourceDefinition, if it has one."""
        return f"{self.plural}.{self.group}"

    def collection_path(self, namespace: str = "") -> str:
        """The URL path of the collection, in one namespace or (`""`) in all."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"

    def object_path(self, namespace: str, name: str) -> str:
        """The URL path of one object."""
        return f"{self.collection_path(namespace if self.namespaced else '')}/{name}"


def key_of(body: Body) -> ObjectKey:
    """The identity written in a body that carries `apiVersion`, `kind` and `metadata`."""
    api_version = str(body.get("apiVersion", ""))
    group = api_version.rpartition("/")[0]
    metadata = body.get("metadata") or {}
    return ObjectKey(group, str(body.get("kind", "")), metadata.get("namespace") or "", metadata.get("name") or "")
