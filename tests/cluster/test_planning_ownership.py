"""What a real API server makes of field ownership in creates and updates, and which requests bring it back.

The rules of `chalicelib.planning.bodies.ownership` rest on this: here they are seen, not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chalicelib.cluster import waiting
from chalicelib.cluster.client import Client
from chalicelib.cluster.connection import load_kubeconfig
from chalicelib.cluster.discovery import discover
from chalicelib.cluster.writing import Objects
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.creation import for_creation, for_update
from chalicelib.planning.bodies.normalise import copy_of, digest, normalise
from chalicelib.planning.bodies.overlay import overlay
from chalicelib.planning.bodies.ownership import best_manager, managers_patch, same_managers

pytestmark = pytest.mark.cluster

CONTEXT = PlanContext()


def until_unmoved(write: Callable[[], Body]) -> Body:
    """The write, made again where a controller's write came between its look and it."""
    for _ in range(20):
        try:
            return write()
        except ClusterRefused as refusal:
            if refusal.reason != "Conflict":
                raise
    return write()


class Server:
    """One namespace of a real API server, through our own client."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace
        self.kinds = discover(client)
        self.objects = Objects(client, self.kinds)

    def resource(self, body: Body):
        found = self.kinds.resource_of(body)
        assert found is not None
        return found

    def read(self, body: Body) -> Body:
        key = key_of(body)
        found = self.objects.get(self.resource(body), self.namespace, key.name)
        assert found is not None
        return found

    def stored(self, body: Body) -> Body:
        return normalise(self.read(body), self.resource(body))

    def remove(self, body: Body) -> None:
        live, resource = self.read(body), self.resource(body)
        name, uid = live["metadata"]["name"], live["metadata"]["uid"]
        self.objects.delete(resource, self.namespace, name, uid=uid)
        waiting.until_deleted(self.client, resource, self.namespace, name, uid=uid, timeout=30)

    def post(self, body: Body, manager: str = "kubectl-create") -> None:
        self.objects.create(body, manager, resource=self.resource(body))

    def apply(self, body: Body, manager: str = "helm", *, force: bool = False) -> Body:
        resource, name = self.resource(body), body["metadata"]["name"]
        return self.objects.patch(resource, self.namespace, name, body, "apply", manager, force=force)

    def merge(self, body: Body, patch: Body, manager: str = "kubectl-edit") -> None:
        self.objects.patch(self.resource(body), self.namespace, body["metadata"]["name"], patch, "strategic", manager)

    def create_again(self, stored: Body) -> Body:
        return self.objects.create(
            for_creation(stored, CONTEXT), best_manager(stored), resource=self.resource(stored)
        )

    def put_back(self, stored: Body) -> Body:
        return until_unmoved(lambda: self._put_back(stored))

    def _put_back(self, stored: Body) -> Body:
        live, resource = self.read(stored), self.resource(stored)
        content = normalise(copy_of(live), resource)
        target = overlay(stored, content, CONTEXT)
        made = self.objects.replace(for_update(target, live, resource), best_manager(target, live), resource=resource)
        assert digest(normalise(copy_of(made), resource)) == digest(target)
        return made

    def patch_owners(self, stored: Body, made: Body) -> Body:
        patch = managers_patch(stored, made)
        assert patch is not None
        return self.objects.patch(self.resource(stored), self.namespace, stored["metadata"]["name"], patch)


@pytest.fixture
def server(control_plane, control_namespace) -> Iterator[Server]:
    client = Client(load_kubeconfig(control_plane.kubeconfig))
    yield Server(client, control_namespace)
    client.close()


def config_map(server: Server) -> Body:
    metadata = {"namespace": server.namespace, "name": "web", "labels": {"l": "1"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1", "b": "2"}}


def secret(server: Server) -> Body:
    metadata = {"namespace": server.namespace, "name": "web"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "MQ=="}}


def deployment(server: Server, image: str = "web:1") -> Body:
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": server.namespace, "name": "web"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pod},
    }


def service(server: Server) -> Body:
    metadata = {"namespace": server.namespace, "name": "web"}
    spec = {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


Maker = Callable[[Server], Body]


@pytest.mark.parametrize("make", [config_map, secret, deployment])
def test_one_create_is_enough_for_what_one_manager_made(server: Server, make: Maker) -> None:
    body = make(server)
    server.post(body)
    stored = server.stored(body)
    server.remove(body)
    assert same_managers(server.create_again(stored), stored)


@pytest.mark.parametrize("make", [config_map, secret, deployment, service])
def test_a_create_and_a_patch_are_enough_for_what_was_applied(server: Server, make: Maker) -> None:
    body = make(server)
    server.apply(body)
    stored = server.stored(body)
    server.remove(body)
    made = server.create_again(stored)
    assert not same_managers(made, stored)
    assert same_managers(server.patch_owners(stored, made), stored)


def test_a_create_and_a_patch_are_enough_for_what_several_managers_made(server: Server) -> None:
    body = config_map(server)
    server.post(body)
    server.merge(body, {"metadata": {"labels": {"x": "y"}}}, "kubectl-label")
    stored = server.stored(body)
    server.remove(body)
    assert same_managers(server.patch_owners(stored, server.create_again(stored)), stored)


def test_numbers_that_the_server_allocated_do_not_become_somebodys_choice(server: Server) -> None:
    body = service(server)
    server.post(body)
    stored = server.stored(body)
    server.remove(body)
    made = server.create_again(stored)
    assert not same_managers(made, stored), "a create takes over the numbers it sends"
    patched = server.patch_owners(stored, made)
    assert same_managers(patched, stored)
    assert patched["spec"]["clusterIP"] == stored["spec"]["clusterIP"]


def test_after_a_restore_who_applied_before_applies_without_a_conflict(server: Server) -> None:
    body = deployment(server)
    server.apply(body)
    stored = server.stored(body)
    server.remove(body)
    made = server.create_again(stored)
    with pytest.raises(ClusterRefused, match="conflict"):
        server.apply(deployment(server, "web:2"))
    server.patch_owners(stored, made)
    assert server.apply(deployment(server, "web:2"))["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"


def test_one_update_is_enough_if_what_changed_was_one_managers(server: Server) -> None:
    body = config_map(server)
    server.post(body)
    server.merge(body, {"metadata": {"labels": {"x": "y"}}}, "kubectl-label")
    stored = server.stored(body)
    server.merge(body, {"data": {"a": "changed", "c": "added"}})
    assert same_managers(server.put_back(stored), stored)
    server.merge(body, {"metadata": {"labels": {"x": "changed"}}})
    assert same_managers(server.put_back(stored), stored)


def test_what_somebody_added_to_an_applied_object_goes_without_a_second_request(server: Server) -> None:
    body = config_map(server)
    server.apply(body)
    stored = server.stored(body)
    server.merge(body, {"metadata": {"labels": {"x": "added"}}})
    assert same_managers(server.put_back(stored), stored)


def test_what_somebody_changed_of_an_applied_object_needs_the_patch(server: Server) -> None:
    body = deployment(server)
    server.apply(body)
    stored = server.stored(body)
    server.merge(body, {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:9"}]}}}})
    made = server.put_back(stored)
    assert not same_managers(made, stored)
    assert same_managers(server.patch_owners(stored, made), stored)
    server.apply(deployment(server, "web:2"))


def test_the_owner_of_the_status_stays(server: Server) -> None:
    def of_status(live: Body) -> list[str]:
        return [each["manager"] for each in live["metadata"]["managedFields"] if each.get("subresource") == "status"]

    body = deployment(server)
    server.apply(body)
    stored = server.stored(body)
    resource = server.resource(body)
    status = {"status": {"conditions": [{"type": "Seen", "status": "True"}]}}
    server.objects.patch(resource, server.namespace, "web", status, "strategic", "watcher", subresource="status")
    server.merge(body, {"spec": {"replicas": 1, "paused": True}})
    made = server.put_back(stored)
    assert "watcher" in of_status(made)
    assert "watcher" in of_status(server.patch_owners(stored, made))
