"""Writes to a real API server, and what is known after those that went wrong."""

from __future__ import annotations

import pytest

from chalicelib.cluster.client import Client, outcome_unknown
from chalicelib.cluster.connection import load_kubeconfig
from chalicelib.cluster.discovery import Discovery, discover
from chalicelib.cluster.writing import Objects
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, LeaseLost

pytestmark = pytest.mark.cluster


@pytest.fixture
def kinds(client: Client) -> Discovery:
    return discover(client)


def config_map(namespace: str, name: str = "web", **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": data or {"a": "1"},
    }


def test_an_object_is_made_read_replaced_patched_and_deleted(client, kinds, control_namespace) -> None:
    objects, maps = Objects(client), kinds.resource_for("", "ConfigMap")
    made = objects.create(config_map(control_namespace))
    assert made["metadata"]["managedFields"][0]["manager"] == "mainstay"
    assert objects.get(maps, control_namespace, "web") == made
    replaced = objects.replace(made | {"data": {"a": "2"}})
    assert replaced["metadata"]["uid"] == made["metadata"]["uid"]
    merged = objects.patch(maps, control_namespace, "web", {"data": {"b": "3"}})
    assert merged["data"] == {"a": "2", "b": "3"}
    changed = objects.patch(maps, control_namespace, "web", [{"op": "remove", "path": "/data/b"}], "json")
    assert changed["data"] == {"a": "2"}
    applied = config_map(control_namespace, c="4")
    assert objects.patch(maps, control_namespace, "web", applied, "apply", "helm")["data"] == {"a": "2", "c": "4"}
    assert objects.delete(maps, control_namespace, "web", uid=made["metadata"]["uid"])
    assert objects.get(maps, control_namespace, "web") is None


def test_a_dry_run_changes_nothing_and_asks_no_guard(client, kinds, control_namespace) -> None:
    def before_write() -> None:
        raise LeaseLost("must not be asked")

    objects, maps = Objects(client.guarded(before_write)), kinds.resource_for("", "ConfigMap")
    assert objects.create(config_map(control_namespace), dry_run=True)["data"] == {"a": "1"}
    assert objects.get(maps, control_namespace, "web") is None
    with pytest.raises(LeaseLost):
        objects.create(config_map(control_namespace))
    assert objects.get(maps, control_namespace, "web") is None


def test_an_object_that_moved_meanwhile_is_not_overwritten(client, kinds, control_namespace) -> None:
    objects, maps = Objects(client), kinds.resource_for("", "ConfigMap")
    seen = objects.create(config_map(control_namespace))
    objects.patch(maps, control_namespace, "web", {"data": {"a": "mine"}})
    with pytest.raises(ClusterRefused) as raised:
        objects.replace(seen | {"data": {"a": "2"}})
    assert (raised.value.http_status, raised.value.reason) == (409, "Conflict")
    assert not outcome_unknown(raised.value)


def test_only_the_very_object_that_was_meant_is_deleted(client, kinds, control_namespace) -> None:
    objects, maps = Objects(client), kinds.resource_for("", "ConfigMap")
    first = objects.create(config_map(control_namespace))["metadata"]
    objects.delete(maps, control_namespace, "web", uid=first["uid"])
    second = objects.create(config_map(control_namespace))["metadata"]
    with pytest.raises(ClusterRefused) as raised:
        objects.delete(maps, control_namespace, "web", uid=first["uid"])
    assert raised.value.http_status == 409
    objects.patch(maps, control_namespace, "web", {"data": {"a": "moved"}})
    stale = second["resourceVersion"]
    with pytest.raises(ClusterRefused) as raised:
        objects.delete(maps, control_namespace, "web", uid=second["uid"], resource_version=stale)
    assert raised.value.http_status == 409
    assert objects.get(maps, control_namespace, "web")["data"] == {"a": "moved"}


def test_deleting_what_is_gone_is_no_error(client, kinds, control_namespace) -> None:
    assert not Objects(client).delete(kinds.resource_for("", "ConfigMap"), control_namespace, "web", uid="none")


