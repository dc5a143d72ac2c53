"""Unique names: each is a document of its own, marked free and never deleted.

Deleting it would let a claim that was under way (`If-Match` on what it had read) and a new claim (`If-None-Match`)
both succeed on servers where deleting cannot be conditional.
"""

from __future__ import annotations

from chalicelib.domain.errors import Conflict
from chalicelib.domain.version import Stored
from chalicelib.store import layout
from chalicelib.store.documents import Documents


class Name(Stored):
    """Who has a name; `None`: it is free."""

    name: str
    holder: str | None = None


class Names:
    """Names by space (`applications`, `clusters`, …). A name's holder is an id."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def claim(self, space: str, name: str, holder: str) -> None:
        """Give `name` to `holder`. `Conflict` if another has it; nothing happens if `holder` has it already."""

        def change(found: Name) -> Name:
            if found.holder not in {None, holder}:
                raise Conflict(f"The name {name!r} is taken.", details={"name": name})
            return found.model_copy(update={"holder": holder})

        claimed = self._documents.update(
            layout.name(space, name),
            Name,
            change,
            applied=lambda found: found.holder == holder,
            default=Name(name=name),
        )
        if claimed.holder != holder:
            raise Conflict(f"The name {name!r} is taken.", details={"name": name})

    def free(self, space: str, name: str, holder: str) -> None:
        """Take `name` from `holder`. Nothing happens if another has it, or nobody."""
        self._documents.update(
            layout.name(space, name),
            Name,
            lambda found: found.model_copy(update={"holder": None}) if found.holder == holder else None,
            applied=lambda found: found.holder != holder,
            default=Name(name=name),
        )

    def holder(self, space: str, name: str) -> str | None:
        """Who has the name, or `None`."""
        found = self._documents.read(layout.name(space, name), Name)
        return found.model.holder if found else None
