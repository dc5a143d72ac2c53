"""Unique names: giving them to things, and taking them back from things that never came to be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ulid import ULID

from chalicelib.domain.errors import Conflict

if TYPE_CHECKING:
    from chalicelib.store.repository import Repository

APPLICATIONS = "applications"
CLUSTERS = "clusters"

#: A thing whose name was claimed exists after this long, or it never will: its maker died in between.
_MAKING = timedelta(minutes=2)


def claim(
    repository: Repository, space: str, name: str, holder: str, lives: Callable[[str], bool | None], now: datetime
) -> None:
    """Give `name` to `holder`; `Conflict` if it belongs to something that lives, or is just being made.

    `lives` tells whether the thing with an id lives (`True`), has ended (`False`), or is not there (`None`).
    """
    try:
        repository.names.claim(space, name, holder)
    except Conflict:
        other = repository.names.holder(space, name)
        if other is None:
            raise
        living = lives(other)
        if living or (living is None and now - _made_at(other) < _MAKING):
            raise
        repository.names.free(space, name, other)
        repository.names.claim(space, name, holder)


def _made_at(identifier: str) -> datetime:
    """When an id was made: it sorts by that time."""
    return ULID.from_str(identifier.partition("-")[2].upper()).datetime
