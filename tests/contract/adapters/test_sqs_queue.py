"""The work queue on moto's SQS: what is sent arrives, and what fails is told without failing anybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.adapters.queue import Received, SqsQueue, Waker
from chalicelib.domain.errors import QueueUnavailable
from chalicelib.domain.ids import new_id
from chalicelib.domain.message import WorkMessage
from tests.harness.ports import free_port
from tests.harness.s3 import MotoServer
from tests.unit.services.house import NOON

APP, OP = new_id("app", NOON), new_id("op", NOON)


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotoServer]:
    with MotoServer(Path(tmp_path_factory.mktemp("moto"))) as server:
        yield server


@pytest.fixture
def sqs(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the same service, as the environment names it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", moto.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret_key)
    return boto3.client("sqs")


@pytest.fixture
def url(sqs: Any) -> str:
    name = new_id("op", NOON)
    return str(sqs.create_queue(QueueName=name)["QueueUrl"])


def received(sqs: Any, url: str) -> list[str]:
    return [
        message["Body"] for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    ]


def test_what_is_sent_is_read_again_as_the_same_message(sqs: Any, url: str) -> None:
    sent = WorkMessage(application=APP, operation=OP, entry="control/wake/x")
    SqsQueue(url).send(sent)
    assert [WorkMessage.read(body) for body in received(sqs, url)] == [sent]


def test_waking_sends_only_what_there_is_to_say(sqs: Any, url: str) -> None:
    assert Waker(SqsQueue(url)).wake(APP)
    assert received(sqs, url) == [f'{{"application":"{APP}"}}']


def test_a_queue_that_is_not_there_is_told_by_its_url(url: str) -> None:
    with pytest.raises(QueueUnavailable, match=r"SQS answered .*NonExistent.* to send_message") as refused:
        SqsQueue(f"{url}-gone").send(WorkMessage(application=APP))
    assert refused.value.details == {"queue": f"{url}-gone"}


def test_waking_through_a_queue_that_is_down_is_counted_and_fails_nobody(
    monkeypatch: pytest.MonkeyPatch, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    counted: list[str] = []
    assert not Waker(SqsQueue(url), counted.append).wake(APP, OP)
    assert counted == ["QueueSendFailed"]
    assert "the next tick finds the work" in caplog.text


def test_what_is_received_comes_again_until_it_is_deleted(sqs: Any, url: str) -> None:
    queue = SqsQueue(url, patience=10)
    queue.send(WorkMessage(application=APP))
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
    first, again = queue.receive(0), queue.receive(0)
    assert first is not None
    assert again is not None
    assert (again.id, again.body) == (first.id, f'{{"application":"{APP}"}}')
    assert int(again.attributes["ApproximateReceiveCount"]) == 2
    queue.delete(again)
    assert queue.receive(0) is None
    assert queue.arn == f"arn:aws:sqs:us-east-1:123456789012:{url.rpartition('/')[2]}"


def test_a_queue_that_is_gone_is_told_to_who_receives_and_deletes(url: str) -> None:
    gone = SqsQueue(f"{url}-gone")
    with pytest.raises(QueueUnavailable, match="to receive_message"):
        gone.receive(0)
    with pytest.raises(QueueUnavailable, match="to delete_message"):
        gone.delete(Received("id", "handle", "body"))
