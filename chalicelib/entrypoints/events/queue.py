"""A queue's message says where there is work. It only wakes: the documents say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Blueprint, SQSEvent

from chalicelib import bootstrap
from chalicelib.domain.message import WorkMessage
from chalicelib.entrypoints.events import messages

if TYPE_CHECKING:
    from chalicelib.engine.lane.budget import Budget

events = Blueprint(__name__)

#: The queues as Chalice names them; the template puts those of its stage in their place. One message at a time: each
#: may take as long as the function may run.
QUEUE, DEAD_LETTERS = "mainstay-work", "mainstay-work-dead"


@events.on_sqs_message(queue=QUEUE, batch_size=1)
def work(event: SQSEvent) -> dict[str, Any]:
    """Work for the application that the message names."""
    return messages.each(event, _attend)


@events.on_sqs_message(queue=DEAD_LETTERS, batch_size=1)
def dead_letter(event: SQSEvent) -> dict[str, Any]:
    """Look what became of the work that a message was about which came back again and again."""
    return messages.each(event, _look_into)


def _attend(message: WorkMessage, budget: Budget) -> None:
    bootstrap.services().engine.attend(message, budget)


def _look_into(message: WorkMessage, _budget: Budget) -> None:
    bootstrap.services().engine.look_into(message)
