"""AWS is asked through the proxy of the environment, by every client there is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chalicelib.adapters.eks import Eks
from chalicelib.adapters.kms import KmsKey
from chalicelib.adapters.queue import SqsQueue
from chalicelib.domain.application import EksCluster
from chalicelib.domain.errors import MainstayError
from chalicelib.domain.ids import new_id
from chalicelib.domain.message import WorkMessage
from chalicelib.store.backends.s3 import S3Backend, S3Limits
from tests.harness.ports import free_port
from tests.unit.services.house import NOON

REGION = "eu-central-1"


def send() -> None:
    SqsQueue(f"https://sqs.{REGION}.amazonaws.com/111122223333/mainstay-prod-work").send(
        WorkMessage(application=new_id("app", NOON))
    )


def unwrap() -> None:
    KmsKey(f"arn:aws:kms:{REGION}:111122223333:key/one").unwrap({"wrapper": "kms", "key": "one", "box": "AAAA"})


def describe() -> None:
    Eks().describe(EksCluster(name="shop", region=REGION))


def get() -> None:
    S3Backend("backups", limits=S3Limits(connect=0.2, read=0.2, total=0.5)).get("vault/repository.json")


class Proxy(ThreadingHTTPServer):
    """It lets nobody through, and knows to where they wanted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refused)
        self.asked: set[str] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Refused(BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        self.server.asked.add(self.path)
        self.send_error(502)

    def do_GET(self) -> None:
        self.do_CONNECT()

    def do_POST(self) -> None:
        self.do_CONNECT()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with Proxy() as running:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{running.server_port}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{running.server_port}")
        yield running
        running.shutdown()


@pytest.mark.parametrize(
    ("ask", "host"),
    [
        (send, f"sqs.{REGION}.amazonaws.com"),
        (unwrap, f"kms.{REGION}.amazonaws.com"),
        (describe, f"eks.{REGION}.amazonaws.com"),
        (get, f"backups.s3.{REGION}.amazonaws.com"),
    ],
)
def test_aws_is_asked_through_the_proxy_that_the_environment_names(
    proxy: Proxy, ask: Callable[[], None], host: str
) -> None:
    with pytest.raises(MainstayError):
        ask()
    assert proxy.asked == {f"{host}:443"}


@pytest.mark.parametrize("ask", [send, unwrap, describe, get])
def test_what_needs_no_proxy_is_asked_directly(
    proxy: Proxy, ask: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(MainstayError):
        ask()
    assert proxy.asked == set()
