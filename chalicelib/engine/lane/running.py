"""One operation in the hands of one worker: its steps, one after the other, until it ends or its turn does.

begin ── step ── checkpoint ── step ── … ── finish
           │ failed: where the flow says (a restore goes back)
           │ yielded: back into the line, with the checkpoint
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from chalicelib.domain.errors import (
    ClusterUnreachable,
    Conflict,
    LeaseLost,
    MainstayError,
    StorageUnavailable,
    TurnEnded,
    Yielded,
)
from chalicelib.domain.operation import MOST_STALLS, Operation, OperationError, OperationKind, State
from chalicelib.domain.traces import places
from chalicelib.engine.lane import turns
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.collector import rare_collections
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.engine.lane.work import Finish, Flow, Next, Work
from chalicelib.store.repository import Repository

_log = logging.getLogger(__name__)

#: What is still done for a deleted application.
_AFTER_DELETION = frozenset({OperationKind.DELETE, OperationKind.SWEEP, OperationKind.VERIFY})
NOT_SETTLED = "It could not be settled what it left behind: make a plan to see how the application is."

#: Called with each operation that ended here: for counting, it decides nothing.
Ended = Callable[[Operation], object]


class Run:
    """Work on one operation, of one flow."""

    def __init__(self, work: Work, flow: Flow, terms: TurnTerms, ended: Ended) -> None:
        self._work = work
        self._flow = flow
        self._terms = terms
        self._ended = ended
        self._turn = work.budget
        work.yields = flow.yields
        if turns.may_take_longer(work.operation):
            work.budget = work.budget.whole

    def to_its_end(self) -> bool:
        """Do the steps; whether the operation ended. If not, it goes back into the line."""
        try:
            self._begin()
            self._steps()
        except TurnEnded as error:
            return self._end_turn(error)
        except Yielded as error:
            self._go_back(error.message)
            return False
        return True

    def _begin(self) -> None:
        work, operation = self._work, self._work.operation
        # Found running, it died or lost its storage or cluster in this step; `note` and a step's end set it back.
        now = work.now()
        died = operation.state in {State.RUNNING, State.ROLLING_BACK} and not operation.yielded
        work.save(
            state=State.ROLLING_BACK if work.undoing else State.RUNNING,
            attempts=operation.attempts + 1,
            stalled=operation.stalled + 1 if died else operation.stalled,
            started_at=operation.started_at or now,
            yielded=False,
            dead_letters=0,
        )
        work.begin(now)

    def _go_back(self, why: str, **changes: object) -> None:
        work = self._work
        _log.info("back in line: %s", why, extra={"operation": work.operation.id})
        work.save(state=State.ROLLING_BACK if work.undoing else State.QUEUED, yielded=True, **changes)

    def _end_turn(self, error: TurnEnded) -> bool:
        """Count the turn, and go back into the line; or fail, if it was the last one or leads nowhere."""
        work, now = self._work, self._work.now()
        changes = turns.counted(work.operation, moved=work.moved, began=work.began or now)
        waited_for = str(error.details.get("waitsFor") or "")
        counted = work.operation.model_copy(update=changes)
        reason = turns.exhausted(counted, now, self._terms, waited_for)
        if reason is None:
            self._go_back(error.message, **changes)
            return False
        work.save(**changes)
        work.budget = Budget()  # telling is a matter of moments
        outcome = self._failed(reason)
        if isinstance(outcome, Finish):
            self._finish(outcome)
            return True
        work.advance(outcome)
        self._go_back("it goes back from here", idle_turns=0, idle_since=None)
        return False

    def _steps(self) -> None:
        work = self._work
        while True:
            try:
                outcome = self._step()
            except (LeaseLost, Yielded):
                raise
            except MainstayError as error:
                if _may_pass(error) and self._flow.patient:
                    self._remember(error)
                    raise
                outcome = self._failed(error)
            except Exception as error:  # noqa: BLE001  # a fault of ours must not leave the lane stuck
                where = places(error)
                _log.error("%s at %s", type(error).__name__, where, extra={"operation": work.operation.id})
                broken = MainstayError(f"Unexpected {type(error).__name__} in step `{work.operation.step}`.")
                outcome = self._failed(broken)
            if isinstance(outcome, Finish):
                self._finish(outcome)
                return
            work.advance(outcome)
            work.budget = self._turn

    @rare_collections()
    def _step(self) -> Next | Finish:
        work = self._work
        if work.operation.stalled > MOST_STALLS:
            raise _gave_up(work)
        if work.application.status == "deleted" and work.operation.kind not in _AFTER_DELETION:
            raise Conflict(f"The application {work.application.name} was deleted.")
        work.pause()
        return self._flow.steps[work.operation.step](work)

    def _failed(self, error: MainstayError) -> Next | Finish:
        """Keep the reason, and ask the flow where it leads. The way back keeps the reason it was taken for."""
        work = self._work
        _log.warning("step `%s` failed: %s", work.operation.step, error.code, extra={"operation": work.operation.id})
        if not work.undoing or work.operation.error is None:
            work.save(error=told(error, work.operation.id))
        try:
            return self._flow.failed(work, error)
        except (LeaseLost, Yielded):
            raise
        except Exception as second:
            if _may_pass(second) and work.operation.stalled <= MOST_STALLS:
                raise
            _log.error("not settled: %s at %s", type(second).__name__, places(second))
            work.save(error=told(error, work.operation.id).model_copy(update={"consequence": NOT_SETTLED}))
            return Finish(State.FAILED)

    def _remember(self, error: MainstayError) -> None:
        """Keep the reason of a try that will be made again, if the storage lets us."""
        work = self._work
        try:
            work.save(trouble=told(error, work.operation.id))
        except MainstayError:
            _log.info("the reason could not be kept", extra={"operation": work.operation.id})

    def _finish(self, finish: Finish) -> None:
        work = self._work
        changes: dict[str, object] = {
            "state": finish.state,
            "finished_at": work.now(),
            "outcome": {**work.operation.outcome, **finish.outcome},
            "progress": work.latest,
            "trouble": None,
        }
        if finish.state in {State.SUCCEEDED, State.PARTIAL}:
            changes["error"] = None
        self._ended(work.save(**changes))


def told(error: MainstayError, operation: str) -> OperationError:
    """What an operation's document, which is not encrypted, says of an error."""
    public = error.public(f"`mainstay result {operation}`")
    return OperationError(code=public.code, message=public.message, details=public.details)


