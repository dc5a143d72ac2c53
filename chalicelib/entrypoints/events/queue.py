"""A queue's message says for which application there is work. It only wakes: the documents say what to do."""

from __future__ import annotations

from chalice.app import Blueprint, SQSEvent

from chalicelib import bootstrap
from chalicelib.domain.message import WorkMessage
from chalicelib.entrypoints.events.budget import budget_of
from chalicelib.entrypoints.events.message import answer

events = Blueprint(__name__)

#: Of the queue, as the template makes it. One message at a time: each may take as long as the function may run.
QUEUE = "mainstay-work"


@events.on_sqs_message(queue=QUEUE, batch_size=1)
def work(event: SQSEvent) -> None:
    """Work for the application that the message names."""
    for record in event:
        answer(WorkMessage.read(record.body), bootstrap.services().engine, budget_of(event.context))
