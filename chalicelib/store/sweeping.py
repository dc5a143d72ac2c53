"""What lies in an application's vault that no version needs: finding it, condemning it, deleting it.

    survey ─► segments that are needed ─► condemn the others ─► look once more ─► delete

`docs/sweep.md` says why nothing that anybody needs is ever deleted: no clock and no lock is part of that argument,
only the order of these steps, and that whoever seals a version looks again afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from chalicelib.domain.errors import Damaged, StorageRefused
from chalicelib.store import condemned, layout
from chalicelib.store.backend import Backend, Listed
from chalicelib.store.condemned import CondemnedList
from chalicelib.store.repository import Repository
from chalicelib.store.versions import Survey

#: Requests at the same time, and pieces of work between two looks at lease and line.
_AT_ONCE = 12
_CHUNK = 240
#: A condemned list stays this long at least, so that none comes and goes between the two looks of who seals.
_LIST_STAYS = timedelta(hours=1)
#: Markers of versions whose manifest is gone stay this long: no worker wakes later and writes one.
_MARKER_STAYS = timedelta(days=90)

Pause = Callable[[], None]
#: Called with how much is done, of how much.
Progress = Callable[[int, int], None]


class Memory(Protocol):
    """What manifests name, as far as it was read already. A manifest is written once: what it names never changes."""

    def recall(self) -> Iterator[tuple[str, Collection[str]]]:
        """Each version whose manifest was read, with the segments it names."""

    def remember(self, version: str, names: Collection[str]) -> None:
        """One more."""

    def settle(self) -> None:
        """Called after each few hundred: what must not be lost may be kept now."""


class NoMemory:
    """For who looks at everything at one go."""

    def recall(self) -> Iterator[tuple[str, Collection[str]]]:
        """Nothing."""
        return iter(())

    def remember(self, version: str, names: Collection[str]) -> None:
        """It is forgotten."""

    def settle(self) -> None:
        """There is nothing to keep."""


@dataclass(slots=True)
class Swept:
    """What a sweep has done."""

    condemned: int = 0
    segments: int = 0
    bytes: int = 0
    manifests: int = 0
    #: Deletions that the storage refused (a retention, a missing right), and its words to the first.
    refused: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is: versions, segments by name, condemned lists, and which segments are needed."""

    at: datetime
    survey: Survey
    segments: dict[str, Listed]
    lists: tuple[CondemnedList, ...]
    needed: frozenset[str]
    #: Ended versions whose manifest still counts, as their time of grace is not over.
    spared: frozenset[str]

    def unneeded(self) -> Iterable[Listed]:
        """The segments that nothing needs."""
        return (listed for name, listed in self.segments.items() if name not in self.needed)

    def condemned(self) -> frozenset[str]:
        """The names on all lists."""
        return frozenset().union(*(each.names for each in self.lists))


