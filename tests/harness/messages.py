"""HTTP/1.1 messages, taken apart as they come from a socket and kept as they are on the wire."""

import socket
from collections.abc import Iterator, Mapping

from tests.harness.connections import CHUNK, Dropped


class Reader:
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
            while data := self._connection.recv(CHUNK):
                yield data

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._until(b"\r\n")
            if line is None:
                raise Dropped
            size = int(line.split(b";")[0], 16)
            yield line
            if size == 0:
                break
            yield from self._counted(size + 2)
        while (trailer := self._until(b"\r\n")) is not None:
            yield trailer
            if trailer == b"\r\n":
                return
        raise Dropped

    def _counted(self, count: int) -> Iterator[bytes]:
        while count > 0:
            data = self._buffer[:count] or self._connection.recv(min(count, CHUNK))
            if not data:
                raise Dropped
            self._buffer = self._buffer[len(data) :]
            count -= len(data)
            yield data

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._buffer:
            data = self._connection.recv(CHUNK)
            if not data:
                return None
            self._buffer += data
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark


def parse(head: bytes) -> tuple[str, dict[str, str]]:
    """A head's first line and its headers by lower-case name."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return first, {name.strip().lower(): value.strip() for name, value in pairs}
