"""Turns: how often an operation may stop because its worker's time is over, and what it must bring about by that.

A worker in Lambda has minutes, an operation may need hours. Near the end of its time the worker stops between two
pieces of work, and another goes on from the checkpoint. That is no failure and no attempt; but it must lead
somewhere. So turns are counted, and turns that got nowhere are counted apart: a step whose smallest piece does not
fit into the time of one worker would be begun for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.domain.errors import DeadlineExceeded, MainstayError
from chalicelib.domain.operation import Operation, State

#: Turns in a row that got nowhere; fewer may be bad luck (a slow server, a start of the interpreter).
_MOST_IDLE = 3

#: After so many the next one may take all the time that its worker has, however long a turn is set to be.
_PATIENT_AFTER = 2


@dataclass(frozen=True, slots=True)
class TurnTerms:
    """How long a turn is at most (`None`: as long as its caller has), how many there may be, and for how long they
    may get nowhere. Seconds."""

    seconds: float | None = None
    most: int = 200
    idle_seconds: float = 150.0


def counted(operation: Operation, *, moved: bool, began: datetime) -> dict[str, Any]:
    """What a turn that ended changes in the operation's document. `began`: when it was taken up for it."""
    turns = operation.turns + 1
    if moved:
        return {"turns": turns, "idle_turns": 0, "idle_since": None}
    return {"turns": turns, "idle_turns": operation.idle_turns + 1, "idle_since": operation.idle_since or began}


def may_take_longer(operation: Operation) -> bool:
    """Whether its next turn ends with its worker's own time only: what cannot be divided may just need longer than a
    turn is set to be."""
    return operation.idle_turns >= _PATIENT_AFTER


def exhausted(operation: Operation, at: datetime, terms: TurnTerms, waited_for: str = "") -> MainstayError | None:
    """Why there must be no further turn, if so. `operation` has been counted; `waited_for` is what it did last.

    The way back of a restore that has used up its turns is given as many again.
    """
    most = terms.most * (2 if operation.state is State.ROLLING_BACK else 1)
    step, waited = operation.step, f" It waited for {waited_for}." if waited_for else ""
    if operation.turns >= most:
        return DeadlineExceeded(
            f"The operation used up the {most} turns of its workers that it may take (`MAINSTAY_MOST_TURNS`), "
            f"the last in step `{step}`.{waited}"
        )
    since = operation.idle_since
    if since is None or operation.idle_turns < _MOST_IDLE or (at - since).total_seconds() < terms.idle_seconds:
        return None
    why = waited or (
        " Its smallest piece of work does not fit into the time that a worker has: give workers more of it "
        "(`MAINSTAY_TURN_SECONDS`, or the function's time limit)."
    )
    return DeadlineExceeded(
        f"Step `{step}` got nowhere in {operation.idle_turns} turns of its workers, "
        f"{(at - since).total_seconds():.0f} s in all.{why}"
    )
