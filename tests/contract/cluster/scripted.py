"""A server on loopback that answers by a script, so that a test can say what goes wrong and when."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    verb: str
    path: str
    query: dict[str, str]
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of a name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class Reply:
    """What to answer: `body` is bytes, or anything that JSON can say. `drop` hangs up instead."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    #: Hang up before the body's end: half of it is sent, with its length told or (`chunked`) not.
    cut: bool = False
    chunked: bool = False
    #: The body is the bytes on the wire, framing and all; the connection is closed after it.
    bare: bool = False
    #: Seconds before the answer begins, and between its single bytes.
    delay: float = 0.0
    drip: float = 0.0


def refusal(status: int, reason: str, message: str, **more: Any) -> Reply:
    """A `Status` as the API server answers it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason}
    return Reply(status, body | {"message": message} | more)


Script = Callable[[Asked], Reply]


class ScriptedServer:
    """`replies` are used up one by one; then `otherwise` answers. `asked` holds every request."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.replies: list[Reply] = []
        self.otherwise: Script = lambda _asked: Reply()
        self.asked: list[Asked] = []
        #: What `/readyz` answers, one by one and then the last for ever; it is counted, not noted in `asked`.
        self.readiness: list[int] = [200]
        self.readiness_asked = 0
        self._lock = threading.Lock()
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https" if context else "http"
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def reply_to(self, asked: Asked) -> Reply:
        """The next reply of the script."""
        with self._lock:
            if asked.path == "/readyz":
                self.readiness_asked += 1
                return Reply(self.readiness.pop(0) if len(self.readiness) > 1 else self.readiness[0], b"ok")
            self.asked.append(asked)
            if self.replies:
                return self.replies.pop(0)
        return self.otherwise(asked)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what the tests are about."""


@contextlib.contextmanager
def scripted(context: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """A server for the length of a test."""
    server = ScriptedServer(context)
    try:
        yield server
    finally:
        server.close()


def _handler(owner: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(parse_qsl(parts.query))
            reply = owner.reply_to(Asked(self.command, parts.path, query, list(self.headers.items()), body))
            time.sleep(reply.delay)
            if reply.drop:
                self.close_connection = True
                return
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
                self.send_header(name, value)
            if reply.bare:
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = True
                return
            if reply.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                framed = b"%x\r\n%s\r\n" % (len(content), content)
                content = framed + b"0\r\n\r\n"
            else:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if reply.cut:
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
                return
            if not reply.drip:
                self.wfile.write(content)
                return
            for index in range(len(content)):
                self.wfile.write(content[index : index + 1])
                self.wfile.flush()
                time.sleep(reply.drip)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  # http.server's own names

        def log_message(self, *args: Any) -> None:
            """Silent."""

    return Handler
