"""A directory as storage: `file:///path`.

Layout
    <root>/a/b.json                 the key `a/b.json`, as it was created
    <root>/a/b.json@/<birth>-<n>    its later generations: n = 1, 2, …; <birth> = hash of the first bytes
    <root>/.aside/…                 files being written

A key exists if and only if its first file does; its bytes are those of the highest generation, or of the first
file where there is none. Write-once data (everything in the vault) is therefore a plain file under its own name.

Why this is sound, with no lock that a stopped process could hold for ever
    *create* links the first file exclusively: exactly one of many succeeds, and it is seen whole.
    *replace* of generation n links n+1 exclusively. The generations before the last `_KEPT` are removed, lowest
    first. A writer that was stopped for long may therefore find the name n+1 free again, because n+1 was replaced
    and removed meanwhile. But then n was removed before it. So after linking it looks whether generation n, with the
    very bytes it had read, is still there:
      - it is: n+1 was free because it never existed; the write took place, whatever came on top since;
      - it is not: its link is older than the highest generation, so nobody ever saw it; it is taken away, and the
        answer is `Changed`. (Or more than `_KEPT` writes came on top between the link and the look: then too
        `Changed` is what a lost answer would bring, and callers decide by effect.)
    *delete* removes the first file: from then on the key does not exist. Generations that are left behind belong
    to that birth: a key created anew with other bytes has another. (Documents carry a random token, so their bytes
    never repeat; write-once data has no generations.)
    *Scans* of a folder of generations are one system call (it holds few, short names), which Linux makes atomic
    against links and unlinks; elsewhere the `_KEPT` last generations make it safe.

Time is the file system's own: the modification time of a file touched for the purpose.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from chalicelib.domain.errors import StorageRefused, StorageUnavailable, StorageUnfit
from chalicelib.store.backend import Blob, Changed, Exists, Guard, Listed, Written
from chalicelib.store.backends.files import ASIDE, GENERATIONS, Aside, content_of, decode, explained, path_of
from chalicelib.store.fitness import check_conditional_writes

_KEPT = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Current:
    """A key's present bytes, which generation they are, and of which birth."""

    data: bytes
    generation: int
    birth: str

    @property
    def etag(self) -> str:
        return f"{self.generation}-{_hash(self.data)}"


