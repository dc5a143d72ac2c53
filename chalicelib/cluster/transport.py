"""One pool of connections to one API server: one request at a time there and back, bounded, and nothing more.

It tells its caller the one thing that decides about repeating a write: whether the request can have reached the
server. Retries, errors and their words are the client's.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import orjson

from chalicelib.cluster.credentials import TOKEN_FILE_SECONDS, Connection, tls_context
from chalicelib.cluster.readiness import Standing
from chalicelib.domain.errors import ClusterNotConfigured, ClusterUnreachable

if TYPE_CHECKING:
    import urllib3

#: Seconds to wait for TCP and TLS.
CONNECT_SECONDS = 5.0

#: Bytes of one answer, uncompressed: more than any page or document of an API server has. Clusters share a worker,
#: and one that was taken over must not end it for the others.
MOST_ANSWER = 512 * 1024 * 1024

_CHUNK = 256 * 1024


def now() -> float:
    """Seconds on a clock that also runs while the machine, or a frozen Lambda, is suspended.

    Every deadline in this folder is a point on it.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Response:
    """What the server answered, whatever it is. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    #: What it answers, for errors.
    request: str = ""

    def json(self) -> Any:
        """The body decoded. What is not JSON comes from something else than an API server: `ClusterUnreachable`."""
        try:
            return orjson.loads(self.data)
        except ValueError as error:
            raise foreign(self.request, "something that is not JSON") from error


def foreign(request: str, what: str) -> ClusterUnreachable:
    """The error for an answer that no API server gives (a sign-in page, another service on the same address)."""
    return ClusterUnreachable(
        f"{request}: the answer is {what}. Is there a proxy, or another service, in the API server's place?",
        details={"request": request},
    )


class TransportFailure(Exception):
    """There is no answer. Never leaves this folder.

    `sent`: the request can have reached the server. `lasting`: trying again gives the same (TLS, proxy).
    """

    def __init__(self, reason: str, *, sent: bool, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.lasting = lasting


class _TooLarge(Exception):  # it never leaves this module
    """The answer does not end where any would."""


class Transport:
    """The pool. Safe with threads: at most `connections` requests are on their way at a time."""

    def __init__(self, connection: Connection, connections: int = 16) -> None:
        self.connection = connection
        self.connections = connections
        self.standing = Standing()
        self._connect(connection)
        files = connection.client_files
        self._looking, self._looked, self._stamp = threading.Lock(), now(), files.stamp() if files else ()
        self._repeats = len(connection.impersonation) > 1
        # The wait for a free connection happens here, before the guard of a write is asked: not in the pool.
        self._slots = threading.BoundedSemaphore(connections)

    def _connect(self, connection: Connection) -> None:
        self._context = tls_context(connection)
        self._manager = _manager(connection, self._context, self.connections)
        # Asked directly it is spared looking itself up for each request. Not so through a proxy without TLS, which
        # wants the whole URL.
        whole = bool(connection.proxy) and connection.address.scheme == "http"
        self._pool = None if whole else self._manager.connection_from_url(connection.server)

    def _look_at_files(self) -> None:
        """Connect anew with a client certificate that was renewed. Requests on their way end on their connections."""
        files = self.connection.client_files
        if files is None or now() - self._looked < TOKEN_FILE_SECONDS or not self._looking.acquire(blocking=False):
            return
        try:
            self._looked, stamp = now(), files.stamp()
            found = files.read(self.connection) if stamp and stamp != self._stamp else None
            if found is not None:
                # Of a pair that is only half written nothing is taken; it is looked at again.
                with contextlib.suppress(ClusterNotConfigured):
                    self._connect(found)
                    self._stamp = stamp
        finally:
            self._looking.release()

    def acquire(self, seconds: float) -> bool:
        """Wait for a free connection, `False` if there was none in time. Every acquired one is released."""
        return self._slots.acquire(timeout=max(seconds, 0.0))

    def release(self) -> None:
        """Give the connection back."""
        self._slots.release()

    def send(
        self, verb: str, target: str, *, body: bytes | None, headers: Sequence[tuple[str, str]], timeout: float
    ) -> Response:
        """One request, answered within `timeout` seconds or `TransportFailure`. `target` is path and query."""
        import urllib3

        self._look_at_files()
        end = now() + timeout
        limit = urllib3.Timeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))
        answer = None
        try:
            answer = (self._pool or self._manager).urlopen(
                verb,
                (self.connection.address.path if self._pool else self.connection.server) + target,
                body=body,
                headers=urllib3.HTTPHeaderDict(headers) if self._repeats else dict(headers),
                timeout=limit,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            data = _read(answer, end)
        except (urllib3.exceptions.HTTPError, OSError, http.client.HTTPException, _TooLarge) as error:
            if answer is not None:
                answer.close()
            raise _failure(error, timeout) from error
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status, named, data, f"{verb} {target.partition('?')[0]}")

    def open_socket(self, timeout: float) -> socket.socket:
        """A connected socket of its own (through proxy and TLS), for a protocol that is not plain HTTP."""
        self._look_at_files()
        end = now() + min(timeout, CONNECT_SECONDS * 2)
        try:
            raw = _dial(self.connection, min(timeout, CONNECT_SECONDS))
            try:
                raw.settimeout(max(end - now(), 0.1))
                return self._secure(raw)
            except BaseException:
                raw.close()
                raise
        except (OSError, http.client.HTTPException) as error:
            failure = _failure(error, timeout)
            raise TransportFailure(failure.reason, sent=False, lasting=failure.lasting) from error

    def close(self) -> None:
        """Close the idle connections."""
        self._manager.clear()

    def _secure(self, raw: socket.socket) -> socket.socket:
        address = self.connection.address
        if address.scheme == "http":
            return raw
        return self._context.wrap_socket(raw, server_hostname=self.connection.tls_server_name or address.hostname)


def _manager(connection: Connection, context: ssl.SSLContext, connections: int) -> urllib3.PoolManager:
    import urllib3

    options: dict[str, Any] = {"num_pools": 2, "maxsize": connections, "block": True}
    if connection.address.scheme == "https":
        options["ssl_context"] = context
        if connection.insecure:
            # Said once in `Connection.warnings`, not at every request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            options["assert_hostname"] = False
        elif connection.tls_server_name:
            options["server_hostname"] = connection.tls_server_name
            options["assert_hostname"] = connection.tls_server_name
    if not connection.proxy:
        return urllib3.PoolManager(**options)
    user = _proxy_user(connection)
    authorization = urllib3.make_headers(proxy_basic_auth=user) if user else None
    return urllib3.ProxyManager(_bare(connection.proxy), proxy_headers=authorization, **options)


def _proxy_user(connection: Connection) -> str:
    parts = urlsplit(connection.proxy)
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""


def _bare(proxy: str) -> str:
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _read(answer: urllib3.BaseHTTPResponse, end: float) -> bytes:
    """The whole body. The time limit of the socket starts anew with each read, so the clock is asked between."""
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = answer.read1(_CHUNK)
        if not piece:
            answer.release_conn()
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > MOST_ANSWER:
            raise _TooLarge
        if now() > end:
            raise TimeoutError("the answer did not end in time")


def _dial(connection: Connection, timeout: float) -> socket.socket:
    address = connection.address
    host = address.hostname or ""
    port = address.port or (443 if address.scheme == "https" else 80)
    if not connection.proxy:
        return socket.create_connection((host, port), timeout)
    import urllib3

    proxy = urlsplit(connection.proxy)
    user = _proxy_user(connection)
    tunnel = http.client.HTTPConnection(proxy.hostname or "", proxy.port or 80, timeout=timeout)
    tunnel.set_tunnel(host, port, headers=urllib3.make_headers(proxy_basic_auth=user) if user else None)
    tunnel.connect()
    taken: socket.socket = tunnel.sock
    return taken


def _failure(error: Exception, timeout: float) -> TransportFailure:
    """What an exception of urllib3 or the socket means, in words without addresses of objects in memory."""
    import urllib3

    if isinstance(error, _TooLarge):
        reason = f"the answer has more than {MOST_ANSWER // 1024 // 1024} MiB"
        return TransportFailure(reason, sent=True, lasting=True)
    cause = _root(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = f"its certificate is not accepted ({cause.verify_message or cause})"
        return TransportFailure(reason, sent=False, lasting=True)
    if isinstance(cause, ssl.SSLError) and "ALERT" in str(cause.reason):
        reason = f"it refused the TLS connection ({str(cause.reason).lower().replace('_', ' ')})"
        return TransportFailure(reason, sent=False, lasting=True)
    if isinstance(error, urllib3.exceptions.ProxyError):
        return TransportFailure(f"the proxy did not connect ({_words(cause)})", sent=False)
    if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
        return TransportFailure(_words(cause), sent=False)
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return TransportFailure(f"no answer within {timeout:.3g} s", sent=True)
    return TransportFailure(f"the connection broke ({_words(cause)})", sent=True)


def _root(error: BaseException) -> BaseException:
    seen: BaseException = error
    while True:
        following = seen.__cause__ or seen.__context__
        inner = next((argument for argument in seen.args if isinstance(argument, Exception)), None)
        if inner is None and following is None:
            return seen
        seen = inner or following or seen


def _words(cause: BaseException) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    if isinstance(cause, TimeoutError):
        return "timed out"
    with contextlib.suppress(AttributeError):
        if isinstance(cause, http.client.RemoteDisconnected):
            return "closed without an answer"
    return str(cause) or type(cause).__name__
