"""The app in threads: nobody ever sees another one's request."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib.local.wsgi import Gateway


def echo_app(barrier: threading.Barrier) -> Chalice:
    app = Chalice("echo", configure_logs=False)

    @app.route("/echo/{name}", methods=["POST"])
    def echo(name: str) -> dict[str, Any]:
        # All wait here, so that every one of them is under way when the first one looks.
        barrier.wait(30)
        request = app.current_request
        assert request is not None
        return {
            "name": name,
            "path": (request.uri_params or {})["name"],
            "authorization": request.headers["authorization"],
            "query": dict(request.query_params or {}),
            "body": json.loads(request.raw_body),
        }

    return app


def environ(method: str, uri: str, body: bytes = b"", **headers: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "RAW_URI": uri,
        "PATH_INFO": uri.partition("?")[0],
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(body),
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }


class Answers:
    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def ask(self, *arguments: Any, **headers: str) -> tuple[int, dict[str, str], Any]:
        said: list[Any] = []
        content = b"".join(
            self.gateway(environ(*arguments, **headers), lambda status, sent: said.append((status, dict(sent))))
        )
        status, sent = said[0]
        return int(status.split()[0]), sent, json.loads(content)


def test_240_requests_at_once_of_two_identities_never_mix() -> None:
    count = 40
    answers = Answers(Gateway(echo_app(threading.Barrier(count))))

    def one(number: int) -> None:
        who = "alice" if number % 2 else "bob"
        body = json.dumps({"number": number}).encode()
        status, _, said = answers.ask("POST", f"/echo/{who}{number}?n={number}", body, authorization=f"Bearer {who}")
        assert status == 200
        assert said == {
            "name": f"{who}{number}",
            "path": f"{who}{number}",
            "authorization": f"Bearer {who}",
            "query": {"n": str(number)},
            "body": {"number": number},
        }

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(one, range(6 * count)))


@pytest.fixture(scope="module")
def answers() -> Answers:
    from app import app

    return Answers(Gateway(app))


@pytest.mark.parametrize("uri", ["/nothing", "//app", "http://elsewhere/app", "/app/x/y/z", "/", "*"])
def test_a_path_without_a_route_is_not_found_in_the_one_shape(answers: Answers, uri: str) -> None:
    status, headers, said = answers.ask("GET", uri, authorization="Bearer x")
    assert (status, said["error"]["code"]) == (404, "not-found")
    assert headers["Content-Type"] == "application/json"


def test_a_body_beyond_the_limit_is_never_held_whole(answers: Answers) -> None:
    class Large(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert 0 < size <= 64 * 1024
            return super().read(size)

    sent = environ("POST", "/app") | {"CONTENT_LENGTH": "2000000", "wsgi.input": Large(b"x" * 2_000_000)}
    statuses: list[str] = []
    content = b"".join(answers.gateway(sent, lambda status, _: statuses.append(status)))
    assert statuses == ["413 Content Too Large"]
    assert json.loads(content)["error"]["code"] == "too-large"


def test_a_body_without_a_length_is_limited_too(answers: Answers) -> None:
    sent = environ("POST", "/app", b"x" * 1_100_000) | {"CONTENT_LENGTH": ""}
    statuses: list[str] = []
    assert b"".join(answers.gateway(sent, lambda status, _: statuses.append(status)))
    assert statuses == ["413 Content Too Large"]


def test_a_body_that_ended_too_early_is_malformed(answers: Answers) -> None:
    sent = environ("POST", "/app", b"{}") | {"CONTENT_LENGTH": "500"}
    statuses: list[str] = []
    assert b"".join(answers.gateway(sent, lambda status, _: statuses.append(status)))
    assert statuses == ["400 Bad Request"]


def test_a_semicolon_or_hash_in_a_path_stays_part_of_it(answers: Answers) -> None:
    for uri in ("/health;x", "/health%23", "/health#x"):
        assert answers.ask("GET", uri)[0] == 404
