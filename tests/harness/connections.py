"""What every fault proxy does with connections, and the proxy that knows nothing but connections."""

import contextlib
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.harness.errors import HarnessError

CHUNK = 65536


class Dropped(Exception):
    """The connection is to be broken off now."""


class Proxy(ABC):
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
                linger_not(connection)
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
            except Dropped:
                linger_not(client)
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
            while data := source.recv(CHUNK):
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


def linger_not(connection: socket.socket) -> None:
    """Let `close` send a reset in place of an orderly end."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class TcpProxy(Proxy):
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
            raise Dropped
        left = self._cuts.pop(0) if self._cuts else None
        with self._held(self._connect()) as server:
            asking = self._spawn(self._pass, client, server)
            try:
                while data := server.recv(CHUNK):
                    self._flowing.wait()
                    self._closed.wait(self._seconds)
                    if self._muted > 0:
                        self._muted -= 1
                        raise Dropped
                    if left is not None:
                        client.sendall(data[:left])
                        left -= len(data)
                        if left <= 0:
                            raise Dropped
                    else:
                        client.sendall(data)
            finally:
                for connection in (client, server):
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RD)  # wakes the other direction
                asking.join(10)
