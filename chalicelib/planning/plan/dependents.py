"""What is owned by objects that a plan deletes or replaces: it must not go with them unnoticed.

The garbage collector deletes what has lost its owners. What a controller makes again may go so. Everything else that
is known gets an action of its own, so that it is in the safety version and in the ledger, and its owner's action
names it: before the owner is deleted, its dependents are detached from it (`Action.dependents`).

- The owner is replaced: they stay, and are attached to the new one afterwards.
- The owner is deleted: what the version holds, or what is protected, stays without it; what else was only there for
  it (generated Secrets, claims of a StatefulSet) is deleted like every object that is not in the version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.planning.bodies.normalise import digest
from chalicelib.planning.plan.join import OWNED, LiveRow
from chalicelib.planning.plan.order import OWNER
from chalicelib.planning.selecting.capture_rules import Reason

#: The live objects that have one of these owners (their uids and keys), in any order.
Attached = Callable[[Mapping[str, ObjectKey]], Iterable[LiveRow]]

_GOES = frozenset({Verb.DELETE, Verb.REPLACE})


def going(actions: Iterable[Action]) -> dict[str, Action]:
    """The actions that take a live object away, by its uid."""
    return {action.live_uid: action for action in actions if action.verb in _GOES and action.live_uid}


def left_behind(
    actions: Sequence[Action], attached: Attached, goes_too: Callable[[LiveRow], bool]
) -> tuple[dict[ObjectKey, LiveRow], list[LiveRow]]:
    """Everything that would be collected with what the actions delete or replace; and of that, in order, what
    `goes_too` says is to be deleted since all its owners are."""
    busy = {action.object.key for action in actions if action.verb.writes}
    deleted = {uid for uid, action in going(actions).items() if action.verb is Verb.DELETE}
    found: dict[ObjectKey, LiveRow] = {}
    extra: list[LiveRow] = []
    fresh = {uid: action.object.key for uid, action in going(actions).items()}
    while fresh:
        rows = [row for row in attached(fresh) if row.standing in {"", OWNED, Reason.UNTOUCHED}]
        fresh = {}
        for row in rows:
            found[row.key] = row
            if row.key not in busy and deleted.issuperset(row.owners) and goes_too(row):
                busy.add(row.key)
                extra.append(row)
                deleted.add(row.uid)
                fresh[row.uid] = row.key
    return dict(sorted(found.items())), sorted(extra)


def attach(
    actions: Sequence[Action], found: Mapping[ObjectKey, LiveRow], read_live: Callable[[ObjectKey], Body | None]
) -> list[Action]:
    """The actions, with those that dependents need: see the module."""
    doomed = going(actions)
    writing = {action.object.key: number for number, action in enumerate(actions) if action.verb.writes}
    result = list(actions)
    dependents: dict[ObjectKey, list[Identity]] = {}
    for row in found.values():
        owners = [doomed[uid] for uid in row.owners if uid in doomed]
        live = read_live(row.key)
        if not owners or live is None:
            continue
        for owner in owners:
            dependents.setdefault(owner.object.key, []).append(Identity.of(row.key))
        detached = _without(live, {owner.object.key for owner in owners})
        if row.key in writing:
            number = writing[row.key]
            result[number] = actions[number].model_copy(update={"detached_digest": digest(detached).hex()})
        else:
            result.append(_stays(row, live, owners, digest(detached).hex()))
    return [
        action.model_copy(update={"dependents": tuple(dependents[action.object.key])})
        if action.verb in _GOES and action.object.key in dependents
        else action
        for action in result
    ]


def _stays(row: LiveRow, live: Body, owners: list[Action], detached: str) -> Action:
    lost = {owner.object.key for owner in owners if owner.verb is Verb.DELETE}
    anew = [str(owner.object.key) for owner in owners if owner.verb is Verb.REPLACE]
    said = [f"Its owner {key} is deleted: it stays, without it." for key in sorted(lost)]
    if anew:
        said.append(f"Its owner {', '.join(anew)} is made anew: it stays, and is attached to the new one.")
    return Action(
        verb=Verb.UPDATE,
        object=Identity.of(row.key),
        reason=OWNER,
        message=" ".join(said),
        live_uid=row.uid,
        live_resource_version=row.resource_version,
        live_digest=row.digest.hex(),
        wanted_digest=(detached if not anew else row.digest.hex()),
        detached_digest=detached,
        owners=tuple(_references(_without(live, lost))),
    )


def _references(body: Body) -> list[Body]:
    return list(body["metadata"].get("ownerReferences") or ())


def _without(body: Body, owners: Iterable[ObjectKey]) -> Body:
    """The content (normalised: references have no uids) without some of its owners."""
    gone = {(key.group, key.kind, key.name) for key in owners}
    kept = [
        reference
        for reference in _references(body)
        if (str(reference.get("apiVersion") or "").rpartition("/")[0], reference.get("kind"), reference.get("name"))
        not in gone
    ]
    metadata = {name: value for name, value in body["metadata"].items() if name != "ownerReferences"}
    if kept:
        metadata["ownerReferences"] = kept
    return {**body, "metadata": metadata}
