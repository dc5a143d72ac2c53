"""Reading everything that versions need, to find what is damaged before somebody needs it.

Of each application: every manifest (MAC), every segment that one refers to (it decrypts, and its content has the id
it is called by), every row of every index (its object is where it says, and has the digest it says). What several
versions share is read once. Nothing is changed; to `mending.repair` what was found is another thing.

`quick` reads manifests only, and sees in one listing whether each segment is there and as long as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import orjson

from chalicelib.domain.errors import Damaged, NotFound, WrongKey
from chalicelib.domain.version import IndexRow, SegmentRef
from chalicelib.engine.operations.findings import MENDED, Book, Damage, Findings, NoBook
from chalicelib.planning.bodies.normalise import digest
from chalicelib.store import condemned, layout
from chalicelib.store.index import CONTENT as INDEX
from chalicelib.store.index import read_index
from chalicelib.store.repository import Repository
from chalicelib.store.segments import SegmentReader

_AT_ONCE = 8
#: Pieces of work that wait, each with a segment of the index in memory; and manifests between two looks at the time.
_WAITING = 24
_MANIFESTS = 240

Progress = Callable[[int, int], None]


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
    def left(self) -> list[Damage]:
        """What is still damaged."""
        return [damage for damage in self.damages if damage.repair != MENDED]

    @property
    def affected(self) -> list[str]:
        """The versions that cannot be restored in full."""
        return sorted({version for damage in self.left for version in damage.versions})


class Verifier:
    """Looks at one application's vault. `pause` is called between two pieces of work and may raise; with the same
    `book` another one goes on from there."""

    def __init__(
        self,
        repository: Repository,
        application: str,
        progress: Progress = lambda _done, _total: None,
        *,
        book: Book | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._repository = repository
        self._application = application
        self._progress = progress
        self._pause = pause
        self.findings = Findings(application, book or NoBook())

    def look(self, *, quick: bool = False) -> Verified:
        """Everything, or (`quick`) what can be seen without reading segments. Nothing is changed."""
        findings = self.findings
        findings.recall()
        self._read_manifests()
        for error in self._unreadable_lists():
            told = f"{error.message} No backup succeeds while it is there."
            findings.is_damaged(str(error.details["key"]), told)
        if quick:
            self._compare_sizes()
        else:
            try:
                reader = self._repository.segment_reader(self._application)
            except (Damaged, WrongKey) as error:
                findings.is_damaged(layout.vault(self._application), error.message)
            else:
                self._read_segments(reader)
        existing = self._repository.versions(self._application).survey().existing
        findings.name_versions(existing)
        return Verified(
            self._application,
            versions=len(existing),
            segments=len(findings.needed),
            bytes=sum(each.stored for each in findings.needed.values()),
            objects=sum(findings.objects.values()),
            damages=[findings.damages[key] for key in sorted(findings.damages)],
        )

    # ── manifests ───────────────────────────────────────────────────────────────────────────────────────

    def _read_manifests(self) -> None:
        existing = self._repository.versions(self._application).survey().existing
        missing = [version for version in existing if version not in self.findings.versions]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verify") as pool:
            for start in range(0, len(missing), _MANIFESTS):
                self._pause()
                list(pool.map(self._read_manifest, missing[start : start + _MANIFESTS]))
                self.findings.settle()

    def _read_manifest(self, version: str) -> None:
        versions = self._repository.versions(self._application)
        try:
            manifest = versions.get(version)
        except (Damaged, WrongKey, NotFound) as error:
            if versions.exists(version):  # not ended meanwhile
                key = layout.manifest(self._application, version)
                self.findings.is_damaged(key, error.message, versions=[version])
            return
        needed = ((segment.name, segment.content, segment.stored) for segment in manifest.everything)
        self.findings.version_needs(version, needed)

    def _unreadable_lists(self) -> Iterable[Damaged]:
        return condemned.unreadable(self._repository.vault, self._application)

    def _compare_sizes(self) -> None:
        folder = layout.segments(self._application)
        sizes = {each.key.rpartition("/")[2]: each.size for each in self._repository.vault.list(folder)}
        for name, segment in self.findings.needed.items():
            key = layout.segment(self._application, name)
            if name not in sizes:
                self.findings.is_damaged(key, "The segment is missing.")
            elif sizes[name] != segment.stored:
                told = f"The segment has {sizes[name]:,} bytes instead of {segment.stored:,}."
                self.findings.is_damaged(key, told)

    # ── segments ────────────────────────────────────────────────────────────────────────────────────────

    def _read_segments(self, reader: SegmentReader) -> None:
        """Each segment of the index with the objects it leads to, then what no index has led to."""
        findings = self.findings
        needing: dict[str, list[str]] = defaultdict(list)
        for version, names in findings.versions.items():
            for name in names:
                if findings.needed[name].content == INDEX:
                    needing[name].append(version)

        def with_its_objects(name: str) -> None:
            self._read_index(reader, name, needing[name])

        def alone(name: str) -> None:
            try:
                reader.get(name, findings.content_of(name))
            except Damaged as error:
                findings.is_damaged(str(error.details["key"]), error.message)
            findings.was_read([name])

        self._each(with_its_objects, [name for name in needing if name not in findings.read])
        self._each(alone, [name for name in findings.needed if name not in findings.read and name not in needing])

    def _read_index(self, reader: SegmentReader, name: str, versions: list[str]) -> None:
        segment = SegmentRef(name=name, content=INDEX, plain=0, stored=self.findings.needed[name].stored)
        try:
            rows = list(read_index(reader, self._application, [segment]))
        except Damaged as error:
            told = f"{error.message} Which objects it leads to is not known."
            self.findings.is_damaged(str(error.details["key"]), told)
            self.findings.was_read([name])
            return
        by_segment: dict[str, list[IndexRow]] = defaultdict(list)
        for row in rows:
            by_segment[row.segment].append(row)
        for held_in, those in by_segment.items():
            self._check_objects(reader, held_in, those)
        for version in versions:
            self._check_list(version, by_segment)
        self.findings.was_read([name, *by_segment], index=name, objects=len(rows))

    def _check_objects(self, reader: SegmentReader, name: str, rows: list[IndexRow]) -> None:
        key = layout.segment(self._application, name)
        try:
            plain = reader.get(name, "objects")
        except Damaged as error:
            self.findings.is_damaged(key, error.message, objects=[str(row.key) for row in rows])
            return
        wrong = [str(row.key) for row in rows if not _as_the_row_says(row, plain)]
        if wrong:
            told = "Objects in it are not what the index says."
            self.findings.is_damaged(key, told, objects=wrong, unreadable=False)

    def _check_list(self, version: str, held_in: Iterable[str]) -> None:
        """A manifest names every segment that its index leads to: only those are kept for it."""
        key = layout.manifest(self._application, version)
        for name in set(held_in).difference(self.findings.versions[version]):
            told = f"The manifest does not name the segment {name}, to which its index leads."
            self.findings.is_damaged(key, told, versions=[version], unreadable=False)

    def _each(self, work: Callable[[str], None], names: Iterable[str]) -> None:
        """In parallel, with few under way at a time; what is raised is raised here, when those have ended."""
        findings, pool = self.findings, ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="verify")
        try:
            under_way: set[Future[None]] = set()
            for name in names:
                self._pause()
                under_way.add(pool.submit(work, name))
                if len(under_way) >= _WAITING:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for each in done:
                        each.result()
                    self._progress(len(findings.read), len(findings.needed))
                    findings.settle()
            for each in under_way:
                each.result()
        finally:
            pool.shutdown(cancel_futures=True)
        self._progress(len(findings.read), len(findings.needed))


def applications(repository: Repository) -> list[str]:
    """Every application that has a folder in the vault, also those that were deleted with their versions kept."""
    return [name for name in repository.vault.folders("vault/") if name.startswith("app-")]


def holds(repository: Repository, application: str) -> bool:
    """Whether the vault has a folder of this application. One request."""
    return any(True for _ in repository.vault.list(layout.vault(application), limit=1))


def _as_the_row_says(row: IndexRow, plain: bytes) -> bool:
    line = plain[row.offset : row.offset + row.length]
    try:
        return len(line) == row.length and digest(orjson.loads(line)) == row.digest
    except (ValueError, KeyError, TypeError):
        return False
