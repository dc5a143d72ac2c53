"""Field managers: who owns which field, and how a restore leaves that as it was.

What the API server does, and what follows from it:

- **POST** gives every field of the body, defaults included, to the request's manager, whatever ownership the body
  tells. So one request is enough if one manager owned it all in this way (`kubectl create`, client-side apply, most
  controllers): it is named in the request. Objects with several managers, or made by server-side apply, need a patch.
- **PUT** takes the ownership in the body as the base, then gives what the request changes to its manager. So one
  request is enough if what changes belonged to the manager that is named.
- **A patch** of `managedFields` alone puts back whatever is wanted.
- **A server-side apply** gives what it contains to its manager. An object that one manager applied whole is made by
  one apply, ownership included. Naming a `resourceVersion` that no object can have makes it a create: 409 `Conflict`
  if there is one of that name. (It costs the server a third more than a POST; a POST and a patch cost twice as much.)
"""

from __future__ import annotations

from typing import Any

import orjson

from chalicelib.domain.objects import Body
from chalicelib.planning.bodies.normalise import KEPT_SUBRESOURCES

#: The manager for what nobody owned.
OURS = "mainstay"

Entry = dict[str, Any]


def wanted_managers(stored: Body) -> list[Entry]:
    """The field ownership a stored object had; empty if it is not known."""
    return stored["metadata"].get("managedFields") or []


def best_manager(stored: Body, live: Body | None = None) -> str:
    """The manager to name in a write of this object, so that most often no second request is needed.

    For an update (`live` is what is there, raw or normalised) the one that owned most of what changes; for a create
    the one that owned most. Only managers that own by plain writes can be named; a name for nobody's fields is ours.
    """
    entries = [
        entry
        for entry in wanted_managers(stored)
        if entry.get("operation") == "Update" and not entry.get("subresource") and entry.get("manager")
    ]
    if live is not None:
        changed = [(_changes(entry.get("fieldsV1"), live, stored), entry["manager"]) for entry in entries]
        owning = [each for each in changed if each[0]]
        if owning or _touches_applied(stored, live):
            return max(owning, key=_by_count, default=(0, OURS))[1]
    return max(
        ((_count(entry.get("fieldsV1")), entry["manager"]) for entry in entries), key=_by_count, default=(0, OURS)
    )[1]


def _by_count(counted: tuple[int, str]) -> int:
    return counted[0]


def _touches_applied(stored: Body, live: Body) -> bool:
    return any(
        entry.get("operation") == "Apply" and _changes(entry.get("fieldsV1"), live, stored)
        for entry in wanted_managers(stored)
    )


#: Older than any object: the storage counts from 1, and its first write is 2.
NEVER = "1"


def applied_whole(stored: Body, body: Body) -> tuple[str, Body] | None:
    """The manager that alone applied all of a stored object, and what it applied to make it, `body` being what a
    create would send. `None` where a create is the better way: several managers, lists by key, defaults that nobody
    owns."""
    entries = wanted_managers(stored)
    if len(entries) != 1 or entries[0].get("operation") != "Apply" or entries[0].get("subresource"):
        return None
    manager, fields = entries[0].get("manager"), entries[0].get("fieldsV1")
    if not manager or not fields or entries[0].get("apiVersion") != body.get("apiVersion"):
        return None
    metadata = body["metadata"]
    identity = {name: metadata[name] for name in ("name", "namespace") if name in metadata}
    content = {name: value for name, value in body.items() if name not in {"apiVersion", "kind", "metadata"}}
    _leave_to_the_server(content, fields, str(body.get("kind")))
    told = {name: value for name, value in metadata.items() if name not in identity}
    if told or "f:metadata" in fields:
        content["metadata"] = told
    if not _owned_whole(content, fields):
        return None
    whole = {**content, "apiVersion": body["apiVersion"], "kind": body["kind"]}
    return manager, {**whole, "metadata": {**told, **identity, "resourceVersion": NEVER}}


def _leave_to_the_server(content: Body, fields: Any, kind: str) -> None:
    """Take out what all objects of a kind have by default, where nobody owns it."""
    if kind == "Secret" and content.get("type") == "Opaque" and "f:type" not in fields:
        del content["type"]
    if kind != "CustomResourceDefinition" or "f:conversion" in (fields.get("f:spec") or {}):
        return
    spec = content.get("spec") or {}
    # A definition takes a server long to check: one request instead of two is felt.
    if spec.get("conversion") == {"strategy": "None"}:
        content["spec"] = {name: value for name, value in spec.items() if name != "conversion"}


def _owned_whole(value: Any, fields: Any) -> bool:
    """Whether a field set is exactly that of a value, in maps alone."""
    if not fields:
        return True
    if not isinstance(value, dict) or not isinstance(fields, dict):
        return False
    names = {name for name in fields if name != "."}
    if names != {f"f:{name}" for name in value}:
        return False
    return all(_owned_whole(below, fields[f"f:{name}"]) for name, below in value.items())


def _count(fields: Any) -> int:
    if not isinstance(fields, dict):
        return 0
    return sum(1 + _count(below) for below in fields.values())


def _changes(fields: Any, live: Any, wanted: Any) -> int:
    """How many of these fields (`f:name`, `k:{…}` as in FieldsV1) differ between two values."""
    if live == wanted or not isinstance(fields, dict):
        return 0
    if not fields:
        return 1
    changed = 0
    for name, below in fields.items():
        mark, _, rest = name.partition(":")
        if mark == "f":
            one = live.get(rest) if isinstance(live, dict) else None
            other = wanted.get(rest) if isinstance(wanted, dict) else None
            changed += _changes(below, one, other)
        elif mark == "k":
            key = orjson.loads(rest)
            changed += _changes(below, _item(live, key), _item(wanted, key))
    return changed


def _item(items: Any, key: Entry) -> Any:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and all(item.get(name) == value for name, value in key.items()):
            return item
    return None


def same_managers(one: Body, other: Body) -> bool:
    """Whether two objects (raw or stored) have the same owners of the same fields; times, order and the status'
    ownership aside."""
    return _canonical(one) == _canonical(other)


def _canonical(body: Body) -> list[bytes]:
    return sorted(
        orjson.dumps({name: value for name, value in entry.items() if name != "time"}, option=orjson.OPT_SORT_KEYS)
        for entry in wanted_managers(body)
        if (entry.get("subresource") or "") in KEPT_SUBRESOURCES
    )


def merged_managers(stored: Body, live: Body) -> list[Entry]:
    """The stored ownership, beside the live one of the status and other subresources, which are not restored."""
    kept = wanted_managers(stored)
    if not kept:
        return []
    return kept + [
        entry for entry in wanted_managers(live) if (entry.get("subresource") or "") not in KEPT_SUBRESOURCES
    ]


def managers_patch(stored: Body, made: Body | None = None) -> Body | None:
    """The merge patch that puts the stored ownership back, `None` if it is not known. `made`: the object as it is."""
    managers = merged_managers(stored, made or {"metadata": {}})
    return {"metadata": {"managedFields": managers}} if managers else None
