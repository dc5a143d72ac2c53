"""Two contents as a list of fields that differ, fit to be shown: bounded, and without secrets.

Paths are JSON Pointers in which an item of a list with names is written by its name:
`/spec/template/spec/containers/[name=web]/image`. Of a Secret only the *names* of what differs are told, never a
value nor its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from chalicelib.domain.objects import Body
from chalicelib.domain.plan import Difference
from chalicelib.planning.content.lists import identify, identity
from chalicelib.planning.content.quantities import amount

#: Differences told of one object; one more then says how many were left out.
MOST = 60
#: Characters of one value.
LONGEST = 300

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_Found = tuple[str, str, Any, Any]


def differences(live: Body, wanted: Body, *, most: int = MOST) -> tuple[Difference, ...]:
    """What differs between two normalised contents (field ownership apart), in the order of the paths.

    `change` is `added` (only wanted), `removed` (only live) or `changed`.
    """
    secret = _is_secret(live) or _is_secret(wanted)
    found: list[Difference] = []
    left_out = 0
    for path, change, before, after in _compare(live, wanted, ""):
        if path == "/metadata/managedFields":
            continue
        if len(found) < most:
            found.append(_shown(path, change, before, after, secret=secret))
        else:
            left_out += 1
    if left_out:
        found.append(Difference(path="", change="changed", wanted=f"and {left_out} more"))
    return tuple(found)


def is_lost(found: Difference) -> bool:
    """Whether something of what is wanted is not in an object that the server keeps as it is: no such field, or it
    has another value. A list may only have more in it, and a quantity be spelled otherwise."""
    if found.change != "changed":
        return found.change == "added"
    values = (found.live, found.wanted)
    in_list = any(isinstance(value, list) for value in values) or any(map(str.isdigit, found.path.split("/")))
    if in_list or not found.path:  # the last one only counts those that are left out
        return False
    one, other = (amount(str(value)) for value in values)
    return one is None or one != other


def _is_secret(body: Body) -> bool:
    return body.get("kind") == "Secret" and body.get("apiVersion") == "v1"


def _compare(live: Any, wanted: Any, path: str) -> Iterator[_Found]:
    if isinstance(live, dict) and isinstance(wanted, dict):
        for name in sorted(live.keys() | wanted.keys()):
            below = f"{path}/{_escaped(name)}"
            if below == "/metadata/managedFields":
                continue
            if name not in live:
                yield from _one_sided(wanted[name], below, "added")
            elif name not in wanted:
                yield from _one_sided(live[name], below, "removed")
            else:
                yield from _compare(live[name], wanted[name], below)
    elif isinstance(live, list) and isinstance(wanted, list):
        yield from _compare_lists(live, wanted, path)
    elif live != wanted or type(live) is not type(wanted):
        yield path, "changed", live, wanted


def _one_sided(value: Any, path: str, change: str) -> Iterator[_Found]:
    """A member that only one side has; members of `data`, labels and the like are told one by one."""
    if isinstance(value, dict) and value and path in _MAPS:
        for name in sorted(value):
            yield from _one_sided(value[name], f"{path}/{_escaped(name)}", change)
    elif change == "added":
        yield path, change, None, value
    else:
        yield path, change, value, None


_MAPS = frozenset({"/data", "/stringData", "/binaryData", "/metadata/labels", "/metadata/annotations"})


def _compare_lists(live: list[Any], wanted: list[Any], path: str) -> Iterator[_Found]:
    if live == wanted:
        return
    names = identify(live, wanted)
    if names is None:
        yield from _compare_by_place(live, wanted, path)
        return
    was = {identity(item, names): item for item in live}
    will = {identity(item, names): item for item in wanted}
    told = False
    for key in sorted(was.keys() | will.keys()):
        label = ",".join(f"{name}={part}" for name, part in zip(names, key, strict=True))
        below = f"{path}/[{_escaped(label)}]"
        if key not in was:
            told = True
            yield below, "added", None, will[key]
        elif key not in will:
            told = True
            yield below, "removed", was[key], None
        else:
            for found in _compare(was[key], will[key], below):
                told = True
                yield found
    if not told:
        # Nothing but their order differs.
        yield path, "changed", [" ".join(key) for key in was], [" ".join(key) for key in will]


def _compare_by_place(live: list[Any], wanted: list[Any], path: str) -> Iterator[_Found]:
    if all(isinstance(item, str | int | float | bool) for item in (*live, *wanted)):
        yield path, "changed", live, wanted
        return
    for place in range(max(len(live), len(wanted))):
        below = f"{path}/{place}"
        if place >= len(live):
            yield below, "added", None, wanted[place]
        elif place >= len(wanted):
            yield below, "removed", live[place], None
        else:
            yield from _compare(live[place], wanted[place], below)


def _shown(path: str, change: str, live: Any, wanted: Any, *, secret: bool) -> Difference:
    if secret and _is_hidden_in_secrets(path):
        return Difference(path=path, change=change, hidden=True)
    if path == f"/metadata/annotations/{_escaped(_LAST_APPLIED)}":
        # Says nothing that the other paths do not say better.
        return Difference(path=path, change=change)
    return Difference(path=path, change=change, live=_short(live), wanted=_short(wanted))


def _is_hidden_in_secrets(path: str) -> bool:
    # Several tools keep the whole object, data and all, in an annotation of it.
    return path.startswith(("/data", "/stringData", "/metadata/annotations")) or path.count("/") < 2


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value)} characters)"
    if isinstance(value, dict | list):
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        if len(text) > LONGEST:
            return f"{text[:LONGEST]}… ({len(text)} characters)"
    return value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
