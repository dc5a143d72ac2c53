"""Operations: following them, their plans and results, stopping and undoing them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.ids import new_id, parse_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.services import paging, views
from chalicelib.services.access import Asker
from chalicelib.services.living import refuse_ending
from chalicelib.services.models.operations import (
    AheadView,
    OperationPage,
    OperationsQuery,
    OperationView,
    PlanView,
    ResultPage,
)
from chalicelib.services.models.shapes import PageQuery

if TYPE_CHECKING:
    from chalicelib.engine.lane.engine import Engine
    from chalicelib.store.repository import Repository

#: Between two looks at an operation that is waited for: at first, and at most. Seconds.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 0.5

#: Actions of a plan that come along with an operation that was waited for.
_ACTIONS_ALONG = 500


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operation comes from that is asked for by something with an identity of its own: the id it always
    gets, and what its arguments say of that."""

    operation: str
    told: Mapping[str, Any]


class Operations:
    """What can be asked about operations."""

    def __init__(self, repository: Repository, engine: Engine) -> None:
        self._repository = repository
        self._engine = engine
        self._closing = threading.Event()

    # ── for the other services ──────────────────────────────────────────────────────────────────────────

    def start(
        self,
        asker: Asker,
        kind: OperationKind,
        application: str,
        arguments: dict[str, Any],
        origin: Origin | None = None,
    ) -> OperationView:
        """Put an operation in line; a duplicate of one that waits already is that one.

        `Conflict` if the application is being deleted. A deletion that comes in between the look and the line is
        noticed too: then what was just started is stopped again.
        """
        if kind is not OperationKind.DELETE:
            refuse_ending(self._repository, application)
        now = self._repository.now()
        operation = Operation(
            id=origin.operation if origin else new_id("op", now),
            kind=kind,
            application=application,
            arguments={**arguments, "request": dict(origin.told)} if origin else arguments,
            requested_by=asker.name,
            requested_at=now,
        )
        started = self._engine.start(operation)
        if kind is not OperationKind.DELETE and started.id == operation.id:
            self._stop_if_ending(asker, started)
        return views.operation_view(started)

    def _stop_if_ending(self, asker: Asker, started: Operation) -> None:
        try:
            refuse_ending(self._repository, started.application)
        except Conflict:
            with contextlib.suppress(Conflict):
                self._engine.cancel(started.application, started.id, asker.name)
            raise

    def find(self, operation: str) -> Operation:
        """The operation with this id; `NotFound` if there is none."""
        return self._repository.operations.find(parse_id(operation, "op"))

    # ── for those who ask ───────────────────────────────────────────────────────────────────────────────

    def get(self, asker: Asker, operation: str) -> OperationView:  # noqa: ARG002 - rights come with accounts
        """One operation, and if it waits in line, for what."""
        found = self.find(operation)
        return views.operation_view(found, waits_for=self._ahead_of(found))

    def _ahead_of(self, operation: Operation) -> AheadView | None:
        """What is next to be done before an operation that waits in its application's line."""
        lane = self._repository.lanes.read(operation.application) if operation.state is State.QUEUED else None
        if lane is None or lane.current == operation.id:
            return None
        if lane.current is not None and lane.kind is not None:
            return AheadView(operation=lane.current, kind=lane.kind.value)
        first = lane.pending[0] if lane.pending else None
        if first is None or first.operation == operation.id:
            return None
        return AheadView(operation=first.operation, kind=first.kind.value)

    def list(self, asker: Asker, query: OperationsQuery) -> OperationPage:  # noqa: ARG002
        """Operations of one application or of all, newest first."""
        if query.app_id is not None:
            self._repository.applications.get(parse_id(query.app_id, "app"))
        before = paging.after(query.next)
        items, following = paging.take(self._matching(query, before), query.limit, lambda operation: operation.id)
        return OperationPage(items=[views.operation_view(operation) for operation in items], next=following)

    def _matching(self, query: OperationsQuery, before: str | None) -> Iterator[Operation]:
        for application, identifier in self._newest_first(query.app_id, before or ""):
            operation = self._repository.operations.get(application, identifier)
            if query.kind is not None and operation.kind != query.kind:
                continue
            if query.running is not None and operation.state.ended is query.running:
                continue
            yield operation

    def _newest_first(self, application: str | None, before: str) -> Sequence[tuple[str, str]]:
        """(application, operation) pairs by the operations' ids, which sort by time: only keys are listed."""
        wanted = [application] if application else self._repository.applications.ids()
        found = [
            (each, identifier)
            for each in wanted
            for identifier in self._repository.operations.list(each, before=before)
        ]
        return sorted(found, key=lambda pair: pair[1], reverse=True)

    def cancel(self, asker: Asker, operation: str) -> OperationView:
        """Ask an operation to stop; `Conflict` where it is too late."""
        found = self.find(operation)
        return views.operation_view(self._engine.cancel(found.application, found.id, asker.name))

    def plan(self, asker: Asker, operation: str, query: PageQuery) -> PlanView:  # noqa: ARG002
        """What a plan or a restore will do, or did; `Conflict` while it is not known yet."""
        return self._plan(self.find(operation), paging.offset(query.next), query.limit)

    def _plan(self, operation: Operation, start: int, limit: int) -> PlanView:
        from chalicelib.engine.plan.plans import read_plan

        if operation.kind not in {OperationKind.PLAN, OperationKind.RESTORE, OperationKind.UNDO}:
            raise NotFound(f"A {operation.kind} has no plan.")
        plan = read_plan(self._repository, operation.application, operation.id)
        more = start + limit < len(plan.actions)
        return views.plan_view(operation.id, plan, start, limit, paging.cursor(str(start + limit)) if more else None)

    def result(self, asker: Asker, operation: str, query: PageQuery) -> ResultPage:  # noqa: ARG002
        """What became of each object, in the order of the plan. Empty until something was done."""
        from chalicelib.engine.operations import results

        found = self.find(operation)
        start = paging.offset(query.next)
        rows = results.read(self._repository, found.application, found.id, start, query.limit + 1)
        page, following = paging.numbered(rows, start, query.limit)
        return ResultPage(items=page, next=following)

    def undo(self, asker: Asker, operation: str) -> OperationView:
        """Start to put back what a restore (or an undo) changed."""
        found = self.find(operation)
        if found.kind not in {OperationKind.RESTORE, OperationKind.UNDO}:
            raise Conflict(f"Only a restore can be undone, and {operation} is a {found.kind}.")
        if not found.state.ended:
            raise Conflict(f"{operation} has not ended: it is {found.state}. Cancel it, and it undoes itself.")
        if found.outcome.get("undone"):
            raise Conflict(f"{operation} undid itself already; there is nothing left to undo.")
        return self.start(asker, OperationKind.UNDO, found.application, {"restore": operation})

    def wait(self, asker: Asker, operation: str, seconds: float) -> OperationView:  # noqa: ARG002
        """The operation once it has ended, or as it is after `seconds`. A plan comes along if it is one."""
        end, pause = time.monotonic() + seconds, _FIRST_PAUSE
        found = self.find(operation)
        while not found.state.ended and time.monotonic() < end and not self._closing.is_set():
            self._closing.wait(min(pause, max(0.0, end - time.monotonic())))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            found = self._repository.operations.get(found.application, found.id)
        has_plan = found.kind is OperationKind.PLAN and found.state is State.SUCCEEDED
        plan = self._plan(found, 0, _ACTIONS_ALONG) if has_plan else None
        return views.operation_view(found, plan, self._ahead_of(found))

    def stop_waiting(self) -> None:
        """The service shuts down: who waits is told how things are now."""
        self._closing.set()

    def now(self) -> datetime:
        """The storage's clock."""
        return self._repository.now()
