"""Fault proxies: they stand between a client and a server and make the network misbehave, on demand.

`HttpProxy` reads HTTP/1.1 and picks requests by method and path: an S3 server's, or, with TLS and a client that
shows a token, the API server's. `TcpProxy` passes bytes and can only treat whole connections. Both take a thread
for each connection and a connection to the server for each request: they are for tests, not for speed.

    proxy.lose_answer("PUT", r"/lane\\.json")    the write is done, its answer never arrives
    proxy.lose_request("PUT", ...)              the write is not done
    proxy.answer("GET", ..., status=503)        the server is not asked
    proxy.cut("GET", ..., after=100)            the answer breaks off after 100 bytes of its body
    proxy.delay("PUT", ..., seconds=2)          the request is passed on late
    proxy.hang("PUT", ...)                      it is passed on, and nothing comes back
    proxy.intercept("PUT", ..., call=f)         f runs before the request is passed on, or after it was answered

Each returns its Rule, which counts what it met (`rule.hits`, `rule.wait()`). It holds for the next `times`
matching requests after the first `skip`; `times=None` is for ever.
"""

import contextlib
import re
import select
import socket
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from tests.harness.errors import HarnessError

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"

_CHUNK = 65536


class _Dropped(Exception):
    """The connection is to be broken off now."""


class _Proxy(ABC):
    """Listens on a free port of 127.0.0.1 for one server; a context manager that starts and closes it."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        if not parts.hostname or not parts.port:
            raise HarnessError(f"{upstream} names no host and port")
        self._upstream = (parts.hostname, parts.port)
        self._scheme = parts.scheme
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0

    @property
    def endpoint(self) -> str:
        """What to give the client in place of the server's own address."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept, self._listener)

    def close(self) -> None:
        """Stop listening, break off every connection and wait for the threads to end."""
        self._closed.set()
        self._flowing.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
        self.drop_connections()
        for thread in self._threads:
            thread.join(10)

    def freeze(self) -> None:
        """Let nothing through in either direction; connections stay open, as with a stalled machine."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def drop_connections(self) -> None:
        """Break off every connection that is open now."""
        with self._lock:
            for connection in self._open:
                _linger_not(connection)
                with contextlib.suppress(OSError):
                    # Not `close`: the thread that reads from it does that, when this has woken it.
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while not self._closed.is_set():
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with self._held(client):
            try:
                self._handle(client)
            except _Dropped:
                _linger_not(client)
            except OSError:
                pass  # either side went away, and so does this connection

    @abstractmethod
    def _handle(self, client: socket.socket) -> None:
        """Pass on one client's connection until it ends."""

    @contextlib.contextmanager
    def _held(self, connection: socket.socket) -> Iterator[socket.socket]:
        """A connection that `drop_connections` knows of, until the block ends and it is closed."""
        with connection:
            with self._lock:
                self._open.add(connection)
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield connection
            finally:
                with self._lock:
                    self._open.discard(connection)

    def _connect(self) -> socket.socket:
        server = socket.create_connection(self._upstream, timeout=30)
        server.settimeout(None)
        return server

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        """Pass bytes on until the source ends."""
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self._flowing.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _spawn(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        with self._lock:
            self._threads = [one for one in self._threads if one.is_alive() or one.ident is None]
            self._threads.append(thread)
        thread.start()
        return thread


def _linger_not(connection: socket.socket) -> None:
    """Let `close` send a reset in place of an orderly end."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class TcpProxy(_Proxy):
    """Passes bytes. `upstream` is a URL whose scheme is kept for `endpoint`, such as https://127.0.0.1:6443."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self._seconds = 0.0
        self._refusing = False
        self._cuts: list[int] = []
        self._muted = 0

    def slow(self, seconds: float) -> None:
        """Hold back every piece of every answer for so long; 0 ends it."""
        self._seconds = seconds

    def refuse(self, refusing: bool = True) -> None:
        """Break off new connections at once, or no longer."""
        self._refusing = refusing

    def cut_next(self, after: int, connections: int = 1) -> None:
        """Break off each of the next new connections after so many bytes of answers."""
        self._cuts += [after] * connections

    def lose_next_answer(self, times: int = 1) -> None:
        """Break off the connection on which the server next says something, without passing that on.

        Whoever had asked does not learn whether it was done. The connection should be there already: a TLS
        handshake has answers too.
        """
        self._muted += times

    def _handle(self, client: socket.socket) -> None:
        if self._refusing:
            raise _Dropped
        left = self._cuts.pop(0) if self._cuts else None
        with self._held(self._connect()) as server:
            asking = self._spawn(self._pass, client, server)
            try:
                while data := server.recv(_CHUNK):
                    self._flowing.wait()
                    self._closed.wait(self._seconds)
                    if self._muted > 0:
                        self._muted -= 1
                        raise _Dropped
                    if left is not None:
                        client.sendall(data[:left])
                        left -= len(data)
                        if left <= 0:
                            raise _Dropped
                    else:
                        client.sendall(data)
            finally:
                for connection in (client, server):
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RD)  # wakes the other direction
                asking.join(10)


