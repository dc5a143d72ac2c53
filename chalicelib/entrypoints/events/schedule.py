"""Every minute: look into the wake index and wake workers for what is due."""

from __future__ import annotations

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib import bootstrap
from chalicelib.entrypoints.events.budget import budget_of

events = Blueprint(__name__)


@events.schedule(Rate(1, unit=Rate.MINUTES))
def tick(event: CloudWatchEvent) -> None:
    """Wake workers for what is due; without a queue, do it here for as long as this function may run."""
    services = bootstrap.services()
    _ = services.engine.call() if services.queued else services.engine.tick(budget_of(event.context))
