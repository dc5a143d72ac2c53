"""Objects that are put under `requests/` of the bucket: S3 tells a queue, and the queue tells this."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint, SQSEvent

from chalicelib import bootstrap
from chalicelib.entrypoints.events import objects

events = Blueprint(__name__)

#: Of the queue that the bucket tells, as the template makes it.
QUEUE = "mainstay-requests"


@events.on_sqs_message(queue=QUEUE, batch_size=1)
def bucket(event: SQSEvent) -> dict[str, Any]:
    """Answer the signed requests that were put into the bucket."""

    def answer(key: str) -> None:
        bootstrap.services().requests.answer_object(key)

    return objects.each(event, answer)
