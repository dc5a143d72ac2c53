"""Objects that are asked for by name beside the selection: what may not be read of them is told, and no more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from chalicelib.cluster.listing import Listing
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.capture.reading import Reading
from chalicelib.engine.capture.strayed import add_pulled
from chalicelib.engine.lane.clusters import ClusterSession

RBAC = "rbac.authorization.k8s.io"
BINDINGS = Resource(RBAC, "v1", "rolebindings", "RoleBinding", namespaced=True, verbs=frozenset({"get", "list"}))
OWN, THEIRS = ObjectKey(RBAC, "RoleBinding", "shop", "own"), ObjectKey(RBAC, "RoleBinding", "kube-system", "theirs")


class Taking:
    """A visitor that takes everything and does nothing."""

    keeps_raw = False

    def take(self, *_: Any) -> int:
        return 0

    def misses(self, _key: ObjectKey) -> bool:
        return True

    def restart(self, _listing: Listing) -> None:
        """Nothing is void."""


def read_own(resource: Resource, namespace: str, name: str) -> Body:
    if namespace == "kube-system":
        raise ClusterRefused("no", http_status=403, reason="Forbidden", request="GET rolebindings")
    metadata = {"namespace": namespace, "name": name, "uid": name, "resourceVersion": "1"}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def test_who_may_not_read_the_bindings_of_others_reads_the_own() -> None:
    session = SimpleNamespace(
        discovery=SimpleNamespace(resource_for=lambda _group, _kind: BINDINGS),
        objects=SimpleNamespace(get=read_own),
        client=None,
    )
    reading = Reading()
    gaps = add_pulled(cast("ClusterSession", session), reading, [OWN, THEIRS], Taking(), lambda: None)
    assert [row.key for row in reading.rows] == [OWN]
    assert [(gap.kind, gap.namespace, gap.status) for gap in gaps] == [("RoleBinding", "kube-system", 403)]
