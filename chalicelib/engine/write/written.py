"""What a write came to: what it left, or that somebody else had moved the object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chalicelib.domain.errors import Conflict
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.plan import Action, Verb
from chalicelib.planning.bodies.compare import Comparison
from chalicelib.planning.bodies.normalise import copy_of, digest, normalise
from chalicelib.planning.plan.claim_policy import before_it_was_told


@dataclass(slots=True)
class Written:
    """What a write left: the object's new identity, and what there is to say."""

    request: str
    uid: str | None = None
    resource_version: str | None = None
    message: str = ""
    #: For the ledger: what was done beside the object itself.
    memory: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: str, made: Body, *said: str) -> Written:
        """By a request whose answer is the object as it is now."""
        metadata = made["metadata"]
        return cls(request, metadata.get("uid"), metadata.get("resourceVersion"), sentences(*said))


def sentences(*parts: str) -> str:
    """Those that say something, one after the other."""
    return " ".join(part for part in parts if part)


def moved(key: ObjectKey, comparison: Comparison, what: str) -> Conflict:
    """The error for an object that is neither as planned nor as wanted: nothing is written over it."""
    fields = ", ".join(difference.path for difference in comparison.differences[:5]) or "its identity"
    return Conflict(f"{key} {what} between plan and apply ({fields}). Nothing was written over it; make a new plan.")


def busy(key: ObjectKey, consequence: str) -> Conflict:
    """The error for an object that was another one at each look."""
    return Conflict(f"{key} is being changed by somebody else all the time; {consequence}.")


def is_as_planned(action: Action, content: Body, hashed: bytes | None = None) -> bool:
    """Whether a live object (normalised) still has the content that an action rests on.

    The rules of an aggregated role are no part of that: its controller writes them anew while the very same plan
    writes the roles they are taken from. And a StatefulSet that is to go may have been told already to leave its
    claims.
    """
    if content.get("aggregationRule"):
        return True
    planned = {action.live_digest, action.detached_digest}
    if (hashed or digest(content)).hex() in planned:
        return True
    before = before_it_was_told(content) if action.verb in {Verb.DELETE, Verb.REPLACE} else None
    return before is not None and digest(before).hex() in planned


def refuse_if_moved(action: Action, live: Body, resource: Resource) -> None:
    """Before a delete: whether it is the very object, with the very content, that was planned."""
    key = action.object.key
    if live["metadata"]["uid"] != action.live_uid:
        raise Conflict(f"{key} was replaced by another object between plan and apply. Make a new plan.")
    if not is_as_planned(action, normalise(copy_of(live), resource)):
        raise Conflict(f"{key} changed between plan and apply; it was not deleted. Make a new plan.")
