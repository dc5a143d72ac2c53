"""Every kind there and back on a real API server: made, stored, deleted, made again, compared.

What the table of immutable fields says is held against the server's own answers as well.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.cluster import waiting
from chalicelib.cluster.client import Client
from chalicelib.cluster.connection import load_kubeconfig
from chalicelib.cluster.discovery import discover, refresh
from chalicelib.cluster.writing import Objects
from chalicelib.domain.errors import ClusterRefused
from chalicelib.domain.objects import Body, Resource, key_of
from chalicelib.planning.bodies.compare import Comparison, compare
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.creation import candidates, for_update
from chalicelib.planning.bodies.immutable import conclude, first_guess, understand
from chalicelib.planning.bodies.normalise import copy_of, normalise
from chalicelib.planning.bodies.ownership import best_manager

pytestmark = pytest.mark.cluster

CONTEXT = PlanContext(exists=lambda _key: True)


class Site:
    """A namespace, and a suffix for objects that live in none."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace
        self.suffix = secrets.token_hex(4)
        self.objects = Objects(client, discover(client))
        self.made: list[tuple[Resource, str]] = []

    def complete(self, body: Body) -> Body:
        """The body with its place and name."""
        body = copy_of(body)
        resource = self.resource(body)
        metadata = body.setdefault("metadata", {})
        if resource.namespaced:
            metadata |= {"namespace": self.namespace, "name": metadata.get("name", "web")}
        else:
            metadata.setdefault("name", f"web-{self.suffix}")
        return body

    def resource(self, body: Body) -> Resource:
        found = discover(self.client).resource_of(body) or refresh(self.client).resource_of(body)
        assert found is not None
        return found

    def create(self, body: Body, manager: str = "kubectl-create") -> Body:
        resource = self.resource(body)
        made = self.objects.create(body, manager, resource=resource)
        if not resource.namespaced:
            self.made.append((resource, made["metadata"]["name"]))
        return made

    def read(self, body: Body) -> Body:
        key = key_of(body)
        found = self.objects.get(self.resource(body), key.namespace, key.name)
        assert found is not None
        return found

    def settled(self, body: Body) -> Body:
        """The object when its controllers have seen it."""
        before, until = self.read(body), time.monotonic() + 10
        while time.monotonic() < until:
            time.sleep(0.4)
            after = self.read(body)
            if after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:
                return after
            before = after
        return before

    def remove(self, live: Body) -> None:
        key, uid, resource = key_of(live), live["metadata"]["uid"], self.resource(live)
        self.objects.delete(resource, key.namespace, key.name, uid=uid)
        waiting.until_deleted(
            self.client, resource, key.namespace, key.name, uid=uid, timeout=60, between=lambda: None
        )

    def compared(self, stored: Body, live: Body) -> Comparison:
        return compare(stored, normalise(copy_of(live), self.resource(live)), CONTEXT)


@pytest.fixture
def site(control_plane, control_namespace) -> Iterator[Site]:
    client = Client(load_kubeconfig(control_plane.kubeconfig))
    made = Site(client, control_namespace)
    try:
        yield made
    finally:
        for resource, name in made.made:
            live = made.objects.get(resource, "", name)
            if live is not None:
                made.objects.delete(resource, "", name, uid=live["metadata"]["uid"])
        client.close()


POD = {
    "metadata": {"labels": {"app": "web"}},
    # No node has this label: nothing ever runs.
    "spec": {"nodeSelector": {"nowhere": "at-all"}, "containers": [{"name": "web", "image": "web:1"}]},
}
SELECTOR = {"matchLabels": {"app": "web"}}
RBAC = "rbac.authorization.k8s.io/v1"
ADMISSION = "admissionregistration.k8s.io/v1"


def of(api_version: str, kind: str, **members: Any) -> Body:
    return {"apiVersion": api_version, "kind": kind, **members}


def workload(kind: str, **spec: Any) -> Body:
    return of("apps/v1", kind, spec={"selector": SELECTOR, "template": POD, **spec})


def hooks(kind: str, name: str) -> Body:
    hook = {
        "name": f"{name}.shop.example",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": {"matchLabels": {"nowhere": "at-all"}},
        "rules": [
            {"apiGroups": ["shop.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["x"]}
        ],
    }
    return of(ADMISSION, kind, webhooks=[hook])


ROLE = {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}}
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
SUBJECTS = [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]
CLAIM = {"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Mi"}}}
LOCAL = {
    "capacity": {"storage": "1Mi"},
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "none-at-all",
    "hostPath": {"path": "/nowhere"},
}

