"""A small application without pods to wait for, ways to damage it, and a look at it that shares nothing with the
product.

`look` is what the tests compare with: it reads the API server itself and strips what is true of one incarnation of an
object only, by its own short list.
"""

from __future__ import annotations

from typing import Any

from tests.harness.api import Api
from tests.harness.errors import ApiError

Body = dict[str, Any]

_COLLECTIONS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
}
_GROUPS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
}
_OF_ONE_INCARNATION = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
_THE_CLUSTERS_OWN = {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}


def _workload(name: str, image: str, **more: Any) -> Body:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": image}]}}
    return {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **more}


def _reader(role: str) -> Body:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": "default"}],
    }


def objects() -> list[tuple[str, str, Body]]:
    """Kind, name and content of every object of the application."""
    return [
        ("ConfigMap", "conf", {"data": {"greeting": "hello", "colour": "red"}}),
        ("ConfigMap", "page", {"data": {"index.html": "<h1>Shop</h1>"}}),
        ("Secret", "cred", {"stringData": {"password": "sesame"}}),
        ("ServiceAccount", "runner", {}),
        ("Role", "reader", {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]}),
        ("RoleBinding", "reader", _reader("reader")),
        ("Service", "web", {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
        ("Service", "db", {"spec": {"clusterIP": "None", "selector": {"app": "db"}, "ports": [{"port": 5432}]}}),
        ("Deployment", "web", {"spec": _workload("web", "shop.test/web:1")}),
        ("StatefulSet", "db", {"spec": _workload("db", "shop.test/db:1", serviceName="db")}),
        ("PodDisruptionBudget", "web", {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
    ]


def path(kind: str, namespace: str, name: str = "") -> str:
    """The URL path of a collection or of one object."""
    return _COLLECTIONS[kind].format(namespace) + (f"/{name}" if name else "")


def api_version(kind: str) -> str:
    """Group and version of a kind of the application."""
    return _GROUPS.get(kind, "v1")


def create(api: Api, namespace: str, kind: str, name: str, content: Body) -> None:
    """Make one object."""
    head = {"apiVersion": api_version(kind), "kind": kind, "metadata": {"name": name, "namespace": namespace}}
    api.post(path(kind, namespace), {**head, **content})


def deploy(api: Api, namespace: str) -> None:
    """Make the whole application."""
    for kind, name, content in objects():
        create(api, namespace, kind, name, content)


def damage(api: Api, namespace: str, *, workload: bool = True) -> None:
    """Two objects changed, two removed, two added, and two that cannot be changed back in place: a restore has to
    update, create, delete and replace. Without `workload` it waits for no controller of the cluster."""
    api.patch(path("ConfigMap", namespace, "conf"), {"data": {"greeting": "bye", "new": "1"}})
    api.patch(path("Role", namespace, "reader"), {"rules": []})
    api.delete(path("Secret", namespace, "cred"))
    api.delete(path("StatefulSet", namespace, "db"))
    create(api, namespace, "ConfigMap", "extra", {"data": {"a": "b"}})
    create(api, namespace, "Secret", "stray", {"stringData": {"a": "b"}})
    api.delete(path("RoleBinding", namespace, "reader"))
    create(api, namespace, "RoleBinding", "reader", _reader("another"))
    if not workload:
        return
    api.delete(path("Deployment", namespace, "web"))
    create(api, namespace, "Deployment", "web", {"spec": _workload("web2", "shop.test/web:2")})


def look(api: Api, namespace: str) -> dict[str, Body]:
    """Every object of the namespace that somebody made, as `Kind/name`, without what changes by itself."""
    found: dict[str, Body] = {}
    try:
        found["Namespace/" + namespace] = _bare(api.get(f"/api/v1/namespaces/{namespace}"))
    except ApiError as error:
        if error.status != 404:
            raise
    for kind in _COLLECTIONS:
        for body in api.get(path(kind, namespace))["items"]:
            key = f"{kind}/{body['metadata']['name']}"
            if key not in _THE_CLUSTERS_OWN and not body["metadata"].get("ownerReferences"):
                found[key] = _bare(body)
    return found


def incarnations(api: Api, namespace: str) -> dict[str, tuple[str, str]]:
    """Uid and resourceVersion of the same objects: whether anything at all was written to them."""
    found = {}
    for kind in _COLLECTIONS:
        for body in api.get(path(kind, namespace))["items"]:
            metadata = body["metadata"]
            found[f"{kind}/{metadata['name']}"] = (metadata["uid"], metadata["resourceVersion"])
    return found


def _bare(body: Body) -> Body:
    metadata = {name: value for name, value in body["metadata"].items() if name not in _OF_ONE_INCARNATION}
    annotations = {
        name: value
        for name, value in (metadata.pop("annotations", None) or {}).items()
        if name != "deployment.kubernetes.io/revision"  # its controller counts
    }
    if annotations:
        metadata["annotations"] = annotations
    return {
        **{name: value for name, value in body.items() if name not in {"status", "apiVersion"}},
        "metadata": metadata,
    }


def document(namespace: str) -> str:
    """The application's document: everything in its namespace."""
    return (
        "apiVersion: mainstay.dev/v1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        f"  state:\n    objects:\n      - namespaces: [{namespace}]\n"
    )
