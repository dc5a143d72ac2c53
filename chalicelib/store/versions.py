"""Versions of one application: sealed manifests, and the markers that end them.

A version exists if and only if its manifest is there and no `.ended` beside it. The marker is written before anything
of the version is removed, and also for a version that was given up before it was sealed: a manifest that a stalled
worker writes later is dead when it arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from chalicelib.domain.errors import Conflict, Damaged, NotFound, SegmentsGone
from chalicelib.domain.ids import parse_id
from chalicelib.domain.version import Manifest, Stored
from chalicelib.store import condemned, layout
from chalicelib.store.backend import Backend, Exists
from chalicelib.store.keys import ApplicationKey
from chalicelib.store.locations import Locations
from chalicelib.store.sealing import keyed_hash, same
from chalicelib.store.segments import Present


class Ended(Stored):
    """Who ended a version, when and why."""

    version: str
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Survey:
    """The versions that have a manifest, and those that have a marker, each with when it was written."""

    sealed: Mapping[str, datetime]
    ended: Mapping[str, datetime]

    @property
    def existing(self) -> list[str]:
        """The versions that exist, oldest first."""
        return [version for version in self.sealed if version not in self.ended]


class Versions:
    """The versions of one application. `key` is asked for only where a manifest is written or read."""

    def __init__(
        self, vault: Backend, application: str, key: Callable[[], ApplicationKey], locations: Locations
    ) -> None:
        self._vault = vault
        self._application = application
        self._key = key
        self._locations = locations

    def seal(self, manifest: Manifest) -> Manifest:
        """Make a version of what was stored: from now on it exists.

        Looks before and after that every segment the manifest refers to is there and not condemned. Where one is not,
        `SegmentsGone` names the first, and the version does not exist. `Conflict` if it was ended, or another
        operation sealed it; if this operation did, earlier, that manifest is returned.
        """
        if manifest.application != self._application:
            raise ValueError("the manifest is another application's")
        before = self._check_segments(manifest)
        if self.ended(manifest.version) is not None:
            raise Conflict(f"{manifest.version} was ended before it was sealed.")
        self._locations.put(manifest.version, self._application)
        key = layout.manifest(self._application, manifest.version)
        content = manifest.model_dump(mode="json", by_alias=True)
        try:
            self._vault.create(key, orjson.dumps({"mac": self._mac(content), "manifest": content}))
        except Exists:
            sealed = self._read(manifest.version)
            if sealed is None or sealed.operation != manifest.operation:
                raise Conflict(f"{manifest.version} was sealed by another operation.") from None
        else:
            sealed = manifest
        self._look_again(sealed, before)
        return sealed

    def _look_again(self, sealed: Manifest, before: Present) -> None:
        """A sweep condemns, looks which versions there are, and then deletes; this wrote the version and then looks
        what is condemned. Whichever came first, one of the two sees the other (`docs/sweep.md`)."""
        if condemned.keys(self._vault, self._application) <= before.lists:
            return
        try:
            self._check_segments(sealed)
        except SegmentsGone:
            self.end(sealed.version, "mainstay", "a sweep took segments while it was sealed")
            raise

    def get(self, version: str) -> Manifest:
        """The manifest of a version that exists. `NotFound` tells whether it ever did; `Damaged`: it was altered."""
        ended = self.ended(version)
        if ended is not None:
            raise NotFound(f"{version} was deleted by {ended.by} on {ended.at:%Y-%m-%d %H:%M} UTC ({ended.reason}).")
        manifest = self._read(version)
        if manifest is None:
            raise NotFound(f"{self._application} has no version {version}.")
        return manifest

    def exists(self, version: str) -> bool:
        """Whether there is such a version. Reads no manifest."""
        sealed = layout.manifest(self._application, version)
        keys = {listed.key for listed in self._vault.list(sealed.removesuffix("json"))}
        return sealed in keys and layout.ended(self._application, version) not in keys

    def list(self) -> Iterator[str]:
        """The ids of the versions that exist, newest first. One listing; no manifest is read."""
        folder = layout.versions(self._application)
        sealed: list[str] = []
        ended: set[str] = set()
        for listed in self._vault.list(folder):
            version, _, suffix = listed.key.removeprefix(folder).partition(".")
            if suffix == "json":
                sealed.append(version)
            elif suffix == "ended":
                ended.add(version)
        yield from (version for version in reversed(sealed) if version not in ended)

    def survey(self) -> Survey:
        """What lies in the folder of versions. One listing."""
        folder = layout.versions(self._application)
        sealed: dict[str, datetime] = {}
        ended: dict[str, datetime] = {}
        for listed in self._vault.list(folder):
            version, _, suffix = listed.key.removeprefix(folder).partition(".")
            {"json": sealed, "ended": ended}.get(suffix, {})[version] = listed.modified
        return Survey(sealed, ended)

    def segments_of(self, version: str) -> set[str]:
        """The names of all segments that a manifest speaks of, in whatever member, so also in those that only a newer
        release knows. Empty if it is not there. `Damaged` if it was altered: then nobody knows what it needs."""
        manifest = self._read_raw(version)
        return set() if manifest is None else layout.segment_names(manifest[1])

    def remove(self, version: str) -> None:
        """Remove the manifest of a version that was ended before, and whose marker stays."""
        if self.ended(version) is None:
            raise ValueError("a version is ended before its manifest is removed")
        self._vault.delete(layout.manifest(self._application, version))

    def forget(self, version: str) -> None:
        """Remove the marker of a version whose manifest is gone: nobody remembers it after that."""
        self._vault.delete(layout.ended(self._application, version))

    def end(self, version: str, by: str, reason: str) -> Ended:
        """End a version, sealed already or not, for good. Ending it again returns the first ending."""
        ended = Ended(version=parse_id(version, "ver"), by=by, reason=reason, at=self._vault.now())
        data = orjson.dumps(ended.model_dump(mode="json", by_alias=True), option=orjson.OPT_SORT_KEYS)
        try:
            self._vault.create(layout.ended(self._application, version), data)
        except Exists:
            return self.ended(version) or ended
        return ended

    def ended(self, version: str) -> Ended | None:
        """How a version ended, or `None`."""
        key = layout.ended(self._application, version)
        blob = self._vault.get(key)
        if blob is None:
            return None
        try:
            return Ended.model_validate_json(blob.data)
        except ValidationError:
            # The marker counts by being there, whatever became of its bytes.
            return Ended(version=version, by="unknown", reason="the marker cannot be read", at=blob.at)

    def _check_segments(self, manifest: Manifest) -> Present:
        present = Present.read(self._vault, self._application)
        for segment in manifest.everything:
            if segment.name in present.sizes:
                continue
            key = layout.segment(self._application, segment.name)
            why = "is condemned by a sweep" if segment.name in present.condemned else "is missing"
            raise SegmentsGone(f"The version is not sealed: its segment `{key}` {why}.", details={"key": key})
        return present

    def _read(self, version: str) -> Manifest | None:
        found = self._read_raw(version)
        return None if found is None else found[0]

    def _read_raw(self, version: str) -> tuple[Manifest, bytes] | None:
        key = layout.manifest(self._application, version)
        blob = self._vault.get(key)
        if blob is None:
            return None
        try:
            sealed = orjson.loads(blob.data)
            content, mac = sealed["manifest"], str(sealed["mac"])
            authentic = same(mac, self._mac(content))
            manifest = Manifest.model_validate(content)
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise Damaged(f"The manifest `{key}` cannot be read.", details={"key": key}) from error
        if not authentic or (manifest.application, manifest.version) != (self._application, version):
            raise Damaged(f"The manifest `{key}` was altered.", details={"key": key})
        return manifest, blob.data

    def _mac(self, content: dict[str, Any]) -> str:
        """HMAC-SHA256 of the manifest as canonical JSON: sorted names, no spaces, UTF-8."""
        return keyed_hash(self._key().manifests, orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
