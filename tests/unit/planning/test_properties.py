"""What holds of all states, not just of examples: planning as algebra."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.objects import Body, ObjectKey, key_of
from chalicelib.domain.plan import Plan, Verb
from chalicelib.planning.bodies.context import PlanContext, autoscaled_by
from chalicelib.planning.bodies.normalise import canonical_line, copy_of, digest, normalise
from chalicelib.planning.bodies.overlay import overlay
from chalicelib.planning.bodies.services import chose_address
from chalicelib.planning.plan.join import OWNED
from tests.unit.planning.samples import CONTEXT, RESOURCES, World, controlled_by, kept, make, served, template

# Time limits of single examples say more about the machine than about the rules.
_SOME = settings(max_examples=25, deadline=None)
_MANY = settings(max_examples=120, deadline=None)

_NAMES = st.sampled_from(["a", "b", "c"])
_ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "None"])


def _maybe(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=members)


_MANAGERS = st.lists(
    st.builds(
        lambda manager, operation, subresource, fields: (
            {
                "manager": manager,
                "operation": operation,
                "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z",
                "fieldsV1": fields,
            }
            | ({"subresource": subresource} if subresource else {})
        ),
        st.sampled_from(["helm", "kubectl"]),
        st.sampled_from(["Apply", "Update"]),
        st.sampled_from(["", "status", "scale"]),
        st.sampled_from([{}, {"f:spec": {"f:clusterIP": {}}}, {"f:metadata": {"f:labels": {"f:a": {}}}}]),
    ),
    max_size=3,
    unique_by=lambda entry: (entry["manager"], entry["operation"], entry.get("subresource")),
)
_METADATA = _maybe(
    labels=st.dictionaries(st.sampled_from(["app", "pod-template-hash", "controller-uid"]), _NAMES, max_size=2),
    annotations=st.dictionaries(
        st.sampled_from(
            [
                "mine",
                "pv.kubernetes.io/bind-completed",
                "deployment.kubernetes.io/revision",
                "cloud.google.com/neg-status",
            ]
        ),
        _NAMES,
        max_size=3,
    ),
    finalizers=st.lists(
        st.sampled_from(["shop.example/a", "kubernetes.io/pvc-protection", "foregroundDeletion"]), unique=True
    ),
    generation=st.integers(1, 3),
    managedFields=_MANAGERS,
)
_PORTS = st.lists(
    st.builds(
        lambda port, node: {"port": port, "protocol": "TCP"} | ({"nodePort": node} if node else {}),
        st.sampled_from([80, 443]),
        st.sampled_from([0, 30080, 30443]),
    ),
    max_size=2,
    unique_by=lambda port: port["port"],
)
_SPECS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "ConfigMap": _maybe(data=st.dictionaries(_NAMES, _NAMES), immutable=st.booleans()),
    "Secret": _maybe(data=st.dictionaries(_NAMES, _NAMES), type=st.sampled_from(["Opaque", "kubernetes.io/tls"])),
    "Deployment": st.builds(
        lambda image, replicas, app, status: {
            "spec": {"replicas": replicas, "selector": {"app": app}, "template": template(image)},
            "status": {"replicas": status},
        },
        _NAMES,
        st.integers(0, 3),
        _NAMES,
        st.integers(0, 3),
    ),
    "Service": st.builds(
        lambda kind, address, ports: {
            "spec": {"type": kind, "clusterIP": address, "clusterIPs": [address], "ports": ports}
        },
        st.sampled_from(["ClusterIP", "NodePort"]),
        _ADDRESSES,
        _PORTS,
    ),
    "PersistentVolumeClaim": st.builds(
        lambda volume, size, modes: {
            "spec": {"resources": {"requests": {"storage": size}}, "accessModes": modes, "storageClassName": "fast"}
            | ({"volumeName": volume} if volume else {})
        },
        st.sampled_from(["", "pv-1", "pv-2"]),
        st.sampled_from(["1Gi", "2Gi"]),
        st.sampled_from([["ReadWriteOnce"], ["ReadWriteMany"]]),
    ),
    "Job": st.builds(
        lambda image: {
            "spec": {
                "selector": {"matchLabels": {"controller-uid": "u"}},
                "template": template(image, **{"controller-uid": "u", "app": "a"}),
            }
        },
        _NAMES,
    ),
    "ClusterRole": _maybe(rules=st.lists(st.just({"verbs": ["get"]}), max_size=1), aggregationRule=st.just({"a": 1})),
    "Order": _maybe(spec=st.dictionaries(_NAMES, st.integers(0, 2)), status=st.dictionaries(_NAMES, st.booleans())),
}


@st.composite
def _objects(draw: st.DrawFn) -> Body:
    kind = draw(st.sampled_from(sorted(_SPECS)))
    namespace = "shop" if served(kind).namespaced else ""
    metadata = draw(_METADATA) | {"resourceVersion": str(draw(st.integers(1, 9)))}
    if draw(st.booleans()):
        metadata |= controlled_by("Order", draw(_NAMES))
    return make(kind, draw(_NAMES), namespace, metadata=metadata, **draw(_SPECS[kind]))


_STATES = st.lists(_objects(), max_size=5, unique_by=key_of)


@_SOME
@given(_objects())
def test_normalising_twice_is_normalising_once(body: Body) -> None:
    once = kept(body)
    assert normalise(copy_of(once), served(body["kind"])) == once


@_SOME
@given(_objects(), st.randoms())
def test_the_order_in_which_the_server_sends_members_does_not_matter(body: Body, random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            members = list(value.items())
            random.shuffle(members)
            return {name: shuffled(each) for name, each in members}
        return [shuffled(each) for each in value] if isinstance(value, list) else value

    one, other = kept(body), kept(shuffled(body))
    assert canonical_line(one) == canonical_line(other)
    assert digest(one) == digest(other)


@_SOME
@given(_objects(), _objects())
def test_an_overlay_is_idempotent_and_changes_neither_side(wanted: Body, live: Body) -> None:
    wanted = {**wanted, "kind": live["kind"], "apiVersion": live["apiVersion"]}
    wanted, live = kept(wanted), kept(live)
    before = copy_of([wanted, live])  # type: ignore[arg-type]
    target = overlay(wanted, live, CONTEXT)
    assert overlay(target, live, CONTEXT) == target
    assert [wanted, live] == before


@_SOME
@given(_objects())
def test_an_object_laid_over_itself_is_itself(body: Body) -> None:
    assert overlay(kept(body), kept(body), CONTEXT) == kept(body)


@_SOME
@given(_STATES, st.sampled_from(["exact", "merge", "missing"]))
def test_planning_a_state_against_itself_finds_nothing(state: list[Body], mode: str) -> None:
    plan = World(state, state).plan(mode)
    assert plan.actions == ()
    assert plan.counts.get("keep", 0) == len(state)


@_MANY
@given(version=_STATES, live=_STATES, scaled=st.sets(_NAMES), volumes=st.sampled_from([None, True, False]))
def test_after_an_exact_restore_there_is_nothing_to_do(
    version: list[Body], live: list[Body], scaled: set[str], volumes: bool | None
) -> None:
    autoscaled = frozenset(ObjectKey("apps", "Deployment", "shop", name) for name in scaled)
    free = None if volumes is None else (lambda _claim, _volume: volumes)
    context = PlanContext(resources=RESOURCES, autoscaled=autoscaled, volume_free=free, exists=lambda _key: True)
    world = World(version, live, context=context)
    everything = frozenset({"*"})
    # Mapping owner references to uids is the executor's; here owners have none, so they are left out of creates.
    for body in world.version.values():
        body["metadata"].pop("ownerReferences", None)
    for body in world.live.values():
        body["metadata"].pop("ownerReferences", None)
    world.apply(world.plan("exact", consent=everything))
    assert world.live.keys() == world.version.keys()
    again = world.plan("exact", consent=everything)
    assert again.actions == (), again.actions


def _moved_on(body: Body, number: int, *, scaled: bool) -> None:
    """What controllers and the server do to an object in its life."""
    spec, metadata = body.get("spec", {}), body["metadata"]
    marks = {
        "Deployment": {"deployment.kubernetes.io/revision": str(number)},
        "PersistentVolumeClaim": {"pv.kubernetes.io/bind-completed": "yes"},
    }
    metadata.setdefault("annotations", {}).update(marks.get(body["kind"], {}))
    if body["kind"] in {"Service", "PersistentVolumeClaim"}:
        metadata.setdefault("finalizers", []).append("kubernetes.io/pvc-protection")
    if body["kind"] == "Deployment" and scaled:
        spec["replicas"] = number
    if body["kind"] == "PersistentVolumeClaim":
        spec["volumeName"] = f"pv-{number}"
    if body["kind"] == "Service" and spec["clusterIP"] != "None" and not chose_address(kept(body)):
        spec |= {"clusterIP": f"10.1.0.{number}", "clusterIPs": [f"10.1.0.{number}"]}
    if body["kind"] == "Service" and spec["type"] == "NodePort":
        for port in spec["ports"]:
            port["nodePort"] = 31000 + number + port["port"]
    if body["kind"] == "ClusterRole" and "aggregationRule" in body:
        body["rules"] = [{"verbs": ["list"]}]


@_MANY
@given(version=_STATES, numbers=st.lists(st.integers(1, 9), min_size=5, max_size=5))
def test_what_controllers_do_to_an_object_is_no_difference(version: list[Body], numbers: list[int]) -> None:
    deployments = frozenset(key_of(body) for body in version if body["kind"] == "Deployment")
    world = World(version, version, context=PlanContext(resources=RESOURCES, autoscaled=deployments))
    for body, number in zip(world.live.values(), numbers, strict=False):
        _moved_on(body, number, scaled=True)
    assert world.plan("exact").actions == ()


@_SOME
@given(version=_STATES, live=_STATES)
def test_after_a_merge_there_is_nothing_left_to_merge_and_nothing_is_lost(
    version: list[Body], live: list[Body]
) -> None:
    world = World(version, live)
    before = set(world.live)
    for body in (*world.version.values(), *world.live.values()):
        body["metadata"].pop("ownerReferences", None)
    plan = world.plan("merge", consent=frozenset({"*"}))
    assert not [action for action in plan.actions if action.verb is Verb.DELETE]
    world.apply(plan)
    assert before <= world.live.keys()
    assert world.plan("merge", consent=frozenset({"*"})).empty


@_SOME
@given(version=_STATES, live=_STATES)
def test_missing_touches_nothing_that_is_there(version: list[Body], live: list[Body]) -> None:
    world = World(version, live)
    plan = world.plan("missing")
    assert {action.object.key for action in plan.actions if action.verb.writes} == (
        world.version.keys() - world.live.keys()
    )
    assert all(action.verb is Verb.CREATE for action in plan.actions if action.verb.writes)


@_SOME
@given(version=_STATES, live=_STATES, owned=st.sets(_NAMES), only=st.sets(_NAMES))
def test_an_exact_restore_deletes_only_roots_that_are_meant(
    version: list[Body], live: list[Body], owned: set[str], only: set[str]
) -> None:
    standing = {key_of(body): OWNED for body in live if body["metadata"]["name"] in owned}
    plan = World(version, live, standing=standing).plan(
        "exact", consent=frozenset({"*"}), only=lambda key: key.name in only
    )
    for action in plan.actions:
        assert action.object.name in only
        if action.verb is Verb.DELETE:
            assert action.object.name not in owned
            assert action.object.key not in {key_of(body) for body in version}


@_SOME
@given(version=_STATES, live=_STATES)
def test_what_is_protected_is_neither_deleted_nor_replaced(version: list[Body], live: list[Body]) -> None:
    plan = World(version, live).plan("exact")
    for action in plan.actions:
        if action.object.kind == "PersistentVolumeClaim":
            assert action.verb not in {Verb.DELETE, Verb.REPLACE}


@_SOME
@given(version=_STATES, live=_STATES)
def test_the_same_arguments_give_the_same_plan_and_it_can_be_kept(version: list[Body], live: list[Body]) -> None:
    plan = World(version, live).plan("exact")
    assert World(version[::-1], live[::-1]).plan("exact") == plan
    assert Plan.model_validate_json(plan.model_dump_json(by_alias=True)) == plan


@_SOME
@given(version=_STATES, live=_STATES)
def test_every_object_has_at_most_one_action_and_waves_rise(version: list[Body], live: list[Body]) -> None:
    plan = World(version, live).plan("exact")
    keys = [action.object.key for action in plan.actions]
    assert len(keys) == len(set(keys))
    waves = [action.wave for action in plan.actions]
    assert waves == sorted(waves)
    assert sum(plan.counts.values()) == plan.counts.get("keep", 0) + len(keys)


def test_an_autoscaler_without_a_target_scales_nothing() -> None:
    assert autoscaled_by(make("HorizontalPodAutoscaler", spec={})) is None
