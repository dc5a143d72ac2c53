"""A plan while it is being made: what it rests on, the heaps of objects to decide about, and what was decided.

Each heap has a module of its own (`missing`, `differing`, `extra`), that reads what it needs here and adds its
actions; `plan` has them follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.plan import Action, Identity, Verb
from chalicelib.domain.version import Gap, IndexRow
from chalicelib.planning.bodies import services
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.immutable import Refusal
from chalicelib.planning.plan.consent import Consent
from chalicelib.planning.plan.deployers import Deployed
from chalicelib.planning.plan.join import LiveRow
from chalicelib.planning.plan.shared import Shared

#: Reads stored content: the rows asked for → their keys and normalised bodies, in any order.
ReadWanted = Callable[[Sequence[IndexRow]], Iterable[tuple[ObjectKey, Body]]]
#: Reads the normalised content of one live object; `None` if it is gone by now.
ReadLive = Callable[[ObjectKey], Body | None]


class Question(NamedTuple):
    """A write to try without effect: of an update, the content to write (see `creation.for_update`); of a replace,
    the stored content, of which another object is made beside the one that is there."""

    action: Action
    target: Body


#: For each question, in order: the normalised content that would come of it, or why it would be refused, or `None`
#: if the answer does not matter any more (the object moved).
AskServer = Callable[[Sequence[Question]], Iterable[Body | Refusal | None]]


@dataclass(slots=True)
class Draft:
    """The plan as far as it is made."""

    mode: str
    consent: Consent
    only: Callable[[ObjectKey], bool] | None
    gaps: tuple[Gap, ...]
    context: PlanContext
    read_wanted: ReadWanted
    read_live: ReadLive
    ask_server: AskServer | None
    shared: Shared
    #: What the version holds and is not live; with the live object where that is on its way out.
    missing: list[tuple[IndexRow, LiveRow | None]] = field(default_factory=list)
    #: What is on both sides and not equal; without a row what every namespace has (see `capture_rules.implied`).
    differing: list[tuple[IndexRow | None, LiveRow]] = field(default_factory=list)
    #: What is live and not in the version.
    extra: list[LiveRow] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    kept: int = 0
    warnings: list[str] = field(default_factory=list)
    #: Keys by why nothing is done about them, for the warnings at the end.
    left: dict[str, list[ObjectKey]] = field(default_factory=dict)
    deployed: Deployed = field(default_factory=Deployed)
    #: The addresses and node ports that Services are to have.
    needs: services.Needs = field(default_factory=services.Needs)
    #: Hashes of all keys of both sides: keeping the keys would cost more than the rest of the plan.
    known: set[int] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)

    def leave(self, key: ObjectKey, reason: str, message: str, live: LiveRow | None = None) -> None:
        """Do nothing about an object, and say why."""
        self.left.setdefault(reason, []).append(key)
        self.actions.append(
            Action(
                verb=Verb.SKIP,
                object=Identity.of(key),
                reason=reason,
                message=message,
                live_uid=live.uid if live else None,
                live_resource_version=live.resource_version if live else None,
            )
        )

    def wanted(self, rows: Sequence[IndexRow]) -> dict[ObjectKey, Body]:
        """The stored content of some objects of the version."""
        return dict(self.read_wanted(rows)) if rows else {}

    def exists(self, key: ObjectKey) -> bool:
        """Whether an object is live or in the version, or outside of what is looked at and there."""
        return hash(key) in self.known or self.context.exists(key)