class DirectoryBackend:
    """`Backend` in a directory. Any number of processes may use it at once."""

    #: The kernel answers or the disk is broken; there is nothing to repeat.
    patience = 10.0

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = Aside(root)
        self._lock = threading.Lock()
        self._clock: int | None = None
        self._guard: Guard | None = None

    def describe(self) -> str:
        return f"file://{self._root}"

    def guarded(self, guard: Guard) -> DirectoryBackend:
        view = copy.copy(self)
        view._guard = guard
        return view

    def check(self) -> None:
        with explained(self.describe()):
            self._prepare()
        try:
            check_conditional_writes(self)
        except StorageRefused as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EPERM:
                raise StorageUnfit(
                    f"The file system of {self.describe()} has no hard links, which is how Mainstay puts files into "
                    "place whole. Choose another directory.",
                ) from error
            raise

    def get(self, key: str) -> Blob | None:
        with explained(key):
            current = self._current(path_of(self._root, key))
        return Blob(current.data, current.etag, self.now()) if current else None

    def beginning(self, key: str, most: int) -> bytes | None:
        path = path_of(self._root, key)
        with explained(key):
            if _folder(path).is_dir():  # one of our own documents: they are small
                current = self._current(path)
                return current.data[:most] if current else None
            for candidate in (path, *_as_written(path, key)):
                try:
                    return content_of(candidate, most, own=False)
                except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    continue
            return None

    def create(self, key: str, data: bytes) -> Written:
        path = path_of(self._root, key)
        self._before_write()
        with explained(key):
            try:
                self._aside.place(data, path)
            except FileExistsError as error:
                raise Exists(key) from error
        return Written(f"0-{_hash(data)}", self.now())

    def replace(self, key: str, data: bytes, etag: str) -> Written:
        path = path_of(self._root, key)
        self._before_write()
        with explained(key):
            current = self._current(path)
            if current is None or current.etag != etag:
                raise Changed(key)
            following = current.generation + 1
            target = _generation(path, current.birth, following)
            try:
                self._aside.place(data, target)
            except FileExistsError as error:
                raise Changed(key) from error
            if not self._rests_on(path, current):
                with contextlib.suppress(FileNotFoundError):
                    target.unlink()
                raise Changed(key)
            self._forget(path, current.birth, following - _KEPT)
        return Written(f"{following}-{_hash(data)}", self.now())

    def delete(self, key: str) -> None:
        path = path_of(self._root, key)
        self._before_write()
        with explained(key):
            generations = _folder(path)
            try:
                birth = _hash(content_of(path)) if generations.is_dir() else ""
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            if birth:
                # Only this birth's: another may have begun under the same key already.
                self._forget(path, birth, sys.maxsize)
            self._remove_empty(generations if birth else path.parent)

    def list(self, prefix: str, *, after: str = "", limit: int | None = None, deep: bool = True) -> Iterator[Listed]:
        folder, _, stem = prefix.rpartition("/")
        root = path_of(self._root, folder) if folder else self._root
        base = f"{folder}/" if folder else ""
        with explained(prefix):
            yield from islice(_walk(root, base, stem, after, deep), limit)

    def folders(self, prefix: str) -> Iterator[str]:
        with explained(prefix):
            entries = _entries(path_of(self._root, prefix.rstrip("/")) if prefix else self._root)
        yield from (part.removesuffix("/") for part, entry in entries if entry is None)

    def now(self) -> datetime:
        with explained(self.describe()):
            descriptor = self._clock if self._clock is not None else self._open_clock()
            os.utime(descriptor)
            nanoseconds = os.fstat(descriptor).st_mtime_ns
        return _moment(nanoseconds)

    def _before_write(self) -> None:
        if self._guard is not None:
            self._guard()
        with explained(self.describe()):
            self._prepare()

    def _prepare(self) -> None:
        if not (self._root / ASIDE).is_dir():
            self._aside.prepare()

    def _open_clock(self) -> int:
        """A file without a name, so that it goes with its process."""
        with self._lock:
            if self._clock is None:
                if not self._root.is_dir():
                    raise StorageRefused(f"There is no directory {self._root}.", details={"key": self.describe()})
                self._aside.prepare()
                descriptor, path = self._aside.open()
                path.unlink()
                self._clock = descriptor
            return self._clock

    def _current(self, path: Path) -> _Current | None:
        for _ in range(100):
            try:
                first = content_of(path)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None
            try:
                names = _names(path)
            except FileNotFoundError:
                return _Current(first, 0, _hash(first))
            birth = _hash(first)
            highest = max(_numbers(names, birth), default=0)
            if not highest:
                return _Current(first, 0, birth)
            try:
                return _Current(_generation(path, birth, highest).read_bytes(), highest, birth)
            except FileNotFoundError:
                continue  # more than `_KEPT` writes since the scan, or deleted: look again
        raise StorageUnavailable(f"`{path.name}` changes faster than it can be read.", details={"key": path.name})

    def _rests_on(self, path: Path, base: _Current) -> bool:
        """Whether the generation that was replaced, and the birth it belongs to, are still there."""
        try:
            if base.generation and _generation(path, base.birth, base.generation).read_bytes() != base.data:
                return False
            return _hash(content_of(path)) == base.birth
        except FileNotFoundError:
            return False

    def _forget(self, path: Path, birth: str, last: int) -> None:
        """Remove generations up to `last`, lowest first (the argument above rests on the order)."""
        if last < 1:
            return
        with contextlib.suppress(FileNotFoundError):
            for number in sorted(_numbers(_names(path), birth)):
                if number <= last:
                    _generation(path, birth, number).unlink(missing_ok=True)

    def _remove_empty(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent


def _as_written(path: Path, key: str) -> Iterator[Path]:
    """Where somebody may have put a file by hand, with a name that we would have encoded, such as `my own.json`."""
    name = key.rpartition("/")[2]
    if name != path.name and not name.startswith("."):
        yield path.with_name(name)


def _folder(path: Path) -> Path:
    return path.with_name(path.name + GENERATIONS)


def _names(path: Path) -> list[str]:
    return os.listdir(_folder(path))  # noqa: PTH208  # one scan, not an iterator: see the argument above


def _generation(path: Path, birth: str, number: int) -> Path:
    return _folder(path) / f"{birth}-{number}"


def _numbers(names: list[str], birth: str) -> list[int]:
    return [int(number) for origin, _, number in (name.partition("-") for name in names) if origin == birth]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _entries(folder: Path) -> list[tuple[str, os.DirEntry[str] | None]]:
    """`(part of the key, file)` of what is in `folder`, in the order of keys. A folder: `(part/, None)`."""
    found: list[tuple[str, os.DirEntry[str] | None]] = []
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return found
    with entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(GENERATIONS):
                continue
            if entry.is_dir(follow_symlinks=False):
                found.append((decode(entry.name) + "/", None))
            else:
                found.append((decode(entry.name), entry))
    found.sort(key=lambda pair: pair[0])
    return found


def _walk(folder: Path, base: str, stem: str, after: str, deep: bool) -> Iterator[Listed]:  # noqa: FBT001
    for part, entry in _entries(folder):
        key = base + part
        if not part.startswith(stem):
            continue
        if entry is not None:
            if key > after and (listed := _listed(key, entry)) is not None:
                yield listed
        elif deep and (key > after or after.startswith(key)):
            yield from _walk(path_of(folder, part.rstrip("/")), key, "", after, deep)


def _listed(key: str, entry: os.DirEntry[str]) -> Listed | None:
    path = Path(entry.path)
    try:
        status = entry.stat(follow_symlinks=False)
        with contextlib.suppress(FileNotFoundError):
            names = _names(path)
            birth = _hash(content_of(path))
            highest = max(_numbers(names, birth), default=0)
            if highest:
                status = _generation(path, birth, highest).stat()
    except FileNotFoundError:
        return None
    return Listed(key, status.st_size, _moment(status.st_mtime_ns))
