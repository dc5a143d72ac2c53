"""Other applications in the place that one is restored to."""

from __future__ import annotations

from chalicelib.domain.ids import new_id
from chalicelib.engine.neighbours import neighbours
from chalicelib.language.loader import load
from chalicelib.planning.destination import HERE, Destination
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
        return list(neighbours(house.repository, own.id, there, there.document(document)))

    assert told(beside) == ["It is restored into what application other has too (copy): that may change."]
    assert told(far) == told(HERE) == []
