"""The runner: starting with nothing, strangers' requests, identities in threads, and stopping."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.running import PROGRAM, Service

RECOVERY_KEY = re.compile(r"MSR1(-[A-Z2-7]{5}){8}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without any cluster, for requests that need none."""
    running = Service(tmp_path_factory.mktemp("serving") / "data").start()
    yield running
    running.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, not started yet."""
    made = Service(tmp_path / "data")
    yield made
    if made.process is not None:
        made.kill()


def connection(service: Service) -> socket.socket:
    parts = urlsplit(service.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=40)


def raw(service: Service, request: bytes) -> tuple[int, bytes]:
    """What is answered to bytes that no HTTP library would send."""
    with connection(service) as line:
        line.sendall(request)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_the_first_start_shows_the_recovery_key_and_later_ones_do_not(own: Service) -> None:
    own.start()
    assert len(RECOVERY_KEY.findall(own.greeting)) == 1
    assert str(own.directory / "token") in own.greeting
    assert own.token not in own.greeting
    for name in ("token", "passphrase"):
        assert stat.S_IMODE((own.directory / name).stat().st_mode) == 0o600
    own.stop()
    own.start()
    assert RECOVERY_KEY.search(own.greeting) is None
    assert own.ask("GET", "/app").status == 200


def test_a_port_that_is_taken_is_told_in_a_sentence(service: Service, tmp_path: Path) -> None:
    other = Service(tmp_path / "data", settings={"MAINSTAY_LISTEN": urlsplit(service.url).netloc})
    program = (
        "from chalicelib.local.runner import serve\n"
        "from chalicelib.domain.errors import MainstayError\n"
        "try: serve()\n"
        "except MainstayError as error: raise SystemExit(error.message)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=other.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert "is taken" in ended.stderr
    assert "MAINSTAY_LISTEN=" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_400_requests_at_once_of_two_identities_never_mix(service: Service) -> None:
    def one(number: int) -> tuple[int, str]:
        mine = number % 2 == 0
        token = service.token if mine else f"stolen-{number}-" + "x" * 20
        said = service.ask("GET", f"/app/{number}-{'mine' if mine else 'not'}", token=token)
        return said.status, said.error["message"]

    with ThreadPoolExecutor(48) as pool:
        answers = list(pool.map(one, range(400)))
    for number, (status, message) in enumerate(answers):
        if number % 2:
            assert (status, message) == (401, "The token is not valid.")
        else:
            assert status == 400
            assert f"'{number}-mine'" in message


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/app/../../etc/passwd", 404),
        ("/app/%2e%2e", 400),
        ("/app/%2e%2e%2f%2e%2e%2fvault", 400),
        ("/app/%00", 400),
        ("/app/app-%00%00", 400),
        ("/app/" + "a" * 3000, 400),
        ("/app/%zz", 400),
        ("/operation/..%2f..%2fcontrol/plan", 400),
        ("/version/selectVersion?versionId=..%2f..%2fkeys%2f1", 400),
        ("//app", 404),
        ("/app;/..", 404),
    ],
)
def test_paths_with_tricks_find_nothing(service: Service, path: str, status: int) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\nConnection: close\r\n\r\n"
    answered, body = raw(service, request.encode())
    assert answered == status, body
    assert set(json.loads(body)["error"]) == {"code", "message", "details", "requestId"}


def test_a_nul_in_the_path_is_refused(service: Service) -> None:
    request = (
        f"GET /app/a\0b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\nConnection: close\r\n\r\n"
    )
    status, body = raw(service, request.encode())
    assert status == 400
    assert json.loads(body)["error"]["code"] == "malformed"


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"\x16\x03\x01" * 9,
    ],
)
def test_what_is_no_http_is_answered_in_the_one_shape_and_harms_nobody(service: Service, sent: bytes) -> None:
    with connection(service) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    if answer:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "malformed"
    assert service.ask("GET", "/health").status == 200


def test_two_megabytes_are_refused_in_the_one_shape(service: Service) -> None:
    said = service.ask("POST", "/document/check", b'{"document": "' + b"x" * 2_000_000 + b'"}')
    assert (said.status, said.error["code"]) == (413, "too-large")
    assert service.ask("GET", "/health").status == 200


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'"text"', b"7"])
def test_bodies_that_are_no_json_object_are_refused(service: Service, body: bytes) -> None:
    said = service.ask("POST", "/document/check", body)
    assert said.status in {400, 422}
    assert said.error["message"]


def test_a_bomb_in_a_document_is_a_problem_of_the_document(service: Service) -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    began = time.monotonic()
    said = service.done("POST", "/document/check", {"document": bomb})
    assert said["valid"] is False
    assert time.monotonic() - began < 5


def test_without_a_cluster_everything_says_so(service: Service) -> None:
    said = service.ask("GET", "/kubernetes/checkKubernetesStatus")
    assert (said.status, said.error["code"]) == (404, "cluster-not-configured")
    registering = service.ask("POST", "/app", {"name": "shop", "namespace": "shop"})
    assert registering.status in {404, 422}


@pytest.mark.slow
def test_slow_senders_do_not_keep_others_waiting_and_are_cut_off(own: Service) -> None:
    own.settings = {"MAINSTAY_THREADS": "4"}
    own.start()
    lines = [connection(own) for _ in range(4)]
    try:
        for line in lines:
            line.sendall(b"POST /document/check HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        began = time.monotonic()
        assert own.ask("GET", "/health").status == 200
        assert time.monotonic() - began < 35
        for line in lines:
            line.settimeout(35)
            while line.recv(65536):
                pass
    finally:
        for line in lines:
            line.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quickly_and_what_was_kept_is_kept(own: Service, number: signal.Signals) -> None:
    own.start()
    assert own.ask("GET", "/app").status == 200
    took = own.stop(number)
    assert own.process is not None
    assert own.process.returncode == 0, own.log
    assert took < 10
    assert "Traceback" not in own.log
    own.start()
    assert own.ask("GET", "/app").json["items"] == []


def test_a_worker_that_dies_is_replaced_and_the_port_stays_open(own: Service) -> None:
    own.start()
    own.kill_worker()
    assert own.ask("GET", "/app").status == 200


def test_the_access_log_is_one_line_for_each_request_and_has_no_secret(service: Service) -> None:
    service.ask("GET", "/app?limit=7%0AFAKE")
    time.sleep(0.3)
    lines = [line for line in service.log.splitlines() if "limit=7" in line]
    assert len(lines) == 1
    assert re.search(r'"GET /app\?limit=7%0AFAKE HTTP/1.1" 422 \d+B \d+ms [0-9a-f-]{36}$', lines[0])
    assert service.token not in service.log


_BREAK = """
import threading
from chalicelib.domain.errors import StorageUnavailable
from chalicelib.services.applications import Applications
from chalicelib.services.operations import Operations

