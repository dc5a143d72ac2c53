"""Every minute: look into the wake index and do what is due."""

from __future__ import annotations

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib import bootstrap
from chalicelib.entrypoints.events.budget import budget_of

events = Blueprint(__name__)


@events.schedule(Rate(1, unit=Rate.MINUTES))
def tick(event: CloudWatchEvent) -> None:
    """Do what is due, for as long as this function may run."""
    bootstrap.services().engine.tick(budget_of(event.context))
