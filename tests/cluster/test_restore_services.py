"""Addresses and node ports of Services: what the server allocated is kept where it is free, and exchanged where it is
taken; what a user chose is never exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.operation import State
from tests.support.scene import Scene, open_scene

pytestmark = pytest.mark.cluster

APP = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {a: "1"}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: public}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]}
"""


@pytest.fixture
def scene(control_plane) -> Iterator[Scene]:
    with open_scene(control_plane, APP) as opened:
        yield opened


@pytest.fixture
def elsewhere(control_plane) -> Iterator[str]:
    """A namespace that is not the application's."""
    with control_plane.namespace("elsewhere") as name:
        yield name


def allocated(scene: Scene, name: str = "web") -> tuple[str, list[int]]:
    """Address and node ports."""
    spec = scene.get(f"Service/{name}")["spec"]
    ports = [port["nodePort"] for port in spec["ports"]]
    return spec["clusterIP"], ports + ([spec["healthCheckNodePort"]] if "healthCheckNodePort" in spec else [])


def occupy(scene: Scene, namespace: str, *, address: str = "", port: int = 0) -> None:
    """Another Service takes an address or a node port."""
    entry: dict[str, Any] = {"port": 1, "nodePort": port} if port else {"port": 1}
    spec: dict[str, Any] = {"type": "NodePort" if port else "ClusterIP", "ports": [entry]}
    if address:
        spec["clusterIP"] = address
    scene.api.post(f"/api/v1/namespaces/{namespace}/services", {"metadata": {"name": "taker"}, "spec": spec})


@pytest.mark.parametrize("name", ["web", "public"])
def test_a_service_gets_its_address_and_ports_back_if_they_are_free(scene: Scene, name: str) -> None:
    wanted, version = scene.look(), scene.backup()
    had = allocated(scene, name)
    scene.delete(f"Service/{name}")
    restored = scene.restore_well(version)
    assert allocated(scene, name) == had
    assert scene.look() == wanted
    assert restored.rows[f"Service/{name}"].message == ""


@pytest.mark.parametrize("taken", ["address", "port", "both"])
def test_what_is_taken_is_exchanged_and_said_and_the_rest_is_kept(scene: Scene, elsewhere: str, taken: str) -> None:
    version = scene.backup()
    address, (port,) = allocated(scene)
    scene.delete("Service/web")
    occupy(
        scene,
        elsewhere,
        address=address if taken in {"address", "both"} else "",
        port=port if taken in {"port", "both"} else 0,
    )
    restored = scene.restore_well(version)
    now_address, (now_port,) = allocated(scene)
    assert (now_address == address) is (taken == "port")
    assert (now_port == port) is (taken == "address")
    row = restored.rows["Service/web"]
    assert (row.outcome, row.verified) == ("done", "equal")
    assert (address in row.message) is (taken != "port")
    assert (str(port) in row.message) is (taken != "address")


@pytest.mark.parametrize("field", ["address", "port"])
def test_what_a_user_chose_is_not_exchanged_and_the_restore_is_undone(
    control_plane, elsewhere: str, field: str
) -> None:
    with open_scene(control_plane, APP) as scene:
        address, (port,) = allocated(scene)
        scene.delete("Service/web")
        chosen: dict[str, Any] = {"port": 80, "nodePort": port} if field == "port" else {"port": 80}
        more = {"clusterIP": address} if field == "address" else {}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
        scene.post({**service, "spec": {"type": "NodePort", "ports": [chosen], **more}}, manager="helm")
        version = scene.backup()
        scene.delete("Service/web")
        scene.patch("ConfigMap/conf", {"data": {"a": "changed"}})
        occupy(scene, elsewhere, address=address if field == "address" else "", port=port if field == "port" else 0)
        before = scene.look()
        restored = scene.restore(version)
        assert restored.state is State.FAILED
        assert f"Service {scene.namespace}/web" in restored.message
        assert ("spec.ports[0].nodePort" if field == "port" else "spec.clusterIPs") in restored.message
        told = restored.rows["Service/web"].message
        assert (str(port) if field == "port" else address) in told
        assert "already allocated" in told
        assert "Every change was undone." in restored.message
        assert restored.operation.outcome["undone"]
        assert scene.look() == before


def test_a_port_that_an_extra_service_holds_is_free_once_that_is_deleted(scene: Scene) -> None:
    """A Service that was renamed since: the old name's restore needs what the new name holds."""
    address, (port,) = allocated(scene)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "chosen"}}
    scene.delete("Service/web")
    spec = {"type": "NodePort", "clusterIP": address, "ports": [{"port": 80, "nodePort": port}]}
    scene.post({**service, "spec": spec})
    wanted, version = scene.look(), scene.backup()
    scene.delete("Service/chosen")
    scene.post({**service, "metadata": {"name": "renamed"}, "spec": spec})
    restored = scene.restore_well(version)
    assert restored.outcomes() == {"Service/chosen": "create", "Service/renamed": "delete"}
    assert scene.look() == wanted


def test_a_changed_service_keeps_what_it_was_allocated(scene: Scene) -> None:
    version = scene.backup()
    had = allocated(scene)
    scene.delete("Service/web")
    scene.make(
        """
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {type: NodePort, selector: {app: other}, ports: [{port: 80}, {port: 81, name: more}]}
        """.replace("{port: 80}", "{port: 80, name: main}")
    )
    other = allocated(scene)
    restored = scene.restore_well(version)
    assert restored.outcomes() == {"Service/web": "update"}
    now = allocated(scene)
    # Both were allocated, none chosen: the address it has is as good as the one it had, and connections live on.
    assert now[0] == other[0]
    assert len(now[1]) == len(had[1])


@pytest.mark.parametrize("kind", ["ExternalName", "ClusterIP", "LoadBalancer"])
def test_the_type_of_a_service_is_changed_back(scene: Scene, kind: str) -> None:
    wanted, version = scene.look(), scene.backup()
    had = allocated(scene)
    patch: dict[str, Any] = {"type": kind}
    if kind == "ExternalName":
        patch |= {"externalName": "example.com", "clusterIP": None, "clusterIPs": None, "ports": None}
    if kind == "ClusterIP":
        patch |= {"ports": [{"port": 80, "nodePort": None}]}
    scene.patch("Service/web", {"spec": patch})
    assert scene.restore_well(version).outcomes() == {"Service/web": "update"}
    assert allocated(scene) == had
    assert scene.look() == wanted


def test_a_port_that_wandered_to_another_service_wanders_back(scene: Scene) -> None:
    """Both are changed in one wave, and the one that needs the port may well be written first."""
    _, (one,) = allocated(scene)
    other = allocated(scene, "public")[1][0]
    scene.delete("Service/web", "Service/public")

    def post(name: str, port: int) -> None:
        spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": port} if port else {"port": 80}]}
        scene.post({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}, "helm")

    post("a", one)
    post("b", other)
    wanted, version = scene.look(), scene.backup()
    scene.delete("Service/a", "Service/b")
    post("b", one)
    post("a", 0)
    assert scene.restore_well(version).outcomes() == {"Service/a": "update", "Service/b": "update"}
    assert allocated(scene, "a")[1] == [one]
    assert allocated(scene, "b")[1] == [other]
    assert scene.look().keys() == wanted.keys()
