"""The lanes of applications: the rules of `chalicelib.domain.lane`, made by compare and swap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from chalicelib.domain import lane as rules
from chalicelib.domain.operation import Lane, Pending
from chalicelib.store import layout
from chalicelib.store.documents import Documents

Effect = Callable[[Lane], bool]


class Lanes:
    """Every method returns the lane as it is afterwards.

    The storage's clock is taken from the answer to the read that precedes each write. Where an answer was lost, what
    decides is the effect: this holder under this fence, this operation in the line.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def read(self, application: str) -> Lane | None:
        """The lane as it is; `None` if nothing was ever put in line."""
        found = self._documents.read(layout.lane(application), Lane)
        return found.model if found else None

    def is_held(self, application: str, lease: timedelta) -> bool:
        """Whether a worker may be at work there: its lease has not run out by the storage's clock."""
        found = self._documents.read(layout.lane(application), Lane)
        return found is not None and rules.is_held(found.model, found.at, lease)

    def enqueue(self, application: str, pending: Pending) -> Lane:
        """Put an operation in line; nothing happens if it is there or runs."""

        def in_line(lane: Lane) -> bool:
            return lane.current == pending.operation or rules.is_waiting(lane, pending.operation)

        return self._change(application, lambda lane, _: rules.enqueue(lane, pending), in_line)

    def take(self, application: str, holder: str, lease_seconds: float) -> Lane | None:
        """Take the lane for its next operation; `None` if somebody holds it or nothing is to be done.

        `holder` must be a name that no other worker, and no other turn of this one, ever uses.
        """
        lease = timedelta(seconds=lease_seconds)
        lane = self._change(
            application, lambda lane, now: rules.take(lane, holder, now, lease), lambda lane: lane.holder == holder
        )
        return lane if lane.holder == holder else None

    def renew(self, application: str, fence: int, holder: str) -> Lane:
        """Tell that one is alive. `LeaseLost` if the lane is another's; `wanted` says what is asked of the holder."""
        lane = self._change(application, lambda lane, now: rules.renew(lane, fence, holder, now))
        return self._held(lane, fence, holder)

    def release(self, application: str, fence: int, holder: str, again: Pending | None = None) -> Lane:
        """Let go, or go back into the line. `LeaseLost` if another worker has the lane already."""
        return self._change(application, lambda lane, _: rules.release(lane, fence, holder, again))

    def request_cancel(self, application: str, operation: str) -> bool:
        """Cancel what waits (`True`: it is out of the line) or ask what runs to stop (`False`).

        `Conflict` while it is sealing. `False` too for one that is neither: its document tells.
        """
        waited = False

        def change(lane: Lane, _: datetime) -> Lane:
            nonlocal waited
            waited = rules.is_waiting(lane, operation)
            return rules.request_cancel(lane, operation)

        lane = self._change(application, change)
        return waited and lane.current != operation

    def request_yield(self, application: str) -> Lane:
        """Ask what runs to go back in line at its next piece of work."""
        return self._change(application, lambda lane, _: rules.request_yield(lane))

    def enter_sealing(self, application: str, fence: int, holder: str) -> Lane:
        """From here a cancel is refused. `Cancelled` if it came before, `LeaseLost` if the lane is another's."""

        def sealing(lane: Lane) -> bool:
            return rules.holds(lane, fence, holder) and lane.phase == "sealing"

        return self._held(
            self._change(application, lambda lane, _: rules.enter_sealing(lane, fence, holder), sealing),
            fence,
            holder,
        )

    def leave_sealing(self, application: str, fence: int, holder: str) -> Lane:
        """Back to running."""
        lane = self._change(application, lambda lane, _: rules.leave_sealing(lane, fence, holder))
        return self._held(lane, fence, holder)

    def _held(self, lane: Lane, fence: int, holder: str) -> Lane:
        # The write took place, but another may have taken the lane on top of it.
        rules.check_held_by(lane, fence, holder)
        return lane

    def _change(
        self, application: str, change: Callable[[Lane, datetime], Lane | None], applied: Effect | None = None
    ) -> Lane:
        return self._documents.update_at(
            layout.lane(application), Lane, change, applied=applied, default=Lane(application=application)
        )
