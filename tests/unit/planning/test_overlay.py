"""What of a live object is its controllers', and stays."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from chalicelib.domain.objects import Body, key_of
from chalicelib.planning.bodies.context import PlanContext, autoscaled_by
from chalicelib.planning.bodies.normalise import copy_of
from chalicelib.planning.bodies.overlay import overlay
from tests.unit.planning.samples import CONTEXT, controlled_by, deployment, kept, make


def over(wanted: Body, live: Body, context: PlanContext = CONTEXT) -> Body:
    wanted, live = kept(wanted), kept(live)
    before = copy_of({"wanted": wanted, "live": live})
    result = overlay(wanted, live, context)
    assert {"wanted": wanted, "live": live} == before, "an overlay changes neither side"
    assert overlay(result, live, context) == result, "an overlay is idempotent"
    return result


def service(**spec: Any) -> Body:
    usual = {"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"]}
    metadata = spec.pop("metadata", {})
    return make("Service", metadata=metadata, spec={**usual, "ports": [{"port": 80, "protocol": "TCP"}], **spec})


def owning(fields: dict[str, Any]) -> dict[str, Any]:
    return {"managedFields": [{"manager": "me", "operation": "Update", "fieldsV1": {"f:spec": fields}}]}


def applied(spec: dict[str, Any]) -> dict[str, Any]:
    text = orjson.dumps({"spec": spec}).decode()
    return {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": text}}


NEW_ADDRESS = {"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"]}


def test_a_service_keeps_the_address_the_server_gave_it() -> None:
    assert over(service(), service(**NEW_ADDRESS))["spec"]["clusterIP"] == "10.0.0.9"


@pytest.mark.parametrize("choice", [owning({"f:clusterIP": {}}), applied({"clusterIP": "10.0.0.1"})])
def test_an_address_that_a_user_chose_is_wanted(choice: dict[str, Any]) -> None:
    assert over(service(metadata=choice), service(**NEW_ADDRESS))["spec"]["clusterIP"] == "10.0.0.1"


def test_a_headless_service_stays_headless() -> None:
    headless = {"clusterIP": "None", "clusterIPs": ["None"]}
    assert over(service(**headless), service(**NEW_ADDRESS))["spec"]["clusterIP"] == "None"
    assert over(service(), service(**headless))["spec"]["clusterIP"] == "10.0.0.1"


def test_node_ports_are_the_live_ones_unless_chosen() -> None:
    def ports(web: int, dns: int) -> dict[str, Any]:
        return {
            "type": "NodePort",
            "ports": [
                {"port": 80, "protocol": "TCP", "nodePort": web},
                {"port": 53, "protocol": "UDP", "nodePort": dns},
            ],
        }

    choice = owning({"f:ports": {'k:{"port":53,"protocol":"UDP"}': {"f:nodePort": {}}}})
    found = over(service(metadata=choice, **ports(30001, 30002)), service(**ports(31001, 31002)))
    assert [port["nodePort"] for port in found["spec"]["ports"]] == [31001, 30002]


def test_the_health_check_port_is_the_live_one_unless_chosen() -> None:
    def balanced(port: int) -> dict[str, Any]:
        return {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port}

    live = service(**balanced(31111))
    assert over(service(**balanced(30000)), live)["spec"]["healthCheckNodePort"] == 31111
    mine = service(metadata=owning({"f:healthCheckNodePort": {}}), **balanced(30000))
    assert over(mine, live)["spec"]["healthCheckNodePort"] == 30000


def test_a_service_that_shall_have_no_node_ports_gets_none() -> None:
    live = service(type="NodePort", ports=[{"port": 80, "protocol": "TCP", "nodePort": 30001}])
    assert "nodePort" not in over(service(), live)["spec"]["ports"][0]


def test_an_external_name_is_left_alone() -> None:
    external = make("Service", spec={"type": "ExternalName", "externalName": "db.example"})
    assert over(external, service())["spec"] == external["spec"]


def test_a_claim_keeps_the_volume_it_is_bound_to() -> None:
    wanted = make("PersistentVolumeClaim", spec={"volumeName": "old", "selector": {"matchLabels": {"a": "b"}}})
    assert over(wanted, make("PersistentVolumeClaim", spec={"volumeName": "new"}))["spec"] == {"volumeName": "new"}
    assert over(wanted, make("PersistentVolumeClaim", spec={}))["spec"] == {}


def test_a_claim_grows_but_never_shrinks() -> None:
    def sized(size: str) -> Body:
        return make("PersistentVolumeClaim", spec={"resources": {"requests": {"storage": size}}})

    assert over(sized("1Gi"), sized("2Gi"))["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert over(sized("3Gi"), sized("2Gi"))["spec"]["resources"]["requests"]["storage"] == "3Gi"


def test_a_volume_stays_with_the_claim_it_has() -> None:
    wanted = make("PersistentVolume", spec={"claimRef": {"name": "a"}, "capacity": {"storage": "1Gi"}})
    live = make("PersistentVolume", spec={"claimRef": {"name": "b"}})
    assert over(wanted, live)["spec"] == {"claimRef": {"name": "b"}, "capacity": {"storage": "1Gi"}}


def test_replicas_under_an_autoscaler_are_not_rolled_back() -> None:
    scaler = make(
        "HorizontalPodAutoscaler",
        spec={"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    )
    target = autoscaled_by(scaler)
    assert target == key_of(deployment())
    assert target is not None
    scaled = PlanContext(autoscaled=frozenset({target}))
    assert over(deployment(replicas=2), deployment(replicas=7), scaled)["spec"]["replicas"] == 7
    assert over(deployment(replicas=2), deployment(replicas=7))["spec"]["replicas"] == 2


INJECTED = {"annotations": {"cert-manager.io/inject-ca-from": "shop/ca"}}


def hooks(bundle: str | None, **metadata: Any) -> Body:
    client = {"service": {"name": "web", "namespace": "shop"}} | ({"caBundle": bundle} if bundle else {})
    return make("ValidatingWebhookConfiguration", metadata=metadata, webhooks=[{"name": "a", "clientConfig": client}])


def test_an_injected_authority_is_the_live_one() -> None:
    found = over(hooks("old", **INJECTED), hooks("new", **INJECTED))
    assert found["webhooks"][0]["clientConfig"]["caBundle"] == "new"
    assert "caBundle" not in over(hooks("old", **INJECTED), hooks(None))["webhooks"][0]["clientConfig"]


def test_an_authority_that_nobody_injects_is_wanted() -> None:
    assert over(hooks("old"), hooks("new"))["webhooks"][0]["clientConfig"]["caBundle"] == "old"


def test_injected_authorities_of_definitions_and_api_services_are_the_live_ones() -> None:
    def definition(bundle: str) -> Body:
        webhook = {"clientConfig": {"caBundle": bundle}, "conversionReviewVersions": ["v1"]}
        spec = {"conversion": {"strategy": "Webhook", "webhook": webhook}}
        return make("CustomResourceDefinition", metadata=INJECTED, spec=spec)

    found = over(definition("old"), definition("new"))["spec"]["conversion"]["webhook"]
    assert found == {"clientConfig": {"caBundle": "new"}, "conversionReviewVersions": ["v1"]}
    api = over(
        make("APIService", metadata=INJECTED, spec={"caBundle": "old", "group": "g"}),
        make("APIService", metadata=INJECTED, spec={"caBundle": "new"}),
    )
    assert api["spec"] == {"caBundle": "new", "group": "g"}


def test_rules_of_an_aggregated_role_are_its_controllers() -> None:
    aggregated = {"aggregationRule": {"clusterRoleSelectors": []}}
    wanted, live = [{"verbs": ["get"]}], [{"verbs": ["list"]}]
    assert over(make("ClusterRole", rules=wanted, **aggregated), make("ClusterRole", rules=live))["rules"] == live
    assert over(make("ClusterRole", rules=wanted), make("ClusterRole", rules=live))["rules"] == wanted


def test_no_finalizer_is_taken_off_and_kubernetes_own_are_not_put_on() -> None:
    wanted = make("Service", metadata={"finalizers": ["a.example/x", "service.kubernetes.io/load-balancer-cleanup"]})
    live = make("Service", metadata={"finalizers": ["b.example/y"]})
    assert over(wanted, live)["metadata"]["finalizers"] == ["b.example/y", "a.example/x"]


def test_the_same_owners_in_another_order_are_no_difference() -> None:
    one, other = controlled_by("Order", "a"), controlled_by("Deployment", "b")
    both = one["ownerReferences"] + other["ownerReferences"]
    live = make("Secret", metadata={"ownerReferences": both[::-1]})
    found = over(make("Secret", metadata={"ownerReferences": both}), live)
    assert found["metadata"]["ownerReferences"] == kept(live)["metadata"]["ownerReferences"]


def test_what_a_platform_notes_on_an_object_is_the_live_note() -> None:
    def noted(value: str) -> Body:
        return make("Service", metadata={"annotations": {"cloud.google.com/neg-status": value, "mine": "a"}})

    annotations = over(noted("old"), noted("new"))["metadata"]["annotations"]
    assert annotations == {"cloud.google.com/neg-status": "new", "mine": "a"}


def test_everything_else_is_as_wanted() -> None:
    wanted = make("ConfigMap", data={"a": "1"}, metadata={"labels": {"x": "y"}})
    live = make("ConfigMap", data={"a": "2", "b": "3"}, metadata={"annotations": {"c": "d"}})
    assert over(wanted, live) == kept(wanted)