def test_a_body_of_an_older_version_goes_where_it_belongs(client, kinds, control_namespace) -> None:
    scaler = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"namespace": control_namespace, "name": "web"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}},
    }
    assert Objects(client).create(scaler)["apiVersion"] == "autoscaling/v1"
    scalers = kinds.resource_for("autoscaling", "HorizontalPodAutoscaler")
    assert Objects(client).get(scalers, control_namespace, "web")["apiVersion"] == "autoscaling/v2"


def test_a_kind_that_is_not_served_is_said_to_be_so(client, control_namespace) -> None:
    body = {
        "apiVersion": "no.example.com/v1",
        "kind": "Gadget",
        "metadata": {"name": "x", "namespace": control_namespace},
    }
    with pytest.raises(ClusterRefused, match="does not serve the kind Gadget") as raised:
        Objects(client).create(body)
    assert raised.value.http_status == 404


def test_an_immutable_field_is_named(client, control_namespace) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": control_namespace, "name": "web"},
        "spec": {"ports": [{"port": 80}]},
    }
    made = Objects(client).create(service)
    made["spec"] |= {"clusterIP": "10.96.255.9", "clusterIPs": ["10.96.255.9"]}
    with pytest.raises(ClusterRefused) as raised:
        Objects(client).replace(made)
    assert raised.value.http_status == 422
    assert raised.value.causes[0][0].startswith("spec.clusterIP")
    assert f"services {control_namespace}/web" in raised.value.message


@pytest.mark.parametrize("data", [{"a b": "aHVudGVyMg=="}, {"a": "hunter2!"}, {"a": {"hunter2": 1}}, ["hunter2"]])
@pytest.mark.parametrize("by", ["replace", "apply"])
def test_what_the_server_says_of_a_bad_secret_is_not_repeated(client, kinds, control_namespace, data, by) -> None:
    objects = Objects(client)
    metadata = {"namespace": control_namespace, "name": "db"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "aHVudGVyMg=="}}
    objects.create(secret)
    bad = secret | {"data": data}

    def write() -> dict:
        if by == "replace":
            return objects.replace(bad)
        return objects.patch(kinds.resource_for("", "Secret"), control_namespace, "db", bad, "apply", force=True)

    with pytest.raises(ClusterRefused) as raised:
        write()
    said = str(raised.value.as_json())
    assert "hunter2" not in said
    assert "aHVudGVyMg" not in said
    assert not outcome_unknown(raised.value)


def test_a_write_whose_answer_was_lost_is_done_once_and_settled_by_reading(api_http_proxy, control_namespace) -> None:
    proxy, kubeconfig = api_http_proxy
    client = Client(load_kubeconfig(kubeconfig))
    rule = proxy.lose_answer("POST", r"/configmaps", times=None)
    objects = Objects(client)
    with pytest.raises(ClusterUnreachable) as raised:
        objects.create(config_map(control_namespace))
    assert outcome_unknown(raised.value)
    assert rule.hits == 1
    assert objects.get(discover(client).resource_for("", "ConfigMap"), control_namespace, "web")["data"] == {"a": "1"}
    client.close()


def test_a_write_that_never_arrived_is_not_repeated_either(api_http_proxy, control_namespace) -> None:
    proxy, kubeconfig = api_http_proxy
    client = Client(load_kubeconfig(kubeconfig))
    rule = proxy.lose_request("POST", r"/configmaps", times=None)
    objects = Objects(client)
    with pytest.raises(ClusterUnreachable) as raised:
        objects.create(config_map(control_namespace))
    assert outcome_unknown(raised.value)
    assert rule.hits == 1
    assert objects.get(discover(client).resource_for("", "ConfigMap"), control_namespace, "web") is None
    client.close()


def test_a_read_whose_answer_breaks_off_is_repeated(api_http_proxy, control_namespace) -> None:
    proxy, kubeconfig = api_http_proxy
    client = Client(load_kubeconfig(kubeconfig))
    objects = Objects(client)
    made = objects.create(config_map(control_namespace, a="x" * 5000))
    rule = proxy.cut("GET", r"/configmaps/web", after=100)
    assert objects.get(discover(client).resource_for("", "ConfigMap"), control_namespace, "web") == made
    assert rule.hits == 1
    client.close()
