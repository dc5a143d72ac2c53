"""Operations: long pieces of work as persisted state machines, and the lane they stand in.

queued ──► running ──► succeeded | partial | failed | cancelled
   ▲          │
   └──────────┤ (a restore goes first; the time budget ends; the worker died: its checkpoint stays)
              └──► rolling-back ──► failed | cancelled   (a restore is undone)
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from chalicelib.domain.version import Stored

#: Times that a step which got nowhere is tried again, before the operation fails with the last reason.
MOST_STALLS = 6


class OperationKind(StrEnum):
    """What an operation does. Planning and verifying take no lane; all else of one application stands in line."""

    BACKUP = "backup"
    PLAN = "plan"
    RESTORE = "restore"
    UNDO = "undo"
    DELETE = "delete"
    SWEEP = "sweep"
    VERIFY = "verify"


class State(StrEnum):
    """Where an operation is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    ROLLING_BACK = "rolling-back"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {State.SUCCEEDED, State.PARTIAL, State.FAILED, State.CANCELLED}


class Progress(Stored):
    """How far a step is: items done of a total (0 while unknown), and bytes moved."""

    done: int = 0
    total: int = 0
    bytes: int = 0
    #: What the items are, for people: `kinds`, `objects`, `workloads`.
    unit: str = ""


class OperationError(Stored):
    """Why an operation failed: code and message of the domain's error, and what became of the work."""

    code: str
    message: str
    details: dict[str, Any] = Field(default_factory=dict)
    #: What the failure left behind, in a sentence ("every change was undone").
    consequence: str = ""


class Operation(Stored):
    """The document of one operation. Changed by compare and swap only, by whoever holds the lane's fence."""

    schema_: int = Field(default=1, alias="schema")
    id: str
    kind: OperationKind
    application: str
    #: Kind-specific, as validated by the service that started it.
    arguments: dict[str, Any] = Field(default_factory=dict)
    requested_by: str
    requested_at: datetime
    state: State = State.QUEUED
    #: Name of the step to do next, and what is known so far. A step's end writes both together.
    step: str = ""
    checkpoint: dict[str, Any] = Field(default_factory=dict)
    #: The fence under which it was last written: an older worker's write is refused.
    fence: int = 0
    #: Times a worker took it up, and times the last step was tried without getting further.
    attempts: int = 0
    stalled: int = 0
    progress: Progress = Progress()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deadline_seconds: int = 6 * 3600
    estimate_seconds: float | None = None
    cancel_requested: bool = False
    cancel_requested_by: str = ""
    error: OperationError | None = None
    #: Why the last try of the step ended, while another one is to come; gone as soon as it gets further.
    trouble: OperationError | None = None
    #: It went back into the line in order, with its checkpoint: the next turn is no sign of a death.
    yielded: bool = False
    #: Times a worker's time was over in the middle of it; the last of them that got nowhere, and since when.
    turns: int = 0
    idle_turns: int = 0
    idle_since: datetime | None = None
    #: Messages about it that came to nothing since a worker last took it up.
    dead_letters: int = 0
    #: When its worker last wrote it, by the storage's clock.
    touched_at: datetime | None = None
    #: Small facts about the outcome: the version made, counts of actions, the safety version.
    outcome: dict[str, Any] = Field(default_factory=dict)

    @property
    def tries_left(self) -> int:
        """How often its step is tried again at most, if it goes on getting nowhere."""
        return max(0, MOST_STALLS - self.stalled)


class Pending(Stored):
    """One operation in line."""

    operation: str
    kind: OperationKind
    #: Restores and undos go before everything else.
    urgent: bool = False


class Lane(Stored):
    """The place in line of one application: at most one operation of it runs at a time.

    `fence` rises each time the lane is taken. `renewed_at` is the storage's own clock, read before the renewal;
    only the holder's renewal and taking the lane change it.
    """

    schema_: int = Field(default=1, alias="schema")
    application: str
    fence: int = 0
    current: str | None = None
    kind: OperationKind | None = None
    holder: str | None = None
    renewed_at: datetime | None = None
    #: `running`, `sealing` (from here a cancel is refused) or `idle`.
    phase: Literal["idle", "running", "sealing"] = "idle"
    #: Set by who wants the running operation to stop at its next piece of work.
    wanted: Literal["", "yield", "cancel"] = ""
    pending: tuple[Pending, ...] = ()
