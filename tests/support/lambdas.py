"""The functions of the deployment around one application: their real handlers, called with events and contexts of
Lambda's shape, and a queue between them that does what SQS promises."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib import bootstrap
from chalicelib.adapters.queue import Waker
from chalicelib.domain.errors import QueueUnavailable
from chalicelib.domain.message import WorkMessage
from chalicelib.domain.operation import Operation
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.entrypoints.events import messages, queue, schedule
from chalicelib.settings import Settings
from tests.support.moments import Watch
from tests.support.pieces import Pieces
from tests.support.site import Site


@dataclass
class Context:
    """What Lambda says of an invocation."""

    seconds: float = 900.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Sqs:
    """The work queue. It can be down; what is in it can be lost."""

    waiting: deque[str] = field(default_factory=deque)
    sent: list[WorkMessage] = field(default_factory=list)
    down: bool = False

    def send(self, message: WorkMessage) -> None:
        if self.down:
            raise QueueUnavailable("SQS gave no answer to send_message: EndpointConnectionError.")
        self.sent.append(message)
        self.waiting.append(message.text)


@dataclass
class Functions:
    """`work`, `tick` and `dead_letter` of one stage."""

    site: Site
    sqs: Sqs
    watch: Watch
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def start(self, kind: str, **arguments: Any) -> Operation:
        """What the API function does: put an operation in line, and wake a worker."""
        return self.site.start(kind, engine=bootstrap.services().engine, **arguments)

    def work(self, body: str) -> bool:
        """One invocation for one message; whether SQS may delete it."""
        return self._on_message(queue.work, body)

    def dead_letter(self, body: str) -> bool:
        """The same, for one that came too often."""
        return self._on_message(queue.dead_letter, body)

    def tick(self) -> None:
        """A minute has passed."""
        event = dict.fromkeys(("version", "id", "source", "account", "time", "region", "detail-type"), "")
        schedule.tick({**event, "detail": {}, "resources": []}, Context(55))

    def work_off(self, most: int = 500) -> None:
        """Invoke `work` for what is in the queue, until it is empty."""
        for _ in range(most):
            if not self.sqs.waiting:
                return
            body = self.sqs.waiting.popleft()
            assert self.work(body)
        raise AssertionError(f"after {most} messages there are still {len(self.sqs.waiting)}")

    def run(self, kind: str, **arguments: Any) -> Operation:
        """An operation from its start to its end, by messages alone."""
        started = self.start(kind, **arguments)
        self.work_off()
        found = self.site.operation(started.id)
        assert found.state.ended, found
        return found

    def _on_message(self, handler: Callable[..., Any], body: str) -> bool:
        identifier = str(next(self._ids))
        record = {"messageId": identifier, "body": body, "receiptHandle": "r", "eventSource": "aws:sqs"}
        answer = handler({"Records": [record]}, Context())
        return not answer["batchItemFailures"]


@contextmanager
def open_functions(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    pieces: Callable[[], int] | None = None,
    turns: TurnTerms | None = None,
) -> Iterator[Functions]:
    """The functions around a site. With `pieces` each invocation of `work` has time for so many pieces of work."""
    sqs, watch = Sqs(), Watch()
    settings = Settings.read({"MAINSTAY_ADMIN_TOKEN": "t" * 30, "KUBECONFIG": str(site.kubeconfig)})
    services = bootstrap.assemble(site.repository, settings)
    engine = site.engine(watch=watch, turns=turns)
    engine.nudge = Waker(sqs).wake
    object.__setattr__(services, "engine", engine)
    object.__setattr__(services, "queued", True)
    if pieces is not None:
        monkeypatch.setattr(messages, "budget_of", lambda _context: Pieces(pieces()))
    with bootstrap.use(services):
        yield Functions(site, sqs, watch)
