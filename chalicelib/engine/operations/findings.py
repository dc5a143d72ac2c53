"""What was looked at of one application's vault so far, and what is damaged in it.

Each thing found out is a line in a `Book`: who begins again with the same one goes on with what is missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import orjson

from chalicelib.store import layout

#: What was done about a damage: it is whole again; or the next backup stores its content again.
MENDED, CONDEMNED = "mended", "condemned"


@dataclass(slots=True)
class Damage:
    """One thing that is damaged: its key in the repository, what is wrong with it, and what is lost with it.

    Without objects the whole of these versions is affected.
    """

    key: str
    message: str
    versions: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)
    #: Whether its bytes cannot be read; else they can, and say something else than they must.
    unreadable: bool = True
    #: What was done about it: `MENDED`, `CONDEMNED` or nothing.
    repair: str = ""


class Needed(NamedTuple):
    """A segment that some version needs: what it holds, and its bytes as stored."""

    content: str
    stored: int


class Book(Protocol):
    """Where it is written down what was looked at."""

    def earlier(self) -> Iterator[bytes]:
        """The lines that were added so far, by whomever."""

    def add(self, line: bytes) -> None:
        """One more line."""

    def settle(self) -> None:
        """Called between two pieces of work: what must not be lost may be kept now."""


class NoBook:
    """For who looks at everything at one go."""

    def earlier(self) -> Iterator[bytes]:
        """Nothing."""
        return iter(())

    def add(self, line: bytes) -> None:
        """It is forgotten."""

    def settle(self) -> None:
        """There is nothing to keep."""


class Findings:
    """What is known of one application's vault. Safe to add to from several threads."""

    def __init__(self, application: str, book: Book) -> None:
        self._application = application
        self._book = book
        self._lock = threading.Lock()
        #: Every segment that a version needs, and which each version needs.
        self.needed: dict[str, Needed] = {}
        self.versions: dict[str, tuple[str, ...]] = {}
        #: The segments that were read, and how many objects each segment of the index leads to.
        self.read: set[str] = set()
        self.objects: dict[str, int] = {}
        self.damages: dict[str, Damage] = {}
        self._take: dict[str, Callable[..., None]] = {
            "version": self._take_version,
            "read": self._take_read,
            "damage": self._take_damage,
            "repair": self._take_repair,
        }

    def recall(self) -> None:
        """Take over what the book has."""
        for line in self._book.earlier():
            told = orjson.loads(line)
            self._take[told.pop("of")](**told)

    def settle(self) -> None:
        """Between two pieces of work."""
        self._book.settle()

    def content_of(self, segment: str) -> str:
        """What kind of content a segment has."""
        return self.needed[segment].content if segment in self.needed else "objects"

    # ── what is found out ───────────────────────────────────────────────────────────────────────────────

    def version_needs(self, version: str, segments: Iterable[tuple[str, str, int]]) -> None:
        """A manifest was read: names of segments, with content and stored bytes."""
        self._add("version", version=version, segments=list(segments))

    def was_read(self, names: Iterable[str], *, index: str = "", objects: int = 0) -> None:
        """Segments were read; if one is of the index, so many objects were where it says, or that was told."""
        self._add("read", names=list(names), index=index, objects=objects)

    def is_damaged(
        self,
        key: str,
        message: str,
        *,
        versions: Iterable[str] = (),
        objects: Iterable[str] = (),
        unreadable: bool = True,
    ) -> None:
        """Something is damaged; what is told of one key is put together."""
        self._add(
            "damage",
            key=key,
            message=message,
            versions=list(versions),
            objects=list(objects),
            unreadable=unreadable,
        )

    def is_repaired(self, damage: Damage, repair: str) -> None:
        """Something was done about a damage."""
        self._add("repair", key=damage.key, repair=repair)

    def _add(self, of: str, **told: Any) -> None:
        with self._lock:
            self._take[of](**told)
        self._book.add(orjson.dumps({"of": of, **told}))

    def _take_version(self, version: str, segments: Iterable[tuple[str, str, int]]) -> None:
        names = []
        for name, content, stored in segments:
            self.needed.setdefault(name, Needed(content, stored))
            names.append(name)
        self.versions[version] = tuple(names)

    def _take_read(self, names: Iterable[str], index: str, objects: int) -> None:
        self.read.update(names)
        if index:
            self.objects[index] = objects

    def _take_damage(
        self, *, key: str, message: str, versions: Iterable[str], objects: Iterable[str], unreadable: bool
    ) -> None:
        damage = self.damages.setdefault(key, Damage(key, message, unreadable=unreadable))
        damage.versions.update(versions)
        damage.objects.update(objects)

    def _take_repair(self, key: str, repair: str) -> None:
        if key in self.damages:
            self.damages[key].repair = repair

    # ── in the end ──────────────────────────────────────────────────────────────────────────────────────

    def name_versions(self, existing: Iterable[str]) -> None:
        """Of each damaged segment, the versions that need it. What only versions needed that have ended since was
        swept, perhaps: that is no damage."""
        for version, names in self.versions.items():
            for name in names:
                damage = self.damages.get(layout.segment(self._application, name))
                if damage is not None:
                    damage.versions.add(version)
        there = set(existing)
        for key, damage in list(self.damages.items()):
            if damage.versions and damage.versions.isdisjoint(there):
                del self.damages[key]
            damage.versions &= there
