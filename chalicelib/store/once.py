"""Writing once, where the bytes themselves tell whose write it was."""

from __future__ import annotations

from chalicelib.store.backend import Backend, Exists


def write_once(backend: Backend, key: str, data: bytes) -> None:
    """Write `data` under `key` for good.

    The same bytes already there are this write, whose answer was lost; other bytes raise `Exists`.
    """
    try:
        backend.create(key, data)
    except Exists:
        found = backend.get(key)
        if found is None or found.data != data:
            raise
