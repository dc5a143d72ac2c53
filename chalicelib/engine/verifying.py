"""Reading everything that versions need, to find what is damaged before somebody needs it.

Of each application: every manifest (MAC), every segment that one refers to (it decrypts, and its content has the id
it is called by), every row of every index (its object is where it says, and has the digest it says). What several
versions share is read once. Nothing is changed; to `mark` what was found is another thing.

`quick` reads manifests only, and sees in one listing whether each segment is there and as long as it was.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import orjson

from chalicelib.domain.errors import Damaged, MainstayError, WrongKey
from chalicelib.domain.version import IndexRow, Manifest, SegmentRef
from chalicelib.planning.normalise import digest
from chalicelib.store import condemned, layout
from chalicelib.store.index import CONTENT as INDEX
from chalicelib.store.index import read_index
from chalicelib.store.repository import Repository
from chalicelib.store.segments import SegmentReader

_AT_ONCE = 8
#: Pieces of work that wait, each with a segment of the index in memory.
_WAITING = 24

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Damage:
    """One thing that is damaged: its key in the repository, what is wrong with it, and what is lost with it.

    Without objects the whole of these versions is affected.
    """

    key: str
    message: str
    versions: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Verified:
    """What was looked at of one application, and what is damaged."""

    application: str
    versions: int = 0
    segments: int = 0
    bytes: int = 0
    objects: int = 0
    damages: list[Damage] = field(default_factory=list)

    @property
    def affected(self) -> list[str]:
        """The versions that cannot be restored in full."""
        return sorted({version for damage in self.damages for version in damage.versions})


class Verifier:
    """Looks at one application's vault."""

    def __init__(self, repository: Repository, application: str, progress: Progress = lambda _done, _total: None):
        self._repository = repository
        self._application = application
        self._progress = progress
        self._verified = Verified(application)
        self._damages: dict[str, Damage] = {}
        self._lock = threading.Lock()
        #: Which segments of the index, and which others, each version needs.
        self._manifests: list[Manifest] = []

    def look(self, *, quick: bool = False) -> Verified:
        """Everything, or (`quick`) what can be seen without reading segments. Nothing is changed."""
        self._read_manifests()
        for problem in self._unreadable_lists():
            self._tell(*problem)
        needed = {segment.name: segment for manifest in self._manifests for segment in manifest.everything}
        self._verified.segments = len(needed)
        self._verified.bytes = sum(segment.stored for segment in needed.values())
        if quick:
            self._compare_sizes(needed)
            self._verified.objects = sum(manifest.objects for manifest in self._manifests)
        else:
            try:
                reader = self._repository.segment_reader(self._application)
            except (Damaged, WrongKey) as error:
                self._tell(layout.vault(self._application), error.message)
            else:
                self._read_segments(reader, needed)
        self._name_versions()
        self._verified.damages = [self._damages[key] for key in sorted(self._damages)]
        return self._verified

    # ── manifests ───────────────────────────────────────────────────────────────────────────────────────

    def _read_manifests(self) -> None:
        versions = self._repository.versions(self._application)
        existing = versions.survey().existing

        def read(version: str) -> Manifest | None:
            try:
                return versions.get(version)
            except MainstayError as error:
                if versions.exists(version):  # not ended meanwhile
                    self._tell(layout.manifest(self._application, version), error.message, [version])
                return None

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verify") as pool:
            self._manifests = [found for found in pool.map(read, existing) if found is not None]
        self._verified.versions = len(existing)

    def _unreadable_lists(self) -> Iterator[tuple[str, str]]:
        try:
            list(condemned.lists(self._repository.vault, self._application))
        except Damaged as error:
            yield str(error.details["key"]), f"{error.message} No backup succeeds while it is there."

    def _compare_sizes(self, needed: dict[str, SegmentRef]) -> None:
        folder = layout.segments(self._application)
        sizes = {each.key.rpartition("/")[2]: each.size for each in self._repository.vault.list(folder)}
        for name, segment in needed.items():
            if name not in sizes:
                self._tell(layout.segment(self._application, name), "The segment is missing.")
            elif sizes[name] != segment.stored:
                told = f"The segment has {sizes[name]:,} bytes instead of {segment.stored:,}."
                self._tell(layout.segment(self._application, name), told)

    # ── segments ────────────────────────────────────────────────────────────────────────────────────────

    def _read_segments(self, reader: SegmentReader, needed: dict[str, SegmentRef]) -> None:
        """Each segment of the index with the objects it leads to, then what no index has led to."""
        indexes = [segment for segment in needed.values() if segment.content == INDEX]
        read: set[str] = set()
        held: dict[str, frozenset[str]] = {}

        def with_its_objects(segment: SegmentRef) -> None:
            rows = self._rows(reader, segment)
            if rows is None:
                return
            by_segment: dict[str, list[IndexRow]] = defaultdict(list)
            for row in rows:
                by_segment[row.segment].append(row)
            for name, those in by_segment.items():
                self._check_objects(reader, name, those)
            with self._lock:
                read.update(by_segment, [segment.name])
                held[segment.name] = frozenset(by_segment)
                self._verified.objects += len(rows)

        def alone(segment: SegmentRef) -> None:
            try:
                reader.get(segment, segment.content)
            except Damaged as error:
                self._tell(str(error.details["key"]), error.message)
            with self._lock:
                read.add(segment.name)

        def report(_: int) -> None:
            self._progress(len(read), len(needed))

        _each(with_its_objects, indexes, report)
        _each(alone, [each for each in needed.values() if each.name not in read and each.content != INDEX], report)
        self._check_lists(held)

    def _rows(self, reader: SegmentReader, segment: SegmentRef) -> list[IndexRow] | None:
        try:
            return list(read_index(reader, self._application, [segment]))
        except Damaged as error:
            self._tell(str(error.details["key"]), f"{error.message} Which objects it leads to is not known.")
            return None

    def _check_objects(self, reader: SegmentReader, name: str, rows: list[IndexRow]) -> None:
        key = layout.segment(self._application, name)
        try:
            plain = reader.get(name, "objects")
        except Damaged as error:
            self._tell(key, error.message, objects=rows)
            return
        wrong = [row for row in rows if not _as_the_row_says(row, plain)]
        if wrong:
            self._tell(key, "Objects in it are not what the index says.", objects=wrong)

    def _check_lists(self, held: dict[str, frozenset[str]]) -> None:
        """A manifest names every segment that its index leads to: only those are kept for it."""
        for manifest in self._manifests:
            listed = {segment.name for segment in manifest.segments}
            for index in manifest.index:
                for name in held.get(index.name, frozenset()) - listed:
                    told = f"The manifest does not name the segment {name}, to which its index leads."
                    self._tell(layout.manifest(self._application, manifest.version), told, [manifest.version])

    # ── telling ─────────────────────────────────────────────────────────────────────────────────────────

    def _tell(
        self, key: str, message: str, versions: Iterable[str] = (), *, objects: Iterable[IndexRow] = ()
    ) -> None:
        with self._lock:
            damage = self._damages.setdefault(key, Damage(key, message))
            damage.versions.update(versions)
            damage.objects.update(str(row.key) for row in objects)

    def _name_versions(self) -> None:
        """Of segments, those that need them. What only versions needed that have ended since was swept, perhaps:
        that is no damage."""
        folder = layout.segments(self._application)
        existing = frozenset(self._repository.versions(self._application).survey().existing)
        for key, damage in list(self._damages.items()):
            if not key.startswith(folder):
                continue
            name = key.rpartition("/")[2]
            needing = {
                manifest.version
                for manifest in self._manifests
                if any(segment.name == name for segment in manifest.everything)
            }
            damage.versions = needing & existing
            if needing and not damage.versions:
                del self._damages[key]


