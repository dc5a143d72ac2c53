"""Messages of the work queue, which say where there is work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chalicelib.domain.errors import Malformed
from chalicelib.domain.message import WorkMessage
from chalicelib.entrypoints.events import records
from chalicelib.entrypoints.events.budget import budget_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from chalice.app import SQSEvent

    from chalicelib.engine.lane.budget import Budget

_log = logging.getLogger(__name__)


def each(event: SQSEvent, act: Callable[[WorkMessage, Budget], None]) -> dict[str, Any]:
    """Do something about each work message; the answer says to SQS which ones failed.

    What is no message of ours can never be done: it is told and dropped.
    """
    budget = budget_of(event.context)

    def on(record: SQSRecord) -> None:
        try:
            act(WorkMessage.read(record.body), budget)
        except Malformed as error:
            told = {"message_id": record.message_id}
            _log.error("%s was dropped: %s", records.called(record), error.message, extra=told)

    return records.each(event, on)
