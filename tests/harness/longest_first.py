"""Which tests a worker gets at a time, and in which order: what takes longest comes first.

Otherwise a worker that happens to get a long file last is waited for by all the others. Files stay whole, since their
tests share what they start. The knowledge of which ones are long is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest
from xdist.scheduler import LoadScopeScheduling

Item = TypeVar("Item")


class Units(LoadScopeScheduling):  # type: ignore[misc]  # xdist tells mypy no types
    """Hands whole units to workers, in the order in which they were collected. `unit` names a test's, by its id."""

    def __init__(self, config: pytest.Config, log: Any, unit: Callable[[str], str]) -> None:
        config.option.loadscopereorder = False  # by the number of their tests
        super().__init__(config, log)
        self._unit = unit

    def _split_scope(self, nodeid: str) -> str:
        return self._unit(nodeid)


def ordered(items: Sequence[Item], unit: Callable[[Item], str], seconds: Mapping[str, float]) -> list[Item]:
    """The items, unit by unit: the longest first by `seconds`, then those that it does not know, as they came."""
    units: dict[str, list[Item]] = {}
    for item in items:
        units.setdefault(unit(item), []).append(item)
    longest = sorted(units, key=lambda name: -seconds.get(name, 0))
    return [item for name in longest for item in units[name]]
