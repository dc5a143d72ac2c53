"""Custom resources: their definitions, their status, what their operators own, and finalizers that nobody removes."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator

import pytest

from chalicelib.domain.operation import State
from chalicelib.domain.plan import Verb
from chalicelib.engine.write import deleting
from tests.harness.access import Access
from tests.harness.processes import wait_until
from tests.support.scene import Body, Scene, bare, open_scene

pytestmark = pytest.mark.cluster

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition(group: str, kind: str, *, status: bool) -> Body:
    plural = kind.lower() + "s"
    keeps = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version: Body = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": keeps, "status": keeps}}},
    }
    if status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "labels": {"part-of": group}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [version],
        },
    }


def define(cluster: Access, *definitions: Body) -> None:
    for body in definitions:
        cluster.api.post(_DEFINITIONS, body)
    for body in definitions:
        wait_served(cluster, body)


def wait_served(cluster: Access, body: Body) -> None:
    spec = body["spec"]
    path = f"/apis/{spec['group']}/v1/namespaces/default/{spec['names']['plural']}"
    wait_until(lambda: cluster.api.exists(path), seconds=30, what=path)


@pytest.fixture(scope="module")
def group(control_plane: Access) -> Iterator[str]:
    """A group of its own with two kinds: `Order` has a status subresource, `Note` keeps its status as data."""
    name = f"scene-{secrets.token_hex(3)}.example"
    definitions = [definition(name, "Order", status=True), definition(name, "Note", status=False)]
    define(control_plane, *definitions)
    yield name
    for body in definitions:
        control_plane.api.delete(f"{_DEFINITIONS}/{body['metadata']['name']}")


@pytest.fixture
def scene(control_plane, group: str) -> Iterator[Scene]:
    with open_scene(control_plane) as opened:
        opened.make(
            f"""
            {{apiVersion: {group}/v1, kind: Order, metadata: {{name: one}}, spec: {{size: 1}}}}
            ---
            {{apiVersion: {group}/v1, kind: Note, metadata: {{name: one}}, spec: {{size: 1}}, status: {{seen: 1}}}}
            """
        )
        opened.api.patch(opened.find("Order/one") + "/status", {"status": {"phase": "Ready"}})
        yield opened


def owned_by(owner: Body, body: Body, *, controller: bool = True) -> Body:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": controller,
    }
    return {**body, "metadata": {**body["metadata"], "ownerReferences": [reference]}}


def config_map(name: str) -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}


def secret(name: str) -> Body:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": "made up"}}


# ── status ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_status_with_a_subresource_is_the_operators_and_without_one_it_is_data(scene: Scene) -> None:
    version = scene.backup()
    held = scene.held(version)
    assert "status" not in held["Order/one"]
    assert held["Note/one"]["status"] == {"seen": 1}
    scene.api.patch(scene.find("Order/one") + "/status", {"status": {"phase": "Broken"}})
    assert scene.restore_well(version).writes == []
    scene.patch("Note/one", {"status": {"seen": 2}})
    assert scene.restore_well(version).outcomes() == {"Note/one": "update"}
    assert scene.get("Note/one")["status"] == {"seen": 1}


def test_an_update_leaves_the_status_to_its_operator(scene: Scene) -> None:
    version = scene.backup()
    scene.patch("Order/one", {"spec": {"size": 2}})
    scene.restore_well(version)
    assert scene.get("Order/one")["spec"] == {"size": 1}
    assert scene.get("Order/one")["status"] == {"phase": "Ready"}


# ── what operators own ──────────────────────────────────────────────────────────────────────────────────────


def test_what_an_operator_makes_is_not_kept_but_secrets_are(scene: Scene) -> None:
    order = scene.get("Order/one")
    scene.post(owned_by(order, config_map("made")))
    scene.post(owned_by(order, secret("password")))
    held = scene.held(scene.backup())
    assert "ConfigMap/made" not in held
    assert held["Secret/password"]["metadata"]["ownerReferences"][0]["name"] == "one"
    assert "uid" not in held["Secret/password"]["metadata"]["ownerReferences"][0]


def test_what_an_operator_makes_is_kept_where_its_owner_is_not_selected(scene: Scene) -> None:
    scene.post(owned_by(scene.get("Order/one"), config_map("made")))
    scene.describe("objects: [{namespaces: [NS], kinds: [ConfigMap]}]")
    assert scene.held(scene.backup()).keys() >= {"ConfigMap/made"}


def test_what_an_operator_made_since_is_not_deleted_as_extra(scene: Scene) -> None:
    version = scene.backup()
    scene.post(owned_by(scene.get("Order/one"), config_map("made")))
    assert scene.restore_well(version).writes == []


def test_owner_references_follow_the_owner_to_its_new_incarnation(scene: Scene) -> None:
    scene.post(owned_by(scene.get("Order/one"), secret("password")))
    scene.post(owned_by(scene.get("Note/one"), config_map("attached"), controller=False))
    wanted, version = scene.look(owned=True), scene.backup()
    # What they own would be collected, but the collector takes up to a minute to notice a new kind.
    scene.delete("Secret/password", "ConfigMap/attached", "Order/one", "Note/one")
    scene.restore_well(version)
    now = scene.look(owned=True)
    for key, owner in (("Secret/password", "Order/one"), ("ConfigMap/attached", "Note/one")):
        assert [each["uid"] for each in now[key]["metadata"]["ownerReferences"]] == [scene.uid(owner)]
        assert now[key].keys() == wanted[key].keys()


def test_a_reference_to_an_owner_that_is_gone_is_dropped_and_said(scene: Scene) -> None:
    scene.post(owned_by(scene.get("Note/one"), secret("password"), controller=False))
    scene.describe("objects: [{namespaces: [NS], kinds: [Secret]}]")
    version = scene.backup()
    scene.delete("Secret/password", "Note/one")
    restored = scene.restore_well(version)
    assert "Note one" in restored.rows["Secret/password"].message
    assert "ownerReferences" not in scene.get("Secret/password")["metadata"]


# ── definitions ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def defined(control_plane) -> Iterator[tuple[Scene, str]]:
    """An application that has its own definition in its selection, and objects of it; the definition's path."""
    name = f"scene-{secrets.token_hex(3)}.example"
    body = definition(name, "Order", status=True)
    define(control_plane, body)
    state = f'objects: [{{namespaces: [NS]}}, {{kinds: [CustomResourceDefinition], labels: "part-of={name}"}}]'
    with open_scene(control_plane, state=state) as scene:
        for number in range(3):
            scene.post(
                {
                    "apiVersion": f"{name}/v1",
                    "kind": "Order",
                    "metadata": {"name": f"order-{number}"},
                    "spec": {"size": number},
                }
            )
        path = f"{_DEFINITIONS}/{body['metadata']['name']}"
        yield scene, path
        if control_plane.api.exists(path):
            control_plane.api.delete(path)