@dataclass
class Request:
    """A request that came by; `status` is that of its answer, once there was one."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    status: int | None = None


@dataclass
class Rule:
    """What happens to requests that match; made by the proxy's methods."""

    method: str
    path: str
    times: int | None
    skip: int
    before: Callable[[Request], bytes | None] | None = None
    after: Callable[[Request], object] | None = None
    loses: bool = False
    passes: int | None = None
    hits: int = 0
    _hit: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float = 30) -> None:
        """Wait until a request has met this rule. Errors: HarnessError."""
        if not self._hit.wait(seconds):
            raise HarnessError(f"no {self.method} {self.path} came by within {seconds:.0f} s")

    def take(self, request: Request) -> bool:
        """Whether it holds for this request, which is counted. The caller holds the proxy's lock."""
        if not re.fullmatch(self.method, request.method) or not re.search(self.path, request.target):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            if self.times <= 0:
                return False
            self.times -= 1
        self.hits += 1
        return True

    def met(self) -> None:
        self._hit.set()


class HttpProxy(_Proxy):
    """Reads HTTP/1.1; faults by method (a whole regular expression) and path with query (a part of it).

    `server` (with the proxy's own certificate) and `client` are for TLS on the two sides.
    """

    def __init__(
        self, upstream: str, *, server: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(upstream)
        self._server_context = server
        self._client_context = client
        self._rules: list[Rule] = []
        self.requests: list[Request] = []

    def lose_answer(self, method: str, path: str = "", *, times: int | None = 1, skip: int = 0) -> Rule:
        return self._add(Rule(method, path, times, skip, loses=True))

    def lose_request(self, method: str, path: str = "", *, times: int | None = 1, skip: int = 0) -> Rule:
        def drop(_: Request) -> bytes | None:
            raise _Dropped

        return self._add(Rule(method, path, times, skip, before=drop))

    def answer(
        self,
        method: str,
        path: str = "",
        *,
        status: int = 503,
        body: bytes = SLOW_DOWN,
        headers: Mapping[str, str] | None = None,
        times: int | None = 1,
        skip: int = 0,
    ) -> Rule:
        lines = [f"HTTP/1.1 {status} Fault", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {"Content-Type": "application/xml"}).items()]
        text = "\r\n".join([*lines, "", ""]).encode()

        def answered(request: Request) -> bytes:
            request.status = status
            return text + (b"" if request.method == "HEAD" else body)

        return self._add(Rule(method, path, times, skip, before=answered))

    def cut(self, method: str, path: str = "", *, after: int, times: int | None = 1, skip: int = 0) -> Rule:
        return self._add(Rule(method, path, times, skip, passes=after))

    def delay(self, method: str, path: str = "", *, seconds: float, times: int | None = 1, skip: int = 0) -> Rule:
        def wait(_: Request) -> None:
            self._closed.wait(seconds)

        return self._add(Rule(method, path, times, skip, before=wait))

    def hang(self, method: str, path: str = "", *, times: int | None = 1, skip: int = 0) -> Rule:
        """Until the proxy is closed, `drop_connections` is called or the client goes."""
        return self._add(Rule(method, path, times, skip, loses=True, after=lambda _: self._closed.wait()))

    def intercept(
        self,
        method: str,
        path: str = "",
        *,
        call: Callable[[Request], object],
        moment: Literal["before", "after"] = "before",
        times: int | None = 1,
        skip: int = 0,
    ) -> Rule:
        """`call` runs in the proxy's thread, while this request waits, so other requests can overtake it."""

        def before(request: Request) -> None:
            call(request)

        if moment == "before":
            return self._add(Rule(method, path, times, skip, before=before))
        return self._add(Rule(method, path, times, skip, after=call))

    def clear(self) -> None:
        """Forget all rules and all requests."""
        with self._lock:
            self._rules.clear()
            self.requests.clear()

    def seen(self, method: str, path: str = "") -> list[Request]:
        """The requests so far that match."""
        with self._lock:
            return [one for one in self.requests if re.fullmatch(method, one.method) and re.search(path, one.target)]

    def _add(self, rule: Rule) -> Rule:
        with self._lock:
            self._rules.append(rule)
        return rule

    def _handle(self, client: socket.socket) -> None:
        if self._server_context is not None:
            # The plain socket is detached by this; the new one is held in its place.
            with self._held(self._server_context.wrap_socket(client, server_side=True)) as secured:
                self._converse(secured)
        else:
            self._converse(client)

    def _converse(self, client: socket.socket) -> None:
        reader = _Reader(client)
        try:
            while (head := reader.head()) is not None:
                self._flowing.wait()
                if not self._exchange(client, reader, head):
                    return
        except _Dropped:
            _linger_not(client)
            raise

    def _exchange(self, client: socket.socket, reader: "_Reader", head: bytes) -> bool:
        """One request and its answer; whether the client may send another."""
        first, headers = _parse(head)
        method, target, _ = first.split(" ", 2)
        if headers.get("expect", "").lower() == "100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?i)\r\nexpect:[^\r\n]*", b"", head)
        body = b"".join(reader.body(headers, until_end=False))
        request = Request(method, target, headers, body)
        with self._lock:
            self.requests.append(request)
            rules = [rule for rule in self._rules if rule.take(request)]
        try:
            for rule in rules:
                if rule.before is not None and (canned := rule.before(request)) is not None:
                    client.sendall(canned)
                    return True
            self._flowing.wait()
            return self._ask(client, head + body, request, rules)
        finally:
            for rule in rules:
                rule.met()

    def _ask(self, client: socket.socket, message: bytes, request: Request, rules: list[Rule]) -> bool:
        server = self._connect()
        if self._client_context is not None:
            server = self._client_context.wrap_socket(server, server_hostname=self._upstream[0])
        with self._held(server):
            server.sendall(message)
            reader = _Reader(server)
            while True:
                head = reader.head()
                if head is None:
                    raise _Dropped
                first, headers = _parse(head)
                request.status = int(first.split(" ", 2)[1])
                if request.status == 101 or request.status >= 200:
                    break
            lost = any(rule.loses for rule in rules)
            left = min((rule.passes for rule in rules if rule.passes is not None), default=None)
            if request.status == 101 and not lost:
                self._upgrade(client, server, head + reader.rest())
                return False
            whole = request.method == "HEAD" or request.status in (204, 304)
            pieces = iter(()) if whole else reader.body(headers, until_end=True)
            if lost or any(rule.after for rule in rules):
                # Only a finished answer tells that the server has done what it was asked.
                pieces = iter([b"".join(pieces)])
                for rule in rules:
                    if rule.after is not None:
                        rule.after(request)
            if lost:
                raise _Dropped
            self._flowing.wait()
            client.sendall(head)
            for piece in pieces:
                self._flowing.wait()
                client.sendall(piece if left is None else piece[:left])
                left = None if left is None else left - len(piece)
                if left is not None and left <= 0:
                    raise _Dropped
            if left is not None:
                raise _Dropped
            bounded = whole or "content-length" in headers or "transfer-encoding" in headers
            return bounded and headers.get("connection", "").lower() != "close"

    def _upgrade(self, client: socket.socket, server: socket.socket, head: bytes) -> None:
        """From here on it is not HTTP any more (exec, port-forward): pass bytes both ways until one side ends.

        By one thread: a TLS connection must not be read and written by two at once.
        """
        client.sendall(head)
        other = {client: server, server: client}
        while True:
            buffered = [one for one in other if isinstance(one, ssl.SSLSocket) and one.pending()]
            for source in buffered or select.select(list(other), [], [])[0]:
                data = source.recv(_CHUNK)
                if not data:
                    return
                self._flowing.wait()
                other[source].sendall(data)


