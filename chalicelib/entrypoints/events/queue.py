"""A queue's message says where there is work. It only wakes: the documents say what to do."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint, SQSEvent

from chalicelib import bootstrap
from chalicelib.entrypoints.events import messages
from chalicelib.entrypoints.events.budget import budget_of

events = Blueprint(__name__)

#: Of the queue, as the template makes it. One message at a time: each may take as long as the function may run.
QUEUE = "mainstay-work"


@events.on_sqs_message(queue=QUEUE, batch_size=1)
def work(event: SQSEvent) -> dict[str, Any]:
    """Work for the application that the message names."""
    budget = budget_of(event.context)
    return messages.each(event, lambda message: bootstrap.services().engine.attend(message, budget))