MANIFESTS: dict[str, Body] = {
    "ConfigMap": of("v1", "ConfigMap", data={"a": "1"}, binaryData={"b": "AAE="}),
    "Secret": of("v1", "Secret", stringData={"a": "1"}),
    "immutable Secret": of("v1", "Secret", data={"a": "MQ=="}, immutable=True),
    "token Secret": of(
        "v1",
        "Secret",
        type="kubernetes.io/service-account-token",
        metadata={"name": "for-ci", "annotations": {"kubernetes.io/service-account.name": "default"}},
    ),
    "ServiceAccount": of("v1", "ServiceAccount", metadata={"name": "robot"}, imagePullSecrets=[{"name": "registry"}]),
    "Deployment": workload("Deployment", replicas=2),
    "StatefulSet": workload(
        "StatefulSet",
        serviceName="web",
        replicas=1,
        volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": CLAIM}],
    ),
    "DaemonSet": workload("DaemonSet"),
    "ReplicaSet": workload("ReplicaSet", replicas=1),
    "ReplicationController": of("v1", "ReplicationController", spec={"replicas": 1, "template": POD}),
    "Pod": of("v1", "Pod", spec=POD["spec"], metadata={"labels": {"bare": "yes"}}),
    "Job": of("batch/v1", "Job", spec={"template": {"spec": {**POD["spec"], "restartPolicy": "Never"}}}),
    "CronJob": of(
        "batch/v1",
        "CronJob",
        spec={
            "schedule": "0 0 1 1 *",
            "jobTemplate": {"spec": {"template": {"spec": {**POD["spec"], "restartPolicy": "Never"}}}},
        },
    ),
    "Service": of("v1", "Service", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
    "headless Service": of("v1", "Service", spec={"clusterIP": "None", "ports": [{"port": 80}]}),
    "NodePort Service": of("v1", "Service", spec={"type": "NodePort", "ports": [{"port": 80}]}),
    "LoadBalancer Service": of(
        "v1",
        "Service",
        spec={"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"name": "a", "port": 80}]},
    ),
    "ExternalName Service": of("v1", "Service", spec={"type": "ExternalName", "externalName": "db.example"}),
    "Endpoints": of("v1", "Endpoints", subsets=[{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]),
    "EndpointSlice": of(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        addressType="IPv4",
        endpoints=[{"addresses": ["192.0.2.1"]}],
        ports=[{"port": 80}],
    ),
    "PersistentVolumeClaim": of("v1", "PersistentVolumeClaim", spec=CLAIM),
    "PersistentVolume": of("v1", "PersistentVolume", spec=LOCAL),
    "Ingress": of(
        "networking.k8s.io/v1",
        "Ingress",
        spec={"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    ),
    "NetworkPolicy": of("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}}),
    "ResourceQuota": of("v1", "ResourceQuota", spec={"hard": {"configmaps": "50"}}),
    "LimitRange": of("v1", "LimitRange", spec={"limits": [{"type": "Container", "default": {"cpu": "100m"}}]}),
    "PodDisruptionBudget": of("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": SELECTOR}),
    "HorizontalPodAutoscaler": of(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    ),
    "Role": of(RBAC, "Role", rules=RULES),
    "RoleBinding": of(RBAC, "RoleBinding", subjects=SUBJECTS, **ROLE),
    "ClusterRole": of(RBAC, "ClusterRole", rules=RULES),
    "aggregated ClusterRole": of(
        RBAC,
        "ClusterRole",
        aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"rbac.example/to-reader": "true"}}]},
    ),
    "PriorityClass": of("scheduling.k8s.io/v1", "PriorityClass", value=7, description="d"),
    "StorageClass": of("storage.k8s.io/v1", "StorageClass", provisioner="shop.example/none", parameters={"a": "1"}),
    "IngressClass": of("networking.k8s.io/v1", "IngressClass", spec={"controller": "shop.example/none"}),
    "RuntimeClass": of("node.k8s.io/v1", "RuntimeClass", handler="none"),
    "ValidatingWebhookConfiguration": hooks("ValidatingWebhookConfiguration", "v"),
    "MutatingWebhookConfiguration": hooks("MutatingWebhookConfiguration", "m"),
    "Namespace": of("v1", "Namespace", metadata={"labels": {"team": "a"}}),
    "PodTemplate": of("v1", "PodTemplate", template=POD),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_kind_goes_there_and_back(site: Site, case: str) -> None:
    body = site.complete(MANIFESTS[case])
    site.create(body)
    live = site.settled(body)
    stored = normalise(copy_of(live), site.resource(body))
    assert site.compared(stored, live).equal, "an object does not differ from itself"
    site.remove(live)
    (first, *_) = candidates(stored, CONTEXT)
    site.create(first.body, best_manager(stored))
    again = site.settled(body)
    comparison = site.compared(stored, again)
    assert comparison.equal, comparison.differences
    assert again["metadata"]["uid"] != live["metadata"]["uid"]


@pytest.mark.parametrize("case", [case for case in MANIFESTS if case != "Namespace"])
def test_an_update_changes_what_was_wanted_and_nothing_else(site: Site, case: str) -> None:
    body = site.complete(MANIFESTS[case])
    body["metadata"].setdefault("labels", {})["version"] = "old"
    site.create(body)
    resource = site.resource(body)
    stored = normalise(site.settled(body), resource)
    key = key_of(body)
    changed = {"metadata": {"labels": {"version": "new", "more": "x"}}}
    site.objects.patch(resource, key.namespace, key.name, changed, field_manager="kubectl-edit")
    live = site.settled(body)
    comparison = site.compared(stored, live)
    assert {each.path for each in comparison.differences} == {"/metadata/labels/version", "/metadata/labels/more"}
    made = site.objects.replace(for_update(comparison.target, live, resource), resource=resource)
    unmoved = ("annotations", "finalizers", "uid", "creationTimestamp")
    assert {name: made["metadata"].get(name) for name in unmoved} == {
        name: live["metadata"].get(name) for name in unmoved
    }
    assert {name: made.get(name) for name in ("spec", "data", "secrets")} == {
        name: live.get(name) for name in ("spec", "data", "secrets")
    }
    assert site.compared(stored, site.settled(body)).equal


def test_a_definition_and_its_objects_go_there_and_back(site: Site) -> None:
    group = f"shop-{site.suffix}.example"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = of(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        metadata={"name": f"orders.{group}"},
        spec={
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "orders", "kind": "Order"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    )

    def define(body: Body, manager: str = "kubectl-create") -> None:
        site.create(body, manager)
        waiting.until_established(site.client, f"orders.{group}", timeout=30)
        refresh(site.client)

    define(definition)
    order = site.complete(
        of(f"{group}/v1", "Order", spec={"items": [{"name": "a", "count": 1.5}]}, status={"paid": True})
    )
    site.create(order)
    stored_order = normalise(site.settled(order), site.resource(order))
    assert stored_order["status"] == {"paid": True}, "without a status subresource, status is data"
    live = site.settled(definition)
    stored = normalise(copy_of(live), site.resource(definition))
    site.remove(live)
    (first, *_) = candidates(stored, CONTEXT)
    define(first.body, best_manager(stored))
    assert site.compared(stored, site.settled(definition)).equal
    (first, *_) = candidates(stored_order, CONTEXT)
    site.create(first.body)
    assert site.compared(stored_order, site.settled(order)).equal


def test_a_service_whose_numbers_are_taken_gets_others(site: Site) -> None:
    first = site.create(site.complete({**MANIFESTS["NodePort Service"], "metadata": {"name": "first"}}))
    stored = normalise(copy_of(first), site.resource(first))
    stored["metadata"]["name"] = "second"
    stored["metadata"].pop("managedFields")
    said = ""
    for candidate in candidates(stored, CONTEXT):
        try:
            made = site.create(candidate.body)
        except ClusterRefused as refusal:
            if not candidate.may_fall_back(refusal.http_status, refusal.reason, refusal.message):
                raise
            continue
        said = candidate.message
        break
    assert str(first["spec"]["ports"][0]["nodePort"]) in said
    assert first["spec"]["clusterIP"] in said
    assert made["spec"]["ports"][0]["nodePort"] != first["spec"]["ports"][0]["nodePort"]
    assert site.compared(stored, made).equal, "numbers that the server allocated are no difference"


# ── immutable ───────────────────────────────────────────────────────────────────────────────────────────────

OTHER_SELECTOR = {"selector": {"matchLabels": {"app": "web", "tier": "x"}}}
OTHER_POD = {**POD, "metadata": {"labels": {"app": "web", "tier": "x"}}}

IMMUTABLE: dict[str, tuple[str, Body]] = {
    "type of a Secret": ("Secret", {"type": "shop.example/other"}),
    "data of an immutable Secret": ("immutable Secret", {"data": {"a": "Mg=="}}),
    "selector of a Deployment": ("Deployment", {"spec": {**OTHER_SELECTOR, "template": OTHER_POD}}),
    "selector of a DaemonSet": ("DaemonSet", {"spec": {**OTHER_SELECTOR, "template": OTHER_POD}}),
    "selector of a ReplicaSet": ("ReplicaSet", {"spec": {**OTHER_SELECTOR, "template": OTHER_POD}}),
    "service of a StatefulSet": ("StatefulSet", {"spec": {"serviceName": "other"}}),
    "claims of a StatefulSet": ("StatefulSet", {"spec": {"volumeClaimTemplates": []}}),
    "template of a Job": ("Job", {"spec": {"template": {"spec": {"activeDeadlineSeconds": 7}}}}),
    "modes of a claim": ("PersistentVolumeClaim", {"spec": {"accessModes": ["ReadOnlyMany"]}}),
    "class of a claim": ("PersistentVolumeClaim", {"spec": {"storageClassName": "other"}}),
    "source of a volume": ("PersistentVolume", {"spec": {"hostPath": {"path": "/elsewhere"}}}),
    "role of a binding": ("RoleBinding", {"roleRef": {"name": "writer"}}),
    "parameters of a class": ("StorageClass", {"parameters": {"a": "2"}}),
    "provisioner of a class": ("StorageClass", {"provisioner": "shop.example/other"}),
    "value of a priority": ("PriorityClass", {"value": 8}),
    "controller of an ingress class": ("IngressClass", {"spec": {"controller": "shop.example/other"}}),
    "handler of a runtime class": ("RuntimeClass", {"handler": "other"}),
}

MUTABLE: dict[str, tuple[str, Body]] = {
    "image of a Deployment": ("Deployment", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}),
    "replicas of a StatefulSet": ("StatefulSet", {"spec": {"replicas": 2}}),
    "data of a ConfigMap": ("ConfigMap", {"data": {"a": "2"}}),
    "becoming immutable": ("ConfigMap", {"immutable": True}),
    "parallelism of a Job": ("Job", {"spec": {"parallelism": 2}}),
    "a Service without an address": ("Service", {"spec": {"type": "ExternalName", "externalName": "x.example"}}),
    "capacity of a volume": ("PersistentVolume", {"spec": {"capacity": {"storage": "2Mi"}}}),
    "expansion of a class": ("StorageClass", {"allowVolumeExpansion": True}),
    "rules of a role": ("Role", {"rules": []}),
}


def laid(below: Any, above: Any) -> Any:
    """A merge of nested members; lists are replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{name: laid(below.get(name), value) for name, value in above.items()}}
    return above


def tried(site: Site, case: str, change: Body) -> tuple[Body, Body, ClusterRefused | None]:
    """The live content, the wanted one, and what the server says to a dry run of the change."""
    body = site.complete(MANIFESTS[case])
    site.create(body)
    live, resource = site.settled(body), site.resource(body)
    content = normalise(copy_of(live), resource)
    comparison = site.compared(laid(content, change), live)
    try:
        site.objects.replace(for_update(comparison.target, live, resource), resource=resource, dry_run=True)
    except ClusterRefused as refusal:
        return comparison.live, comparison.target, refusal
    return comparison.live, comparison.target, None


@pytest.mark.parametrize("case", IMMUTABLE)
def test_what_the_table_calls_immutable_the_server_refuses(site: Site, case: str) -> None:
    live, target, refusal = tried(site, *IMMUTABLE[case])
    assert first_guess(live, target) is not None
    assert refusal is not None
    concluded = conclude(understand(refusal.http_status, refusal.message, refusal.causes), live, target)
    assert concluded is not None
    assert concluded.kind == "immutable", refusal.causes


@pytest.mark.parametrize("case", MUTABLE)
def test_what_the_table_does_not_know_the_server_takes(site: Site, case: str) -> None:
    live, target, refusal = tried(site, *MUTABLE[case])
    assert refusal is None
    assert first_guess(live, target) is None


def test_a_change_that_is_wrong_in_itself_is_not_taken_for_immutable(site: Site) -> None:
    _, _, refusal = tried(site, "Deployment", {"spec": {"replicas": -1}})
    assert refusal is not None
    assert understand(refusal.http_status, refusal.message, refusal.causes).kind == "invalid"
