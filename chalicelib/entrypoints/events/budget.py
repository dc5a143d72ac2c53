"""How long a Lambda may go on: its own time limit, less what it needs to stop in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chalicelib.engine.lane.budget import Budget

#: Seconds left for a last piece of work, the checkpoint, letting go of the lane and joining threads: a frozen Lambda
#: thaws later. Of a function with a short time limit, a quarter.
MARGIN = 20.0
_SHARE = 0.25


def budget_of(context: Any) -> Budget:
    """The time budget of the invocation with this Lambda context. The local runner's also says when it stops."""
    from chalicelib.engine.lane.budget import Budget

    left = context.get_remaining_time_in_millis() / 1000
    return Budget(max(0.0, left - min(MARGIN, left * _SHARE)), getattr(context, "stopping", None))
