"""The content a plan wants: read from a version's segments, each segment once for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.version import IndexRow, Manifest
from chalicelib.planning.capture_rules import implied
from chalicelib.store.index import CompactIndex
from chalicelib.store.repository import Repository


class Wanted:
    """One version's content, by key. Without a version nothing is wanted: what it is asked for is absent."""

    def __init__(self, repository: Repository, application: str, version: str | None) -> None:
        self.manifest: Manifest | None = None
        self.index = CompactIndex()
        if version:
            self.manifest = repository.versions(application).get(version)
            self._objects = repository.objects(self.manifest)
            self.index = self._objects.load_index()

    def bodies(self, keys: Sequence[ObjectKey]) -> Iterator[tuple[ObjectKey, Body]]:
        """The content that the version has for these objects, in no order. `Damaged` if it cannot be read.

        Of what it is silent about because the cluster makes it by itself, that content (see `implied`).
        """
        rows = {key: self.index.get(key) for key in keys}
        yield from self.contents([row for row in rows.values() if row is not None])
        for key, row in rows.items():
            content = implied(*key) if row is None else None
            if content is not None:
                yield key, content

    def contents(self, rows: Sequence[IndexRow]) -> Iterator[tuple[ObjectKey, Body]]:
        """The content of rows, segment by segment."""
        yield from self._objects.read_objects(rows) if rows else ()

    def document_text(self) -> str:
        """The document's text when the version was made."""
        return self._objects.document()
