"""The work queue: it wakes workers at once, where the wake index would wake them within a minute.

    Engine.start ── Waker.wake ── SqsQueue.send ── SQS ── the `work` function

Losing a message loses a minute and nothing else (several in a row somewhat more: `engine/lane/calling.py`). So a send
that fails is told and counted, and whoever was about to wake somebody goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from chalicelib.adapters.clients import Client, Patience
from chalicelib.domain.errors import QueueUnavailable
from chalicelib.domain.message import WorkMessage

_log = logging.getLogger(__name__)

#: Who sends is a request that somebody waits for: seconds to connect and to answer, and tries.
_CONNECT, _ANSWER, _TRIES = 1.0, 2.0, 2


class Queue(Protocol):
    """Where messages are put."""

    def send(self, message: WorkMessage) -> None:
        """Put a message into the queue, or raise `QueueUnavailable`."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message as SQS hands it out. Until it is deleted with its `handle`, it comes again."""

    id: str
    handle: str
    body: str
    digest: str = ""
    #: As SQS names them: `ApproximateReceiveCount`, `SentTimestamp`, …
    attributes: Mapping[str, str] = field(default_factory=dict)


class SqsQueue:
    """An SQS queue, by its URL. Region, endpoint and credentials are those of the environment, as boto3 reads it.
    Safe to share between threads. An answer may take `patience` seconds; who receives has more of it than who sends,
    because a message whose answer came too late is out of sight until its visibility ends."""

    def __init__(self, url: str, patience: float = _ANSWER) -> None:
        self.url = url
        self._client = Client("sqs", Patience(_CONNECT, patience, _TRIES))

    def send(self, message: WorkMessage) -> None:
        """Put a message into the queue, or raise `QueueUnavailable`."""
        self.ask("send_message", MessageBody=message.text)

    def receive(self, wait: int) -> Received | None:
        """The next message, waiting `wait` seconds for it at most (20 is SQS' own limit), or `QueueUnavailable`."""
        answer = self.ask(
            "receive_message", MaxNumberOfMessages=1, WaitTimeSeconds=wait, MessageSystemAttributeNames=["All"]
        )
        for message in answer.get("Messages", []):
            return Received(
                id=message["MessageId"],
                handle=message["ReceiptHandle"],
                body=message["Body"],
                digest=message.get("MD5OfBody", ""),
                attributes=message.get("Attributes", {}),
            )
        return None

    def delete(self, message: Received) -> None:
        """Say that a message was attended to, or raise `QueueUnavailable`: then it comes again."""
        self.ask("delete_message", ReceiptHandle=message.handle)

    @property
    def arn(self) -> str:
        """The queue's ARN, made of its URL: the region is the client's."""
        account, name = self.url.rstrip("/").split("/")[-2:]
        return f"arn:aws:sqs:{self.region}:{account}:{name}"

    @property
    def region(self) -> str:
        """The region that is asked."""
        return str(self._client().meta.region_name)

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:
        """One request of SQS' API about this queue, such as `send_message`; its answer, or `QueueUnavailable`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client(), request)(QueueUrl=self.url, **arguments)
        except ClientError as error:
            reason = error.response.get("Error", {}).get("Code", "an error")
            raise QueueUnavailable(f"SQS answered {reason} to {request}.", details={"queue": self.url}) from error
        except BotoCoreError as error:
            reason = type(error).__name__
            raise QueueUnavailable(
                f"SQS gave no answer to {request}: {reason}.", details={"queue": self.url}
            ) from error
        return answer


class Waker:
    """Wakes a worker through a queue. `count` is called with the name of what is worth counting."""

    def __init__(self, queue: Queue, count: Callable[[str], None] = lambda _name: None) -> None:
        self._queue = queue
        self._count = count

    def wake(self, application: str, operation: str = "", entry: str = "") -> bool:
        """Say that there is work; whether that could be said. It never raises: the wake index finds the work."""
        message = WorkMessage(application=application, operation=operation or None, entry=entry or None)
        try:
            self._queue.send(message)
        except QueueUnavailable as error:
            _log.warning(
                "no worker was woken, the next tick finds the work: %s",
                error.message,
                extra={"application": application},
            )
            self._count("QueueSendFailed")
            return False
        return True