class _Reader:
    """Takes messages apart while it reads them from a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def head(self) -> bytes | None:
        """The next message's head with its empty line, or None at the end."""
        return self._until(b"\r\n\r\n")

    def rest(self) -> bytes:
        """What was read already and not yet taken."""
        rest, self._buffer = self._buffer, b""
        return rest

    def body(self, headers: Mapping[str, str], *, until_end: bool) -> Iterator[bytes]:
        """The body as it is on the wire. Without a length it is empty, or ends with the connection."""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif "content-length" in headers:
            yield from self._counted(int(headers["content-length"]))
        elif until_end:
            yield self.rest()
            while data := self._connection.recv(_CHUNK):
                yield data

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._until(b"\r\n")
            if line is None:
                raise _Dropped
            size = int(line.split(b";")[0], 16)
            yield line
            if size == 0:
                break
            yield from self._counted(size + 2)
        while (trailer := self._until(b"\r\n")) is not None:
            yield trailer
            if trailer == b"\r\n":
                return
        raise _Dropped

    def _counted(self, count: int) -> Iterator[bytes]:
        while count > 0:
            data = self._buffer[:count] or self._connection.recv(min(count, _CHUNK))
            if not data:
                raise _Dropped
            self._buffer = self._buffer[len(data) :]
            count -= len(data)
            yield data

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._buffer:
            data = self._connection.recv(_CHUNK)
            if not data:
                return None
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    """A head's first line and its headers by lower-case name."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return first, {name.strip().lower(): value.strip() for name, value in pairs}
