"""Plans: what is done, what is left alone, and what is said about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.domain.document import Restore
from chalicelib.domain.objects import Body, ObjectKey, key_of
from chalicelib.domain.plan import Plan, Verb
from chalicelib.domain.version import Gap, IndexRow
from chalicelib.planning.bodies import immutable
from chalicelib.planning.bodies.compare import compare
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.immutable import Refusal
from chalicelib.planning.plan.differing import BATCH
from chalicelib.planning.plan.draft import Question
from chalicelib.planning.plan.join import OWNED, LiveRow, join
from chalicelib.planning.plan.order import After
from chalicelib.planning.plan.shared import Shared
from chalicelib.planning.selecting.capture_rules import Reason
from tests.unit.planning.samples import (
    CONTEXT,
    RESOURCES,
    World,
    controlled_by,
    deployment,
    kept,
    make,
    one,
    served,
)

UNCHANGED = [make("ConfigMap", "same", data={"a": "1"}), deployment("same")]


def verbs(plan: Plan) -> dict[str, str]:
    return {action.object.name: action.verb.value for action in plan.actions}


def claim(name: str = "data", **spec: Any) -> Body:
    return make("PersistentVolumeClaim", name, spec=spec)


# ── modes ───────────────────────────────────────────────────────────────────────────────────────────────────


def three_kinds_of_change() -> World:
    return World(
        [*UNCHANGED, make("ConfigMap", "gone"), make("ConfigMap", "moved", data={"a": "1"})],
        [*UNCHANGED, make("ConfigMap", "extra"), make("ConfigMap", "moved", data={"a": "2"})],
    )


def test_an_exact_restore_creates_updates_and_deletes() -> None:
    plan = three_kinds_of_change().plan("exact")
    assert verbs(plan) == {"gone": "create", "moved": "update", "extra": "delete"}
    assert plan.counts == {"create": 1, "delete": 1, "keep": 2, "update": 1}


def test_a_merge_never_deletes() -> None:
    assert verbs(three_kinds_of_change().plan("merge")) == {"gone": "create", "moved": "update"}


def test_missing_only_creates_and_says_what_differs() -> None:
    plan = three_kinds_of_change().plan("missing")
    assert verbs(plan) == {"gone": "create", "moved": "skip"}
    skipped = next(action for action in plan.actions if action.verb is Verb.SKIP)
    assert (skipped.reason, [each.path for each in skipped.differences]) == ("mode", ["/data/a"])


def test_what_is_equal_is_never_read() -> None:
    world = three_kinds_of_change()
    world.plan("exact")
    assert {key.name for key in world.reads} == {"moved", "extra"}


def test_nothing_to_do_is_an_empty_plan() -> None:
    plan = World(UNCHANGED, UNCHANGED).plan()
    assert plan.empty
    assert plan.actions == ()
    assert (plan.warnings, plan.blockers, plan.counts) == ((), (), {"keep": 2})


# ── what an action tells ────────────────────────────────────────────────────────────────────────────────────


def test_an_update_tells_the_fields_the_effect_and_the_state_it_rests_on() -> None:
    action = one(World([deployment(image="a:1")], [deployment(image="a:2")]).plan())
    assert [(each.live, each.wanted) for each in action.differences] == [("a:2", "a:1")]
    assert action.effects == ("2 pods restart.",)
    assert (action.live_uid, action.live_resource_version) == ("uid-Deployment-shop-web", "100")
    assert action.live_digest != action.wanted_digest
    assert len(action.live_digest or "") == len(action.wanted_digest or "") == 64


def test_a_delete_rests_on_the_very_object() -> None:
    action = one(World([], [make("ConfigMap")]).plan())
    assert (action.verb, action.reason) == (Verb.DELETE, "extra")
    assert (action.live_uid, action.live_resource_version) == ("uid-ConfigMap-shop-web", "100")
    assert action.live_digest


def test_no_secret_is_in_a_plan() -> None:
    plan = World([make("Secret", data={"a": "U0VDUkVU"})], [make("Secret", data={"a": "T1RIRVI="})]).plan()
    text = plan.model_dump_json()
    assert "U0VDUkVU" not in text
    assert "T1RIRVI" not in text
    assert one(plan).differences[0].hidden


def test_actions_come_in_the_order_in_which_they_are_done() -> None:
    plan = World([deployment("a"), make("Secret", "b"), make("Namespace", "shop"), make("Ingress", "c")], []).plan()
    assert [action.object.kind for action in plan.actions] == ["Namespace", "Secret", "Deployment", "Ingress"]
    assert [action.wave for action in plan.actions] == [0, 1, 2, 3]


def test_a_users_rule_is_followed() -> None:
    web, db = key_of(deployment("web")), key_of(deployment("db"))
    plan = World([deployment("web"), deployment("db")], []).plan(rules=[After(web, db)])
    assert [action.object.name for action in plan.actions] == ["web", "db"]


def test_only_what_was_asked_for_is_touched() -> None:
    plan = three_kinds_of_change().plan("exact", only=lambda key: key.name == "moved")
    assert verbs(plan) == {"moved": "update"}


# ── replace ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_immutable_field_means_to_replace_the_object() -> None:
    action = one(World([deployment(app="a")], [deployment(app="b")]).plan())
    assert (action.verb, action.reason, action.propagation) == (Verb.REPLACE, "immutable", "Foreground")
    assert "spec.selector" in action.message
    assert action.effects == ("2 pods stop before new ones start.",)


class Server:
    """Answers questions as told, and remembers them."""

    def __init__(self, answer: Body | Refusal | None) -> None:
        self.answer = answer
        self.asked: list[list[ObjectKey]] = []

    def __call__(self, questions: Sequence[Question]) -> list[Body | Refusal | None]:
        self.asked.append([question.action.object.key for question in questions])
        return [self.answer for _ in questions]


def test_the_servers_word_counts_more_than_the_table() -> None:
    world = World([deployment(app="a")], [deployment(app="b")])
    assert one(world.plan(ask_server=Server(kept(deployment(app="a"))))).verb is Verb.UPDATE
    refusal = Refusal("spec.x", "field is immutable", "immutable")
    images = World([deployment(image="a")], [deployment(image="b")])
    action = one(images.plan(ask_server=Server(refusal)))
    assert (action.verb, action.message) == (Verb.REPLACE, "field is immutable")


def test_the_table_helps_where_the_server_cannot_tell() -> None:
    cannot_tell = Server(Refusal("", "a webhook knows no dry run", "cannot-tell"))
    assert one(World([deployment(app="a")], [deployment(app="b")]).plan(ask_server=cannot_tell)).verb is Verb.REPLACE
    images = World([deployment(image="a")], [deployment(image="b")])
    assert one(images.plan(ask_server=cannot_tell)).verb is Verb.UPDATE


@pytest.mark.parametrize("kind", ["invalid", "forbidden"])
def test_what_the_server_refuses_for_good_is_left_alone_and_named(kind: Any) -> None:
    plan = World([deployment(image="a")], [deployment(image="b")]).plan(ask_server=Server(Refusal("x", "no", kind)))
    action = one(plan)
    assert (action.verb, action.reason) == (Verb.SKIP, "refused")
    assert action.differences
    assert "Deployment.apps shop/web" in plan.warnings[0]


def test_a_fixed_field_of_a_secret_is_known_without_the_servers_words() -> None:
    world = World([make("Secret", type="Opaque")], [make("Secret", type="kubernetes.io/tls")])
    censored = Refusal("type", "left out: a Secret's content", "invalid")
    assert one(world.plan(ask_server=Server(censored))).verb is Verb.REPLACE
    wrong = World([make("Secret", data={"a": "1"})], [make("Secret", data={"a": "2"})])
    assert one(wrong.plan(ask_server=Server(censored))).reason == "refused"


def test_a_service_that_holds_what_another_is_to_have_goes_first_and_says_so() -> None:
    spec = {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 30080}]}
    world = World([make("Service", "old", spec=spec)], [make("Service", "new", spec=spec), make("Service", "other")])
    by_name = {action.object.name: action for action in world.plan().actions}
    assert (by_name["new"].reason, by_name["other"].reason) == ("in-the-way", "extra")
    assert "node port 30080, which Service shop/old is to have" in by_name["new"].message
    assert by_name["new"].wave < by_name["old"].wave < by_name["other"].wave


def test_a_port_that_is_taken_now_may_be_free_by_then() -> None:
    world = World(
        [make("Service", spec={"ports": [{"port": 80}]})], [make("Service", spec={"ports": [{"port": 81}]})]
    )
    taken = immutable.understand(422, "words", (("spec.ports[0].nodePort", "provided port is already allocated"),))
    assert one(world.plan(ask_server=Server(taken))).verb is Verb.UPDATE


def test_what_the_server_fills_in_again_is_no_difference() -> None:
    older = make("Order", spec={"a": 1})
    live = make("Order", spec={"a": 1, "added-by-a-newer-release": True})
    assert World([older], [live]).plan(ask_server=Server(kept(live))).empty
    assert not World([older], [live]).plan(ask_server=Server(None)).empty


def test_what_would_be_made_just_as_it_is_is_not_made_anew() -> None:
    stored, live = make("Pod", spec={"a": 1}), make("Pod", spec={"a": 1, "side": 2})
    fixed = Refusal("spec", "field is immutable", "immutable")

    def server(made: Any) -> Any:
        return lambda questions: [made if each.action.verb is Verb.REPLACE else fixed for each in questions]

    plan = World([stored], [live]).plan(ask_server=server(kept(live)))
    assert (plan.actions, plan.counts) == ((), {"keep": 1})
    for other in (kept(stored), Refusal("", "exceeded quota", "forbidden"), None):
        assert one(World([stored], [live]).plan(ask_server=server(other))).verb is Verb.REPLACE


def test_what_would_be_lost_of_one_made_anew_is_told() -> None:
    stored, live = make("Pod", spec={"dnsPolicy": "None", "off": True}), make("Pod", spec={"dnsPolicy": "None"})
    fixed = Refusal("spec", "pod updates may not", "immutable")
    plan = World([stored], [live]).plan(
        ask_server=lambda questions: [kept(live) if each.action.verb is Verb.REPLACE else fixed for each in questions]
    )
    assert (one(plan).verb, one(plan).reason) == (Verb.SKIP, "not-kept")
    assert "/spec/off" in one(plan).message


def test_the_server_is_asked_in_batches() -> None:
    count = BATCH + 5
    server = Server(None)
    World(
        [make("ConfigMap", f"c{number:04}", data={"a": "1"}) for number in range(count)],
        [make("ConfigMap", f"c{number:04}", data={"a": "2"}) for number in range(count)],
    ).plan(ask_server=server)
    assert [len(batch) for batch in server.asked] == [BATCH, 5]


def test_who_deletes_nothing_asks_nothing() -> None:
    server = Server(None)
    three_kinds_of_change().plan("missing", ask_server=server)
    assert server.asked == []


# ── protection ──────────────────────────────────────────────────────────────────────────────────────────────


def test_protected_kinds_are_not_deleted_without_consent() -> None:
    world = World([], [claim(), make("ConfigMap")])
    plan = world.plan()
    assert verbs(plan) == {"data": "skip", "web": "delete"}
    assert plan.blockers == ()
    (warning,) = plan.warnings
    assert warning.startswith("Protected, and left as it is: PersistentVolumeClaim shop/data.")
    assert "Consent to `PersistentVolumeClaim`" in warning
    assert verbs(world.plan(consent=frozenset({"PersistentVolumeClaim"})))["data"] == "delete"


def test_protected_kinds_are_not_replaced_without_consent() -> None:
    world = World([claim(accessModes=["a"])], [claim(accessModes=["b"])])
    action = one(world.plan())
    assert (action.verb, action.reason) == (Verb.SKIP, "protected")
    assert "spec.accessModes" in action.message
    assert action.differences
    assert one(world.plan(consent=frozenset({"PersistentVolumeClaim shop/data"}))).verb is Verb.REPLACE


def test_protected_kinds_are_created_and_updated_like_others() -> None:
    def sized(size: str) -> Body:
        return claim(resources={"requests": {"storage": size}})

    assert one(World([sized("1Gi")], []).plan()).verb is Verb.CREATE
    assert one(World([sized("2Gi")], [sized("1Gi")]).plan()).verb is Verb.UPDATE


def test_the_document_says_what_is_protected() -> None:
    restore = Restore.model_validate({"protect": ["Secret"]})
    assert verbs(World([], [make("Secret", "a"), claim("b")]).plan(restore=restore)) == {"a": "skip", "b": "delete"}


# ── incomplete ──────────────────────────────────────────────────────────────────────────────────────────────

GAP = Gap(group="", kind="Secret", namespace="shop", status=403, message="forbidden")


def test_where_not_all_was_read_nothing_is_deleted_and_exact_is_refused() -> None:
    plan = three_kinds_of_change().plan("exact", gaps=[GAP])
    assert verbs(plan) == {"gone": "create", "moved": "update", "extra": "skip"}
    assert len(plan.blockers) == 1
    assert "Secret" in plan.blockers[0]
    assert "merge" in plan.blockers[0]
    assert plan.gaps == (GAP,)
    assert three_kinds_of_change().plan("merge", gaps=[GAP]).blockers == ()


def test_what_could_not_be_looked_for_is_not_taken_for_missing() -> None:
    plan = World([make("Secret"), make("ConfigMap", "a")], []).plan("merge", gaps=[GAP])
    assert verbs(plan) == {"web": "skip", "a": "create"}
    whole_group = Gap(group="apps", kind="*", status=503, message="down")
    assert verbs(World([deployment()], []).plan("merge", gaps=[whole_group])) == {"web": "skip"}


# ── others' objects ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason])
def test_what_a_version_would_not_hold_is_no_extra_object(reason: Reason) -> None:
    live = make("Pod", "a")
    assert World([], [live], standing={key_of(live): reason}).plan().actions == ()


def test_what_has_an_owner_is_compared_but_never_extra() -> None:
    owned = make("Secret", "a", metadata=controlled_by("Order"), data={"a": "2"})
    assert World([], [owned], standing={key_of(owned): OWNED}).plan().actions == ()
    wanted = make("Secret", "a", metadata=controlled_by("Order"), data={"a": "1"})
    assert one(World([wanted], [owned], standing={key_of(owned): OWNED}).plan()).verb is Verb.UPDATE


@pytest.mark.parametrize("reason", [Reason.DERIVED, Reason.FINISHED, Reason.EXCLUDED, Reason.CLUSTERS_OWN])
def test_what_others_care_for_now_is_left_to_them(reason: Reason) -> None:
    live = make("Job", "a", spec={"x": 2})
    action = one(World([make("Job", "a", spec={"x": 1})], [live], standing={key_of(live): reason}).plan())
    assert (action.verb, action.reason) == (Verb.SKIP, reason.value)
    assert action.message


def test_a_finished_job_is_not_run_again() -> None:
    live = make("Job", "a", spec={"x": 2})
    plan = World([make("Job", "a", spec={"x": 1})], [live], standing={key_of(live): Reason.FINISHED}).plan()
    assert "Not run again" in plan.warnings[0]


def test_what_is_being_deleted_is_made_again_once_it_is_gone() -> None:
    live = make("ConfigMap")
    action = one(World([make("ConfigMap")], [live], standing={key_of(live): Reason.TERMINATING}).plan("missing"))
    assert (action.verb, action.reason, action.live_uid) == (Verb.CREATE, "terminating", None)


def test_a_namespace_on_its_way_out_blocks_the_plan() -> None:
    context = PlanContext(resources=RESOURCES, terminating_namespaces=frozenset({"shop", "other"}))
    plan = World([make("ConfigMap")], [], context=context).plan()
    assert plan.blockers == ("Namespace shop is being deleted. Wait until it is gone, then make a new plan.",)


def test_the_default_account_is_brought_back_to_how_the_cluster_makes_it() -> None:
    changed = make("ServiceAccount", "default", imagePullSecrets=[{"name": "x"}])
    action = one(World([], [changed]).plan())
    assert (action.verb, action.reason) == (Verb.UPDATE, "differs")
    assert World([], [changed]).plan("merge").actions == ()


def test_a_default_account_that_is_untouched_now_is_changed_back() -> None:
    live = make("ServiceAccount", "default")
    wanted = make("ServiceAccount", "default", imagePullSecrets=[{"name": "x"}])
    assert one(World([wanted], [live], standing={key_of(live): Reason.UNTOUCHED}).plan()).verb is Verb.UPDATE


# ── owners ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reference_to_an_owner_that_is_nowhere_is_no_difference() -> None:
    wanted = make("Secret", "a", metadata=controlled_by("Order", "gone"))
    assert World([wanted], [make("Secret", "a")]).plan().empty


def test_a_reference_to_an_owner_that_is_there_is_put_back() -> None:
    wanted = make("Secret", "a", metadata=controlled_by("Order", "it"))
    assert not World([wanted, make("Order", "it")], [make("Secret", "a"), make("Order", "it")]).plan().empty
    elsewhere = PlanContext(resources=RESOURCES, exists=lambda key: key.name == "it")
    assert not World([wanted], [make("Secret", "a")], context=elsewhere).plan().empty


# ── volumes ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_claim_says_whether_its_data_come_back() -> None:
    def context(*, free: bool) -> PlanContext:
        return PlanContext(resources=RESOURCES, volume_free=lambda _claim, _volume: free)

    wanted = claim(volumeName="pv-1")
    assert one(World([wanted], [], context=context(free=True)).plan()).effects == (
        "The claim is bound to its volume pv-1 again, with its data.",
    )
    assert one(World([wanted], [], context=context(free=False)).plan()).effects == (
        "The claim gets a new, empty volume.",
    )


def test_a_volume_that_went_with_its_data_is_not_made_again() -> None:
    def volume(policy: str, **annotations: str) -> Body:
        spec = {"persistentVolumeReclaimPolicy": policy, "csi": {"volumeHandle": "x"}}
        return make("PersistentVolume", "pv-1", metadata={"annotations": annotations}, spec=spec)

    provisioned = {"pv.kubernetes.io/provisioned-by": "csi.example"}
    plan = World([volume("Delete", **provisioned)], []).plan()
    assert (one(plan).verb, one(plan).reason) == (Verb.SKIP, "volume-gone")
    assert "PersistentVolume pv-1" in plan.warnings[0]
    assert one(World([volume("Retain", **provisioned)], []).plan()).verb is Verb.CREATE
    assert one(World([volume("Delete")], []).plan()).verb is Verb.CREATE


def test_what_stays_of_a_claim_is_said_though_nothing_is_done() -> None:
    plan = World([claim(volumeName="pv-1")], [claim(volumeName="pv-2")]).plan()
    assert plan.empty
    (warning,) = plan.warnings
    assert warning.startswith("PersistentVolumeClaim shop/data is bound to volume pv-2 now, and was to pv-1.")


# ── kinds ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_objects_of_a_kind_that_is_not_served_are_left_out_and_named() -> None:
    few = PlanContext(resources={key: value for key, value in RESOURCES.items() if key[1] != "Order"})
    plan = World([make("Order", "a")], [], context=few).plan()
    assert (one(plan).verb, one(plan).reason) == (Verb.SKIP, "not-served")
    assert "Order.shop.example shop/a" in plan.warnings[0]


def test_objects_whose_definition_comes_with_the_plan_are_created_after_it() -> None:
    few = PlanContext(resources={key: value for key, value in RESOURCES.items() if key[1] != "Order"})
    plan = World(
        [make("Order", "a"), make("CustomResourceDefinition", "orders.shop.example")], [], context=few
    ).plan()
    assert [action.object.kind for action in plan.actions] == ["CustomResourceDefinition", "Order"]


WIDE = PlanContext(
    resources={**RESOURCES, ("shop.example", "Order"): dataclasses.replace(served("Order"), namespaced=False)}
)


def scoped(scope: str) -> Body:
    return make("CustomResourceDefinition", "orders.shop.example", spec={"scope": scope})


def test_what_was_in_a_namespace_is_never_made_for_the_whole_cluster() -> None:
    plan = World([make("Order", "a"), make("ConfigMap")], [], context=WIDE).plan()
    assert verbs(plan) == {"a": "skip", "web": "create"}
    (said,) = plan.blockers
    assert "Order.shop.example were in namespaces (scope Namespaced) when the version was made, and are of" in said
    assert "(1: Order.shop.example shop/a). A definition's scope cannot be changed: make orders.shop.example" in said
    assert "with `only`" in said
    named = lambda key: key.kind == "ConfigMap"  # noqa: E731
    assert World([make("Order", "a"), make("ConfigMap")], [], context=WIDE).plan(only=named).blockers == ()


def test_what_was_of_the_whole_cluster_is_never_made_in_a_namespace() -> None:
    body = make("Order", "a")
    del body["metadata"]["namespace"]
    plan = World([body], []).plan()
    assert (one(plan).verb, one(plan).reason) == (Verb.SKIP, "other-scope")
    assert "were of the whole cluster (scope Cluster)" in plan.blockers[0]


@pytest.mark.parametrize(
    ("asked", "remedy"),
    [
        ({}, "and is protected. Consent to `CustomResourceDefinition` to have it replaced, or leave"),
        ({"mode": "missing"}, "this mode only creates. Have that settled, or leave"),
        (
            {"shared": Shared(reasons={key_of(scoped("")): "it"})},
            "pulled in: it. Ask for `shared` to have it replaced,",
        ),
        ({"consent": frozenset({"CustomResourceDefinition"})}, ""),
    ],
)
def test_objects_of_another_scope_come_back_with_their_definition_if_that_does(
    asked: dict[str, Any], remedy: str
) -> None:
    world = World([make("Order", "a"), scoped("Namespaced")], [scoped("Cluster")], context=WIDE)
    fixed = Refusal("spec.scope", "field is immutable", "immutable")
    plan = world.plan(ask_server=lambda questions: [fixed for _ in questions], **asked)
    if remedy:
        assert verbs(plan) == {"a": "skip", "orders.shop.example": "skip"}
        assert remedy in plan.blockers[0]
    else:
        assert [(action.object.name, action.verb.value) for action in plan.actions] == [
            ("orders.shop.example", "replace"),
            ("a", "create"),
        ]
        assert plan.blockers == ()


@pytest.mark.parametrize("consent", [frozenset(), frozenset({"CustomResourceDefinition"})])
def test_of_a_definition_of_another_scope_that_is_not_in_the_version_nobody_says_that_it_is(
    consent: frozenset[str],
) -> None:
    plan = World([make("Order", "a")], [scoped("Cluster")], context=WIDE).plan(consent=consent)
    assert verbs(plan) == {"a": "skip", "orders.shop.example": "skip"}
    assert "A definition's scope cannot be changed: make orders.shop.example as it was" in plan.blockers[0]


def test_a_definition_that_is_not_in_the_version_stays_for_the_objects_that_are() -> None:
    consented: dict[str, Any] = {"consent": frozenset({"CustomResourceDefinition"})}
    plan = World([make("Order", "a")], [scoped("Namespaced")]).plan(**consented)
    assert verbs(plan) == {"a": "create", "orders.shop.example": "skip"}
    (why,) = (action.message for action in plan.actions if action.verb is Verb.SKIP)
    assert why == "Without it these of the version could not be made: Order.shop.example shop/a."
    nobody = World([make("ConfigMap")], [scoped("Namespaced")]).plan(**consented)
    assert verbs(nobody) == {"web": "create", "orders.shop.example": "delete"}


def test_the_same_content_in_another_version_of_the_api_is_no_difference() -> None:
    older = kept(make("HorizontalPodAutoscaler", spec={"maxReplicas": 3}))
    older["apiVersion"] = "autoscaling/v2beta2"
    assert compare(older, kept(make("HorizontalPodAutoscaler", spec={"maxReplicas": 3})), CONTEXT).equal


def test_an_object_that_vanished_meanwhile_is_created() -> None:
    world = World([make("ConfigMap", data={"a": "1"})], [make("ConfigMap", data={"a": "2"})])
    read = world._read
    world._read = lambda key: (read(key), None)[1]  # type: ignore[method-assign]
    assert one(world.plan()).verb is Verb.CREATE


# ── streams ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_out_of_order_are_refused_since_they_would_read_as_deletions() -> None:
    keys = [ObjectKey("", "ConfigMap", "shop", name) for name in ("b", "a")]
    with pytest.raises(ValueError, match="not in order"):
        list(join([IndexRow(key, b"", "s", 0, 0) for key in keys], []))
    with pytest.raises(ValueError, match="not in order"):
        list(join([], [LiveRow(key, b"", "u", "1") for key in [keys[1], keys[1]]]))


# ── who else cares, and what breaks a promise ───────────────────────────────────────────────────────────────


def test_a_plan_says_who_else_keeps_what_it_writes_to() -> None:
    def labelled(name: str, **data: str) -> Body:
        body = make("ConfigMap", name, data=data)
        body["metadata"]["labels"] = {"argocd.argoproj.io/instance": "shop"}
        return body

    quiet = World([labelled("same")], [labelled("same")])
    assert quiet.plan().warnings == ()
    for world in (
        World([labelled("a", x="1")], [labelled("a", x="2")]),
        World([labelled("a")], []),
        World([], [labelled("a")]),
    ):
        (warning,) = world.plan().warnings
        assert "argocd app set shop --sync-policy none" in warning
    # A copy beside the original is nobody's, until somebody deploys it.
    beside = Shared(beside=True)
    assert World([labelled("a")], []).plan(shared=beside).warnings == ()
    assert len(World([labelled("a", x="1")], [labelled("a", x="2")]).plan(shared=beside).warnings) == 1


def test_a_plan_says_which_budgets_its_restarts_break() -> None:
    budget = make("PodDisruptionBudget", spec={"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}})
    context = dataclasses.replace(CONTEXT, budgets=(budget,))
    world = World([deployment(image="a:1")], [deployment(image="a:2")], context=context)
    labels = world.version[next(iter(world.version))]["spec"]["template"]["metadata"]["labels"]
    budget["spec"]["selector"]["matchLabels"] = labels
    action = one(world.plan())
    assert action.effects[0] == "2 pods restart."
    recreated = deployment(image="a:1")
    recreated["spec"]["strategy"] = {"type": "Recreate"}
    action = one(World([recreated], [deployment(image="a:2")], context=context).plan())
    assert any("less than PodDisruptionBudget" in said for said in action.effects)


def test_a_new_load_balancer_is_felt() -> None:
    service = make("Service", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    assert one(World([service], []).plan()).effects == (
        "It gets a load balancer anew: its external address may be another one.",
    )


@pytest.mark.parametrize(
    ("wanted", "live", "lost"),
    [
        ({"a": "1", "off": "2"}, {"a": "1"}, ["/data/off"]),
        ({"a": "1"}, {"a": "1", "default": "2"}, []),
        ({"a": "red"}, {"a": "green"}, ["/data/a"]),
        ({"a": "0.5"}, {"a": "500m"}, []),
    ],
)
def test_what_the_server_drops_or_changes_is_told_and_what_it_fills_in_is_equal(
    wanted: dict[str, str], live: dict[str, str], lost: list[str]
) -> None:
    world = World([make("ConfigMap", "a", data=wanted)], [make("ConfigMap", "a", data=live)])
    plan = world.plan(ask_server=lambda questions: [kept(make("ConfigMap", "a", data=live)) for _ in questions])
    assert plan.empty
    assert [each.path for action in plan.actions for each in action.differences] == lost
    assert [action.reason for action in plan.actions] == ["not-kept"] * len(lost)
    assert any("drops fields" in warning for warning in plan.warnings) is bool(lost)


# ── what was pulled in ──────────────────────────────────────────────────────────────────────────────────────


def shared(**more: Any) -> Shared:
    return Shared({key_of(make("ConfigMap", "a")): "used by Deployment shop/web"}, **more)


def test_what_was_pulled_in_is_made_with_its_reason() -> None:
    action = one(World([make("ConfigMap", "a")], []).plan(shared=shared()))
    assert (action.verb, action.message) == (Verb.CREATE, "It was pulled in: used by Deployment shop/web.")


def test_what_was_pulled_in_and_differs_is_left_and_changed_only_when_asked() -> None:
    world = World([make("ConfigMap", "a", data={"x": "1"})], [make("ConfigMap", "a", data={"x": "2"})])
    action = one(world.plan(shared=shared()))
    assert (action.verb, action.reason, action.differences[0].path) == (Verb.SKIP, "shared", "/data/x")
    assert one(world.plan(shared=shared(asked=True))).verb is Verb.UPDATE


@pytest.mark.parametrize(("beside", "remedy"), [(False, True), (True, False)])
def test_nobody_is_told_to_ask_for_what_is_not_done_beside_the_original(beside: bool, remedy: bool) -> None:
    world = World([make("ConfigMap", "a", data={"x": "1"})], [make("ConfigMap", "a", data={"x": "2"})])
    (said,) = world.plan(shared=shared(beside=beside)).warnings
    assert said.startswith("Perhaps used by others, so left as it is though it differs: ConfigMap shop/a.")
    assert ("Ask for `shared`" in said) is remedy


def test_what_was_pulled_in_and_may_not_be_read_is_left_and_stops_no_exact_restore() -> None:
    gap = Gap(group="", kind="ConfigMap", status=403, message="no")
    plan = World([make("ConfigMap", "a")], []).plan(shared=shared(gaps=(gap,)))
    assert (one(plan).reason, plan.blockers) == ("unread", ())


@pytest.mark.parametrize(
    ("there", "stays"),
    [
        (Shared(), False),
        (shared(), True),
        (shared(asked=True), True),
        (Shared(inside=frozenset({"shop"})), False),
        (Shared(inside=frozenset({"copy"})), True),
    ],
)
def test_no_mode_deletes_what_was_only_pulled_in_or_is_outside_of_a_destination(there: Shared, stays: bool) -> None:
    plan = World([], [make("ConfigMap", "a")]).plan(mode="exact", shared=there)
    assert plan.empty is stays


@pytest.mark.parametrize(("beside", "verb"), [(True, Verb.SKIP), (False, Verb.CREATE)])
@pytest.mark.parametrize("kind", ["ValidatingWebhookConfiguration", "APIService", "FlowSchema"])
def test_what_is_missing_and_would_have_a_say_in_the_original_is_not_made_beside_it(
    kind: str, beside: bool, verb: Verb
) -> None:
    missing = make(kind, "one")
    there = Shared(outside=frozenset({key_of(missing)}), beside=beside)
    plan = World([missing], []).plan(shared=there)
    assert one(plan).verb is verb
    assert ("Not made beside the original" in " ".join(plan.warnings)) is beside
    assert plan.empty is beside


def test_a_binding_for_accounts_of_a_copy_is_made_with_its_reason_if_its_namespace_is_there() -> None:
    binding = make("RoleBinding", "reader-copy")
    there = Shared(doubled=frozenset({key_of(binding)}), beside=True)
    made = World([binding, make("Namespace", "shop", namespace="")], []).plan(shared=there)
    action = next(action for action in made.actions if action.object.kind == "RoleBinding")
    assert (action.verb, action.message) == (
        Verb.CREATE,
        "It grants to accounts of the copy what the original's have.",
    )
    left = World([binding], []).plan(shared=there)
    assert (one(left).verb, one(left).reason) == (Verb.SKIP, "no-namespace")
    assert "Not granted to accounts of the copy" in " ".join(left.warnings)
