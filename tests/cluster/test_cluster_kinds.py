"""Which kinds a real API server serves, who may do what, and waits that end."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from chalicelib.cluster.client import Client, now
from chalicelib.cluster.connection import load_kubeconfig
from chalicelib.cluster.credentials import Connection
from chalicelib.cluster.discovery import discover, refresh
from chalicelib.cluster.status import check
from chalicelib.cluster.waiting import until, until_deleted, until_established, until_namespace_gone
from chalicelib.cluster.writing import Objects
from chalicelib.domain.errors import DeadlineExceeded
from tests.harness.cluster import Cluster

pytestmark = pytest.mark.cluster


def definition(group: str) -> dict:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"served": True, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": "gadgets", "kind": "Gadget", "shortNames": ["gad"]},
            "versions": [
                {"name": "v1beta1", "storage": False} | version,
                {"name": "v1", "storage": True} | version,
            ],
        },
    }


def test_the_servers_own_kinds_are_found_and_only_what_can_be_kept(client: Client) -> None:
    found = discover(client)
    keys = {(resource.group, resource.kind) for resource in found}
    assert {("", "Secret"), ("apps", "Deployment"), ("rbac.authorization.k8s.io", "ClusterRole")} <= keys
    assert ("events.k8s.io", "Event") not in keys
    assert not {"ComponentStatus", "TokenReview", "SelfSubjectAccessReview", "Binding"} & {kind for _, kind in keys}
    deployment = found.resource_for("apps", "Deployment")
    assert (deployment.api_version, deployment.has_status, deployment.namespaced) == ("apps/v1", True, True)
    assert not found.resource_for("", "Secret").has_status
    assert all({"list", "get", "create"} <= resource.verbs for resource in found)


def test_a_new_kind_is_found_when_asked_anew_and_its_version_is_the_preferred(client: Client) -> None:
    group, objects = "kinds.example.com", Objects(client)
    before = discover(client)
    made = objects.create(definition(group))
    try:
        until_established(client, f"gadgets.{group}", timeout=20)
        gadgets = refresh(client).resource_for(group, "Gadget")
        assert before.resource_for(group, "Gadget") is None
        assert (gadgets.api_version, gadgets.namespaced, gadgets.has_status) == (f"{group}/v1", False, True)
        assert discover(client).versions[group, "Gadget"] == ("v1", "v1beta1")
        stored = objects.create({"apiVersion": f"{group}/v1", "kind": "Gadget", "metadata": {"name": "one"}})
        assert objects.get(gadgets, "", "one") == stored
    finally:
        crds = before.resource_for("apiextensions.k8s.io", "CustomResourceDefinition")
        objects.delete(crds, "", f"gadgets.{group}", uid=made["metadata"]["uid"])
        until_deleted(client, crds, "", f"gadgets.{group}", timeout=20)


def test_a_group_whose_api_server_is_down_is_named_and_harms_no_other(make_cluster: Callable[..., Cluster]) -> None:
    spec = {
        "group": "down.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"namespace": "default", "name": "nowhere"},
    }
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.down.example.com"},
        "spec": spec,
    }
    # Every backup in the cluster lacks something from now on: nobody else may be there.
    client = Client(load_kubeconfig(make_cluster().kubeconfig))
    try:
        Objects(client).create(service)
        until(lambda: "" if refresh(client).unavailable else "no group is", "a group to be down", timeout=60)
        found = refresh(client)
        assert [(missing.group, missing.version) for missing in found.unavailable] == [("down.example.com", "v1")]
        assert found.resource_for("apps", "Deployment") is not None
    finally:
        client.close()


def test_an_administrator_lacks_nothing(client: Client) -> None:
    answer = check(client)
    assert answer["reachable"]
    assert answer["version"].startswith("v1.")
    assert answer["missingPermissions"] == []
    assert 0 < answer["latencyMs"] < 30_000
    assert answer["error"] is None


def test_what_an_identity_lacks_is_named(control_plane, control_namespace: str) -> None:
    binding = f"--user=viewer-{control_namespace}"
    control_plane.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", binding, "-n", control_namespace)
    viewer = Client(load_kubeconfig(control_plane.identity(f"viewer-{control_namespace}")))
    answer = check(viewer, namespaces=[control_namespace])
    assert answer["reachable"]
    missing = {words.split()[0]: words for words in answer["missingPermissions"]}
    assert set(missing) == {"list", "get", "create", "update", "patch", "delete"}
    assert "secrets" in missing["list"]
    assert "configmaps" not in missing["list"]
    assert "configmaps" in missing["delete"]
    assert missing["list"].endswith(f"in {control_namespace}")
    viewer.close()


def test_a_server_that_is_not_there_is_told_within_the_time(control_plane) -> None:
    began = time.monotonic()
    answer = check(Client(Connection(server="https://127.0.0.1:9", source="a test")), seconds=1.5)
    assert time.monotonic() - began < 10
    assert not answer["reachable"]
    assert answer["error"]["code"] == "cluster-unreachable"


def test_a_deletion_that_a_finalizer_holds_back_names_it(client: Client, control_namespace: str) -> None:
    objects, maps = Objects(client), discover(client).resource_for("", "ConfigMap")
    metadata = {"namespace": control_namespace, "name": "kept", "finalizers": ["shop.example.com/keep"]}
    made = objects.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    objects.delete(maps, control_namespace, "kept", uid=made["metadata"]["uid"])
    with pytest.raises(DeadlineExceeded, match=r"shop\.example\.com/keep"):
        until_deleted(client, maps, control_namespace, "kept", timeout=0.5)
    objects.patch(maps, control_namespace, "kept", {"metadata": {"finalizers": None}})
    until_deleted(client, maps, control_namespace, "kept", timeout=10)


def test_another_object_of_the_same_name_counts_as_gone(client: Client, control_namespace: str) -> None:
    objects, maps = Objects(client), discover(client).resource_for("", "ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": control_namespace, "name": "same"}}
    first = objects.create(body)["metadata"]["uid"]
    objects.delete(maps, control_namespace, "same", uid=first)
    objects.create(body)
    began = now()
    until_deleted(client, maps, control_namespace, "same", uid=first, timeout=10)
    assert now() - began < 5


def test_a_namespace_that_cannot_go_names_what_it_holds(client: Client, control_plane) -> None:
    objects = Objects(client)
    kinds = discover(client)
    name = f"stuck-{int(time.time())}"
    space = objects.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    metadata = {"namespace": name, "name": "kept", "finalizers": ["shop.example.com/keep"]}
    objects.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    objects.delete(kinds.resource_for("", "Namespace"), "", name, uid=space["metadata"]["uid"])
    # Its controller says what is left once it has tried to delete it: on a busy machine that takes its time.
    path = f"/api/v1/namespaces/{name}"

    def told() -> str:
        conditions = client.get_json(path).get("status", {}).get("conditions") or []
        held = any(each["type"] == "NamespaceFinalizersRemaining" and each["status"] == "True" for each in conditions)
        return "" if held else "no condition names a finalizer"

    until(told, f"the namespace {name} to say what it holds", timeout=60)
    with pytest.raises(DeadlineExceeded) as raised:
        until_namespace_gone(client, name, timeout=0.5)
    assert "configmaps. has 1 resource instances" in raised.value.message
    assert "shop.example.com/keep in 1 resource instances" in raised.value.message
    objects.patch(kinds.resource_for("", "ConfigMap"), name, "kept", {"metadata": {"finalizers": None}})
    until_namespace_gone(client, name, timeout=30)
