"""In which order things are done."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.planning.plan.order import STAGES, After, order, stage_of

GROUPS = {kind: group for group, kind in STAGES} | {"Order": "shop.example"}


def action(kind: str, name: str = "a", verb: Verb = Verb.CREATE) -> Action:
    return Action(verb=verb, object=Identity(group=GROUPS[kind], kind=kind, namespace="shop", name=name), reason="x")


def key(kind: str, name: str = "a") -> ObjectKey:
    return action(kind, name).object.key


def ordered(*actions: Action) -> list[str]:
    waves = order(actions).waves
    return [each.object.kind for each in sorted(actions, key=lambda each: waves[each.object.key])]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("CustomResourceDefinition", "Order"),
        ("Namespace", "ConfigMap"),
        ("CustomResourceDefinition", "Namespace"),
        ("NetworkPolicy", "Deployment"),
        ("ResourceQuota", "Pod"),
        ("LimitRange", "Pod"),
        ("PriorityClass", "Deployment"),
        ("PriorityLevelConfiguration", "FlowSchema"),
        ("StorageClass", "PersistentVolumeClaim"),
        ("ServiceAccount", "Secret"),
        ("ServiceAccount", "Deployment"),
        ("Secret", "Deployment"),
        ("ConfigMap", "StatefulSet"),
        ("Role", "RoleBinding"),
        ("ClusterRole", "ClusterRoleBinding"),
        ("RoleBinding", "Deployment"),
        ("PersistentVolume", "PersistentVolumeClaim"),
        ("PersistentVolumeClaim", "StatefulSet"),
        ("Service", "StatefulSet"),
        ("Deployment", "Order"),
        ("Deployment", "HorizontalPodAutoscaler"),
        ("StatefulSet", "PodDisruptionBudget"),
        ("Deployment", "ValidatingWebhookConfiguration"),
        ("Order", "MutatingWebhookConfiguration"),
        ("Deployment", "APIService"),
        ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        ("Ingress", "ValidatingWebhookConfiguration"),
    ],
)
def test_what_is_needed_comes_first_and_goes_last(first: str, then: str) -> None:
    assert ordered(action(then), action(first)) == [first, then]


_WORKLOADS = (
    "Pod",
    "Deployment",
    "ReplicationController",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "CronJob",
    "Job",
)


@pytest.mark.parametrize("workload", _WORKLOADS)
@pytest.mark.parametrize(
    "needed",
    ["PersistentVolumeClaim", "ServiceAccount", "Secret", "ConfigMap", "LimitRange", "ResourceQuota", "Endpoints"],
)
def test_every_workload_comes_after_all_it_may_need(needed: str, workload: str) -> None:
    assert ordered(action(workload), action(needed)) == [needed, workload]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "Service", "ServiceAccount", "RoleBinding"])
def test_what_running_workloads_may_need_is_deleted_after_they_were_changed(kind: str) -> None:
    assert ordered(action(kind, verb=Verb.DELETE), action("Deployment", verb=Verb.UPDATE)) == ["Deployment", kind]


@pytest.mark.parametrize("kind", ["MutatingWebhookConfiguration", "APIService", "ResourceQuota"])
def test_what_could_refuse_the_restore_is_deleted_first(kind: str) -> None:
    assert ordered(action("ConfigMap"), action(kind, verb=Verb.DELETE)) == [kind, "ConfigMap"]


def test_workloads_make_room_before_others_are_created() -> None:
    assert ordered(action("StatefulSet"), action("Deployment", verb=Verb.DELETE)) == ["Deployment", "StatefulSet"]


def test_custom_objects_go_while_their_operator_still_runs() -> None:
    gone = [
        action(kind, verb=Verb.DELETE) for kind in ("CustomResourceDefinition", "Deployment", "Order", "Namespace")
    ]
    assert ordered(*gone) == ["Order", "Deployment", "Namespace", "CustomResourceDefinition"]


def test_an_extra_network_policy_protects_until_the_end() -> None:
    assert ordered(action("NetworkPolicy", verb=Verb.DELETE), action("Deployment"))[-1] == "NetworkPolicy"


def test_waves_are_numbered_without_holes() -> None:
    waves = order([action("Namespace"), action("Secret", "a"), action("ConfigMap", "b"), action("Deployment")]).waves
    assert sorted(waves.values()) == [0, 1, 1, 2]


def test_an_unknown_kind_is_taken_for_a_custom_object() -> None:
    assert stage_of("any.example", "Thing") == stage_of("shop.example", "Order")


# ── rules of users ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_orders_objects_of_one_kind() -> None:
    actions = [action("Deployment", name) for name in "abc"]
    rules = [
        After(key("Deployment", "b"), key("Deployment", "a")),
        After(key("Deployment", "c"), key("Deployment", "b")),
    ]
    waves = order(actions, rules).waves
    assert [waves[key("Deployment", name)] for name in "abc"] == [2, 1, 0]


def test_a_rule_can_move_an_object_to_a_later_stage() -> None:
    actions = [action("ConfigMap"), action("Deployment"), action("Secret"), action("Order")]
    waves = order(actions, [After(key("Deployment"), key("ConfigMap"))]).waves
    assert waves[key("Secret")] < waves[key("Deployment")] < waves[key("ConfigMap")] < waves[key("Order")]


def test_rules_that_go_in_a_circle_are_named_and_the_rest_holds() -> None:
    actions = [action("Deployment", name) for name in "abc"]
    names = {name: key("Deployment", name) for name in "abc"}
    rules = [After(names["a"], names["b"]), After(names["b"], names["a"]), After(names["a"], names["c"])]
    found = order(actions, rules)
    (problem,) = found.problems
    assert "shop/a" in problem
    assert "shop/b" in problem
    assert found.waves[names["c"]] > found.waves[names["a"]]


def test_rules_about_objects_that_are_not_in_the_plan_have_no_effect() -> None:
    assert order([action("Deployment")], [After(key("Deployment", "x"), key("Deployment"))]).waves == {
        key("Deployment"): 0
    }


_NAMES = st.sampled_from("abcdef")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(_NAMES, _NAMES), max_size=12))
def test_every_rule_that_is_not_part_of_a_circle_is_kept(pairs: list[tuple[str, str]]) -> None:
    kinds = dict(
        zip("abcdef", ["ConfigMap", "ConfigMap", "Deployment", "Deployment", "Order", "Ingress"], strict=True)
    )
    keys = {name: key(kind, name) for name, kind in kinds.items()}
    rules = [After(keys[first], keys[then]) for first, then in pairs if first != then]
    found = order([action(kind, name) for name, kind in kinds.items()], rules)
    broken = [rule for rule in rules if found.waves[rule.first] >= found.waves[rule.then]]
    assert not broken or found.problems
