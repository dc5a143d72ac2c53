"""Kubernetes' remote command protocol over a WebSocket: framing, subprotocols, exit status.

The first byte of each message is its channel. With `v5.channel.k8s.io` the client can close a channel (its standard
input, for a command that reads to the end); `v4` cannot say so. What runs over it is the caller's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from chalicelib.cluster.client import Client, Response, now
from chalicelib.cluster.refusals import refused
from chalicelib.cluster.transport import TransportFailure
from chalicelib.domain.errors import ClusterRefused

if TYPE_CHECKING:
    import websocket

V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"


class Channel(IntEnum):
    """The first byte of a message."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    #: The server's `Status` when the command ended.
    ERROR = 3
    RESIZE = 4
    #: Only v5: the next byte is the channel that ends.
    CLOSE = 255


class StreamBroken(Exception):
    """The stream ended before the command did. Never leaves this folder."""


class StreamTimeout(Exception):
    """The deadline came first. Never leaves this folder."""


class Stream:
    """One open stream. `deadline` is a point on `now()` after which every call raises `StreamTimeout`."""

    def __init__(self, socket: websocket.WebSocket, deadline: float) -> None:
        self._socket = socket
        self._deadline = deadline
        #: Whether the end of the standard input can be told (v5).
        self.closes_stdin = socket.getsubprotocol() == V5

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """`(channel, bytes)` until the server closes. `StreamBroken` if it does so in a disorderly way."""
        import websocket

        while True:
            self._limit()
            try:
                opcode, data = self._socket.recv_data()
            except websocket.WebSocketTimeoutException as error:
                raise StreamTimeout from error
            except (websocket.WebSocketException, OSError) as error:
                raise StreamBroken(str(error) or type(error).__name__) from error
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return
            if data:
                yield data[0], data[1:]

    def send(self, content: bytes) -> None:
        """Bytes for the command's standard input."""
        self._send(bytes([Channel.STDIN]) + content)

    def close_stdin(self) -> None:
        """Tell the command that its standard input ends here (v5 only)."""
        self._send(bytes([Channel.CLOSE, Channel.STDIN]))

    def close(self) -> None:
        """Hang up at once. A command that still runs in the pod is not stopped by that."""
        with contextlib.suppress(Exception):
            self._socket.shutdown()  # type: ignore[no-untyped-call]

    def _send(self, message: bytes) -> None:
        import websocket

        self._limit()
        try:
            self._socket.send_binary(message)
        except websocket.WebSocketTimeoutException as error:
            raise StreamTimeout from error
        except (websocket.WebSocketException, OSError) as error:
            raise StreamBroken(str(error) or type(error).__name__) from error

    def _limit(self) -> None:
        left = self._deadline - now()
        if left <= 0:
            raise StreamTimeout
        self._socket.settimeout(left)


def open_exec(
    client: Client,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    deadline: float,
    stdin: bool = False,
) -> Stream:
    """Start a command in a container. It counts as a write: the client's guard is asked, and nothing is repeated.

    Raises `ClusterRefused` (no such pod or container, not allowed), `ClusterUnreachable`, `StreamTimeout`.
    """
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
    query = {"container": container, "stdout": "true", "stderr": "true", "stdin": "true" if stdin else "false"}
    target = f"{path}?{urlencode([*query.items(), *(('command', word) for word in command)])}"
    client.guard()
    left = deadline - now()
    if left <= 0:
        raise StreamTimeout
    try:
        raw = client.transport.open_socket(left)
    except TransportFailure as failure:
        raise client.unreachable("GET", path, failure.reason, outcome="not-sent") from failure
    socket: websocket.WebSocket | None = None
    try:
        socket = _handshake(client, raw, path, target, deadline)
        return Stream(socket, deadline)
    finally:
        if socket is None:
            raw.close()


def _handshake(client: Client, raw: Any, path: str, target: str, deadline: float) -> websocket.WebSocket:
    import websocket

    address = client.connection.address
    scheme = "wss" if address.scheme == "https" else "ws"
    socket = websocket.WebSocket(enable_multithread=True, skip_utf8_validation=True)
    raw.settimeout(max(deadline - now(), 0.01))
    try:
        socket.connect(  # type: ignore[no-untyped-call]
            f"{scheme}://{address.netloc}{address.path}{target}",
            header=[f"{name}: {value}" for name, value in client.headers()],
            subprotocols=[V5, V4],
            socket=raw,
            suppress_origin=True,
            redirect_limit=0,
        )
    except websocket.WebSocketBadStatusException as error:
        raise handshake_refused(path, error.status_code, error.resp_headers or {}, error.resp_body or b"") from error
    except (websocket.WebSocketTimeoutException, TimeoutError) as error:
        raise StreamTimeout from error
    except (websocket.WebSocketException, OSError) as error:
        raise client.unreachable("GET", path, str(error) or type(error).__name__, outcome="unknown") from error
    return socket


def handshake_refused(path: str, status: int, headers: Mapping[str, str], body: bytes) -> ClusterRefused:
    """The error for a server that did not switch protocols."""
    lowered = {str(name).lower(): str(value) for name, value in headers.items()}
    return refused(Response(status, lowered, body), "GET", path)


def exit_code(status: bytes) -> tuple[int | None, str]:
    """`(exit code, message)` of the `Status` on the error channel; no code where the command never ran."""
    try:
        body = orjson.loads(status)
    except ValueError:
        return None, status[:300].decode("utf-8", "replace")
    if body.get("status") == "Success":
        return 0, ""
    message = str(body.get("message") or body.get("reason") or "")
    if body.get("reason") == "NonZeroExitCode":
        for cause in (body.get("details") or {}).get("causes") or []:
            if cause.get("reason") == "ExitCode":
                return int(cause.get("message") or 0), message
    return None, message
