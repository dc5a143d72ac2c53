"""The rules of the lane: pure changes of a `Lane`, to be made by compare and swap.

    idle ──take──► running ⇄ sealing          take: also over a holder whose lease ran out; the fence rises
      ▲               │
      └───release─────┘                        with the operation put back in line, or not

`renewed_at` is the storage's own clock, read before the write. Only taking and renewing change it, so nobody else's
write makes a dead holder look alive.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from chalicelib.domain.errors import Cancelled, Conflict, LeaseLost
from chalicelib.domain.operation import Lane, Pending


def enqueue(lane: Lane, pending: Pending) -> Lane:
    """Put an operation in line, unless it stands there or runs. Urgent ones stand before all that are not."""
    if lane.current == pending.operation or is_waiting(lane, pending.operation):
        return lane
    return lane.model_copy(update={"pending": _with(lane.pending, pending)})


def is_waiting(lane: Lane, operation: str) -> bool:
    """Whether an operation stands in line."""
    return any(waiting.operation == operation for waiting in lane.pending)


def is_held(lane: Lane, now: datetime, lease: timedelta) -> bool:
    """Whether somebody may be working: the lane was renewed less than `lease` ago. `now` is the storage's clock."""
    return lane.current is not None and lane.renewed_at is not None and now - lane.renewed_at < lease


def free_at(lane: Lane, lease: timedelta) -> datetime | None:
    """When the lane can be taken if its holder does not renew it any more; `None` if nobody holds it."""
    return None if lane.current is None or lane.renewed_at is None else lane.renewed_at + lease


def take(lane: Lane, holder: str, now: datetime, lease: timedelta) -> Lane | None:
    """Take the lane for what is to be done next; `None` if somebody holds it or there is nothing to do.

    What a dead holder left running goes on first, with what was wanted of it (`cancel`, `yield`).
    """
    if is_held(lane, now, lease):
        return None
    if lane.current is not None:
        update: dict[str, object] = {}
    elif lane.pending:
        first = lane.pending[0]
        update = {"current": first.operation, "kind": first.kind, "wanted": "", "pending": lane.pending[1:]}
    else:
        return None
    # A holder that died while sealing is sealed after, or given up: either way its phase is over.
    taken = {"fence": lane.fence + 1, "holder": holder, "renewed_at": now, "phase": "running"}
    return lane.model_copy(update=update | taken)


def renew(lane: Lane, fence: int, holder: str, now: datetime) -> Lane:
    """The holder's sign of life. `LeaseLost` for anybody else."""
    check_held_by(lane, fence, holder)
    latest = max(now, lane.renewed_at) if lane.renewed_at else now
    return lane.model_copy(update={"renewed_at": latest})


def release(lane: Lane, fence: int, holder: str, again: Pending | None = None) -> Lane:
    """Let go. With `again` the operation goes back in line, before others that are not urgent."""
    check_held_by(lane, fence, holder)
    pending = lane.pending
    if again is not None and not is_waiting(lane, again.operation):
        pending = _with(pending, again, before_equals=True)
    update = {"current": None, "kind": None, "holder": None, "phase": "idle", "wanted": "", "pending": pending}
    return lane.model_copy(update=update)


def request_cancel(lane: Lane, operation: str) -> Lane:
    """Take an operation out of the line, or ask the running one to stop. `Conflict` while it is sealing.

    Nothing changes for one that is neither.
    """
    if lane.current == operation:
        if lane.phase == "sealing":
            raise Conflict("The version is being sealed: it is too late to cancel. Delete the version instead.")
        return lane.model_copy(update={"wanted": "cancel"})
    return lane.model_copy(
        update={"pending": tuple(waiting for waiting in lane.pending if waiting.operation != operation)}
    )


def request_yield(lane: Lane) -> Lane:
    """Ask what runs to go back in line. Nothing changes while it is sealing, or where a cancel was asked for."""
    if lane.current is None or lane.phase == "sealing" or lane.wanted == "cancel":
        return lane
    return lane.model_copy(update={"wanted": "yield"})


def enter_sealing(lane: Lane, fence: int, holder: str) -> Lane:
    """From here on a cancel is refused. `Cancelled` if one was asked for before."""
    check_held_by(lane, fence, holder)
    if lane.wanted == "cancel":
        raise Cancelled("The operation was cancelled before its version was sealed.")
    return lane.model_copy(update={"phase": "sealing"})


def leave_sealing(lane: Lane, fence: int, holder: str) -> Lane:
    """Back to running: after a safety version, which is not the operation's end."""
    check_held_by(lane, fence, holder)
    return lane.model_copy(update={"phase": "running"})


def holds(lane: Lane, fence: int, holder: str) -> bool:
    """Whether the lane is this holder's, under this fence."""
    return lane.fence == fence and lane.holder == holder


def check_held_by(lane: Lane, fence: int, holder: str) -> None:
    """`LeaseLost` unless `holds`."""
    if not holds(lane, fence, holder):
        raise LeaseLost(f"Another worker has taken the lane of {lane.application} (fence {lane.fence}, not {fence}).")


def _with(line: tuple[Pending, ...], pending: Pending, *, before_equals: bool = False) -> tuple[Pending, ...]:
    urgent = tuple(waiting for waiting in line if waiting.urgent)
    others = tuple(waiting for waiting in line if not waiting.urgent)
    if pending.urgent:
        urgent = (pending, *urgent) if before_equals else (*urgent, pending)
    else:
        others = (pending, *others) if before_equals else (*others, pending)
    return urgent + others
