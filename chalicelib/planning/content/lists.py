"""Lists whose items have names: how to tell which item of one list is which of another.

Kubernetes' own merge keys need the schema of every kind; what identifies an item is nearly always plain to see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: What can identify an item, tried in this order. All items of both lists must have it, and no two the same.
_IDENTITIES: tuple[tuple[str, ...], ...] = (
    ("apiVersion", "kind", "name"),
    ("name",),
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("port",),
    ("mountPath",),
    ("devicePath",),
    ("topologyKey", "whenUnsatisfiable"),
    ("type",),
    ("key",),
    ("ip",),
    ("uid",),
)


def identify(*lists: Sequence[Any]) -> tuple[str, ...] | None:
    """The members by which the items of all these lists can be told apart; `None` if there are none such."""
    items = [item for each in lists for item in each]
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    if all("metadata" in item and isinstance(item["metadata"], dict) for item in items) and _distinct(
        lists, ("metadata.name",)
    ):
        return ("metadata.name",)
    for names in _IDENTITIES:
        if all(name in item for item in items for name in names) and _distinct(lists, names):
            return names
    return None


def identity(item: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """What an item is called, by the members that `identify` gave."""
    if names == ("metadata.name",):
        return (str((item["metadata"] or {}).get("name", "")),)
    return tuple(str(item[name]) for name in names)


def _distinct(lists: Sequence[Sequence[Any]], names: tuple[str, ...]) -> bool:
    for each in lists:
        seen = [identity(item, names) for item in each]
        if len(set(seen)) != len(seen) or ("",) in seen:
            return False
    return True
