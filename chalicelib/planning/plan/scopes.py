"""Kinds whose objects were in namespaces when the version was made and belong to the whole cluster now, or the other
way round: another definition has come since.

The server would not tell: it takes an object of a namespace for one of the whole cluster. A definition's scope cannot
be changed, only another definition made, and with the one that goes all of its objects go. So such objects are made
where the plan puts their definition back, and else a restore is not begun.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from chalicelib.domain.objects import DEFINITION, ObjectKey
from chalicelib.domain.plan import Action, Verb
from chalicelib.planning.plan.draft import Draft
from chalicelib.planning.plan.sayings import named
from chalicelib.planning.plan.shared import SHARED

#: Reason of a skip: its kind has another scope now.
OTHER_SCOPE = "other-scope"


def refuse_other_scopes(draft: Draft) -> Iterator[str]:
    """Leave out what would be made of a kind that has another scope now; a sentence for each of these kinds.

    It is known by now what becomes of the version's definitions.
    """
    extra = {row.key for row in draft.extra}
    definitions = {
        action.object.name: action
        for action in draft.actions
        if action.object.key[:2] == DEFINITION and action.object.key not in extra
    }
    found: defaultdict[str, list[int]] = defaultdict(list)
    for number, action in enumerate(draft.actions):
        key = action.object.key
        resource = draft.context.resource_of(key) if action.verb is Verb.CREATE else None
        if resource is None or resource.namespaced == bool(key.namespace):
            continue
        name = resource.defined_by
        if name not in definitions or not definitions[name].verb.writes:
            found[name].append(number)
    for name, numbers in sorted(found.items()):
        keys = [draft.actions[number].object.key for number in numbers]
        draft.left[OTHER_SCOPE] = [*draft.left.get(OTHER_SCOPE, ()), *keys]
        for number, key in zip(numbers, keys, strict=True):
            draft.actions[number] = Action(
                verb=Verb.SKIP, object=draft.actions[number].object, reason=OTHER_SCOPE, message=_was_and_is(key)
            )
        yield _refusal(draft, name, keys, definitions.get(name))


def _was_and_is(key: ObjectKey) -> str:
    inside, whole = "in namespaces (scope Namespaced)", "of the whole cluster (scope Cluster)"
    was, now = (inside, whole) if key.namespace else (whole, inside)
    return f"Objects of its kind were {was} when the version was made, and are {now} here."


def _refusal(draft: Draft, name: str, keys: list[ObjectKey], definition: Action | None) -> str:
    kind = f"{keys[0].kind}.{keys[0].group}" if keys[0].group else keys[0].kind
    said = _was_and_is(keys[0]).replace("Objects of its kind", f"Objects of {kind}")
    return f"{said} They cannot be made so ({len(keys)}: {named(keys, 3)}). {_remedy(draft, name, definition)}"


def _remedy(draft: Draft, name: str, definition: Action | None) -> str:
    if definition is None:
        return (
            f"A definition's scope cannot be changed: make {name} as it was (the one that is there goes first, and "
            "all of its objects with it), or leave these out with `only`."
        )
    asked = {
        "protected": " Consent to `CustomResourceDefinition` to have it replaced,",
        SHARED: "" if draft.shared.beside else " Ask for `shared` to have it replaced,",
    }.get(definition.reason, "")
    return (
        f"The version has their definition {name}, which is not put back: {definition.message}"
        f"{asked or ' Have that settled,'} or leave these out with `only`."
    )