def give_up(repository: Repository, application: str, operation: str, error: MainstayError) -> Operation:
    """End an operation as it stands, without asking its flow: it cannot even be begun. `NotFound` or `Damaged` if
    its document cannot be changed. A version that it was about to seal is ended first: a worker that wakes late could
    still write the manifest, when a sweep has taken what it names."""
    draft = _unsealed(repository.operations.get(application, operation))
    if draft is not None:
        repository.versions(application).end(draft, "mainstay", f"its operation was given up: {error.code}")
    at = repository.now()
    said = told(error, operation).model_copy(update={"consequence": NOT_SETTLED})

    def change(stored: Operation) -> Operation | None:
        if stored.state.ended:
            return None
        return stored.model_copy(update={"state": State.FAILED, "finished_at": at, "error": said})

    return repository.operations.update(application, operation, change)


def _unsealed(operation: Operation) -> str | None:
    """The version that an operation was about to make, as far as its document knows."""
    known = operation.checkpoint
    if operation.kind is OperationKind.BACKUP:
        return None if "sealed" in known else known.get("version")
    return None if known.get("safetyVersion") else known.get("safetyDraft")


def _may_pass(error: Exception) -> bool:
    """Whether another try, later, may not meet it."""
    return isinstance(error, StorageUnavailable | ClusterUnreachable)


def _gave_up(work: Work) -> MainstayError:
    last = work.operation.trouble
    why = f" The last reason: {last.message}" if last else " No worker lived long enough to say why."
    return MainstayError(
        f"Step `{work.operation.step}` was begun {work.operation.stalled} times without getting further.{why}"
    )
