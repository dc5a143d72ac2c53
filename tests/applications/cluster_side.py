"""What somebody with kubectl does to a cluster: install an application, and take everything of it away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.applications.folder import SYSTEM, Body, Published
from tests.harness.access import Access
from tests.harness.errors import ApiError, HarnessError
from tests.harness.processes import wait_until

#: Passes of `kubectl apply`: custom objects need their definitions, which are served some moments later.
_PASSES = 4
_WORKLOADS = (
    *(f"/apis/apps/v1/namespaces/{{}}/{kind}" for kind in ("deployments", "statefulsets", "daemonsets")),
    "/apis/batch/v1/namespaces/{}/jobs",
)


def install(cluster: Access, published: Published) -> list[str]:
    """`kubectl apply --server-side`, until it is all there or nothing more comes of it. What was refused."""
    for namespace in published.namespaces:
        if not cluster.api.exists(f"/api/v1/namespaces/{namespace}"):
            cluster.api.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
        cluster.wait_for_account(namespace)
    refused: list[str] = []
    for _ in range(_PASSES):
        before, refused = refused, apply(cluster, published)
        if not refused or refused == before:
            break
        time.sleep(0.5)
    return refused


def apply(cluster: Access, published: Published) -> list[str]:
    """`kubectl apply --server-side` once, without force; what was refused, one line each."""
    kubeconfig = _in_namespace(cluster, published.namespace)
    files = [f"--filename={file}" for file in published.files]
    try:
        cluster.kubectl("apply", "--server-side", *files, kubeconfig=kubeconfig, seconds=120)
    except HarnessError as error:
        return [line for line in str(error).splitlines() if line.strip()]
    return []


def _in_namespace(cluster: Access, namespace: str) -> Path:
    """A kubeconfig with this default namespace: `-n` would be refused beside objects that name another."""
    config: dict[str, Any] = json.loads(json.dumps(cluster.config))
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    path = cluster.directory / f"in-{namespace}.kubeconfig"
    path.touch(0o600)
    path.write_text(json.dumps(config))
    return path


class Places:
    """Where objects are, by the API server's own word."""

    def __init__(self, cluster: Access) -> None:
        self._api = cluster.api
        self._known: dict[tuple[str, str], tuple[str, bool]] = {}

    def is_namespaced(self, version: str, kind: str) -> bool:
        return self._resource(version, kind)[1]

    def collection(self, version: str, kind: str, namespace: str) -> str:
        """The URL path where objects of a kind are made."""
        plural, namespaced = self._resource(version, kind)
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        return f"{root}/namespaces/{namespace}/{plural}" if namespaced else f"{root}/{plural}"

    def of(self, body: Body, namespace: str = "") -> str:
        """The URL path of an object."""
        metadata = body["metadata"]
        where = metadata.get("namespace") or namespace
        return f"{self.collection(body['apiVersion'], body['kind'], where)}/{metadata['name']}"

    def _resource(self, version: str, kind: str) -> tuple[str, bool]:
        if (version, kind) not in self._known:
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            for found in self._api.get(root)["resources"]:
                if "/" not in found["name"]:
                    self._known[(version, found["kind"])] = (found["name"], found["namespaced"])
        return self._known[(version, kind)]


def remove(cluster: Access, published: Published, scoped: Iterable[Body]) -> float:
    """Delete the application's workloads, then its namespaces, and then what else it has: the objects of no
    namespace, and those in namespaces of others (`scoped`). Seconds until all was gone.

    An aggregated API that is down keeps namespaces from going until it is deleted; that it is, is part of it.
    """
    began, places = time.monotonic(), Places(cluster)
    for namespace in published.namespaces:
        for workloads in _WORKLOADS:  # for the pods of a namespace its controller waits half a minute
            _delete(cluster, workloads.format(namespace))
    paths = [f"/api/v1/namespaces/{name}" for name in published.namespaces]
    paths += [places.of(body) for body in scoped]
    for path in paths:
        _delete(cluster, path)
    left = list(paths)

    def gone() -> bool:
        left[:] = [path for path in left if cluster.api.exists(path)]
        return not left

    wait_until(gone, seconds=120, what=f"everything of {published} to be gone")
    return time.monotonic() - began


def let_go(cluster: Access, published: Published, namespaces: Iterable[str]) -> None:
    """Take the aggregated APIs that are down away until these namespaces are gone, then apply them again."""
    services = "/apis/apiregistration.k8s.io/v1/apiservices"
    for body in cluster.api.get(services)["items"]:
        conditions = {each["type"]: each["status"] for each in body.get("status", {}).get("conditions", ())}
        if conditions.get("Available") == "False":
            _delete(cluster, f"{services}/{body['metadata']['name']}")
    paths = [f"/api/v1/namespaces/{name}" for name in namespaces]
    for path in paths:  # their controller waits longer after each try, but for a change
        if cluster.api.exists(path):
            cluster.api.patch(path, {"metadata": {"annotations": {"look": "again"}}})
    wait_until(lambda: not any(map(cluster.api.exists, paths)), seconds=90, what="namespaces to be gone")
    apply(cluster, published)


def _delete(cluster: Access, path: str) -> None:
    try:
        cluster.api.delete(f"{path}?propagationPolicy=Background")
    except ApiError as error:
        if error.status != 404:
            raise


def state(cluster: Access, published: Published) -> tuple[dict[str, Any], list[Body]]:
    """`spec.state` of a document for the application, and the objects it names one by one: those of no namespace, and
    those in namespaces of others."""
    places = Places(cluster)
    named: dict[tuple[str, str], list[str]] = {}
    scoped: list[Body] = []
    for body in published.bodies:
        version, kind, metadata = body["apiVersion"], body["kind"], body["metadata"]
        namespace = (metadata.get("namespace") or published.namespace) if places.is_namespaced(version, kind) else ""
        if (namespace and namespace not in SYSTEM) or kind == "Namespace":
            continue
        named.setdefault((namespace, f"{kind}.{version.rpartition('/')[0] or 'core'}"), []).append(metadata["name"])
        scoped.append(
            {"apiVersion": version, "kind": kind, "metadata": {"name": metadata["name"], "namespace": namespace}}
        )
    objects: list[dict[str, Any]] = [{"namespaces": published.namespaces}]
    for (namespace, kind), names in sorted(named.items()):
        scope = {"kinds": [kind], "names": sorted(set(names))}
        objects.append({"namespaces": [namespace], **scope} if namespace else scope)
    return {"objects": objects}, scoped
