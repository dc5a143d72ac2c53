"""The capture rules on what a real cluster makes by itself."""

from __future__ import annotations

import time

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.discovery import discover
from chalicelib.cluster.listing import items, vanished
from chalicelib.domain.document import Scope
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.selecting.capture_rules import verdict
from chalicelib.planning.selecting.ownership_roots import controller_of
from chalicelib.planning.selecting.selection import ListRequest, Selection

pytestmark = pytest.mark.cluster


def _listed(client: Client, request: ListRequest) -> list[Body]:
    """What a list has; nothing if it is of another test's kind, whose definition goes just then."""
    try:
        return list(items(client, request.resource, request.namespace, label_selector=request.label_selector))
    except ClusterRefused as error:
        if not vanished(error):
            raise
        return []


def captured(client: Client, *scopes: Scope) -> tuple[set[str], set[str]]:
    """Keys of what is kept and of what is dropped, as text."""
    kept: list[Body] = []
    dropped: set[str] = set()
    uids: set[str] = set()
    for request in Selection(scopes).requests(discover(client)):
        for body in _listed(client, request):
            metadata = body["metadata"]
            if not request.takes(metadata.get("namespace") or "", metadata["name"], metadata.get("labels") or {}):
                continue
            uids.add(metadata["uid"])
            if verdict(body, request.resource).take:
                kept.append(body)
            else:
                dropped.add(str(key_of(body)))
    derived = {str(key_of(body)) for body in kept if controller_of(body) in uids}
    return {str(key_of(body)) for body in kept} - derived, dropped | derived


def test_a_namespace_that_nobody_used_holds_only_itself(client, control_namespace) -> None:
    kept, dropped = captured(client, Scope(namespaces=(control_namespace,)))
    assert kept == {f"Namespace {control_namespace}"}
    assert dropped == {
        f"ConfigMap {control_namespace}/kube-root-ca.crt",
        f"ServiceAccount {control_namespace}/default",
    }


def test_only_what_a_user_made_is_kept(client, control_plane, control_namespace) -> None:
    where = {"namespace": control_namespace, "name": "web"}
    # No node has this label: nothing ever runs.
    spec = {"nodeSelector": {"nowhere": "at-all"}, "containers": [{"name": "web", "image": "web:1"}]}
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": spec}
    selector = {"matchLabels": {"app": "web"}}
    made = [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": where,
            "spec": {"replicas": 2, "selector": selector, "template": pod},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {**where, "name": "db"},
            "spec": {
                "serviceName": "db",
                "selector": {"matchLabels": {"app": "db"}},
                "template": {**pod, "metadata": {"labels": {"app": "db"}}},
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "data"},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "storageClassName": "none-at-all",
                            "resources": {"requests": {"storage": "1Mi"}},
                        },
                    }
                ],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": where,
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": where, "data": {"a": "1"}},
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": where,
            "spec": {"template": {"spec": {**spec, "restartPolicy": "Never"}}},
        },
    ]
    control_plane.apply(*made)
    expected = {str(key_of(body)) for body in made} | {
        f"Namespace {control_namespace}",
        f"PersistentVolumeClaim {control_namespace}/data-db-0",
    }
    by_controllers = {"ReplicaSet.apps", "Pod", "EndpointSlice.discovery.k8s.io", "Endpoints"}
    until = time.monotonic() + 30
    while time.monotonic() < until:
        kept, dropped = captured(client, Scope(namespaces=(control_namespace,)))
        if kept == expected and by_controllers <= {key.split()[0] for key in dropped}:
            break
        time.sleep(0.5)
    assert kept == expected
    assert by_controllers <= {key.split()[0] for key in dropped}


def test_what_the_api_server_brings_with_it_is_not_kept(client) -> None:
    kinds = ("ClusterRole", "ClusterRoleBinding", "APIService", "FlowSchema", "PriorityLevelConfiguration")
    kept, dropped = captured(
        client, Scope(kinds=(*kinds, "PriorityClass", "ServiceCIDR")), Scope(namespaces=("kube-system",))
    )
    assert not {key for key in kept if "system:" in key or "cluster-admin" in key}
    assert not {key for key in kept if key.startswith(("FlowSchema", "PriorityLevelConfiguration", "Namespace"))}
    assert not {key for key in kept if key.startswith("APIService") and key.endswith((" v1.", " v1.apps"))}
    for present in (
        "ClusterRole.rbac.authorization.k8s.io cluster-admin",
        "ClusterRole.rbac.authorization.k8s.io view",
        "APIService.apiregistration.k8s.io v1.apps",
        "FlowSchema.flowcontrol.apiserver.k8s.io catch-all",
        "PriorityClass.scheduling.k8s.io system-node-critical",
        "Namespace kube-system",
    ):
        assert present in dropped
