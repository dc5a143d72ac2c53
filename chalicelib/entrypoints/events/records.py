"""The records of an SQS event, one by one: which of them were done, and which are to come again.

Powertools does the accounting: what fails is named to SQS (`batchItemFailures`), comes again when its visibility
ends, and goes to the dead-letter queue when it has come too often.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chalicelib.domain.errors import MainstayError
from chalicelib.domain.traces import places
from chalicelib.entrypoints.logs import observed

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from chalice.app import SQSEvent

_log = logging.getLogger(__name__)


def each(event: SQSEvent, act: Callable[[SQSRecord], None]) -> dict[str, Any]:
    """Do something about each record; the answer says to SQS which ones failed."""
    return observed(event.to_dict(), event.context, lambda: _each(event, act))


def _each(event: SQSEvent, act: Callable[[SQSRecord], None]) -> dict[str, Any]:
    # Here and not above: the API function imports this module too, and has no use for it.
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    def on(record: SQSRecord) -> None:
        try:
            act(record)
        except MainstayError as error:
            _log.warning("%s is not done, it comes again: %s", called(record), error.public().message)
            raise
        except Exception as error:
            kind = type(error).__name__
            _log.error("%s met an unexpected %s, it comes again, at %s", called(record), kind, places(error))
            raise

    # Were the exception of a lone message raised, the runtime would log its words, which can quote anything.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    context: Any = event.context
    answer = process_partial_response(event=event.to_dict(), record_handler=on, processor=processor, context=context)
    return dict(answer)


def called(record: SQSRecord) -> str:
    """A record as logs name it: its message's id, and its queue."""
    return f"message {record.message_id} of {str(record.get('eventSourceARN', '')).rpartition(':')[2]}"
