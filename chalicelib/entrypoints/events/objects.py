"""Events of S3 in messages of a queue: which objects were put, and which of the messages are to come again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from chalicelib.domain.errors import MainstayError
from chalicelib.domain.traces import places
from chalicelib.entrypoints.events.messages import called
from chalicelib.entrypoints.logs import observed

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from chalice.app import SQSEvent

_log = logging.getLogger(__name__)


def each(event: SQSEvent, act: Callable[[str], None]) -> dict[str, Any]:
    """Do something about the key of each object that was put; the answer says to SQS which messages failed.

    S3's test message, and what is no event of S3, is dropped.
    """
    return observed(event.to_dict(), event.context, lambda: _each(event, act))


def _each(event: SQSEvent, act: Callable[[str], None]) -> dict[str, Any]:
    # Here and not above: the API function imports this module too, and has no use for it.
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    def on(record: SQSRecord) -> None:
        try:
            for key in _keys(record):
                act(key)
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


def _keys(record: SQSRecord) -> list[str]:
    """The keys of the objects that a notification is about, decoded: S3 encodes them as forms do."""
    try:
        notification = record.decoded_nested_s3_event
        if "Records" not in notification.raw_event:
            return []  # S3's test message
        return [
            unquote_plus(each.s3.get_object.key, errors="strict")
            for each in notification.records
            if each.event_name.startswith("ObjectCreated:")
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        told = "%s was dropped: it is no event of S3 (%s)"
        _log.error(told, called(record), type(error).__name__, extra={"message_id": record.message_id})
        return []
