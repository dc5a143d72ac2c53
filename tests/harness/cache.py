"""Where the harness keeps what is slow to make, and the locks that let several processes share it."""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.errors import HarnessError


def cache_root() -> Path:
    """The directory of everything that outlives one run: `$MAINSTAY_TEST_CACHE`, else one in the user's cache."""
    named = os.environ.get("MAINSTAY_TEST_CACHE")
    root = Path(named).absolute() if named else Path.home() / ".cache" / "mainstay-tests"
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def locked(name: str, *, seconds: float, waiting: str = "") -> Iterator[None]:
    """Hold the machine-wide lock `name`, waiting for it at most `seconds`.

    The kernel drops the lock when its holder dies, so there is no stale one to clean up. `waiting` is said
    once, on standard error, if somebody else has it.
    """
    directory = cache_root() / "locks"
    directory.mkdir(exist_ok=True)
    deadline = time.monotonic() + seconds
    said = False
    with (directory / name).open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise HarnessError(f"another process has held the lock {name!r} for {seconds:.0f} s") from None
            if waiting and not said:
                say(waiting)
                said = True
            time.sleep(0.1)
        yield


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(aside).chmod(mode)
    Path(aside).replace(path)


def say(text: str) -> None:
    """A line for the person who waits; standard output stays free for what programs read."""
    print(f"harness: {text}", file=sys.stderr, flush=True)
