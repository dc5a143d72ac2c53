"""Operations: their documents, and beside each its parts (plan, ledger, result), written once.

A part is `control/apps/<app>/operations/<op>/<name>/<fence>-<n>`: JSON lines, zstd, AES-256-GCM under the
application's key. The fence in the name keeps a worker that was taken for dead out of its successor's parts, and
puts all parts in the order in which they were written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.errors import Damaged, NotFound
from chalicelib.domain.ids import parse_id
from chalicelib.domain.operation import Operation
from chalicelib.store import layout
from chalicelib.store.backend import Backend, Exists
from chalicelib.store.compression import compress, decompress
from chalicelib.store.documents import Documents
from chalicelib.store.keys import ApplicationKey
from chalicelib.store.locations import Locations
from chalicelib.store.sealing import BoxError, seal, unseal

_PART = re.compile(r"(\d{8})-(\d{6})")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One part, in the order of writing: the worker's fence, and its number under it."""

    fence: int
    number: int
    key: str


class Operations:
    """The operations of every application of a repository."""

    def __init__(self, control: Backend, key: Callable[[str], ApplicationKey], locations: Locations) -> None:
        self._control = control
        self._documents = Documents(control)
        self._key = key
        self._locations = locations

    def create(self, operation: Operation) -> Operation:
        """Write a new operation. One that is there under this id is returned as it is: it was started already."""
        self._locations.put(operation.id, operation.application)
        key = layout.operation(operation.application, operation.id)
        try:
            return self._documents.create(key, operation)
        except Exists:
            return self.get(operation.application, operation.id)

    def get(self, application: str, operation: str) -> Operation:
        """The document of an operation, or `NotFound`."""
        found = self._documents.read(layout.operation(application, operation), Operation)
        if found is None:
            raise NotFound(f"{application} has no operation {operation}.")
        return found.model

    def find(self, operation: str) -> Operation:
        """An operation of whichever application, or `NotFound`."""
        return self.get(self._locations.find(operation), operation)

    def update(
        self,
        application: str,
        operation: str,
        change: Callable[[Operation], Operation | None],
        *,
        applied: Callable[[Operation], bool] | None = None,
    ) -> Operation:
        """Change an operation's document; see `Documents.update`."""
        return self._documents.update(layout.operation(application, operation), Operation, change, applied=applied)

    def put_part(
        self, application: str, operation: str, name: str, fence: int, number: int, lines: Iterable[bytes]
    ) -> Part:
        """Keep lines (each one JSON text, without newline) as part `number` under `fence`, once.

        The same lines again are this very write; other lines there raise `Exists`.
        """
        part = Part(fence, number, f"{layout.parts(application, operation, name)}{fence:08d}-{number:06d}")
        plain = b"".join(line + b"\n" for line in lines)
        box = seal(self._key(application).parts, compress(plain), part.key.encode())
        try:
            self._control.create(part.key, box)
        except Exists:
            if self._read(application, part) != plain:
                raise
        return part

    def parts(self, application: str, operation: str, name: str, *, fence: int | None = None) -> list[Part]:
        """The parts that are there, in the order of writing; of one fence, if given."""
        folder = layout.parts(application, operation, name)
        found = []
        for listed in self._control.list(folder if fence is None else f"{folder}{fence:08d}-"):
            match = _PART.fullmatch(listed.key.removeprefix(folder))
            if match is not None:
                found.append(Part(int(match[1]), int(match[2]), listed.key))
        return sorted(found)

    def read_lines(self, application: str, operation: str, name: str, *, fence: int | None = None) -> Iterator[bytes]:
        """The lines of all parts (of one fence, if given), in order, one part in memory. `Damaged` names the key."""
        for part in self.parts(application, operation, name, fence=fence):
            yield from self.lines_of(application, part)

    def lines_of(self, application: str, part: Part) -> Iterator[bytes]:
        """The lines of one part. `Damaged` names the key."""
        plain = self._read(application, part)
        if plain:
            yield from plain.removesuffix(b"\n").split(b"\n")

    def every_line(self, application: str, operation: str) -> Iterator[bytes]:
        """The lines of all parts of an operation, whatever their name."""
        folder = f"{layout.operations(application)}{operation}/"
        for name in self._control.folders(folder):
            yield from self.read_lines(application, operation, name)

    def remove_parts(self, application: str, operation: str, name: str = "") -> None:
        """Remove the parts of an operation that nobody reads any more: all, or those of this name."""
        every = f"{layout.operations(application)}{parse_id(operation, 'op')}/"
        for listed in self._control.list(layout.parts(application, operation, name) if name else every):
            self._control.delete(listed.key)

    def remove(self, application: str, operation: str) -> None:
        """Remove an operation that has ended: its parts first, its document, and where it belongs."""
        self.remove_parts(application, operation)
        self._control.delete(layout.operation(application, operation))
        self._locations.remove(operation)

    def update_at(
        self, application: str, operation: str, change: Callable[[Operation, datetime], Operation | None]
    ) -> Operation:
        """The same, where `change` is told the storage's time of the read it rests on."""
        return self._documents.update_at(layout.operation(application, operation), Operation, change)

    def list(self, application: str, *, before: str = "", limit: int | None = None) -> list[str]:
        """Ids of an application's operations, newest first: those older than `before`, at most `limit`."""
        folder = layout.operations(application)
        names = [
            listed.key.removeprefix(folder).removesuffix(".json") for listed in self._control.list(folder, deep=False)
        ]
        older = [name for name in reversed(names) if not before or name < before]
        return older[:limit]

    def _read(self, application: str, part: Part) -> bytes:
        blob = self._control.get(part.key)
        if blob is None:
            raise Damaged(f"`{part.key}` is missing.", details={"key": part.key})
        try:
            return decompress(unseal(self._key(application).parts, blob.data, part.key.encode()))
        except BoxError as error:
            raise Damaged(f"`{part.key}` was cut or altered.", details={"key": part.key}) from error
