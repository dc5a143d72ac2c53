"""How long a Lambda may go on: its own time limit, less what it needs to stop in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chalicelib.engine.work import Budget

#: Seconds left for checkpoint, letting go of the lane and joining threads: a frozen Lambda thaws later.
MARGIN = 20.0


def budget_of(context: Any) -> Budget:
    """The time budget of the invocation with this Lambda context."""
    from chalicelib.engine.work import Budget

    return Budget(max(1.0, context.get_remaining_time_in_millis() / 1000 - MARGIN))
