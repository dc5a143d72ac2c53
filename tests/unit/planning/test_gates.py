"""Who must be ready before what is written."""

from __future__ import annotations

from typing import Any

import yaml

from chalicelib.domain.document import Restore
from chalicelib.domain.objects import Body, ObjectKey, Resource, key_of
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.plan.gates import Seen, gate
from chalicelib.planning.plan.order import After
from chalicelib.planning.plan.rules import compile_rules

DB = ObjectKey("apps", "StatefulSet", "shop", "db")
WEB = ObjectKey("apps", "Deployment", "shop", "web")
TOY = ObjectKey("toys.test", "Toy", "shop", "bear")
HOOK = ObjectKey("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "", "hook")
TOYS = {("toys.test", "Toy"): Resource("toys.test", "v1", "toys", "Toy", namespaced=True)}


def _action(key: ObjectKey, verb: Verb = Verb.CREATE) -> Action:
    return Action(verb=verb, object=Identity.of(key), reason="missing")


def _bodies(text: str) -> list[Body]:
    return list(yaml.safe_load_all(text))


def _deployment(name: str, **pod: Any) -> Body:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"template": {"metadata": {"labels": {"app": name, "x": "1"}}, "spec": pod}},
    }


def _awaited(gated: Any) -> dict[str, list[tuple[str, bool]]]:
    return {
        action.object.name: [(each.object.name, each.required) for each in action.awaits]
        for action in gated.actions
        if action.awaits
    }


def test_what_a_rule_waits_for_is_required_if_it_was_ready_then() -> None:
    actions = [_action(WEB), _action(DB)]
    gated = gate(actions, [After(DB, WEB)], frozenset({DB}), Seen(), {})
    assert (_awaited(gated), gated.warnings) == ({"web": [("db", True)]}, ())


def test_what_a_rule_waits_for_is_awaited_even_if_it_is_not_written_itself() -> None:
    gated = gate([_action(WEB)], [After(DB, WEB)], frozenset({DB}), Seen(), {})
    assert _awaited(gated) == {"web": [("db", True)]}


def test_nothing_waits_for_what_was_not_ready_then_and_that_is_told() -> None:
    gated = gate([_action(WEB), _action(DB)], [After(DB, WEB)], frozenset(), Seen(), {})
    assert _awaited(gated) == {}
    assert gated.warnings == (
        "StatefulSet.apps shop/db was not ready when the version was made, so nothing waits for it.",
    )


def test_what_is_deleted_or_left_waits_for_nothing() -> None:
    gated = gate([_action(WEB, Verb.DELETE)], [After(DB, WEB)], frozenset({DB}), Seen(), {})
    assert _awaited(gated) == {}


PERMISSIONS = """
{kind: ClusterRole, apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: operates}, rules: [
  {apiGroups: [toys.test], resources: [toys], verbs: [list, watch]},
  {apiGroups: [toys.test], resources: [toys/status], verbs: [patch]}]}
---
{kind: ClusterRole, apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: reads}, rules: [
  {apiGroups: [toys.test], resources: [toys], verbs: [get, list, watch]}]}
---
{kind: ClusterRole, apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: rules}, rules: [
  {apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}
---
{kind: ClusterRoleBinding, apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: a},
 roleRef: {kind: ClusterRole, name: operates}, subjects: [{kind: ServiceAccount, namespace: shop, name: op}]}
---
{kind: RoleBinding, apiVersion: rbac.authorization.k8s.io/v1, metadata: {namespace: shop, name: b},
 roleRef: {kind: ClusterRole, name: reads}, subjects: [{kind: ServiceAccount, name: reader}]}
---
{kind: RoleBinding, apiVersion: rbac.authorization.k8s.io/v1, metadata: {namespace: shop, name: c},
 roleRef: {kind: ClusterRole, name: rules}, subjects: [{kind: ServiceAccount, name: admin}]}
"""


def test_a_custom_object_waits_for_who_may_watch_its_kind_and_change_it_and_for_nobody_else() -> None:
    workloads = [_deployment(name, serviceAccountName=name) for name in ("op", "reader", "admin")]
    seen = Seen(workloads=workloads, permissions=_bodies(PERMISSIONS))
    ready = frozenset(map(key_of, workloads))
    gated = gate([_action(TOY), _action(WEB)], [], ready, seen, TOYS)
    assert _awaited(gated) == {"bear": [("op", False)]}


def test_an_operator_that_was_not_ready_then_is_not_waited_for() -> None:
    workloads = [_deployment("op", serviceAccountName="op")]
    seen = Seen(workloads=workloads, permissions=_bodies(PERMISSIONS))
    assert _awaited(gate([_action(TOY)], [], frozenset(), seen, TOYS)) == {}


def test_what_is_answered_by_a_service_waits_for_the_workload_behind_it() -> None:
    service = ObjectKey("", "Service", "shop", "hook")
    (hook,) = _bodies(
        "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: hook}, "
        "webhooks: [{clientConfig: {service: {namespace: shop, name: hook}}}]}"
    )
    workloads = [_deployment("server"), _deployment("other")]
    seen = Seen(
        workloads=workloads,
        services={service: {"spec": {"selector": {"app": "server"}}}},
        answered={HOOK: hook},
    )
    gated = gate([_action(HOOK)], [], frozenset(map(key_of, workloads)), seen, {})
    assert _awaited(gated) == {"hook": [("server", False)]}


def test_a_rule_without_a_namespace_means_every_object_of_that_name() -> None:
    order = [{"before": {"kind": "Deployment", "name": "web"}, "ready": {"kind": "statefulsets.apps", "name": "db"}}]
    sets = {("apps", "StatefulSet"): Resource("apps", "v1", "statefulsets", "StatefulSet", namespaced=True)}
    other = WEB._replace(namespace="other")
    found = compile_rules(Restore.model_validate({"order": order}), [WEB, other, DB], PlanContext(resources=sets))
    assert found.after == (After(DB, other), After(DB, WEB))
    assert found.problems == ()


def test_a_rule_that_names_nothing_is_told() -> None:
    rule = {
        "before": {"kind": "Deployment", "name": "web"},
        "ready": {"kind": "Job", "name": "gone", "namespace": "x"},
    }
    found = compile_rules(Restore.model_validate({"order": [rule]}), [WEB], PlanContext())
    assert found.after == ()
    assert found.problems == (
        "The rule that Deployment web waits for Job x/gone has no effect: the version has no Job x/gone.",
    )
