"""What an application's vault holds, in numbers. Manifests and one listing are read, no segment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chalicelib.domain.errors import NotFound
from chalicelib.domain.version import Manifest
from chalicelib.store import layout
from chalicelib.store.repository import Repository
from chalicelib.store.segments import Present

_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class VersionSize:
    """One version: objects, bytes of their lines, bytes stored for it, and of these what no other version needs."""

    version: str
    objects: int
    plain_bytes: int
    stored_bytes: int
    unique_bytes: int


@dataclass(frozen=True, slots=True)
class VaultSize:
    """One application's vault.

    `plain_bytes` is what all versions would take if nothing were shared or compressed; `needed_bytes` what is stored
    for them. `unneeded_*` is what a sweep would remove once it is old enough.
    """

    application: str
    versions: tuple[VersionSize, ...]
    segments: int
    stored_bytes: int
    needed_bytes: int
    unneeded_segments: int
    unneeded_bytes: int
    condemned_segments: int

    @property
    def plain_bytes(self) -> int:
        """Of all versions."""
        return sum(each.plain_bytes for each in self.versions)

    @property
    def ratio(self) -> float | None:
        """How many bytes of objects one stored byte stands for."""
        return self.plain_bytes / self.needed_bytes if self.needed_bytes else None


def measure(repository: Repository, application: str) -> VaultSize:
    """The sizes of one application. `Damaged` if a manifest cannot be read."""
    manifests = _manifests(repository, application)
    present = Present.read(repository.vault, application)
    sizes = {
        listed.key.rpartition("/")[2]: listed.size for listed in repository.vault.list(layout.segments(application))
    }
    names = [{segment.name for segment in manifest.everything} for manifest in manifests]
    users = Counter(name for each in names for name in each)
    unneeded = {name: size for name, size in sizes.items() if name not in users}
    versions = tuple(
        VersionSize(
            manifest.version,
            manifest.objects,
            manifest.plain_bytes,
            sum(sizes.get(name, 0) for name in each),
            sum(sizes.get(name, 0) for name in each if users[name] == 1),
        )
        for manifest, each in zip(manifests, names, strict=True)
    )
    return VaultSize(
        application=application,
        versions=versions,
        segments=len(sizes),
        stored_bytes=sum(sizes.values()),
        needed_bytes=sum(size for name, size in sizes.items() if name in users),
        unneeded_segments=len(unneeded),
        unneeded_bytes=sum(unneeded.values()),
        condemned_segments=len(present.condemned & sizes.keys()),
    )


def _manifests(repository: Repository, application: str) -> list[Manifest]:
    versions = repository.versions(application)

    def read(version: str) -> Manifest | None:
        try:
            return versions.get(version)
        except NotFound:
            return None  # ended meanwhile

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="measure") as pool:
        return [found for found in pool.map(read, versions.list()) if found is not None]
