"""Unique names: giving them to things, and taking them back from things that never came to be."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.errors import Conflict
from chalicelib.domain.ids import time_of
from chalicelib.domain.request import NEWEST_GOOD
from chalicelib.services.refusals import invalid

if TYPE_CHECKING:
    from chalicelib.store.repository import Repository

APPLICATIONS = "applications"
CLUSTERS = "clusters"

#: A thing whose name was claimed exists after this long, or it never will: its maker died in between.
_MAKING = timedelta(minutes=2)

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,61}[A-Za-z0-9])?")
_LIKE_AN_ID = re.compile(r"(?:app|ver|op|cl|usr)-[a-z0-9]{26}", re.IGNORECASE)

#: What stands where a version's name could, and is understood as something else: by commands (`cli.naming`, and
#: `live` in a comparison) and in signed requests.
WORDS_FOR_VERSIONS = frozenset({"latest", "previous", "live", NEWEST_GOOD})
#: Unicode's categories of what is not seen or breaks lines, and what turns the direction of what follows.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def well_formed(name: str) -> str:
    """`name`, if an application can go by it on a command line and in a log; else `Invalid`.

    It may be written `name@version`, after options, and where an id could stand: it must look like none of these.
    Documents are stricter (`metadata.name` is a DNS label): every name of theirs is one here.
    """
    if _NAME.fullmatch(name) is None:
        raise invalid(
            "name",
            "it cannot be the name of an application",
            "use at most 63 letters (a to z), digits, `-`, `_`, `.` and spaces, with a letter or digit at both ends",
        )
    if _LIKE_AN_ID.fullmatch(name):
        raise invalid("name", "it looks like an identifier", "use a name that cannot be taken for one")
    return name


def version_name(name: str) -> str:
    """`name`, if a version can be meant by it and it fits into a table; else `Invalid`. Empty is none."""
    if name and not name.strip():
        raise invalid("name", "it is blank", "give it letters, or leave it out")
    if name.casefold() in WORDS_FOR_VERSIONS:
        raise invalid(
            "name",
            f"`{name}` always means another version than the one that is called so",
            "use a name of its own, such as `before-upgrade`",
        )
    if "@" in name:
        raise invalid(
            "name", "`@` ends the application's name where a version is given as APP@VERSION", "leave it out"
        )
    if _LIKE_AN_ID.fullmatch(name):
        raise invalid("name", "it looks like an identifier", "use a name that cannot be taken for one")
    unseen = next((each for each in name if unicodedata.category(each) in _UNSEEN), "")
    if unseen:
        code = unseen.encode("unicode_escape").decode()
        raise invalid(
            "name",
            f"it has a line break or another character that is not seen (`{code}`, number {name.index(unseen) + 1})",
            "write it on one line, without that character; a comment may have several lines",
        )
    return name


def application_id(repository: Repository, named: str) -> str | None:
    """The id of the application with this name or id; `None` if nobody has the name. Whether it lives is not said."""
    return named if named.startswith("app-") else repository.names.holder(APPLICATIONS, named)


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
        if living or (living is None and now - time_of(other) < _MAKING):
            raise
        repository.names.free(space, name, other)
        repository.names.claim(space, name, holder)