def mark(repository: Repository, verified: Verified) -> int:
    """Condemn the segments that are damaged, so that the next backup stores their content again; how many they are.

    What refers to them keeps them: a part of a version may still be read, and the storage may get its bytes back.
    """
    folder = layout.segments(verified.application)
    names = [damage.key.rpartition("/")[2] for damage in verified.damages if damage.key.startswith(folder)]
    known = frozenset().union(
        *(each.names for each in condemned.lists(repository.vault, verified.application)),
    )
    condemned.condemn(repository.vault, verified.application, set(names) - known, "damaged")
    return len(names)


def applications(repository: Repository) -> list[str]:
    """Every application that has a folder in the vault, also those that were deleted with their versions kept."""
    return [name for name in repository.vault.folders("vault/") if name.startswith("app-")]


def _as_the_row_says(row: IndexRow, plain: bytes) -> bool:
    line = plain[row.offset : row.offset + row.length]
    try:
        return len(line) == row.length and digest(orjson.loads(line)) == row.digest
    except (ValueError, KeyError, TypeError):
        return False


def _each(work: Callable[[SegmentRef], None], segments: Iterable[SegmentRef], after: Callable[[int], None]) -> None:
    """In parallel, with few under way at a time; what is raised is raised here."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verify") as pool:
        under_way: set[Future[None]] = set()
        for number, segment in enumerate(segments):
            under_way.add(pool.submit(work, segment))
            if len(under_way) >= _WAITING:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
                after(number)
        for each in under_way:
            each.result()
    after(-1)