def die():
    raise ValueError("hunter2")

def list_applications(*_):
    thread = threading.Thread(target=die, name="a-thread-of-ours")
    thread.start()
    thread.join()
    raise ValueError("hunter2")

def list_operations(*_):
    raise StorageUnavailable("The bucket does not answer.")

Applications.list, Operations.list = list_applications, list_operations
"""


def test_what_goes_wrong_is_in_the_log_with_request_place_and_type_but_without_words(own: Service) -> None:
    own.program = f"{_BREAK}\n{PROGRAM}"
    own.start()
    unexpected, unavailable = own.ask("GET", "/app"), own.ask("GET", "/operation")
    assert (unexpected.status, unavailable.status) == (500, 503)
    own.stop()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+\d{4}"
    said = f"ERROR mainstay.api: GET /app: unexpected ValueError [{unexpected.error['requestId']}]"
    assert re.search(
        rf"^{stamp} {re.escape(said)}\n(  .+:\d+ in \w+\n)+  <string>:\d+ in list_applications$", own.log, re.M
    )
    assert "ERROR mainstay: a-thread-of-ours ended by an unexpected ValueError\n" in own.log
    assert re.search(r"^  <string>:\d+ in die$", own.log, re.M)
    request = unavailable.error["requestId"]
    said = f"WARNING mainstay.api: GET /operation: storage-unavailable: The bucket does not answer. [{request}]"
    assert re.search(rf"^{stamp} {re.escape(said)}$", own.log, re.M)
    assert "hunter2" not in own.log
