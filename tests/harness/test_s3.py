"""The S3 servers honour conditional writes, and the fault proxy breaks exactly what it is told to."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from tests.harness.proxy import HttpProxy, Request
from tests.harness.s3 import S3Server, VersityServer

MakeProxy = Callable[[S3Server], HttpProxy]

# The proxy is to be noticed at once: no retries, and no long wait for an answer.
QUICK = {"retries": {"total_max_attempts": 1}, "read_timeout": 2}
BROKEN = (ConnectionClosedError, ResponseStreamingError, IncompleteReadError)


@pytest.fixture(params=["moto_s3", "versity_s3"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.make_bucket()


@pytest.fixture
def proxy(server: S3Server, s3_proxy: MakeProxy) -> HttpProxy:
    return s3_proxy(server)


@pytest.fixture
def client(server: S3Server, proxy: HttpProxy) -> Iterator[Any]:
    """Talks to the server through the proxy."""
    made = server.client(proxy.endpoint, **QUICK)
    yield made
    made.close()


def content(server: S3Server, bucket: str, key: str) -> bytes | None:
    """What is really there, asked without the proxy."""
    try:
        body: bytes = server.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise
    return body


def test_exactly_one_of_many_creators_wins(server: S3Server, bucket: str) -> None:
    s3 = server.client(max_pool_connections=16)

    def create(number: int) -> bool:
        try:
            s3.put_object(Bucket=bucket, Key="one", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            return error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict")
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(create, range(16))) == 1


def test_versitygw_keeps_its_data_over_a_crash(tmp_path: Path) -> None:
    with VersityServer(tmp_path) as server:
        bucket = server.make_bucket(object_lock=True)
        server.client().put_object(Bucket=bucket, Key="a/b", Body=b"kept")
        server.restart()
        assert content(server, bucket, "a/b") == b"kept"


def test_what_no_rule_matches_passes_unchanged(client: Any, bucket: str) -> None:
    body = bytes(range(256)) * 40_000
    client.put_object(Bucket=bucket, Key="big", Body=body)
    assert client.get_object(Bucket=bucket, Key="big")["Body"].read() == body
    assert client.head_object(Bucket=bucket, Key="big")["ContentLength"] == len(body)
    client.delete_object(Bucket=bucket, Key="big")
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)


def test_a_lost_answer_means_the_write_is_done(server: S3Server, client: Any, proxy: HttpProxy, bucket: str) -> None:
    rule = proxy.lose_answer("PUT", "/key")
    with pytest.raises(BROKEN):
        client.put_object(Bucket=bucket, Key="key", Body=b"done")
    assert content(server, bucket, "key") == b"done"
    assert (rule.hits, proxy.seen("PUT", "/key")[0].status) == (1, 200)
    client.put_object(Bucket=bucket, Key="key", Body=b"again")


def test_a_lost_request_means_the_write_is_not_done(
    server: S3Server, client: Any, proxy: HttpProxy, bucket: str
) -> None:
    proxy.lose_request("PUT", "/key")
    with pytest.raises(BROKEN):
        client.put_object(Bucket=bucket, Key="key", Body=b"lost")
    assert content(server, bucket, "key") is None


def test_errors_are_answered_as_often_as_asked_for(server: S3Server, proxy: HttpProxy, bucket: str) -> None:
    patient = server.client(proxy.endpoint, retries={"total_max_attempts": 4, "mode": "standard"})
    rule = proxy.answer("PUT", "/key", times=2, skip=1)
    patient.put_object(Bucket=bucket, Key="key", Body=b"first")
    assert rule.hits == 0
    patient.put_object(Bucket=bucket, Key="key", Body=b"second")
    assert [request.status for request in proxy.seen("PUT", "/key")] == [200, 503, 503, 200]
    assert content(server, bucket, "key") == b"second"
    patient.close()


def test_an_answer_is_cut_in_the_middle(client: Any, proxy: HttpProxy, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="key", Body=b"x" * 100_000)
    proxy.cut("GET", "/key", after=70_000)
    with pytest.raises(BROKEN):
        client.get_object(Bucket=bucket, Key="key")["Body"].read()
    assert len(client.get_object(Bucket=bucket, Key="key")["Body"].read()) == 100_000


def test_an_answer_is_late_or_never_comes(server: S3Server, client: Any, proxy: HttpProxy, bucket: str) -> None:
    proxy.delay("PUT", "/key", seconds=0.5)
    began = time.monotonic()
    client.put_object(Bucket=bucket, Key="key", Body=b"late")
    assert time.monotonic() - began >= 0.5
    proxy.hang("PUT", "/key")
    with pytest.raises(ReadTimeoutError):
        client.put_object(Bucket=bucket, Key="key", Body=b"written")
    assert content(server, bucket, "key") == b"written"


def test_frozen_connections_stay_open_and_go_on(client: Any, proxy: HttpProxy, bucket: str) -> None:
    proxy.freeze()
    with pytest.raises(ReadTimeoutError):
        client.list_objects_v2(Bucket=bucket)
    threading.Timer(0.5, proxy.thaw).start()
    client.list_objects_v2(Bucket=bucket)


def test_another_writer_can_come_between(server: S3Server, client: Any, proxy: HttpProxy, bucket: str) -> None:
    def overtake(request: Request) -> None:
        assert request.body
        server.client().put_object(Bucket=bucket, Key="key", Body=b"other")

    rule = proxy.intercept("PUT", "/key", call=overtake)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="key", Body=b"mine", IfNoneMatch="*")
    rule.wait(1)
    assert content(server, bucket, "key") == b"other"
