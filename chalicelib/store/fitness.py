"""Does a storage keep its promises? Tried once, when a repository is made there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from chalicelib.domain.errors import StorageUnfit
from chalicelib.store.backend import Backend, Changed, Exists

_WRITERS = 8


def check_conditional_writes(backend: Backend, rounds: int = 3) -> None:
    """Race `create` and `replace` against themselves, then list; `StorageUnfit` names what was not kept.

    Leaves nothing behind where keys can be deleted.
    """
    folder = f"checks/{secrets.token_hex(8)}"
    keys = [f"{folder}/{number}" for number in range(rounds)]
    with ThreadPoolExecutor(_WRITERS) as pool:
        try:
            for key in keys:
                _check_create(backend, key, pool)
                _check_replace(backend, key, pool)
            _check_list(backend, folder, keys)
        finally:
            for key in keys:
                backend.delete(key)
    if backend.get(keys[0]) is not None:
        raise _unfit(backend, "still returns a key after it was deleted")


def _check_create(backend: Backend, key: str, pool: ThreadPoolExecutor) -> None:
    def create() -> bool:
        backend.create(key, secrets.token_bytes(32))
        return True

    if _winners(create, pool) > 1:
        raise _unfit(backend, "lets several writers create the same key (If-None-Match is not honoured)")


def _check_replace(backend: Backend, key: str, pool: ThreadPoolExecutor) -> None:
    before = backend.get(key)
    if before is None:
        raise _unfit(backend, "does not return what was just written")

    def replace() -> bool:
        backend.replace(key, secrets.token_bytes(32), before.etag)
        return True

    if _winners(replace, pool) > 1:
        raise _unfit(backend, "lets several writers replace the same bytes (If-Match is not honoured)")
    after = backend.get(key)
    if after is None or after.data == before.data:
        raise _unfit(backend, "lets nobody replace what was read (If-Match is not understood)")


def _check_list(backend: Backend, folder: str, keys: list[str]) -> None:
    if [listed.key for listed in backend.list(f"{folder}/")] != keys:
        raise _unfit(backend, "does not list what was just written")


def _winners(write: Callable[[], bool], pool: ThreadPoolExecutor) -> int:
    def attempt(_: int) -> bool:
        try:
            return write()
        except (Exists, Changed):
            return False

    return sum(pool.map(attempt, range(_WRITERS)))


def _unfit(backend: Backend, what: str) -> StorageUnfit:
    return StorageUnfit(
        f"The storage {backend.describe()} {what}. Mainstay rests on conditional writes and cannot keep a "
        "repository there: use an S3 server that honours them, or a directory.",
    )
