"""The port to the storage: keys and bytes, written if absent or if unchanged.

Only four things are asked of a storage: strongly consistent reads and lists, `create` that succeeds for exactly
one of many, `replace` that succeeds only over the bytes that were read, and a clock of its own. Deleting is
never conditional, because not every S3 server can do it.

**Lost answers.** A conditional write can succeed and its answer be lost. The backend repeats a request that
brought no answer, and the repetition is then told `Exists` or `Changed`. So neither means "somebody else was
here": who gets one reads again and looks for its own effect (`chalicelib.store.documents` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.domain.errors import Conflict

#: Called before every attempt of every write; raises (such as `LeaseLost`) to prevent it.
Guard = Callable[[], None]


class Exists(Conflict):
    """`create`: there is something under this key (perhaps one's own write, whose answer was lost)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is already something at `{key}`.", details={"key": key})


class Changed(Conflict):
    """`replace`: what is there is not what was read (perhaps it is one's own write, whose answer was lost)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"`{key}` was changed by somebody else.", details={"key": key})


@dataclass(frozen=True, slots=True)
class Blob:
    """What is stored under a key. `at` is the storage's own clock (UTC) when it answered."""

    data: bytes
    etag: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """A write that took place. `at` is the storage's own clock (UTC) when it answered."""

    etag: str
    at: datetime


@dataclass(frozen=True, slots=True, order=True)
class Listed:
    """One key of a listing: its size in bytes and when it was written, by the storage's clock (UTC)."""

    key: str
    size: int
    modified: datetime


class Backend(Protocol):
    """A place for bytes under keys such as `vault/app-…/versions/ver-….json`.

    Keys are parts joined by `/`; no key is the folder of another. Every method may raise a `StorageError`
    (`StorageUnavailable`, `StorageRefused`, `StorageFull`), and a call is over within `patience` seconds.
    """

    @property
    def patience(self) -> float:
        """The most seconds one call takes, retries included: keep it below a lease's margin."""

    def get(self, key: str) -> Blob | None:
        """The bytes under `key`, or `None`."""

    def beginning(self, key: str, most: int) -> bytes | None:
        """The first `most` bytes under `key`, or `None`. However much lies there, no more than these are held."""

    def create(self, key: str, data: bytes) -> Written:
        """Write `data` if there is nothing under `key`, else `Exists`. It appears whole or not at all."""

    def replace(self, key: str, data: bytes, etag: str) -> Written:
        """Write `data` over the bytes whose `etag` was read, else `Changed`, also where they were deleted.

        (Nothing rests on the latter: in buckets with versions, versitygw 1.8.0 compares with what a delete hides.)
        """

    def delete(self, key: str) -> None:
        """Remove `key`. Nothing happens if there is none."""

    def list(self, prefix: str, *, after: str = "", limit: int | None = None, deep: bool = True) -> Iterator[Listed]:
        """Keys that begin with `prefix` and sort (as UTF-8 bytes) after `after`; at most `limit`.

        Not `deep`: only those with no further `/` behind the prefix. Pages are read as they are needed.
        """

    def folders(self, prefix: str) -> Iterator[str]:
        """The names between `prefix` (which ends in `/`) and the next `/`, sorted, each once."""

    def now(self) -> datetime:
        """The storage's own clock (UTC)."""

    def describe(self) -> str:
        """The address, for people. Without secrets."""

    def check(self) -> None:
        """Try what the repository rests on; `StorageUnfit` says which promise is not kept."""

    def guarded(self, guard: Guard) -> Backend:
        """The same storage, where `guard` is called before every attempt of every write."""