@dataclass(slots=True)
class Sweep:
    """One sweep of one application's vault. `grace`: what was stored or ended later than so long ago stays."""

    repository: Repository
    application: str
    grace: timedelta
    pause: Pause = lambda: None
    memory: Memory = field(default_factory=NoMemory)
    done: Swept = field(default_factory=Swept)

    def find(self, also_needed: Collection[str] = ()) -> Found:
        """Look at everything. `Damaged` if a version's manifest cannot be read: then nobody knows what it needs."""
        now = self._vault.now()
        survey = self.repository.versions(self.application).survey()
        spared = frozenset(
            version
            for version, ended in survey.ended.items()
            if version in survey.sealed and not self._is_old(now, ended)
        )
        needed = self._needed_by({*survey.existing, *spared}, may_be_damaged=spared) | set(also_needed)
        segments = {
            listed.key.rpartition("/")[2]: listed for listed in self._vault.list(layout.segments(self.application))
        }
        lists = tuple(condemned.lists(self._vault, self.application))
        return Found(now, survey, segments, lists, frozenset(needed), spared)

    def doomed(self, found: Found) -> dict[str, Listed]:
        """What is to be deleted: nobody needs it, and it is old enough, or was condemned before."""
        known = found.condemned()
        return {
            listed.key.rpartition("/")[2]: listed
            for listed in found.unneeded()
            if self._is_old(found.at, listed.modified) or listed.key.rpartition("/")[2] in known
        }

    def condemn(self, found: Found, doomed: dict[str, Listed], by: str) -> None:
        """Write down what is about to be deleted, where an earlier sweep has not."""
        names = doomed.keys() - found.condemned()
        condemned.condemn(self._vault, self.application, names, by)
        self.done.condemned += len(names)

    def spare_new(self, found: Found, doomed: dict[str, Listed]) -> dict[str, Listed]:
        """The look after condemning: without what versions need that were sealed since `found`."""
        survey = self.repository.versions(self.application).survey()
        needed = self._needed_by([version for version in survey.existing if version not in found.survey.sealed])
        return {name: listed for name, listed in doomed.items() if name not in needed}

    def delete(self, doomed: dict[str, Listed], progress: Progress) -> None:
        """Delete segments that were condemned. `progress` is told after each few hundred, when `done` has them."""
        sizes = {listed.key: listed.size for listed in doomed.values()}
        keys = sorted(sizes)
        for start in range(0, len(keys), _CHUNK):
            deleted = self._delete(keys[start : start + _CHUNK])
            self.done.segments += len(deleted)
            self.done.bytes += sum(sizes[key] for key in deleted)
            progress(min(start + _CHUNK, len(keys)), len(keys))

    def tidy(self, found: Found, progress: Progress) -> None:
        """Remove manifests of ended versions, markers that guard nothing more, lists all of whose names are gone.
        `progress` is told after each few hundred manifests, when `done` has them."""
        versions = self.repository.versions(self.application)
        over = [each for each in found.survey.ended if each in found.survey.sealed and each not in found.spared]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sweep") as pool:
            for start in range(0, len(over), _CHUNK):
                self.pause()
                removed = pool.map(
                    lambda version: self._tolerant(partial(versions.remove, version)), over[start : start + _CHUNK]
                )
                self.done.manifests += sum(removed)
                progress(min(start + _CHUNK, len(over)), len(over))
        for version, ended in found.survey.ended.items():
            if version not in found.survey.sealed and found.at - ended >= _MARKER_STAYS:
                self.pause()
                self.repository.notes.remove(self.application, version)
                if self._tolerant(partial(versions.forget, version)):
                    self.repository.locations.remove(version)
        old = [
            each.key
            for each in found.lists
            if found.at - each.written >= _LIST_STAYS and not any(name in found.segments for name in each.names)
        ]
        self._delete(old)

    def remove_vault(self) -> None:
        """Remove the whole folder of an application that was deleted and has no version any more.

        Markers go when all manifests are gone, and the key comes last: stopped anywhere, this can be done again.
        """
        folder = layout.vault(self.application)
        stages: tuple[list[str], ...] = ([], [], [])
        for listed in self._vault.list(folder):
            is_key, is_marker = listed.key.startswith(f"{folder}key-"), listed.key.endswith(".ended")
            stages[2 if is_key else 1 if is_marker else 0].append(listed.key)
        for stage in stages:
            if not self.done.refused:
                self._delete(stage)

    def _is_old(self, now: datetime, written: datetime) -> bool:
        # Without a grace there is no age: a storage's `Date` may lie a second behind what it has just written.
        return not self.grace or now - written >= self.grace

    @property
    def _vault(self) -> Backend:
        return self.repository.vault

    def _needed_by(self, versions: Collection[str], may_be_damaged: Collection[str] = ()) -> set[str]:
        """The segments that these versions name: those that are in memory, and what has to be read."""
        store, needed, left = self.repository.versions(self.application), set[str](), set(versions)
        for version, named in self.memory.recall() if left else ():
            if version in left:
                needed.update(named)
                left.remove(version)

        def names(version: str) -> set[str]:
            try:
                named = store.segments_of(version)
            except Damaged:
                if version in may_be_damaged:
                    return set()
                raise
            self.memory.remember(version, named)
            return named

        ordered = sorted(left)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sweep") as pool:
            for start in range(0, len(ordered), _CHUNK):
                self.pause()
                needed.update(*pool.map(names, ordered[start : start + _CHUNK]))
                self.memory.settle()
        return needed

    def _delete(self, keys: list[str]) -> list[str]:
        """The keys that were deleted. What the storage refuses is counted, and the rest goes on."""
        deleted: list[str] = []
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sweep") as pool:
            for start in range(0, len(keys), _CHUNK):
                self.pause()
                chunk = keys[start : start + _CHUNK]
                went = pool.map(lambda key: self._tolerant(partial(self._vault.delete, key)), chunk)
                deleted += [key for key, gone in zip(chunk, went, strict=True) if gone]
        return deleted

    def _tolerant(self, delete: Callable[[], None]) -> bool:
        try:
            delete()
        except StorageRefused as error:
            self.done.refused += 1
            self.done.refusal = self.done.refusal or error.message
            return False
        return True
