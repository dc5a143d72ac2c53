"""Ways through the content of objects, as tables write them: `spec.rules[].host` goes through a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def holders(body: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """What holds each value at a path, and the member or number by which it does: there it can be exchanged. `null`
    is no value."""
    yield from _holders(body, path.split("."))


def values(body: Any, path: str) -> Iterator[Any]:
    """Every value at a path."""
    for holder, member in holders(body, path):
        yield holder[member]


def mappings(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping in a value, itself included, each with its place (a JSON Pointer)."""
    if isinstance(value, dict):
        yield place, value
        for member, inner in value.items():
            yield from mappings(inner, below(place, member))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from mappings(inner, f"{place}/{number}")


def below(place: str, member: object) -> str:
    """The JSON Pointer of a member."""
    escaped = str(member).replace("~", "~0").replace("/", "~1")
    return f"{place}/{escaped}"


def _holders(body: Any, path: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    if not isinstance(body, dict):
        return
    member, rest = path[0].removesuffix("[]"), path[1:]
    found = body.get(member)
    if found is None:
        return
    if not path[0].endswith("[]"):
        if rest:
            yield from _holders(found, rest)
        else:
            yield body, member
    elif isinstance(found, list):
        for number, each in enumerate(found):
            if rest:
                yield from _holders(each, rest)
            elif each is not None:
                yield found, number
