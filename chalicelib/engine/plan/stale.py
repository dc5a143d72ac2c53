"""Whether a saved plan still is what would be done: if not, what moved.

A plan has no best-before date: however old it is, it is applied if it would be made the same today, and refused if
not.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from chalicelib.domain.document import Document
from chalicelib.domain.errors import Conflict
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Plan
from chalicelib.planning.plan.sayings import moved

#: Sections of the document that decide what a plan does.
_SECTIONS = ("rewrite", "storage_classes", "suspend", "protect", "order")


def rests_on(document: Document) -> dict[str, str]:
    """A hash of each section of the document that decides what a plan does."""
    restore = document.spec.restore.model_dump(mode="json", by_alias=True, include=set(_SECTIONS))
    return {
        f"restore.{name}": hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
        for name, said in sorted(restore.items())
    }


def refuse_if_stale(saved: Plan, now: Plan) -> None:
    """`Conflict` if the plan that is made now writes anything else than the saved one; it names what moved."""
    was, now_is = _essence(saved), _essence(now)
    others = sorted(key for key in was.keys() | now_is.keys() if was.get(key) != now_is.get(key))
    if not others:
        return
    changed = [name for name, said in sorted(saved.rests_on.items()) if now.rests_on.get(name) != said]
    document = f" The document's {_listed(changed)} changed since." if changed else ""
    raise Conflict(
        f"The plan is stale: since it was made, {moved(others)}.{document} Make a new plan.",
        details={"moved": [str(key) for key in others[:1000]], **({"document": changed} if changed else {})},
    )


def _essence(of: Plan) -> dict[ObjectKey, tuple[Any, ...]]:
    return {
        action.object.key: (
            action.verb,
            action.live_uid,
            action.live_digest,
            action.wanted_digest,
            action.wave,
            action.awaits,
        )
        for action in of.actions
        if action.verb.writes
    }


def _listed(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
