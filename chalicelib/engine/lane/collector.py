"""Python's search for cycles, made rare while many objects of the cluster go by.

They come as thousands of dictionaries at a time and have no cycles: they go as soon as nobody refers to them. But
their number alone makes the interpreter look through everything the process holds, again and again: a seventh of the
time of a backup. What has cycles waits a little longer meanwhile, and then goes as always.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Objects that may have been made (and not gone) before the next search; ordinarily 700. A few pages are as many.
_RARELY = 100_000

_lock = threading.Lock()
_users = 0
_ordinary = gc.get_threshold()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Until the last one of all threads that asked for it leaves."""
    global _users, _ordinary  # noqa: PLW0603  # the interpreter has one collector
    with _lock:
        if not _users:
            _ordinary = gc.get_threshold()
            gc.set_threshold(_RARELY, *_ordinary[1:])
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                gc.set_threshold(*_ordinary)
