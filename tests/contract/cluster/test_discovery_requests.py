"""How the kinds are asked for: in two requests, or one by one from servers that know no better."""

from __future__ import annotations

import pytest

from chalicelib.cluster.client import Client
from chalicelib.cluster.discovery import discover, refresh
from chalicelib.domain.errors import ClusterUnreachable
from tests.contract.cluster.scripted import Asked, Reply, ScriptedServer, refusal

ALL = ["create", "delete", "get", "list", "patch", "update"]


def aggregated(asked: Asked) -> Reply:
    assert "apidiscovery.k8s.io" in (asked.header("Accept") or "")
    groups = {"/api": [("", "v1", "Pod", "pods")], "/apis": [("apps", "v1", "Deployment", "deployments")]}
    items = [
        {
            "metadata": {"name": group},
            "versions": [
                {
                    "version": version,
                    "resources": [
                        {"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": ALL}
                    ],
                }
            ],
        }
        for group, version, kind, plural in groups[asked.path]
    ]
    return Reply(200, {"kind": "APIGroupDiscoveryList", "items": items})


def old(asked: Asked) -> Reply:
    def listed(plural: str, kind: str) -> Reply:
        entry = {"name": plural, "kind": kind, "namespaced": True, "verbs": ALL}
        return Reply(200, {"kind": "APIResourceList", "resources": [entry]})

    versions = [{"version": "v2"}, {"version": "v1"}]
    groups = [
        {"name": "apps", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}},
        {"name": "scale", "versions": versions, "preferredVersion": {"version": "v1"}},
        {"name": "metrics.k8s.io", "versions": [{"version": "v1beta1"}]},
    ]
    return {
        "/api": Reply(200, {"kind": "APIVersions", "versions": ["v1"]}),
        "/apis": Reply(200, {"kind": "APIGroupList", "groups": groups}),
        "/api/v1": listed("pods", "Pod"),
        "/apis/apps/v1": listed("deployments", "Deployment"),
        "/apis/scale/v1": listed("scalers", "Scaler"),
        "/apis/scale/v2": listed("scalers", "Scaler"),
        "/apis/metrics.k8s.io/v1beta1": refusal(503, "ServiceUnavailable", "the server is currently unable"),
    }[asked.path]


def test_two_requests_are_enough(server: ScriptedServer, client: Client) -> None:
    server.otherwise = aggregated
    assert [resource.kind for resource in discover(client)] == ["Pod", "Deployment"]
    assert [asked.path for asked in server.asked] == ["/api", "/apis"]


def test_what_was_found_is_used_again_until_it_is_refreshed(server: ScriptedServer, client: Client) -> None:
    server.otherwise = aggregated
    first = discover(client)
    assert discover(client) is first
    assert discover(client.guarded(lambda: None)) is first
    assert len(server.asked) == 2
    assert refresh(client) is not first
    assert len(server.asked) == 4


@pytest.mark.parametrize("body", [{}, [], {"kind": "Status"}])
def test_an_answer_that_is_no_discovery_does_not_mean_that_there_are_no_kinds(
    server: ScriptedServer, client: Client, body: object
) -> None:
    server.otherwise = lambda _asked: Reply(200, body)
    with pytest.raises(ClusterUnreachable, match="no discovery"):
        discover(client)


def test_a_server_that_knows_no_better_is_asked_one_by_one(server: ScriptedServer, client: Client) -> None:
    server.otherwise = old
    found = discover(client)
    assert [(resource.group, resource.kind) for resource in found] == [
        ("", "Pod"),
        ("apps", "Deployment"),
        ("scale", "Scaler"),
    ]
    assert found.resource_for("scale", "Scaler").version == "v1"
    assert [missing.group for missing in found.unavailable] == ["metrics.k8s.io"]
    assert "unable" in found.unavailable[0].message
