"""What the server would make of an object today: asked by a dry run that makes another one beside it.

Admission may add to what is made, and nobody can know what but by asking. An object's own name is taken.
"""

from __future__ import annotations

import uuid

from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.write.owners import Owners
from chalicelib.planning.bodies import creation
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.normalise import normalise

#: Characters of a name that one beside it begins with: names of some kinds are no longer than 63.
_NAME_CHARACTERS = 50


def beside(wanted: Body, owners: Owners, context: PlanContext) -> Body:
    """The body to make another one with, of stored content: under a name that nothing has."""
    owned, _said = owners.resolve(wanted)
    body = creation.for_creation(owned, context)
    name = f"{wanted['metadata']['name'][:_NAME_CHARACTERS].rstrip('.:-_')}-{uuid.uuid4().hex[:8]}"
    return {**body, "metadata": {**body["metadata"], "name": name}}


def as_itself(made: Body, key: ObjectKey, resource: Resource) -> Body:
    """What was made beside an object, normalised and by its name. **Changes and returns the body it is given**."""
    made["metadata"]["name"] = key.name
    return normalise(made, resource)
