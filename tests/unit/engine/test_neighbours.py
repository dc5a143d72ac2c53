"""Other applications in the place that one is restored to."""

from __future__ import annotations

from chalicelib.domain.ids import new_id
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Action, Identity, Plan, Verb
from chalicelib.engine.plan.neighbours import neighbours, written_scopes
from chalicelib.language.loader import load
from chalicelib.planning.elsewhere.destination import HERE, Destination
from tests.unit.engine.house import NOON, House

COPY = """
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: other}
spec: {state: {objects: [{namespaces: [copy]}]}}
"""


def test_an_application_that_has_the_namespace_restored_into_is_told(house: House) -> None:
    own = house.repository.applications.get(house.application)
    other = own.model_copy(update={"id": new_id("app", NOON), "name": "other", "document": COPY})
    house.repository.applications.create(other)
    document = load(own.document)
    into = dict.fromkeys(document.spec.state.namespaces, "copy")
    beside, far = Destination(names=into), Destination(names=into, cluster="cl-there")

    def told(there: Destination) -> list[str]:
        return list(neighbours(house.repository, own.id, there, there.document(document).spec.state.objects))

    assert told(beside) == [
        "It is restored into what application other has too (the namespace copy): that may change."
    ]
    assert told(far) == told(HERE) == []


def test_of_a_restore_of_a_part_only_what_it_writes_is_told(house: House) -> None:
    own = house.repository.applications.get(house.application)
    theirs = COPY.replace(
        "[{namespaces: [copy]}]", "[{namespaces: [copy, two], kinds: [ConfigMap], names: [theirs*]}]"
    )
    other = own.model_copy(update={"id": new_id("app", NOON), "name": "other", "document": theirs})
    house.repository.applications.create(other)

    def told(*written: ObjectKey, verb: Verb = Verb.CREATE) -> list[str]:
        actions = tuple(Action(verb=verb, object=Identity.of(key), reason="missing") for key in written)
        plan = Plan(application=own.id, version="", mode="merge", actions=actions)
        return list(neighbours(house.repository, own.id, Destination(names={"a": "copy"}), written_scopes(plan)))

    mine, shared = ObjectKey("", "ConfigMap", "copy", "mine"), ObjectKey("", "ConfigMap", "copy", "theirs-1")
    assert told(mine, shared) == [
        "It is restored into what application other has too (the namespace copy): that may change."
    ]
    assert told(mine, ObjectKey("apps", "Deployment", "two", "theirs"), ObjectKey("", "Node", "", "theirs")) == []
    assert told(shared, verb=Verb.KEEP) == []
