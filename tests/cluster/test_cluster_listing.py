"""Lists of a real API server while things go wrong."""

from __future__ import annotations

import itertools
import json
import threading
import urllib.request
from collections.abc import Iterator

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.connection import load_kubeconfig
from chalicelib.cluster.discovery import discover, refresh
from chalicelib.cluster.listing import Ended, Listing, Page, Restarted, each_parallel, pages, vanished
from chalicelib.cluster.waiting import until_established
from chalicelib.cluster.writing import Objects
from chalicelib.domain.errors import ClusterRefused
from tests.harness.cluster import Cluster, Options

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A control plane that nobody else minds losing."""
    with Cluster(options=Options(node=False)) as started:
        yield started


def fill(client: Client, namespace: str, count: int) -> list[str]:
    objects = Objects(client)
    names = [f"m{number:03d}" for number in range(count)]
    for name in names:
        objects.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}})
    return names


def names(found: list[Page]) -> list[str]:
    return [item["metadata"]["name"] for page in found for item in page.items]


def definition(group: str) -> dict:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def test_pages_hold_each_object_once_in_order_of_name(control_plane, client: Client) -> None:
    with control_plane.namespace("list") as namespace:
        made = fill(client, namespace, 25)
        maps = discover(client).resource_for("", "ConfigMap")
        found = [page for page in pages(client, maps, namespace, limit=7) if isinstance(page, Page)]
        assert len(found) > 3
        assert [name for name in names(found) if name.startswith("m")] == made
        assert names(found) == sorted(names(found))
        assert {(item["apiVersion"], item["kind"]) for page in found for item in page.items} == {("v1", "ConfigMap")}
        assert len({page.resource_version for page in found}) == 1


def test_a_kind_one_may_not_list_is_told_and_the_others_are_read(control_plane, client: Client) -> None:
    with control_plane.namespace("list") as namespace:
        made = fill(client, namespace, 3)
        rule = {"apiGroups": [""], "resources": ["configmaps", "services"], "verbs": ["get", "list"]}
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [rule]}
        subject = {"kind": "User", "name": "partial", "apiGroup": "rbac.authorization.k8s.io"}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "subjects": [subject],
            "roleRef": {"kind": "Role", "name": "partial", "apiGroup": "rbac.authorization.k8s.io"},
        }
        metadata = {"metadata": {"name": "partial", "namespace": namespace}}
        control_plane.apply(role | metadata, binding | metadata)
        partial = Client(load_kubeconfig(control_plane.identity("partial")))
        kinds = discover(partial)
        wanted = [Listing(kinds.resource_for("", kind), namespace) for kind in ("ConfigMap", "Secret", "Service")]
        held: dict[str, list[Page]] = {}
        errors: dict[str, object] = {}
        for listing, event in each_parallel(partial, wanted):
            if isinstance(event, Page):
                held.setdefault(listing.resource.kind, []).append(event)
            elif isinstance(event, Ended):
                errors[listing.resource.kind] = event.error
        assert set(made) <= set(names(held["ConfigMap"]))
        assert errors["ConfigMap"] is None
        assert errors["Service"] is None
        refusal = errors["Secret"]
        assert isinstance(refusal, ClusterRefused)
        assert (refusal.http_status, refusal.reason) == (403, "Forbidden")
        assert f"GET secrets in {namespace}" in refusal.message
        assert 'User "partial" cannot list resource "secrets"' in refusal.message
        partial.close()


def test_a_kind_that_vanishes_while_it_is_listed_is_told(control_plane, client: Client) -> None:
    group = "vanishing.example.com"
    objects = Objects(client)
    made = objects.create(definition(group))
    until_established(client, f"widgets.{group}", timeout=20)
    with control_plane.namespace("list") as namespace:
        for number in range(6):
            metadata = {"namespace": namespace, "name": f"w{number}"}
            objects.create({"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": metadata})
        kinds = refresh(client)
        widgets = kinds.resource_for(group, "Widget")
        listed = pages(client, widgets, namespace, limit=2)
        assert names([next(listed)]) == ["w0", "w1"]
        crds = kinds.resource_for("apiextensions.k8s.io", "CustomResourceDefinition")
        objects.delete(crds, "", f"widgets.{group}", uid=made["metadata"]["uid"])
        control_plane.kubectl("wait", "--for=delete", f"crd/widgets.{group}", "--timeout=30s")
        with pytest.raises(ClusterRefused, match="no longer served") as raised:
            list(listed)
        assert vanished(raised.value)
        assert refresh(client).resource_for(group, "Widget") is None


def compact(cluster: Cluster, revision: int) -> None:
    """Have etcd forget everything before a revision, as it does by itself after five minutes."""
    body = json.dumps({"revision": str(revision), "physical": True}).encode()
    url = f"http://127.0.0.1:{cluster.state.ports['etcd']}/v3/kv/compaction"
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
        assert answer.status == 200


def test_a_list_whose_moment_the_server_forgot_is_complete_all_the_same(own: Cluster) -> None:
    client = Client(load_kubeconfig(own.kubeconfig))
    with own.namespace("list") as namespace:
        fill(client, namespace, 9)
        maps = discover(client).resource_for("", "ConfigMap")
        listed = pages(client, maps, namespace, limit=3)
        first = next(listed)
        assert isinstance(first, Page)
        # The page's own moment goes with everything before this later one.
        later = fill_one(client, namespace, "m100")
        own.kill_apiserver()
        own.restart_apiserver()
        compact(own, later)
        events = list(listed)
        assert events[0] == Restarted(1)
        found = [event for event in events if isinstance(event, Page)]
        made = [name for name in names(found) if name.startswith("m")]
        assert made == [*(f"m{number:03d}" for number in range(9)), "m100"]
        assert all(page.consistent for page in found)
    client.close()


def fill_one(client: Client, namespace: str, name: str) -> int:
    metadata = {"namespace": namespace, "name": name}
    made = Objects(client).create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    return int(made["metadata"]["resourceVersion"])


def test_an_api_server_that_is_killed_and_comes_back_is_waited_for(own: Cluster) -> None:
    client = Client(load_kubeconfig(own.kubeconfig))
    with own.namespace("list") as namespace:
        made = fill(client, namespace, 12)
        maps = discover(client).resource_for("", "ConfigMap")
        listed = pages(client, maps, namespace, limit=2)
        found = list(itertools.islice(listed, 2))
        own.kill_apiserver()
        back = threading.Timer(1.0, own.restart_apiserver)
        back.start()
        try:
            for event in listed:
                found = [] if isinstance(event, Restarted) else [*found, event]
        finally:
            back.join()
        assert [name for name in names(found) if name.startswith("m")] == made
    client.close()


def test_an_identity_without_all_rights_sees_no_false_refusal_after_a_restart(own: Cluster) -> None:
    """A starting API server knows no roles for a moment; a list must not become a gap by that."""
    with own.namespace("list") as namespace:
        admin = Client(load_kubeconfig(own.kubeconfig))
        made = fill(admin, namespace, 3)
        own.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", "--user=viewer", "-n", namespace)
        viewer = Client(load_kubeconfig(own.identity("viewer")))
        maps = discover(viewer).resource_for("", "ConfigMap")
        own.kill_apiserver()
        back = threading.Timer(0.2, own.restart_apiserver)
        back.start()
        try:
            for _ in range(3):
                found = [page for page in pages(viewer, maps, namespace) if isinstance(page, Page)]
                assert set(made) <= set(names(found))
        finally:
            back.join()
        viewer.close()
        admin.close()


def test_no_kind_is_missing_from_what_a_server_says_right_after_its_start(own: Cluster) -> None:
    """It opens its port before it knows its own groups; a version made then would lack them unnoticed."""
    client = Client(load_kubeconfig(own.kubeconfig))
    objects = Objects(client)
    for number in range(10):
        objects.create(definition(f"g{number}.example.com"))
    for number in range(10):
        until_established(client, f"widgets.g{number}.example.com", timeout=20)
    before = {(found.group, found.kind) for found in refresh(client)}
    assert ("g9.example.com", "Widget") in before
    own.kill_apiserver()
    back = threading.Timer(0.2, own.restart_apiserver)
    back.start()
    try:
        after = refresh(client)
    finally:
        back.join()
    assert {(found.group, found.kind) for found in after} == before
    assert after.unavailable == ()
    client.close()
