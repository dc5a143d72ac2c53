"""What stays of the objects of a selection while it is read: about a hundred bytes and its name for each.

A row as an object of Python takes ten times that, and there may be hundreds of thousands. Of the ordinary ones (they
belong to a version and have no owner) the parts are kept in columns; the few others as they are.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple

from chalicelib.domain.objects import ObjectKey

_DIGEST_BYTES = 32
_NO_DIGEST = bytes(_DIGEST_BYTES)
_NOWHERE = ObjectKey("", "", "", "")


class Row(NamedTuple):
    """What stays of one object of the selection.

    `token` is the visitor's own. `owner` is the uid of its controller, for those that drop out if that is selected.
    """

    key: ObjectKey
    digest: bytes
    uid: str
    resource_version: str
    owner: str | None
    token: int
    #: `""` for what belongs to a version; else why not (see `planning.join.LiveRow`).
    standing: str = ""
    #: The uids of all its owners, controlling or not.
    owners: tuple[str, ...] = ()


class Run:
    """The rows of one listing, in the order in which they come: mostly that of their names. Iterates sorted."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget them: the listing begins anew."""
        self._texts = bytearray()
        self._ends = array("Q")
        self._digests = bytearray()
        self._tokens = array("Q")
        #: Those that are not ordinary, by their number; `None`: dropped.
        self._others: dict[int, Row | None] = {}
        self._dropped = 0
        self._sorted = True
        self._last_added: ObjectKey | None = None
        #: Group, kind and namespace of the ordinary ones.
        self._place = _NOWHERE[:3]
        self.first: ObjectKey | None = None
        self.last: ObjectKey | None = None

    def append(self, row: Row) -> None:
        """Keep one more."""
        key = row.key
        if self._last_added is None:
            self.first = self.last = key
            self._place = key[:3]
        elif key > self._last_added and self._sorted:
            self.last = key
        else:
            self._sorted = False
            self.first, self.last = min(self.first or key, key), max(self.last or key, key)
        ordinary = not row.standing and row.owner is None and not row.owners and key[:3] == self._place
        if not ordinary or len(row.digest) != _DIGEST_BYTES:
            self._others[len(self._ends)] = row
            self._digests += _NO_DIGEST
        else:
            self._texts += f"{key.name}\0{row.uid}\0{row.resource_version}".encode()
            self._digests += row.digest
        self._ends.append(len(self._texts))
        self._tokens.append(row.token)
        self._last_added = key

    def revise(self, change: Callable[[Row], Row | None]) -> None:
        """Exchange or drop (`None`) rows that have an owner."""
        for number, row in self._others.items():
            if row is not None and row.owner is not None:
                self._others[number] = changed = change(row)
                self._dropped += changed is None

    def owners(self) -> Iterator[str]:
        """The uids of the controllers that rows name."""
        return (row.owner for row in self._others.values() if row is not None and row.owner is not None)

    def counts(self) -> Counter[tuple[str, str]]:
        """How many rows there are of each group and kind."""
        others = [row for row in self._others.values() if row is not None]
        counts = Counter((row.key.group, row.key.kind) for row in others)
        counts[self._place[:2]] += len(self) - len(others)
        return +counts

    @property
    def nbytes(self) -> int:
        """Bytes in memory, without those that are not ordinary."""
        return sum(column.__sizeof__() for column in (self._texts, self._ends, self._digests, self._tokens))

    def __len__(self) -> int:
        return len(self._ends) - self._dropped

    def __iter__(self) -> Iterator[Row]:
        return self._rows() if self._sorted else iter(sorted(self._rows(), key=_key))

    def _rows(self) -> Iterator[Row]:
        group, kind, namespace = self._place
        begin = 0
        for number, end in enumerate(self._ends):
            if number in self._others:
                other = self._others[number]
                if other is not None:
                    yield other
                continue
            name, uid, version = self._texts[begin:end].decode().split("\0")
            digest = bytes(self._digests[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES])
            yield Row(ObjectKey(group, kind, namespace, name), digest, uid, version, None, self._tokens[number])
            begin = end


class Rows:
    """The rows of many listings as one, sorted by key."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._runs = [run for run in runs if len(run)]

    def append(self, row: Row) -> None:
        """Keep one more; quickest in the order of the keys."""
        if not self._runs or (self._runs[-1].first or row.key)[:3] != row.key[:3]:
            self._runs.append(Run())
        self._runs[-1].append(row)

    def counts(self) -> Counter[tuple[str, str]]:
        """How many rows there are of each group and kind."""
        counts: Counter[tuple[str, str]] = Counter()
        for run in self._runs:
            counts.update(run.counts())
        return counts

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def __iter__(self) -> Iterator[Row]:
        runs = sorted(self._runs, key=lambda run: run.first or _NOWHERE)
        apart = all((one.last or _NOWHERE) < (other.first or _NOWHERE) for one, other in pairwise(runs))
        return chain.from_iterable(runs) if apart else heapq.merge(*runs, key=_key)


def _key(row: Row) -> ObjectKey:
    return row.key
