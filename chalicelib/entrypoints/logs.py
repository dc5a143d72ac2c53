"""Logs in Lambda: one line of JSON for each record, with the ids of the request or message it belongs to.

Powertools' logger does it; the modules of this project go on logging as Python does. What an unexpected error says
itself is not logged, here as little as in the runner's log (`chalicelib.local.logs`): it can repeat what was read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger
    from chalice.app import Request

T = TypeVar("T")

#: Where the id is that a caller, or SQS, knows this call by: a request's, or that of the first message.
_ID = "requestContext.requestId || Records[0].messageId || id"
_OURS = ("chalicelib", "mainstay")


def in_lambda() -> bool:
    """Whether this process is a Lambda's."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def observed(event: dict[str, Any], context: Any, do: Callable[[], T]) -> T:
    """Do something in the course of one invocation; what is logged meanwhile says which one."""
    if not in_lambda():
        return do()

    def invoked(_event: Any, _context: Any) -> T:
        return do()

    answer: T = logger().inject_lambda_context(invoked, clear_state=True, correlation_id_path=_ID)(event, context)
    return answer


def each_request(request: Request, go_on: Callable[[Request], Any]) -> Any:
    """Middleware of the API: what is logged during a request says which one."""
    if not in_lambda():
        return go_on(request)
    return observed({"requestContext": request.context}, request.lambda_context, lambda: go_on(request))


@cache
def logger() -> Logger:
    """Powertools' logger, made when first needed, and everybody's records led to it."""
    from aws_lambda_powertools.logging import Logger
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
    from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

    from chalicelib.domain.traces import story

    class Formatter(LambdaPowertoolsFormatter):
        def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
            """Type and places, in place of a traceback with its words."""
            return story(ei[1]) if ei[1] is not None else ""

    made = Logger(logger_formatter=Formatter(serialize_stacktrace=False, name="%(name)s"))
    for name in _OURS:
        logging.getLogger(name)  # only what is registered is led
    copy_config_to_registered_loggers(source_logger=made, include=set(_OURS))
    root = logging.getLogger()
    root.handlers[:] = made.handlers
    root.setLevel(logging.WARNING)
    return made
