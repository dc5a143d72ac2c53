"""The shapes that objects have whatever their kind: what the rules of planning rely on, and a patch may break.

What the fields of a kind take in particular its cluster says (`schemas`), where it can be asked. Of the kinds that
come with Kubernetes it is enough to know one object: a list stays a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chalicelib.domain.objects import Body, key_of

#: What a user may say in the metadata of an object that is to be restored.
METADATA = frozenset({"name", "namespace", "labels", "annotations", "finalizers", "ownerReferences", "managedFields"})

#: Kinds of Kubernetes with parts of any shape: schemas with their defaults, and what a controller keeps.
_FREE = frozenset({"CustomResourceDefinition", "ControllerRevision"})
_OWNER = ("apiVersion", "kind", "name")


def needs(place: str, what: str, value: Any) -> str:
    """That a value of another sort is needed somewhere. What the value is, is not told: it may be a Secret's."""
    return f"`{place}` takes {what}, not {called(value)}"


def called(value: Any) -> str:
    """What sort of value it is."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return "text"
        case bool():
            return "`true` or `false`"
    return "a number"


def broken(was: Body, now: Body) -> Iterator[str]:
    """What of a patched object is not of the shape that all objects have, or that this one had, in words."""
    metadata = now["metadata"]
    for name in ("labels", "annotations"):
        yield from _texts(metadata.get(name), f"metadata.{name}")
    yield from _finalizers(metadata.get("finalizers"))
    yield from _owners(metadata.get("ownerReferences"))
    spec = now.get("spec")
    if spec is not None and not isinstance(spec, dict) and isinstance(was.get("spec", {}), dict):
        yield needs("spec", "a mapping", spec)
    elif _is_kubernetes(now):
        for name in sorted((was.keys() & now.keys()) - {"apiVersion", "kind", "metadata"}):
            yield from _unlike(was[name], now[name], name)


def _texts(value: Any, place: str) -> Iterator[str]:
    if value is not None and not isinstance(value, dict):
        yield needs(place, "a mapping of names to texts", value)
        return
    for name, member in (value or {}).items():
        if not isinstance(member, str):
            yield needs(f"{place}.{name}", "text", member)


def _finalizers(value: Any) -> Iterator[str]:
    if value is not None and not isinstance(value, list):
        yield needs("metadata.finalizers", "a list of texts", value)
        return
    for number, item in enumerate(value or ()):
        if not isinstance(item, str):
            yield needs(f"metadata.finalizers[{number}]", "text", item)


def _owners(value: Any) -> Iterator[str]:
    if value is not None and not isinstance(value, list):
        yield needs("metadata.ownerReferences", "a list of mappings", value)
        return
    for number, owner in enumerate(value or ()):
        place = f"metadata.ownerReferences[{number}]"
        if not isinstance(owner, dict):
            yield needs(place, "a mapping", owner)
            continue
        for name in _OWNER:
            if not isinstance(owner.get(name), str):
                yield needs(f"{place}.{name}", "text", owner.get(name))


def _unlike(was: Any, now: Any, place: str) -> Iterator[str]:
    """Where a mapping, a list or a single value became something else."""
    if was is None or now is None:
        return
    if _sort(was) is not _sort(now):
        yield needs(place, called(was), now)
    elif isinstance(was, dict):
        for name in sorted(was.keys() & now.keys()):
            yield from _unlike(was[name], now[name], f"{place}.{name}")
    elif isinstance(was, list) and was:
        for number, item in enumerate(now):
            if _sort(item) is not _sort(was[0]):
                yield needs(f"{place}[{number}]", called(was[0]), item)


def _sort(value: Any) -> type:
    return type(value) if isinstance(value, (dict, list)) else object


def _is_kubernetes(body: Body) -> bool:
    """Whether a kind comes with Kubernetes itself. Custom ones may have parts of any shape: the values of a chart."""
    group = key_of(body).group
    return ("." not in group or group.endswith(".k8s.io")) and body.get("kind") not in _FREE
