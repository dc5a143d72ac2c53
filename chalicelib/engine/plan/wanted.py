"""The content a plan wants: read from a version's segments, each segment once for a batch, and carried to where it is
to be restored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice

from chalicelib.domain.objects import Body, ObjectKey, key_of
from chalicelib.domain.version import Gap, IndexRow, Manifest, Pulled
from chalicelib.planning.bodies.normalise import digest
from chalicelib.planning.elsewhere.carrier import Carrier
from chalicelib.planning.selecting.capture_rules import implied
from chalicelib.store.index import CompactIndex
from chalicelib.store.repository import Repository

#: Objects that are carried at once.
_BATCH = 500


class Wanted:
    """One version's content, by key. Without a version nothing is wanted: what it is asked for is absent.

    With a `carrier` keys and digests are those at the destination.
    """

    def __init__(
        self,
        repository: Repository,
        application: str,
        version: str | None,
        carrier: Carrier | None = None,
    ) -> None:
        self.manifest: Manifest | None = None
        self.index = CompactIndex()
        self.carrier = carrier if carrier is not None and not carrier.idle else None
        #: What is not in the namespaces that are restored, as a destination has it: to be asked for by name.
        self.outside: frozenset[ObjectKey] = frozenset()
        #: Of that, the bindings that were given a name of their own beside the original's.
        self.doubled: frozenset[ObjectKey] = frozenset()
        if version:
            self.manifest = repository.versions(application).get(version)
            self._objects = repository.objects(self.manifest)
            self.index = self._objects.load_index()
        if self.carrier is not None:
            self.carrier.services = frozenset(
                (row.key.namespace, row.key.name) for row in self.index.rows_of("", "Service")
            )
            self._carry(self.carrier)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What of the version could not be read."""
        gaps = self.manifest.gaps if self.manifest else ()
        return self.carrier.destination.gaps(gaps) if self.carrier else gaps

    def pulled(self) -> dict[ObjectKey, str]:
        """What the version pulled in, with the reasons. At a destination, what goes there by its own name: where
        there is a second one, the first is the original's."""
        pulled = {each.key: each.reason for each in self.manifest.pulled} if self.manifest else {}
        if self.carrier is None:
            return pulled
        moved = {self.carrier.moved(key): why for key, why in pulled.items() if self.carrier.takes(key)}
        return {key: why for key, why in moved.items() if key in self.index}

    def withheld(self) -> list[Pulled]:
        """The Secrets of others that the version refers to and does not hold."""
        withheld = list(self.manifest.withheld) if self.manifest else []
        if self.carrier is None:
            return withheld
        return [Pulled.of(self.carrier.moved(each.key), each.reason) for each in withheld]

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
        if not rows:
            return
        for key, body in self._objects.read_objects(rows):
            yield key, body if self.carrier is None else self.carrier.carry(body)

    def document_text(self) -> str:
        """The document's text when the version was made."""
        return self._objects.document()

    def _carry(self, carrier: Carrier) -> None:
        """The index as it is at the destination. Only what may change on its way is read."""
        index = CompactIndex()
        outside, doubled = set[ObjectKey](), set[ObjectKey]()
        for _, rows in groupby(self.index, key=lambda row: row.key[:2]):
            kind: dict[ObjectKey, IndexRow] = {}
            for was, row in self._carried(carrier, rows):
                if row.key in kind:
                    carrier.problems.setdefault(f"Two objects of the version would be called {row.key}.", row.key)
                    continue
                kind[row.key] = row
                if carrier.is_others(was):
                    outside.add(row.key)
                    doubled |= {row.key} if was.name != row.key.name else set()
            for key in sorted(kind):
                index.append(kind[key])
        self.index = index
        if carrier.destination.elsewhere:
            self.outside, self.doubled = frozenset(outside), frozenset(doubled)

    def _carried(self, carrier: Carrier, rows: Iterator[IndexRow]) -> Iterator[tuple[ObjectKey, IndexRow]]:
        taken = (row for row in rows if carrier.takes(row.key))
        while batch := list(islice(taken, _BATCH)):
            found = {row.key: row for row in batch}
            for row in batch:
                if not carrier.concerns(row.key):
                    yield row.key, row
            for key, body in self._objects.read_objects([row for row in batch if carrier.concerns(row.key)]):
                if not carrier.concerned(body):
                    continue
                there = carrier.carry(body)
                yield key, found[key]._replace(key=key_of(there), digest=digest(there))
