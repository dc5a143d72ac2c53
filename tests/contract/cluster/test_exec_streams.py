"""The remote command protocol against a server that speaks it as badly as a test wants."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from chalicelib.cluster.client import Client, now
from chalicelib.cluster.credentials import Connection
from chalicelib.cluster.exec import run
from chalicelib.cluster.streams import V4, V5, open_exec
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable, DeadlineExceeded

Talk = Callable[[socket.socket], None]

OK = b"\x03" + json.dumps({"status": "Success"}).encode()


def frame(content: bytes, opcode: int = 2, *, last: bool = True) -> bytes:
    head = bytes([(0x80 if last else 0) | opcode])
    size = bytes([len(content)]) if len(content) < 126 else b"\x7e" + struct.pack(">H", len(content))
    return head + size + content


CLOSE = frame(struct.pack(">H", 1000), 8)


class Kubelet:
    """Accepts one WebSocket after another, in the subprotocols it knows, and lets the test talk."""

    def __init__(self) -> None:
        self.knows = [V5, V4]
        self.talk: Talk = lambda peer: peer.sendall(frame(OK) + CLOSE)
        self.head = ""
        self.answer = b""
        self.received = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            with peer:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += peer.recv(4096)
                self.head = head.decode()
                peer.sendall(self.answer or self._accept())
                if not self.answer:
                    self.talk(peer)
                    self._drain(peer)

    def _accept(self) -> bytes:
        wanted = dict(line.split(": ", 1) for line in self.head.splitlines()[1:] if ": " in line)
        key = wanted["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324  # RFC 6455 says so
        offered = [each.strip() for each in wanted["Sec-WebSocket-Protocol"].split(",")]
        chosen = next(each for each in offered if each in self.knows)
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            f"Sec-WebSocket-Protocol: {chosen}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def _drain(self, peer: socket.socket) -> None:
        peer.settimeout(0.2)
        try:
            while data := peer.recv(4096):
                self.received += data
        except OSError:
            pass

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def kubelet() -> Iterator[Kubelet]:
    running = Kubelet()
    yield running
    running.close()


@pytest.fixture
def client(kubelet: Kubelet) -> Client:
    return Client(Connection(server=kubelet.url, source="a test", token=lambda _fresh: "abc"))


def execute(client: Client, timeout: float = 5.0):
    return run(client, "shop", "web-0", "web", ["echo", "a b"], timeout=timeout)


def test_the_command_and_who_asks_are_sent(kubelet: Kubelet, client: Client) -> None:
    assert execute(client).ok
    first = kubelet.head.splitlines()[0]
    assert first.startswith("GET /api/v1/namespaces/shop/pods/web-0/exec?container=web&")
    assert "command=echo&command=a+b " in first
    assert "Authorization: Bearer abc" in kubelet.head


@pytest.mark.parametrize("protocol", [V5, V4])
def test_the_newest_protocol_that_both_know_is_spoken(kubelet: Kubelet, client: Client, protocol: str) -> None:
    kubelet.knows = [protocol]
    assert execute(client).ok
    stream = open_exec(client, "shop", "web-0", "web", ["cat"], deadline=now() + 5, stdin=True)
    assert stream.closes_stdin is (protocol == V5)
    stream.close()


def test_output_of_both_channels_is_put_together_in_order(kubelet: Kubelet, client: Client) -> None:
    pieces = [b"\x01one ", b"\x02bad", b"\x01", b"\x01two", b"\x02 luck", OK]
    kubelet.talk = lambda peer: peer.sendall(b"".join(frame(piece) for piece in pieces) + CLOSE)
    result = execute(client)
    assert (result.stdout, result.stderr) == (b"one two", b"bad luck")


def test_a_message_in_fragments_and_a_ping_between_are_understood(kubelet: Kubelet, client: Client) -> None:
    parts = frame(b"\x01one ", last=False) + frame(b"ping", 9) + frame(b"two", 0) + frame(OK) + CLOSE
    kubelet.talk = lambda peer: peer.sendall(parts)
    assert execute(client).stdout == b"one two"


@pytest.mark.parametrize("ending", [CLOSE, b""])
def test_a_stream_that_ends_without_a_status_is_not_taken_for_success(
    kubelet: Kubelet, client: Client, ending: bytes
) -> None:
    def talk(peer: socket.socket) -> None:
        peer.sendall(frame(b"\x01half") + ending)
        peer.shutdown(socket.SHUT_WR)

    kubelet.talk = talk
    with pytest.raises(ClusterUnreachable, match="Whether the command ended is unknown") as raised:
        execute(client)
    assert raised.value.details["outcome"] == "unknown"


def test_a_server_that_says_nothing_is_left_in_time(kubelet: Kubelet, client: Client) -> None:
    over = threading.Event()
    kubelet.talk = lambda _peer: over.wait(30)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        execute(client, timeout=0.4)
    assert time.monotonic() - began < 10
    over.set()


def test_a_refused_exec_says_the_servers_words(kubelet: Kubelet, client: Client) -> None:
    body = json.dumps({"kind": "Status", "reason": "BadRequest", "message": "container web is not valid"}).encode()
    kubelet.answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with pytest.raises(ClusterRefused, match="container web is not valid") as raised:
        execute(client)
    assert raised.value.http_status == 400


def test_a_redirect_of_an_exec_is_not_followed(kubelet: Kubelet, client: Client) -> None:
    kubelet.answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(ClusterUnreachable, match="Redirect"):
        execute(client)


def test_a_server_that_is_not_there_is_told(client: Client, kubelet: Kubelet) -> None:
    kubelet.close()
    gone = Client(Connection(server="http://127.0.0.1:9", source="a test"))
    with pytest.raises(ClusterUnreachable, match="connection refused") as raised:
        execute(gone)
    assert raised.value.details["outcome"] == "not-sent"


def test_standard_input_is_sent_and_ended(kubelet: Kubelet, client: Client) -> None:
    def unmask(data: bytes) -> list[bytes]:
        found = []
        while data:
            size, mask = data[1] & 0x7F, data[2:6]
            found.append(bytes(byte ^ mask[at % 4] for at, byte in enumerate(data[6 : 6 + size])))
            data = data[6 + size :]
        return found

    def talk(peer: socket.socket) -> None:
        time.sleep(0.1)
        kubelet.received += peer.recv(4096)
        peer.sendall(frame(OK) + CLOSE)

    kubelet.talk = talk
    stream = open_exec(client, "shop", "web-0", "web", ["cat"], deadline=now() + 5, stdin=True)
    stream.send(b"hello")
    stream.close_stdin()
    assert [content for channel, content in stream.messages() if channel == 3] == [OK[1:]]
    stream.close()
    assert unmask(kubelet.received)[:2] == [b"\x00hello", b"\xff\x00"]
