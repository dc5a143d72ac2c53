"""What other processes do in these tests: `python -m tests.contract.store.racer ACTION ADDRESS KEY [ARGUMENT]`."""

from __future__ import annotations

import os
import signal
import sys

from chalicelib.domain.version import Stored
from chalicelib.store.address import backend_at
from chalicelib.store.backend import Exists
from chalicelib.store.backends import files
from chalicelib.store.documents import Documents


class Counter(Stored):
    """Something to count with."""

    value: int = 0


def create(address: str, key: str, names: str) -> None:
    """Try to create several keys; print those that were ours."""
    backend = backend_at(address)
    for number in range(int(names)):
        try:
            backend.create(f"{key}/{number}", os.urandom(64))
        except Exists:
            continue
        print(number, flush=True)


def count(address: str, key: str, times: str) -> None:
    """Count a document up."""
    documents = Documents(backend_at(address))
    for _ in range(int(times)):
        documents.update(key, Counter, lambda counter: Counter(value=counter.value + 1), default=Counter())


def die(address: str, key: str, size: str) -> None:
    """Be killed when everything is written but not yet in place."""
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    backend_at(address).create(key, os.urandom(int(size)))


def stop_before_linking(address: str, key: str, data: str) -> None:
    """Replace a key, but be stopped right before the new bytes get into place; print what came of it."""
    backend = backend_at(address)
    found = backend.get(key)
    assert found is not None
    link = files.Aside._link

    def stopped(self: files.Aside, path: files.Path, target: files.Path) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        link(self, path, target)

    files.Aside._link = stopped  # type: ignore[method-assign]
    try:
        backend.replace(key, data.encode(), found.etag)
    except Exception as error:  # noqa: BLE001  # its name is the answer
        print(type(error).__name__, flush=True)
    else:
        print("written", flush=True)


if __name__ == "__main__":
    {"create": create, "count": count, "die": die, "stop": stop_before_linking}[sys.argv[1]](*sys.argv[2:])
