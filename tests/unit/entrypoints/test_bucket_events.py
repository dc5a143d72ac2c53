"""S3 tells a queue which objects were put; what is a signed request is answered, once or more often."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest

from chalicelib.domain.errors import StorageUnavailable
from chalicelib.entrypoints.events import bucket
from tests.unit.services.house import House


class Requests:
    """Writes down which objects were to be answered."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.raises: Exception | None = None

    def answer_object(self, key: str) -> None:
        self.keys.append(key)
        if self.raises is not None:
            raise self.raises


@pytest.fixture
def requests(built: House) -> Requests:
    found = Requests()
    object.__setattr__(built.services, "requests", found)
    return found


def put(*keys: str, name: str = "ObjectCreated:Put") -> str:
    """A notification as S3 writes it."""
    return json.dumps(
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "eventName": name,
                    "s3": {
                        "bucket": {"name": "backups"},
                        "object": {"key": quote_plus(key, safe="/"), "size": 7, "sequencer": "0055AED6DCD90281E5"},
                    },
                }
                for key in keys
            ]
        }
    )


def message(body: str) -> dict[str, Any]:
    queue = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:shop-requests"}
    return {"Records": [{"messageId": "m", "body": body, "receiptHandle": "r", **queue}]}


def test_the_keys_of_objects_are_decoded(requests: Requests) -> None:
    keys = ["requests/a.json", "requests/my request +1 ü%20.json"]
    assert bucket.bucket(message(put(*keys)), None) == {"batchItemFailures": []}
    assert requests.keys == keys


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "backups"}),
        "no json",
        "[]",
        "7",
        '{"Records": [{}]}',
        '{"Records": 7}',
        put("requests/a.json", name="ObjectRemoved:Delete"),
    ],
)
def test_what_tells_of_no_new_object_is_dropped(requests: Requests, body: str) -> None:
    assert bucket.bucket(message(body), None) == {"batchItemFailures": []}
    assert requests.keys == []


def test_the_log_says_which_message_of_which_queue_was_no_event(
    requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.bucket(message("no json"), None)
    assert requests.keys == []
    assert "message m of shop-requests was dropped: it is no event of S3" in caplog.text


def test_a_request_that_cannot_be_answered_now_comes_again(requests: Requests) -> None:
    requests.raises = StorageUnavailable("away")
    assert bucket.bucket(message(put("requests/a.json")), None) == {"batchItemFailures": [{"itemIdentifier": "m"}]}


def test_an_unexpected_fault_comes_again_and_tells_no_words_of_it(
    requests: Requests, caplog: pytest.LogCaptureFixture
) -> None:
    requests.raises = RuntimeError("the secret")
    assert bucket.bucket(message(put("requests/a.json")), None)["batchItemFailures"]
    assert "the secret" not in caplog.text
