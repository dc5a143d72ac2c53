"""What is sent to create an object, and what to change one."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.creation import candidates, for_creation, for_update, tolerates_existing
from chalicelib.planning.bodies.normalise import copy_of, normalise
from chalicelib.planning.bodies.overlay import overlay
from tests.unit.planning.samples import CONTEXT, controlled_by, deployment, kept, make, served, template


def created(body: Body, context: PlanContext = CONTEXT) -> Body:
    stored = kept(body)
    before = copy_of(stored)
    result = for_creation(stored, context)
    assert stored == before, "what is stored is not changed"
    return result


def test_a_create_says_nothing_of_field_ownership() -> None:
    managers = [{"manager": "me", "operation": "Update", "fieldsV1": {"f:data": {}}}]
    assert "managedFields" not in created(make("ConfigMap", metadata={"managedFields": managers}))["metadata"]


def test_an_owner_is_named_only_with_the_uid_it_has_now() -> None:
    stored = kept(make("Secret", metadata=controlled_by("Order")))
    assert "ownerReferences" not in for_creation(stored, CONTEXT)["metadata"]
    stored["metadata"]["ownerReferences"][0]["uid"] = "uid-now"
    assert for_creation(stored, CONTEXT)["metadata"]["ownerReferences"][0]["uid"] == "uid-now"


def test_finalizers_of_kubernetes_own_controllers_are_left_to_them() -> None:
    finalizers = ["service.kubernetes.io/load-balancer-cleanup", "shop.example/mine"]
    assert created(make("Service", metadata={"finalizers": finalizers}))["metadata"]["finalizers"] == [
        "shop.example/mine"
    ]


def free(*volumes: str) -> PlanContext:
    return PlanContext(volume_free=lambda _claim, volume: volume in volumes)


CLAIM = {"volumeName": "pv-1", "storageClassName": "fast", "selector": {"matchLabels": {"a": "b"}}}


def test_a_claim_asks_for_its_volume_if_that_is_free() -> None:
    assert created(make("PersistentVolumeClaim", spec=CLAIM), free("pv-1"))["spec"] == CLAIM


def test_a_claim_without_its_volume_asks_for_a_new_one() -> None:
    assert created(make("PersistentVolumeClaim", spec=CLAIM), free())["spec"] == {"storageClassName": "fast"}


def test_a_claim_for_volumes_that_are_not_provisioned_keeps_its_selector() -> None:
    spec = {**CLAIM, "storageClassName": ""}
    found = created(make("PersistentVolumeClaim", spec=spec), free())["spec"]
    assert found == {"storageClassName": "", "selector": {"matchLabels": {"a": "b"}}}


def test_who_asks_for_the_volume_is_told() -> None:
    asked: list[tuple[ObjectKey, str]] = []

    def note(claim: ObjectKey, volume: str) -> bool:
        asked.append((claim, volume))
        return True

    created(make("PersistentVolumeClaim", "data", spec=CLAIM), PlanContext(volume_free=note))
    assert asked == [(ObjectKey("", "PersistentVolumeClaim", "shop", "data"), "pv-1")]


def test_an_injected_authority_is_left_out_of_a_create() -> None:
    injected = {"annotations": {"cert-manager.io/inject-ca-from": "shop/ca"}}
    hooks = [{"name": "a", "clientConfig": {"url": "https://x", "caBundle": "old"}}]
    found = created(make("MutatingWebhookConfiguration", metadata=injected, webhooks=hooks))
    assert found["webhooks"] == [{"name": "a", "clientConfig": {"url": "https://x"}}]
    api = created(make("APIService", metadata=injected, spec={"caBundle": "old", "group": "g"}))
    assert api["spec"] == {"group": "g"}
    own = created(make("MutatingWebhookConfiguration", webhooks=hooks))
    assert own["webhooks"] == hooks


def test_the_default_account_may_be_there_before_it_is_created() -> None:
    assert tolerates_existing(ObjectKey("", "ServiceAccount", "shop", "default"))
    assert not tolerates_existing(ObjectKey("", "ServiceAccount", "shop", "robot"))


# ── second choices ──────────────────────────────────────────────────────────────────────────────────────────

SPEC = {
    "type": "NodePort",
    "clusterIP": "10.0.0.1",
    "clusterIPs": ["10.0.0.1"],
    "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}],
}
ADDRESS_TAKEN = (
    422,
    "Invalid",
    'Service "web" is invalid: spec.clusterIPs: Invalid value: provided IP is already allocated',
)
PORT_TAKEN = (
    422,
    "Invalid",
    'Service "web" is invalid: spec.ports[0].nodePort: Invalid value: 30080: already allocated',
)


def tried(body: Body, *refusals: tuple[int, str, str]) -> list[tuple[Any, Any, str]]:
    """Address and port of each body that is tried, when these refusals are given whenever they apply."""
    seen = []
    for candidate in candidates(kept(body), CONTEXT):
        spec = candidate.body["spec"]
        port = spec["ports"][0].get("nodePort")
        seen.append((spec.get("clusterIP"), port, candidate.message))
        applies = [
            refusal
            for refusal in refusals
            if (refusal is ADDRESS_TAKEN and spec.get("clusterIP")) or (refusal is PORT_TAKEN and port)
        ]
        if not applies or not candidate.may_fall_back(*applies[0]):
            break
    return seen


def test_a_service_first_asks_for_the_address_and_ports_it_had() -> None:
    assert tried(make("Service", spec=SPEC)) == [("10.0.0.1", 30080, "")]


def test_a_service_gives_up_what_is_taken_and_says_so() -> None:
    found = tried(make("Service", spec=SPEC), PORT_TAKEN)
    assert found[-1] == ("10.0.0.1", None, "Node ports 30080 are taken or out of range here; it got others.")
    found = tried(make("Service", spec=SPEC), ADDRESS_TAKEN)
    assert found[-1] == (None, 30080, "Its address 10.0.0.1 is taken or out of range here; it got another one.")
    found = tried(make("Service", spec=SPEC), ADDRESS_TAKEN, PORT_TAKEN)
    assert found[-1][:2] == (None, None)


def test_a_number_that_a_user_chose_is_never_exchanged() -> None:
    fields = {"f:clusterIP": {}, "f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}}}}
    chosen = {"managedFields": [{"manager": "me", "operation": "Update", "fieldsV1": {"f:spec": fields}}]}
    for refusal in (ADDRESS_TAKEN, PORT_TAKEN):
        assert len(tried(make("Service", metadata=chosen, spec=SPEC), refusal)) == 1


def test_other_refusals_of_a_service_are_not_worked_around() -> None:
    (first, *_) = candidates(kept(make("Service", spec=SPEC)), CONTEXT)
    assert not first.may_fall_back(403, "Forbidden", "services is forbidden: exceeded quota")
    assert not first.may_fall_back(422, "Invalid", "spec.selector: Invalid value")
    assert not first.may_fall_back(409, "AlreadyExists", "clusterIP")


@pytest.mark.parametrize("kind", ["ConfigMap", "Deployment"])
def test_other_kinds_have_one_way_to_be_created(kind: str) -> None:
    (only,) = candidates(kept(make(kind)), CONTEXT)
    assert only.message == ""
    assert not only.may_fall_back(422, "Invalid", "clusterIP nodePort")


# ── updates ─────────────────────────────────────────────────────────────────────────────────────────────────


def updated(wanted: Body, live: Body) -> Body:
    stored, of = kept(wanted), served(live["kind"])
    before = copy_of(live)
    body = for_update(overlay(stored, kept(live), CONTEXT), live, of)
    assert live == before, "what is live is not changed"
    return body


def test_an_update_rests_on_the_live_object() -> None:
    live = make("ConfigMap", data={"a": "2"})
    body = updated(make("ConfigMap", data={"a": "1"}, metadata={"uid": "old", "resourceVersion": "1"}), live)
    assert body["data"] == {"a": "1"}
    assert (body["metadata"]["uid"], body["metadata"]["resourceVersion"]) == (live["metadata"]["uid"], "100")


def test_an_update_leaves_controllers_their_marks() -> None:
    marks = {"pv.kubernetes.io/bind-completed": "yes"}
    live = make(
        "PersistentVolumeClaim", metadata={"annotations": marks}, spec={"volumeName": "pv-1", "dataSource": {"a": 1}}
    )
    body = updated(make("PersistentVolumeClaim", metadata={"annotations": {"mine": "x"}}, spec={}), live)
    assert body["metadata"]["annotations"] == {**marks, "mine": "x"}
    assert body["spec"] == live["spec"]
    bare = updated(
        make("PersistentVolumeClaim", spec={}),
        make("PersistentVolumeClaim", metadata={"annotations": {**marks, "theirs": "y"}}, spec={}),
    )
    assert bare["metadata"]["annotations"] == marks


def test_an_update_of_a_job_keeps_its_generated_selector() -> None:
    labels = {"app": "load", "batch.kubernetes.io/controller-uid": "u", "job-name": "web"}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    live = make(
        "Job",
        metadata={"labels": {"a": "2"}},
        spec={
            "selector": selector,
            "template": template(**labels),
        },
    )
    body = updated(make("Job", metadata={"labels": {"a": "1"}}, spec={"template": template(app="load")}), live)
    assert body["metadata"]["labels"] == {"a": "1"}
    assert body["spec"]["selector"] == live["spec"]["selector"]
    assert body["spec"]["template"]["metadata"]["labels"] == labels


def test_an_update_of_a_job_keeps_its_generated_labels_where_none_are_wanted() -> None:
    own = {"batch.kubernetes.io/controller-uid": "u", "job-name": "web"}
    live = make("Job", spec={"template": template(app="load", **own)})
    wanted = make("Job", spec={"template": {"spec": live["spec"]["template"]["spec"]}})
    body = updated(wanted, live)
    assert body["spec"]["template"]["metadata"] == {"labels": own}


def test_an_update_of_an_account_keeps_its_generated_secrets() -> None:
    live = make("ServiceAccount", "robot", secrets=[{"name": "robot-token-x7k2p"}, {"name": "extra"}])
    assert updated(make("ServiceAccount", "robot", secrets=[{"name": "mine"}]), live)["secrets"] == [
        {"name": "mine"},
        {"name": "robot-token-x7k2p"},
    ]


def test_an_update_keeps_the_uid_of_an_owner_that_is_still_wanted() -> None:
    live = make("Secret", metadata=controlled_by("Order", uid="uid-now"), data={"a": "2"})
    body = updated(make("Secret", metadata=controlled_by("Order", uid="uid-then"), data={"a": "1"}), live)
    assert body["metadata"]["ownerReferences"][0]["uid"] == "uid-now"


def test_an_update_of_a_pod_keeps_its_node_and_its_token() -> None:
    spec = {
        "nodeName": "n1",
        "containers": [
            {"name": "c", "image": "a:2", "volumeMounts": [{"name": "kube-api-access-x7k2p", "mountPath": "/t"}]}
        ],
        "volumes": [{"name": "kube-api-access-x7k2p"}],
    }
    live = make("Pod", spec=spec)
    body = updated(make("Pod", spec={"containers": [{"name": "c", "image": "a:1"}]}), live)
    assert body["spec"] == {
        **spec,
        "containers": [{**spec["containers"][0], "image": "a:1"}],
    }


def test_an_update_sends_the_stored_ownership_beside_the_live_status() -> None:
    def entry(manager: str, subresource: str = "") -> Body:
        said = {"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:x": {}}}
        return {**said, "subresource": subresource} if subresource else said

    wanted, live = deployment(), deployment(image="shop/web:2")
    wanted["metadata"]["managedFields"] = [entry("then"), entry("controller-then", "status")]
    live["metadata"]["managedFields"] = [entry("now"), entry("controller-now", "status")]
    managers = updated(wanted, live)["metadata"]["managedFields"]
    assert [each["manager"] for each in managers] == ["then", "controller-now"]


def test_an_update_normalises_to_what_was_wanted() -> None:
    wanted, live = deployment(), deployment(image="shop/web:2", replicas=5)
    live["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "4"}
    body = updated(wanted, live)
    assert body["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "4"}
    assert normalise(body, served("Deployment")) == kept(wanted)
