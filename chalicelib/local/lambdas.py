"""The app's own event handlers, called as Lambda would call them: with an event of its shape and a context.

    queue's message ── Function ── handler of app.py ── whether the message is done

Nothing is decided here that the handlers decide, so what runs on one machine is what runs in Lambda.
"""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime
from typing import Any

from chalice.app import Chalice
from chalice.local import LambdaContext

from chalicelib.adapters.queue import Received, SqsQueue

#: Seconds that each function may take, as `.chalice/config.json` says.
LIMITS = {"work": 900, "tick": 55, "dead_letter": 60, "bucket": 60}


class Invocation(LambdaContext):
    """The context of one invocation. Beside what Lambda's has, it says when the service stops."""

    def __init__(self, function: str, seconds: float, stopping: threading.Event) -> None:
        super().__init__(function, 1024, max_runtime_ms=int(seconds * 1000))
        self.stopping = stopping


class Function:
    """One of the app's handlers by its name."""

    def __init__(self, app: Chalice, name: str, stopping: threading.Event) -> None:
        self.name = name
        self._handler = app.handler_map[name]
        self._stopping = stopping

    def on_message(self, message: Received, queue: SqsQueue) -> bool:
        """Call it with one message of a queue; whether it is done, and does not have to come again."""
        answer = self._call({"Records": [_record(message, queue)]})
        failures = answer.get("batchItemFailures", []) if isinstance(answer, dict) else []
        return not any(failure.get("itemIdentifier") == message.id for failure in failures)

    def on_schedule(self) -> None:
        """Call it as a rule of EventBridge does."""
        self._call(
            {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": "Scheduled Event",
                "source": "aws.events",
                "account": "000000000000",
                "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": "local",
                "resources": [f"arn:aws:events:local:000000000000:rule/{self.name}"],
                "detail": {},
            }
        )

    def _call(self, event: dict[str, Any]) -> Any:
        return self._handler(event, Invocation(self.name, LIMITS[self.name], self._stopping))


def _record(message: Received, queue: SqsQueue) -> dict[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.handle,
        "body": message.body,
        "attributes": dict(message.attributes),
        "messageAttributes": {},
        "md5OfBody": message.digest,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": queue.region,
    }
