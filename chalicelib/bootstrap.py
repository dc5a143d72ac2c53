"""The one place where real things are chosen: settings → services.

Built when first asked for, once for each process (a forked worker builds its own), so that importing the app costs
nothing of it. Tests hand in their own with `use`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chalicelib.services.access import Access
from chalicelib.services.bundle import Services
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from chalicelib.engine.clusters import Clusters
    from chalicelib.engine.engine import Engine
    from chalicelib.store.repository import Repository

_lock = threading.Lock()
_built: dict[int, Services] = {}
_handed_in: list[Services] = []


def services() -> Services:
    """The services of this process. What is wrong with the settings is raised as `Invalid`, each time anew."""
    if _handed_in:
        return _handed_in[-1]
    process = os.getpid()
    with _lock:
        if process not in _built:
            _built.clear()
            _built[process] = build(Settings.read(os.environ), os.environ)
        return _built[process]


@contextmanager
def use(services: Services) -> Iterator[Services]:
    """While this is open, these are the services: for tests."""
    _handed_in.append(services)
    try:
        yield services
    finally:
        _handed_in.remove(services)


def build(settings: Settings, environment: Mapping[str, str]) -> Services:
    """Put the services of one repository together."""
    raise NotImplementedError


def make_repository(settings: Settings) -> str | None:
    return None
