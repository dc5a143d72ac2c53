"""What an operation has done to the cluster so far: intents before, outcomes after, one row each.

The rows lie in parts beside the operation's document, named by fence and number, so that a worker that was taken
for dead can never write into its successor's. A part is written before the requests whose intents it holds; the
outcomes of those requests come with the next part. Reading all parts in order therefore tells of every action
either its outcome or that it may have happened, which only the object itself can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.plan import LedgerEntry
from chalicelib.engine.lane.work import Work
from chalicelib.store.repository import Repository

_PART = "ledger"


@dataclass(slots=True)
class Ledger:
    """The ledger of one operation, open for writing by the worker that holds its lane."""

    work: Work
    _pending: list[LedgerEntry] = field(default_factory=list)

    def outcome(self, entries: Iterable[LedgerEntry]) -> None:
        """Keep outcomes; they are written with the next part."""
        before = len(self._pending)
        self._pending.extend(entries)
        if len(self._pending) > before:
            self.work.moved = True

    def intend(self, entries: Sequence[LedgerEntry]) -> None:
        """Write that these requests are about to be made, together with the outcomes that are known by now."""
        self._pending.extend(entries)
        self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        if not self._pending:
            return
        lines = [entry.model_dump_json(by_alias=True, exclude_defaults=True).encode() for entry in self._pending]
        self.work.put_part(_PART, self.work.next_number(_PART), lines)
        self._pending.clear()


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What a ledger says of each action of one phase: its last outcome, or its open intent."""

    settled: dict[int, LedgerEntry]
    open: dict[int, LedgerEntry]


def read_entries(repository: Repository, application: str, operation: str) -> list[LedgerEntry]:
    """Every row, in the order in which they were written."""
    lines = repository.operations.read_lines(application, operation, _PART)
    return [LedgerEntry.model_validate_json(line) for line in lines]


def state_of(entries: Iterable[LedgerEntry], phase: str) -> LedgerState:
    """Which actions of a phase (`apply` or `undo`) are settled, and which have an intent without an outcome."""
    settled: dict[int, LedgerEntry] = {}
    opened: dict[int, LedgerEntry] = {}
    for entry in entries:
        if entry.phase != phase:
            continue
        if entry.mark == "intent":
            opened[entry.action] = entry
        else:
            settled[entry.action] = entry
            opened.pop(entry.action, None)
    return LedgerState(settled, opened)
