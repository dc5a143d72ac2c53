"""Actions that were refused for what may be there later: room that others give up, or a webhook's answer.

In the ledger their intents are open until they are done, or have failed for good.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from chalicelib.domain.plan import Action, LedgerEntry
from chalicelib.engine.write.silence import slow, unanswered
from chalicelib.planning.bodies import services


@dataclass(frozen=True, slots=True)
class Numbered:
    """An action and its number in the plan."""

    number: int
    action: Action


@dataclass(slots=True)
class PutOff:
    """What waits, with its refusal, by the action's number."""

    waiting: dict[int, tuple[Numbered, LedgerEntry]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def __contains__(self, item: Numbered) -> bool:
        return item.number in self.waiting

    def take(self, item: Numbered, entry: LedgerEntry) -> bool:
        """Put an action off if its outcome is a refusal of that kind; else it waits no longer."""
        if entry.mark == "failed" and (_wants_room(entry) or unanswered(entry)):
            self.waiting[item.number] = (item, entry)
            return True
        self.waiting.pop(item.number, None)
        return False

    @property
    def for_room(self) -> list[Numbered]:
        """Those that wait for a place in a quota, an address or a port."""
        return [item for item, entry in self._in_order() if not unanswered(entry)]

    @property
    def for_answers(self) -> list[list[Numbered]]:
        """Those that wait for an answer, by kind: of verb, kind and namespace. One of each can ask for all."""
        silent = [item for item, entry in self._in_order() if unanswered(entry)]
        groups = itertools.groupby(sorted(silent, key=_kind), key=_kind)
        return [list(group) for _, group in groups]

    @property
    def too_slow(self) -> list[list[Numbered]]:
        """Those of the same that got their answer too late, where that may be for all that was sent beside them."""
        return [group for group in self.for_answers if all(slow(self.waiting[item.number][1]) for item in group)]

    def give_up(self) -> Iterator[tuple[int, LedgerEntry]]:
        """Their refusals, for good."""
        for item, entry in self._in_order():
            yield item.number, entry
        self.waiting.clear()

    def _in_order(self) -> list[tuple[Numbered, LedgerEntry]]:
        return [each for _, each in sorted(self.waiting.items())]


def _wants_room(entry: LedgerEntry) -> bool:
    """Whether it was refused for something that another object has and may give up."""
    return "exceeded quota" in entry.message or services.is_taken(entry.message)


def _kind(item: Numbered) -> tuple[str, str, str, str]:
    place = item.action.object
    return item.action.verb.value, place.group, place.kind, place.namespace