def remove_definition(scene: Scene, path: str) -> None:
    scene.api.delete(path)
    wait_until(lambda: not scene.api.exists(path), seconds=30, what="the definition to be gone")


def test_a_definition_and_its_objects_come_back_together(defined: tuple[Scene, str]) -> None:
    scene, path = defined
    wanted, version = scene.look(), scene.backup()
    remove_definition(scene, path)
    planned = scene.planned(version)
    assert {action.verb for action in planned.values()} == {Verb.CREATE}
    restored = scene.restore_well(version)
    assert len(restored.outcomes()) == 4
    assert restored.rows["Order/order-0"].verified == "equal"
    assert scene.look() == wanted


def change_scope(scene: Scene, path: str, scope: str) -> str:
    """Another definition of the same kind; the path of its objects in the whole cluster."""
    whole = scene.api.get(path)
    remove_definition(scene, path)
    metadata = {name: whole["metadata"][name] for name in ("name", "labels")}
    spec = {**whole["spec"], "scope": scope}
    scene.api.post(_DEFINITIONS, {**whole, "metadata": metadata, "spec": spec})
    group, plural = spec["group"], spec["names"]["plural"]
    namespaced = scope == "Namespaced"

    def served() -> bool:
        found = scene.api.get(f"/apis/{group}/v1")["resources"] if scene.api.exists(f"/apis/{group}/v1") else []
        return any(each["name"] == plural and each["namespaced"] is namespaced for each in found)

    wait_until(served, seconds=60, what=f"{plural} to be served with the scope {scope}")
    orders = f"/apis/{group}/v1/{plural}"
    wait_until(lambda: scene.api.exists(orders), seconds=60, what=orders)
    return orders


def order(scene: Scene, path: str, name: str) -> Body:
    group = scene.api.get(path)["spec"]["group"]
    return {"apiVersion": f"{group}/v1", "kind": "Order", "metadata": {"name": name}, "spec": {"size": 1}}


def test_a_definition_is_not_replaced_while_it_has_objects(defined: tuple[Scene, str]) -> None:
    scene, path = defined
    version = scene.backup()
    orders = change_scope(scene, path, "Cluster")
    scene.api.post(orders, order(scene, path, "other"))

    asked = {"mode": "merge", "consent": ["CustomResourceDefinition"]}
    action = scene.planned(version, **asked)[f"CustomResourceDefinition/{path.rpartition('/')[2]}"]

    assert (action.verb.value, action.reason) == ("skip", "in-use")
    assert "Order other" in action.message
    refused = scene.restore(version, **asked)
    assert (refused.state, refused.writes) == (State.FAILED, [])
    assert "not put back: With it these would be lost: Order other." in refused.message
    assert [each["metadata"]["name"] for each in scene.api.get(orders)["items"]] == ["other"]


