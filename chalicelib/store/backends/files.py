"""How keys become paths, how files appear whole, and what the file system's errors mean."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from chalicelib.domain.errors import Malformed, StorageError, StorageFull, StorageRefused, StorageUnavailable

#: Ends the name of the folder that holds a key's later generations; no encoded part contains it.
GENERATIONS = "@"
#: Where files are written before they are linked into place. No key's path begins with a dot.
ASIDE = ".aside"

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+,.")
_LONGEST_PART = 240
_TRIES = 100
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP}


def encode(part: str) -> str:
    """One part of a key as a file's name: bytes outside a plain set, and a leading dot, as `%XX`."""
    if not part:
        raise Malformed("A key has an empty part.")
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in part.encode())
    if encoded.startswith("."):
        encoded = f"%2E{encoded[1:]}"
    if len(encoded) > _LONGEST_PART:
        raise Malformed(f"A key has a part of more than {_LONGEST_PART} bytes.")
    return encoded


def decode(name: str) -> str:
    """The part of a key that `encode` made this file's name of."""
    return unquote(name)


def path_of(root: Path, key: str) -> Path:
    """The path of `key` under `root`. Never outside of it."""
    return root.joinpath(*(encode(part) for part in key.split("/")))


def content_of(path: Path, most: int = -1, *, own: bool = True) -> bytes:
    """The bytes of a file, `most` of them at most. What is no plain file has none: to open a pipe is to wait for who
    writes to it. One that is not our `own` is no link either, which could lead to any file of the machine."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if own else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link, a socket
            return b""
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(most) if stat.S_ISREG(mode) else b""
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what the operating system says into the domain's errors; `where` is a key or an address."""
    try:
        yield
    except OSError as error:
        raise _storage_error(error, where) from error


def _storage_error(error: OSError, where: str) -> StorageError:
    said = os.strerror(error.errno) if error.errno else str(error)
    details = {"key": where}
    if error.errno in _FULL:
        return StorageFull(f"The repository's disk is full or its quota used up ({said}).", details=details)
    if error.errno in _REFUSED:
        return StorageRefused(f"The repository's directory refuses `{where}`: {said}.", details=details)
    return StorageUnavailable(f"The repository's directory failed at `{where}`: {said}.", details=details)


class Aside:
    """Files written apart and put into place whole.

    A process that is killed leaves at most a file here that nobody looks at; `clean` removes it a day later.
    """

    _LIFE = 24 * 3600.0

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / ASIDE

    def prepare(self) -> None:
        """Make the folder and remove what processes left there when they were killed long ago."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = time.time()
        for left in os.scandir(self._folder):
            with contextlib.suppress(FileNotFoundError):
                if now - left.stat(follow_symlinks=False).st_mtime > self._LIFE:
                    Path(left.path).unlink()

    def open(self) -> tuple[int, Path]:
        """A new file of its own, for writing: descriptor and path."""
        path = self._folder / secrets.token_hex(16)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path

    def place(self, data: bytes, target: Path) -> None:
        """Put a file with `data` at `target`, synced, if there is none; else `FileExistsError`.

        `link` is the one call that is both exclusive and shows the file whole: `rename` replaces what is there, and
        `open` with O_EXCL shows it empty.
        """
        descriptor, path = self.open()
        try:
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._link(path, target)
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
        sync_folder(target.parent)

    def _link(self, path: Path, target: Path) -> None:
        for _ in range(_TRIES):
            try:
                os.link(path, target, follow_symlinks=False)
            except FileNotFoundError:
                # There is no folder yet, or whoever deleted its last file has just removed it, at any level.
                with contextlib.suppress(FileNotFoundError):
                    make_folders(target.parent, self._root)
            else:
                return
        os.link(path, target, follow_symlinks=False)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def make_folders(folder: Path, root: Path) -> None:
    """Make `folder` and those above it up to `root`, each synced into its parent."""
    missing: list[Path] = []
    while folder != root and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was linked into `folder` outlive a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # emptied and removed meanwhile: there is nothing left to keep
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
