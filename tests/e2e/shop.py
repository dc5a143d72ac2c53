"""A small application for tests: objects of several kinds that need no pods."""

from __future__ import annotations

import base64
from typing import Any

from tests.harness.access import Access


def objects(namespace: str) -> list[dict[str, Any]]:
    """ConfigMaps, a Secret, a Service, RBAC and a Deployment of no replicas."""

    def of(api_version: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": namespace, "labels": {"app": "shop"}}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}

    container = {"name": "web", "image": "registry.example/web:1"}
    return [
        *(of("v1", "ConfigMap", f"config-{number}", data={"number": str(number)}) for number in range(5)),
        of("v1", "Secret", "password", data={"password": base64.b64encode(b"hunter2").decode()}),
        of("v1", "Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        of("rbac.authorization.k8s.io/v1", "Role", "reader", rules=[]),
        of(
            "apps/v1",
            "Deployment",
            "web",
            spec={
                "replicas": 0,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
            },
        ),
    ]


def deploy(cluster: Access, namespace: str) -> None:
    """Put the application into a namespace."""
    cluster.apply(*objects(namespace))


def config(cluster: Access, namespace: str, name: str) -> dict[str, Any] | None:
    """The data of one ConfigMap, `None` if it is not there."""
    path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
    return cluster.api.get(path).get("data") if cluster.api.exists(path) else None


def set_config(cluster: Access, namespace: str, name: str, **data: str) -> None:
    """Write one ConfigMap, as somebody would by hand."""
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}
    )


def delete_config(cluster: Access, namespace: str, name: str) -> None:
    """Delete one ConfigMap."""
    cluster.api.delete(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
