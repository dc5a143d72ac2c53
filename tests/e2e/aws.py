"""The service in its AWS shape: a stack made in LocalStack from the deployment's template, and the runner on it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localstack_client.session import Session

from infra.local.stack import Made, create
from tests.e2e.running import PROGRAM, Service
from tests.harness.localstack import LocalStack

#: Seconds between two looks into the wake index: a minute in AWS, and nobody wants to wait here.
TICK = "2"


@dataclass
class Stack:
    """Bucket, queues and key of a test's own."""

    server: LocalStack
    name: str = field(default_factory=lambda: f"mainstay-{secrets.token_hex(3)}")

    def __post_init__(self) -> None:
        self._session = Session(
            localstack_host=urlsplit(self.server.endpoint).netloc,
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=self.server.secret_key,
            region_name=self.server.region,
        )
        self.made: Made = create(self.client("cloudformation"), self.name)

    def client(self, service: str) -> Any:
        """A client of one of LocalStack's services."""
        return self._session.client(service)

    def waiting(self, queue: str) -> int:
        """How many messages are in a queue, in sight or in somebody's hands."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    @contextmanager
    def impatient(self, receives: int) -> Iterator[None]:
        """SQS shows a message of the work queue again after a second, so often, and then redrives it by itself. What
        is sent meanwhile arrives two seconds late, unless it says otherwise."""
        sqs, queue = self.client("sqs"), self.made.work_queue
        names = ["VisibilityTimeout", "DelaySeconds", "RedrivePolicy"]
        usual = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        redrive = {**json.loads(usual["RedrivePolicy"]), "maxReceiveCount": receives}
        short = {"VisibilityTimeout": "1", "DelaySeconds": "2", "RedrivePolicy": json.dumps(redrive)}
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=short)
        try:
            # Who asks for a message at this very moment gets it for as long as it was: let this be one of no account.
            sqs.send_message(QueueUrl=queue, MessageBody="{}", DelaySeconds=0)
            end = time.monotonic() + 30
            while self.waiting(queue):
                assert time.monotonic() < end, "nobody takes messages"
                time.sleep(0.02)
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=queue, Attributes=usual)

    @contextmanager
    def serving(
        self,
        directory: Path,
        kubeconfig: Path,
        settings: Mapping[str, str] | None = None,
        program: str = PROGRAM,
    ) -> Iterator[Service]:
        """A runner on this stack, with its files in a new `directory` or an empty one."""
        directory.mkdir(exist_ok=True)
        given = {
            **self.server.environment,
            **self.made.settings,
            "MAINSTAY_LEASE_SECONDS": "12",
            "MAINSTAY_TICK_SECONDS": TICK,
            **(settings or {}),
        }
        service = Service(directory / "data", kubeconfig, given, program)
        try:
            yield service.start()
            service.stop()
        finally:
            service.kill()
