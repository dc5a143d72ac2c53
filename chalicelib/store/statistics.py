"""What an application's vault holds, in numbers. Manifests and listings are read, no segment."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from chalicelib.domain.errors import Damaged, NotFound
from chalicelib.domain.version import Manifest
from chalicelib.store import condemned, layout
from chalicelib.store.repository import Repository

_AT_ONCE = 12
#: Manifests, and listed segments, between two looks at the time.
_MANIFESTS, _LISTED = 120, 1000


@dataclass(frozen=True, slots=True)
class VersionSize:
    """One version: objects, bytes of their lines, bytes stored for it, and of these what no other version needs
    (`None`: not all versions were read, so nobody knows)."""

    version: str
    objects: int
    plain_bytes: int
    stored_bytes: int
    unique_bytes: int | None


@dataclass(frozen=True, slots=True)
class VaultSize:
    """One application's vault.

    `plain_bytes` is what all versions would take if nothing were shared or compressed; `needed_bytes` what is stored
    for them. `unneeded_*` is what a sweep would remove once it is old enough. All of these are `None` if not every
    version was read. There are `existing` versions; `versions` has those that were read, the newest.
    """

    application: str
    existing: int
    versions: tuple[VersionSize, ...]
    #: Whether everything was read. If not even the listing came to its end, these two are of its beginning.
    complete: bool
    #: Versions whose manifests cannot be read: it is not complete then.
    damaged: tuple[str, ...]
    segments: int
    stored_bytes: int
    condemned_segments: int
    needed_bytes: int | None = None
    unneeded_segments: int | None = None
    unneeded_bytes: int | None = None

    @property
    def plain_bytes(self) -> int | None:
        """Of all versions."""
        return sum(each.plain_bytes for each in self.versions) if self.complete else None

    @property
    def ratio(self) -> float | None:
        """How many bytes of objects one stored byte stands for."""
        return self.plain_bytes / self.needed_bytes if self.plain_bytes is not None and self.needed_bytes else None


@dataclass(frozen=True, slots=True)
class _Read:
    """What is kept of a manifest: its segments by their numbers here, as there can be thousands of manifests."""

    version: str
    objects: int
    plain_bytes: int
    segments: array[int]


def measure(
    repository: Repository, application: str, *, time_is_over: Callable[[], bool] = lambda: False
) -> VaultSize:
    """The sizes of one application; of its newest versions, as far as it gets until `time_is_over`.

    `Damaged` if a condemned list cannot be read.
    """
    doomed = frozenset[str]().union(*(each.names for each in condemned.lists(repository.vault, application)))
    sizes, complete = _listed(repository, application, time_is_over)
    existing = list(repository.versions(application).list())
    numbers: dict[str, int] = {}
    read: list[_Read] = []
    damaged: list[str] = []
    if complete:
        read, complete = _manifests(repository, application, existing, numbers, damaged, time_is_over)
    users = Counter(number for each in read for number in each.segments)
    stored = array("Q", (sizes.get(name, 0) for name in numbers))
    size = VaultSize(
        application=application,
        existing=len(existing),
        versions=tuple(_version_size(each, stored, users if complete else None) for each in read),
        complete=complete,
        damaged=tuple(damaged),
        segments=len(sizes),
        stored_bytes=sum(sizes.values()),
        condemned_segments=len(doomed & sizes.keys()),
    )
    if not complete:
        return size
    unneeded = [length for name, length in sizes.items() if name not in numbers]
    return replace(
        size,
        needed_bytes=sum(stored),
        unneeded_segments=len(unneeded),
        unneeded_bytes=sum(unneeded),
    )


def _version_size(read: _Read, stored: Sequence[int], users: Counter[int] | None) -> VersionSize:
    return VersionSize(
        read.version,
        read.objects,
        read.plain_bytes,
        sum(stored[number] for number in read.segments),
        None if users is None else sum(stored[number] for number in read.segments if users[number] == 1),
    )


def _listed(
    repository: Repository, application: str, time_is_over: Callable[[], bool]
) -> tuple[dict[str, int], bool]:
    """Stored bytes by segment, and whether these are all."""
    sizes: dict[str, int] = {}
    for number, listed in enumerate(repository.vault.list(layout.segments(application)), start=1):
        sizes[listed.key.rpartition("/")[2]] = listed.size
        if number % _LISTED == 0 and time_is_over():
            return sizes, False
    return sizes, True


def _manifests(
    repository: Repository,
    application: str,
    existing: Sequence[str],
    numbers: dict[str, int],
    damaged: list[str],
    time_is_over: Callable[[], bool],
) -> tuple[list[_Read], bool]:
    """What versions need, the first ones at least, with segments as `numbers` counts them; and whether these are
    all. Those that cannot be read are added to `damaged`."""
    versions, found = repository.versions(application), list[_Read]()

    def read(version: str) -> Manifest | None:
        try:
            return versions.get(version)
        except NotFound:
            return None  # ended meanwhile
        except Damaged:
            damaged.append(version)
            return None

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="measure") as pool:
        for start in range(0, len(existing), _MANIFESTS):
            if start and time_is_over():
                return found, False
            for manifest in pool.map(read, existing[start : start + _MANIFESTS]):
                if manifest is not None:
                    needed = {numbers.setdefault(each.name, len(numbers)) for each in manifest.everything}
                    found.append(_Read(manifest.version, manifest.objects, manifest.plain_bytes, array("L", needed)))
    return found, not damaged
