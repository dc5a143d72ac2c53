"""Every minute: look into the wake index and wake workers for what is due."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib import bootstrap
from chalicelib.entrypoints.events.budget import budget_of
from chalicelib.entrypoints.logs import observed

events = Blueprint(__name__)


@events.schedule(Rate(1, unit=Rate.MINUTES))
def tick(event: CloudWatchEvent) -> None:
    """Wake workers for what is due; without a queue, do it here for as long as this function may run."""
    observed(event.to_dict(), event.context, lambda: _tick(event.context))


def _tick(context: Any) -> None:
    services = bootstrap.services()
    if services.queued:
        services.engine.call()
    else:
        services.engine.tick(budget_of(context))
