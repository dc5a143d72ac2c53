"""When sweeps are: asked for whenever something ends, and started when the time of grace is over.

    a version ends ── wake entry `sweep-later` ──► note when (`sweep.json`) ── wake entry `sweep` ──► operation

Many endings are one sweep: while one is to come that is early enough, nothing more is written down. The sweep itself
looks what it has to leave for the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind
from chalicelib.domain.version import Stored
from chalicelib.store import layout
from chalicelib.store.repository import Repository
from chalicelib.store.wake import Entry

if TYPE_CHECKING:
    from chalicelib.engine.lane.engine import Engine

LATER = "sweep-later"
NOW = "sweep"

#: A sweep that was due so long ago and has not begun was lost.
_LOST = timedelta(hours=1)


class SweepDue(Stored):
    """When the next sweep of an application is to be; `None` if there is nothing to look forward to."""

    schema_: int = Field(default=1, alias="schema")
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class SweepTerms:
    """How long things stay that nothing needs: segments and ended versions; ended operations."""

    grace: timedelta = timedelta(days=1)
    history: timedelta = timedelta(days=90)

    def arguments(self) -> dict[str, object]:
        """As a sweep's operation carries it."""
        return {"graceSeconds": self.grace.total_seconds(), "historySeconds": self.history.total_seconds()}


def sweep_later(repository: Repository, application: str) -> None:
    """Something ended: see to it that what nothing needs any more is removed when its time of grace is over."""
    repository.wake.add(repository.now(), application, LATER)


def schedule(repository: Repository, application: str, at: datetime, grace: timedelta) -> None:
    """See to it that there is a sweep soon after `at`: late enough to take along what ends a little later."""
    now, wanted = repository.now(), at + grace / 4
    key = layout.sweep_due(application)
    found = repository.documents.read(key, SweepDue)
    if found is not None and found.model.due is not None and now - _LOST < found.model.due <= wanted:
        return
    repository.wake.add(wanted, application, NOW)
    repository.documents.update(key, SweepDue, lambda _: SweepDue(due=wanted), default=SweepDue())


def begun(repository: Repository, application: str) -> None:
    """A sweep looks at everything that has ended by now: what ends from here on needs another one."""
    repository.documents.update(
        layout.sweep_due(application), SweepDue, lambda _: SweepDue(due=None), default=SweepDue()
    )


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Starts sweeps of one repository's applications."""

    repository: Repository
    engine: Engine
    terms: SweepTerms

    def attach(self) -> None:
        """Have the engine bring the wake entries about sweeps here."""
        self.engine.reasons[LATER] = self._later
        self.engine.reasons[NOW] = self._due

    def start(self, application: str, by: str, *, at_once: bool = False) -> Operation:
        """Start a sweep; with `at_once` what is unneeded goes however young it is."""
        terms = SweepTerms(timedelta(0), self.terms.history) if at_once else self.terms
        now = self.repository.now()
        return self.engine.start(
            Operation(
                id=new_id("op", now),
                kind=OperationKind.SWEEP,
                application=application,
                arguments=terms.arguments(),
                requested_by=by,
                requested_at=now,
            )
        )

    def _later(self, entry: Entry) -> None:
        grace = self.terms.grace
        schedule(self.repository, entry.application, self.repository.now() + grace, grace)

    def _due(self, entry: Entry) -> None:
        self.start(entry.application, "mainstay")
