"""Events of S3 in messages of a queue: which objects were put."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from chalicelib.entrypoints.events import records

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from chalice.app import SQSEvent

_log = logging.getLogger(__name__)


def each(event: SQSEvent, act: Callable[[str], None]) -> dict[str, Any]:
    """Do something about the key of each object that was put; the answer says to SQS which messages failed.

    S3's test message, and what is no event of S3, is dropped.
    """

    def on(record: SQSRecord) -> None:
        for key in _keys(record):
            act(key)

    return records.each(event, on)


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
        _log.error(told, records.called(record), type(error).__name__, extra={"message_id": record.message_id})
        return []
