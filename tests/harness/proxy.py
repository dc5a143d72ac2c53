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

import re
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.harness.connections import CHUNK, Dropped, Proxy, TcpProxy, linger_not
from tests.harness.errors import HarnessError
from tests.harness.messages import Reader, parse

__all__ = ["SLOW_DOWN", "HttpProxy", "Request", "Rule", "TcpProxy"]

SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


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


class HttpProxy(Proxy):
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
            raise Dropped

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
        reader = Reader(client)
        try:
            while (head := reader.head()) is not None:
                self._flowing.wait()
                if not self._exchange(client, reader, head):
                    return
        except Dropped:
            linger_not(client)
            raise

    def _exchange(self, client: socket.socket, reader: Reader, head: bytes) -> bool:
        """One request and its answer; whether the client may send another."""
        first, headers = parse(head)
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
            reader = Reader(server)
            while True:
                head = reader.head()
                if head is None:
                    raise Dropped
                first, headers = parse(head)
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
                raise Dropped
            self._flowing.wait()
            client.sendall(head)
            for piece in pieces:
                self._flowing.wait()
                client.sendall(piece if left is None else piece[:left])
                left = None if left is None else left - len(piece)
                if left is not None and left <= 0:
                    raise Dropped
            if left is not None:
                raise Dropped
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
                data = source.recv(CHUNK)
                if not data:
                    return
                self._flowing.wait()
                other[source].sendall(data)
