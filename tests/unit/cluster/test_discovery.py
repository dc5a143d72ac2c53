"""Each kind once, in the version and group that count."""

from __future__ import annotations

from typing import Any

from chalicelib.cluster.discovery import Discovery, choose, read_aggregated, read_resource_list

ALL = ["create", "delete", "get", "list", "patch", "update", "watch"]


def entry(kind: str, plural: str, scope: str = "Namespaced", verbs: list[str] | None = None, **more: Any) -> dict:
    return {"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "verbs": verbs or ALL} | more


def group(name: str, **versions: list[dict]) -> dict:
    listed = [{"version": version, "resources": found, "freshness": "Current"} for version, found in versions.items()]
    return {"metadata": {"name": name}, "versions": listed}


STATUS = [{"subresource": "status", "verbs": ["get", "patch", "update"]}]


def discovered(*groups: dict) -> Discovery:
    found = read_aggregated({"items": list(groups)})
    return choose(found.resources, found.unavailable)


BUSY = (
    group(
        "",
        v1=[
            entry("Pod", "pods", subresources=STATUS),
            entry("Service", "services"),
            entry("Event", "events"),
            entry("Binding", "bindings", verbs=["create"]),
            entry("ComponentStatus", "componentstatuses", "Cluster", ["get", "list"]),
            entry("Namespace", "namespaces", "Cluster"),
        ],
    ),
    group("events.k8s.io", v1=[entry("Event", "events")]),
    group("extensions", v1beta1=[entry("Deployment", "deployments"), entry("Gadget", "gadgets")]),
    group("apps", v1=[entry("Deployment", "deployments", subresources=STATUS)]),
    group("serving.knative.dev", v1=[entry("Service", "services")]),
    group("autoscaling", v2=[entry("Scaler", "scalers")], v1=[entry("Scaler", "scalers"), entry("Old", "olds")]),
)


def test_a_kind_is_there_once_in_the_preferred_version() -> None:
    found = discovered(*BUSY)
    assert found.resource_for("autoscaling", "Scaler").version == "v2"
    assert found.versions["autoscaling", "Scaler"] == ("v2", "v1")


def test_a_kind_that_only_an_older_version_has_is_not_lost() -> None:
    assert discovered(*BUSY).resource_for("autoscaling", "Old").version == "v1"


def test_what_cannot_be_listed_and_created_is_left_out() -> None:
    kinds = {resource.kind for resource in discovered(*BUSY)}
    assert not kinds & {"Binding", "ComponentStatus"}


def test_groups_that_share_a_kind_count_once() -> None:
    found = discovered(*BUSY)
    keys = {(resource.group, resource.kind) for resource in found}
    assert ("", "Event") in keys
    assert ("events.k8s.io", "Event") not in keys
    assert ("extensions", "Deployment") not in keys
    assert ("extensions", "Gadget") in keys
    assert found.resource_for("extensions", "Deployment").group == "apps"


def test_the_group_that_shares_counts_where_it_is_alone() -> None:
    found = discovered(group("extensions", v1beta1=[entry("Deployment", "deployments")]))
    assert found.resource_for("extensions", "Deployment").group == "extensions"


def test_a_status_of_its_own_is_known() -> None:
    found = discovered(*BUSY)
    assert found.resource_for("", "Pod").has_status
    assert not found.resource_for("", "Service").has_status


def test_a_body_goes_to_its_own_version_while_that_is_served() -> None:
    found = discovered(*BUSY)
    assert found.resource_of({"apiVersion": "autoscaling/v1", "kind": "Scaler"}).api_version == "autoscaling/v1"
    assert found.resource_of({"apiVersion": "autoscaling/v2beta9", "kind": "Scaler"}).api_version == "autoscaling/v2"
    assert found.resource_of({"apiVersion": "v1", "kind": "Pod"}).api_version == "v1"
    assert found.resource_of({"apiVersion": "v1", "kind": "Nothing"}) is None


def test_a_group_whose_server_is_down_is_named_and_the_others_are_there() -> None:
    stale = {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]}
    found = discovered(*BUSY, stale)
    assert [(each.group, each.version) for each in found.unavailable] == [("metrics.k8s.io", "v1beta1")]
    assert found.resource_for("apps", "Deployment") is not None


def test_the_old_way_gives_the_same() -> None:
    listed = {
        "resources": [
            {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ALL},
            {"name": "pods/status", "kind": "Pod", "namespaced": True, "verbs": ["get", "patch", "update"]},
            {"name": "pods/exec", "kind": "PodExecOptions", "namespaced": True, "verbs": ["create", "get"]},
        ]
    }
    (pod,) = read_resource_list("", "v1", listed)
    assert pod == discovered(*BUSY).resource_for("", "Pod")
