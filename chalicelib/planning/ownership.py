"""Field managers: who owns which field, and how a restore leaves that as it was.

What the API server does, and what follows from it:

- **POST** gives every field of the body, defaults included, to the request's manager, whatever ownership the body
  tells. So one request is enough if one manager owned it all in this way (`kubectl create`, client-side apply, most
  controllers): it is named in the request. Objects with several managers, or made by server-side apply, need a patch.
- **PUT** takes the ownership in the body as the base, then gives what the request changes to its manager. So one
  request is enough if what changes belonged to the manager that is named.
- **A merge patch** of `managedFields` alone puts back whatever is wanted.
"""

from __future__ import annotations

from typing import Any

import orjson

from chalicelib.domain.objects import Body
from chalicelib.planning.normalise import KEPT_SUBRESOURCES

#: The manager for what nobody owned.
OURS = "mainstay"

Entry = dict[str, Any]


def wanted_managers(stored: Body) -> list[Entry]:
    """The field ownership a stored object had; empty if it is not known."""
    return stored["metadata"].get("managedFields") or []


def best_manager(stored: Body) -> str:
    """The manager to name in a write of this object: of those that own by plain writes the one with most fields."""
    most, name = 0, OURS
    for entry in wanted_managers(stored):
        if entry.get("operation") == "Update" and not entry.get("subresource") and entry.get("manager"):
            fields = _count(entry.get("fieldsV1"))
            if fields > most:
                most, name = fields, entry["manager"]
    return name


def _count(fields: Any) -> int:
    if not isinstance(fields, dict):
        return 0
    return sum(1 + _count(below) for below in fields.values())


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
