"""What is live and not in the version: deleted in exact mode, with nothing that is used or protected.

And what hangs together with what goes: dependents (see `dependents`), and what others use or are in.
"""

from __future__ import annotations

from chalicelib.domain.objects import DEFINITION, NAMESPACE, ObjectKey
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.planning.plan import dependents, effects
from chalicelib.planning.plan.differing import is_implied
from chalicelib.planning.plan.draft import Draft
from chalicelib.planning.plan.join import OWNED, LiveRow
from chalicelib.planning.plan.sayings import named

_CLAIM = ("", "PersistentVolumeClaim")
_SERVICE = ("", "Service")

#: Why something is left alone that is not to be lost either.
_SPARED = frozenset({"protected", "in-use"})


def plan_extra(draft: Draft) -> None:
    """Deletes: in exact mode, of roots, and only if nothing was overlooked on either side."""
    if draft.mode != "exact":
        return
    for row in draft.extra:
        if row.standing != "" or is_implied(row) or draft.shared.keeps(row.key):
            continue
        if draft.gaps:
            draft.leave(row.key, "incomplete", "Not everything could be read, so nothing is deleted.", row)
        elif draft.consent.lacks(row.key):
            draft.leave(row.key, "protected", "It is not in the version, and is protected.", row)
        else:
            draft.actions.append(_delete(draft, row))


def _delete(draft: Draft, row: LiveRow) -> Action:
    in_the_way = _in_the_way(draft, row.key)
    return Action(
        verb=Verb.DELETE,
        object=Identity.of(row.key),
        reason="in-the-way" if in_the_way else "extra",
        message=f"It is not in the version. {in_the_way}".rstrip(),
        live_uid=row.uid,
        live_resource_version=row.resource_version,
        live_digest=row.digest.hex(),
        effects=effects.of_delete(row.key.group, row.key.kind),
    )


def _in_the_way(draft: Draft, key: ObjectKey) -> str:
    """Why an extra object has to go before others can be made."""
    if (key.group, key.kind) != _SERVICE:
        return ""
    live = draft.read_live(key)
    return "" if live is None else draft.needs.met_by(live)


def plan_dependents(draft: Draft, attached: dependents.Attached) -> None:
    """Let nothing go unnoticed with its owner, and nothing be doomed that is used."""
    owned = {row.key for row in draft.extra if row.standing == OWNED}
    found, extra = dependents.left_behind(
        draft.actions,
        attached,
        lambda row: (
            draft.mode == "exact"
            and not draft.gaps
            and row.key in owned
            and not draft.shared.keeps(row.key)
            and not draft.consent.lacks(row.key)
        ),
    )
    draft.actions += [_delete(draft, row) for row in extra]
    _spare(draft, {_CLAIM})
    _spare(draft, {NAMESPACE, DEFINITION})
    extras = {row.key for row in draft.extra}
    touched = extras | {action.object.key for action in draft.actions}
    draft.actions = dependents.attach(draft.actions, found, draft.read_live)
    # What was counted as kept is touched after all.
    late = [key for action in draft.actions if (key := action.object.key) not in touched]
    draft.kept -= sum(hash(key) in draft.known and (draft.only is None or draft.only(key)) for key in late)


def _spare(draft: Draft, kinds: set[tuple[str, str]]) -> None:
    """Leave alone what others use or are in, if these stay."""
    gone = frozenset(action.live_uid for action in draft.actions if action.verb is Verb.DELETE and action.live_uid)
    for number, action in enumerate(draft.actions):
        if action.verb not in {Verb.DELETE, Verb.REPLACE}:
            continue
        key = action.object.key
        if key[:2] in kinds:
            why = draft.context.held(key, gone) or _spared_inside(draft, key) or _to_be_made(draft, action)
            if why:
                draft.left.setdefault("in-use", []).append(key)
                draft.actions[number] = action.model_copy(
                    update={"verb": Verb.SKIP, "reason": "in-use", "message": why, "effects": ()}
                )


def _to_be_made(draft: Draft, definition: Action) -> str:
    """That objects are made of the kind which a definition has, if that is to go and not to come back."""
    if definition.verb is not Verb.DELETE or definition.object.key[:2] != DEFINITION:
        return ""
    made = [
        action.object.key
        for action in draft.actions
        if action.verb is Verb.CREATE
        and (resource := draft.context.resource_of(action.object.key)) is not None
        and resource.defined_by == definition.object.name
    ]
    return f"Without it these of the version could not be made: {named(made, 5)}." if made else ""


def _spared_inside(draft: Draft, key: ObjectKey) -> str:
    inside = [
        str(action.object.key)
        for action in draft.actions
        if action.verb is Verb.SKIP and action.object.namespace == key.name and action.reason in _SPARED
    ]
    if not inside or key[:2] != NAMESPACE:
        return ""
    return f"With it these would be lost, which are left alone: {named(inside, 5)}."