def test_objects_of_namespaces_are_never_made_for_the_whole_cluster(defined: tuple[Scene, str]) -> None:
    scene, path = defined
    scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {a: '1'}}")
    scene.describe("objects: [{namespaces: [NS]}]")
    version = scene.backup()
    orders = change_scope(scene, path, "Cluster")
    scene.patch("ConfigMap/conf", {"data": {"a": "2"}})

    refused = scene.restore(version)

    assert (refused.state, refused.writes) == (State.FAILED, [])
    kind = f"Order.{path.rpartition('/')[2].partition('.')[2]}"
    said = f"Objects of {kind} were in namespaces (scope Namespaced) when the version was made"
    assert said in refused.message
    assert f"(3: {kind} {scene.namespace}/order-0," in refused.message
    assert scene.api.get(orders)["items"] == []
    assert scene.restore_well(version, only=["ConfigMap"]).outcomes() == {"ConfigMap/conf": "update"}


def test_objects_of_the_whole_cluster_are_never_made_in_a_namespace(defined: tuple[Scene, str]) -> None:
    scene, path = defined
    orders = change_scope(scene, path, "Cluster")
    scene.api.post(orders, order(scene, path, "wide"))
    group = path.rpartition("/")[2].partition(".")[2]
    scene.describe(f"objects: [{{namespaces: [NS]}}, {{kinds: [Order.{group}]}}]")
    version = scene.backup()
    change_scope(scene, path, "Namespaced")

    refused = scene.restore(version)

    assert (refused.state, refused.writes) == (State.FAILED, [])
    assert f"Objects of Order.{group} were of the whole cluster (scope Cluster)" in refused.message
    assert f"make orders.{group} as it was" in refused.message


def test_a_definition_of_another_scope_is_replaced_with_consent_and_its_objects_come_back(
    defined: tuple[Scene, str],
) -> None:
    scene, path = defined
    wanted, version = scene.look(), scene.backup()
    change_scope(scene, path, "Cluster")

    refused = scene.restore(version)

    assert (refused.state, refused.writes) == (State.FAILED, [])
    assert "Consent to `CustomResourceDefinition`" in refused.message
    restored = scene.restore_well(version, consent=["CustomResourceDefinition"])
    named = f"CustomResourceDefinition/{path.rpartition('/')[2]}"
    orders = {f"Order/order-{number}": "create" for number in range(3)}
    assert restored.outcomes() == {named: "replace", **orders}
    assert scene.look() == wanted
    scene.undo_well(restored)
    assert scene.api.get(path)["spec"]["scope"] == "Cluster"


def test_what_has_the_other_scope_goes_before_its_definition_is_replaced_and_an_undo_brings_it_back(
    defined: tuple[Scene, str],
) -> None:
    scene, path = defined
    name = path.rpartition("/")[2]
    group = name.partition(".")[2]
    kinds = f"{{kinds: [CustomResourceDefinition], names: [{name}]}}, {{kinds: [Order.{group}]}}"
    scene.describe(f"objects: [{{namespaces: [NS]}}, {kinds}]")
    wanted, version = scene.look(), scene.backup()
    orders = change_scope(scene, path, "Cluster")
    scene.api.post(orders, order(scene, path, "wide"))

    restored = scene.restore_well(version, consent=["CustomResourceDefinition"])

    assert restored.outcomes()["Order/wide"] == "delete"
    assert scene.look() == wanted
    scene.undo_well(restored)
    assert [each["metadata"]["name"] for each in scene.api.get(orders)["items"]] == ["wide"]


def test_a_definition_that_is_not_in_the_version_stays_for_the_objects_that_are(defined: tuple[Scene, str]) -> None:
    scene, path = defined
    name = path.rpartition("/")[2]
    labels = scene.api.get(path)["metadata"]["labels"]
    scene.api.patch(path, {"metadata": {"labels": dict.fromkeys(labels)}})
    version = scene.backup()
    scene.api.patch(path, {"metadata": {"labels": labels}})
    wanted = scene.look()
    scene.api.delete(f"/apis/{name.partition('.')[2]}/v1/namespaces/{scene.namespace}/orders")

    asked = {"consent": ["CustomResourceDefinition"]}
    action = scene.planned(version, **asked)[f"CustomResourceDefinition/{name}"]

    assert (action.verb.value, action.reason) == ("skip", "in-use")
    assert f"{scene.namespace}/order-0" in action.message
    restored = scene.restore(version, **asked)
    assert restored.state is State.PARTIAL
    orders = {name: row for name, row in restored.rows.items() if row.verb == "create"}
    assert {name: row.verified for name, row in orders.items()} == {f"Order/order-{n}": "equal" for n in range(3)}
    assert scene.look() == wanted


