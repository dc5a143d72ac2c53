"""Operations, their plans and their results."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from chalicelib.domain.operation import OperationError, Progress
from chalicelib.domain.plan import Action, Place, ResultRow
from chalicelib.domain.version import Gap
from chalicelib.services.models.shapes import Page, PageQuery, View


class PlanView(View):
    """What a restore will do, in the order it will do it. Objects that stay are counted, not listed."""

    operation: str
    application: str
    version: str
    mode: str
    destination: Place | None = Field(None, description="Where to; `null`: to where the application is.")
    empty: bool
    counts: dict[str, int]
    warnings: list[str]
    blockers: list[str]
    gaps: list[Gap]
    actions: list[Action]
    next: str | None = Field(None, description="For the actions after these; `null`: there are none.")


class AheadView(View):
    """What stands before an operation in its application's line: it runs now, or its turn comes first."""

    operation: str
    kind: str


class OperationView(View):
    """One long piece of work."""

    id: str
    kind: str
    application: str
    state: Literal["queued", "running", "rolling-back", "succeeded", "partial", "failed", "cancelled"]
    ended: bool
    step: str
    progress: Progress
    arguments: dict[str, Any]
    outcome: dict[str, Any]
    error: OperationError | None
    trouble: OperationError | None = Field(
        None, description="Why the last try of its step came to nothing, while another one is to come."
    )
    tries_left: int | None = Field(
        None, description="Beside `trouble`: tries that are still to come before the operation gives up."
    )
    touched_at: datetime | None = Field(None, description="When its worker last wrote down how far it is.")
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    turns: int = Field(0, description="Turns of workers that ended before it did, because their time was over.")
    estimate_seconds: float | None
    cancel_requested: bool
    waits_for: AheadView | None = Field(None, description="While it is `queued`, where it was asked for by its id.")
    plan: PlanView | None = Field(None, description="Of a plan that was waited for.")


class OperationPage(Page):
    """Operations, newest first."""

    items: list[OperationView]


class OperationsQuery(PageQuery):
    """Of `GET /operation`."""

    app_id: str | None = None
    kind: Literal["backup", "plan", "restore", "undo", "delete", "sweep", "verify"] | None = None
    running: bool | None = Field(None, description="Only those that have not ended, or only those that have.")


class ResultPage(Page):
    """What became of each object, in the order of the plan."""

    items: list[ResultRow]
