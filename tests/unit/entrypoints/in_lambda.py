"""A process of its own, to be taken for a Lambda: how a process logs is settled once.

`python -m tests.unit.entrypoints.in_lambda CASE`, with `AWS_LAMBDA_FUNCTION_NAME` set, prints what a function logs.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from datetime import timedelta

from chalicelib import bootstrap
from chalicelib.adapters.metrics import Metrics
from chalicelib.domain.message import WorkMessage
from chalicelib.domain.operation import Operation, State
from chalicelib.entrypoints.events import queue
from tests.unit.services.house import NOON, House, house

APP = "app-01m86ptpg0rcy6nky4y4afg6tz"
OP = "op-01m86ptpg0rcy6nky4y4afg6tz"


@dataclass
class Context:
    """What Lambda says of an invocation."""

    function_name: str = "dev-work"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:000000000000:function:dev-work"
    aws_request_id: str = "request-7"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


class Engine:
    """Logs as the product does, and meets what a Secret says."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails

    def attend(self, _message: WorkMessage, _budget: object) -> None:
        logging.getLogger("chalicelib.engine.lane.running").info("back in line", extra={"operation": OP})
        logging.getLogger("urllib3").info("chatter of a library")
        if self.fails:
            try:
                raise ValueError("words of a Secret")  # noqa: TRY301
            except ValueError:
                logging.getLogger("urllib3").warning("retrying", exc_info=True)
                raise


def message() -> dict[str, object]:
    text = WorkMessage(application=APP, operation=OP).text
    queue = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:mainstay-dev-work"}
    return {"Records": [{"messageId": "m-1", "body": text, "receiptHandle": "r", **queue}]}


def invoke(made: House, *, fails: bool) -> None:
    object.__setattr__(made.services, "engine", Engine(fails=fails))
    with bootstrap.use(made.services):
        queue.work(message(), Context())


def ended(state: State) -> Operation:
    return Operation.model_validate(
        {
            "id": OP,
            "kind": "backup",
            "application": APP,
            "requested_by": "somebody",
            "requested_at": NOON,
            "state": state,
            "started_at": NOON,
            "finished_at": NOON + timedelta(seconds=90),
            "turns": 2,
            "outcome": {"objects": 31, "addedBytes": 4096} if state is State.SUCCEEDED else {},
        }
    )


if __name__ == "__main__":
    match sys.argv[1]:
        case "well":
            invoke(house(), fails=False)
            invoke(house(), fails=False)
        case "fails":
            invoke(house(), fails=True)
        case "metrics":
            Metrics().operation_ended(ended(State.SUCCEEDED))
            Metrics().operation_ended(ended(State.FAILED))
            Metrics().count("QueueSendFailed")