def test_an_undo_takes_a_definition_away_again(defined: tuple[Scene, str]) -> None:
    scene, path = defined
    version = scene.backup()
    remove_definition(scene, path)
    restored = scene.restore_well(version)
    undone = scene.undo_well(restored)
    assert undone.outcomes().keys() == restored.outcomes().keys()
    wait_until(lambda: not scene.api.exists(path), seconds=30, what="it to be gone")


def test_objects_whose_definition_is_gone_and_not_in_the_version_are_named(defined: tuple[Scene, str]) -> None:
    scene, path = defined
    scene.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {a: '1'}}")
    scene.describe("objects: [{namespaces: [NS]}]")
    version = scene.backup()
    body = scene.api.get(path)
    remove_definition(scene, path)
    scene.patch("ConfigMap/conf", {"data": {"a": "2"}})
    try:
        restored = scene.restore(version)
        assert restored.state is State.PARTIAL
        assert restored.rows["Order/order-0"].reason == "not-served"
        assert (restored.rows["ConfigMap/conf"].verb, restored.rows["ConfigMap/conf"].outcome) == ("update", "done")
    finally:
        define(scene.cluster, {**body, "metadata": {"name": body["metadata"]["name"]}, "status": None})


# ── finalizers ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_finalizer_that_nobody_removes_is_named_in_time_and_the_rest_is_undone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "_LIMIT", 1.5)
    version = scene.backup()
    scene.patch("Note/one", {"spec": {"size": 2}})
    stuck = config_map("stuck")
    stuck["metadata"]["finalizers"] = ["scene.example/nobody"]
    scene.post(stuck)
    before = scene.look()
    restored = scene.restore(version)
    assert restored.state is State.FAILED
    assert f"ConfigMap {scene.namespace}/stuck" in restored.message
    assert "scene.example/nobody" in restored.message
    row = restored.rows["ConfigMap/stuck"]
    # Once its deletion was asked for nobody can take that back: it is told.
    assert (row.outcome, row.verified) == ("undo-failed", "missing")
    assert restored.rows["Note/one"].outcome == "undone"
    now = scene.look()
    assert now["Note/one"] == before["Note/one"]
    assert "1 objects could not be put back" in restored.message


def test_finalizers_of_a_version_are_put_back_and_none_is_taken_off(scene: Scene) -> None:
    body = config_map("guarded")
    body["metadata"]["finalizers"] = ["scene.example/guard"]
    scene.post(body)
    version = scene.backup()
    scene.patch("ConfigMap/guarded", {"metadata": {"finalizers": ["scene.example/other"]}, "data": {"a": "2"}})
    scene.restore_well(version)
    now = scene.get("ConfigMap/guarded")
    assert now["metadata"]["finalizers"] == ["scene.example/other", "scene.example/guard"]
    assert now["data"] == {"a": "1"}


def test_what_is_on_its_way_out_is_neither_kept_nor_deleted_again(scene: Scene) -> None:
    body = config_map("leaving")
    body["metadata"]["finalizers"] = ["scene.example/slow"]
    scene.post(body)
    scene.delete("ConfigMap/leaving", wait=False)
    version = scene.backup()
    assert "ConfigMap/leaving" not in scene.held(version)
    assert scene.restore_well(version).writes == []


def test_what_is_on_its_way_out_is_made_again_once_it_is_gone(scene: Scene) -> None:
    body = config_map("leaving")
    body["metadata"]["finalizers"] = ["scene.example/slow"]
    first = scene.post(body)
    version = scene.backup()
    scene.delete("ConfigMap/leaving", wait=False)
    planned = scene.planned(version)["ConfigMap/leaving"]
    assert (planned.verb, planned.reason) == (Verb.CREATE, "terminating")
    release = threading.Timer(0.7, scene.patch, ("ConfigMap/leaving", {"metadata": {"finalizers": None}}))
    release.start()
    restored = scene.restore_well(version)
    release.join()
    assert restored.outcomes() == {"ConfigMap/leaving": "create"}
    assert scene.uid("ConfigMap/leaving") != first["metadata"]["uid"]
    assert bare(scene.get("ConfigMap/leaving")) == bare(first)
