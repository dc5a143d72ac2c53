"""What is owned by objects that a plan deletes or replaces: it never goes unnoticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.domain.document import Restore
from chalicelib.domain.objects import Body, ObjectKey, key_of
from chalicelib.domain.plan import Action, Plan
from chalicelib.domain.version import Gap
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.normalise import digest
from chalicelib.planning.plan.join import OWNED, LiveRow
from tests.unit.planning.samples import RESOURCES, World, deployment, kept, make


def owned(kind: str, name: str, *, controlled: bool = False, **more: Any) -> Body:
    """An object that belongs to the Deployment `web`."""
    owner: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "uid-web"}
    if controlled:
        owner["controller"] = True
    return make(kind, name, metadata={"ownerReferences": [owner]}, **more)


def web(app: str = "web") -> Body:
    body = deployment(app=app)
    body["metadata"]["uid"] = "uid-web"
    return body


def plan(version: Iterable[Body], live: Iterable[Body], *, held: str = "", **more: Any) -> dict[str, Action]:
    bodies = list(live)

    def attached(going: Mapping[str, ObjectKey]) -> list[LiveRow]:
        found = []
        for body in bodies:
            metadata = body["metadata"]
            uids = tuple(each["uid"] for each in metadata.get("ownerReferences") or ())
            if not going.keys().isdisjoint(uids):
                uid, version = metadata["uid"], metadata["resourceVersion"]
                found.append(LiveRow(key_of(body), digest(kept(body)), uid, version, standing(body), uids))
        return found

    def standing(body: Body) -> str:
        return OWNED if any(each.get("controller") for each in body["metadata"].get("ownerReferences") or ()) else ""

    context = PlanContext(
        resources=RESOURCES, held=lambda key, _going: held if key.kind == "PersistentVolumeClaim" else ""
    )
    world = World(version, bodies, standing={key_of(body): standing(body) for body in bodies}, context=context)
    made: Plan = world.plan(attached=attached, **more)
    return {f"{action.object.kind}/{action.object.name}": action for action in made.actions}


def test_what_a_replaced_object_owns_stays_and_is_attached_to_the_new_one() -> None:
    conf = owned("ConfigMap", "conf")
    planned = plan([web("old"), conf], [web("new"), conf])
    owner, action = planned["Deployment/web"], planned["ConfigMap/conf"]
    assert (owner.verb.value, action.verb.value, action.reason) == ("replace", "update", "owner")
    assert [each.name for each in owner.dependents] == ["conf"]
    assert action.owners == ({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},)
    assert action.wave > owner.wave
    assert "attached to the new one" in action.message


def test_a_dependent_that_is_updated_anyway_may_be_met_without_its_owner() -> None:
    was, now = owned("ConfigMap", "conf", data={"a": "1"}), owned("ConfigMap", "conf", data={"a": "2"})
    planned = plan([web("old"), was], [web("new"), now])
    action, bare = planned["ConfigMap/conf"], make("ConfigMap", "conf", data={"a": "2"})
    assert (action.verb.value, action.reason) == ("update", "differs")
    assert action.detached_digest == digest(kept(bare)).hex()
    assert [each.name for each in planned["Deployment/web"].dependents] == ["conf"]


def test_what_came_since_stays_in_a_merge_though_its_owner_is_replaced() -> None:
    planned = plan([web("old")], [web("new"), owned("Secret", "later", controlled=True)], mode="merge")
    assert (planned["Secret/later"].verb.value, planned["Secret/later"].reason) == ("update", "owner")


def test_what_was_only_there_for_an_extra_owner_is_deleted_by_name() -> None:
    planned = plan([], [web(), owned("Secret", "generated", controlled=True)])
    assert (planned["Secret/generated"].verb.value, planned["Secret/generated"].reason) == ("delete", "extra")
    assert planned["Secret/generated"].live_digest
    assert [each.name for each in planned["Deployment/web"].dependents] == ["generated"]


def test_what_is_protected_stays_when_its_owner_is_deleted() -> None:
    planned = plan([], [web(), owned("PersistentVolumeClaim", "data", controlled=True)])
    action = planned["PersistentVolumeClaim/data"]
    assert (action.verb.value, action.reason, action.owners) == ("update", "owner", ())
    assert "is deleted: it stays" in action.message


def test_consent_lets_it_go_by_itself() -> None:
    live = [web(), owned("PersistentVolumeClaim", "data", controlled=True)]
    planned = plan([], live, consent=frozenset({"PersistentVolumeClaim"}))
    assert planned["PersistentVolumeClaim/data"].verb.value == "delete"


def test_what_is_in_use_stays_although_its_owner_goes_with_consent() -> None:
    live = [web(), owned("PersistentVolumeClaim", "data", controlled=True)]
    planned = plan([], live, consent=frozenset({"PersistentVolumeClaim"}), held="Pods use it.")
    assert planned["PersistentVolumeClaim/data"].verb.value == "update"
    assert planned["PersistentVolumeClaim/data"].reason == "owner"


def test_the_documents_own_protection_counts_for_what_would_go_with_its_owner() -> None:
    live = [web(), owned("Secret", "generated", controlled=True)]
    planned = plan([], live, restore=Restore.model_validate({"protect": ["Secret"]}))
    assert planned["Secret/generated"].verb.value == "update"


def test_nothing_goes_with_its_owner_while_not_everything_could_be_read() -> None:
    gap = Gap(group="", kind="Service", status=403, message="no")
    planned = plan([web("old")], [web("new"), owned("Secret", "later", controlled=True)], gaps=[gap])
    assert planned["Secret/later"].verb.value == "update"
