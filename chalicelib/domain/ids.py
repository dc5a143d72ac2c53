"""Typed identifiers: a prefix that says what it names, and a ULID that sorts by time.

They come from users in paths and queries, so nothing is ever made of one (a key, a file name) before
`parse_id` has seen it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from ulid import ULID

from chalicelib.domain.errors import Malformed

Prefix = Literal["app", "usr", "ver", "op", "cl", "key"]

# Crockford's base 32, as ULID writes it; lower case, so that a name is the same on every file system.
_PATTERN = re.compile(r"(app|usr|ver|op|cl|key)-([0-7][0-9a-hjkmnp-tv-z]{25})")


def new_id(prefix: Prefix, at: datetime) -> str:
    """A fresh identifier such as `ver-01jd…`; `at` (with a time zone) is the time by which it sorts."""
    return f"{prefix}-{ulid(at)}"


def derived_id(prefix: Prefix, at: datetime, seed: bytes) -> str:
    """The identifier that `at` and `seed` (10 bytes or more of a digest) always give: made twice, it is one."""
    return f"{prefix}-{str(ULID.from_bytes(ULID.from_datetime(at).bytes[:6] + seed[:10])).lower()}"


def ulid(at: datetime) -> str:
    """26 characters that nobody had before, and that sort by the time `at` (with a time zone)."""
    return str(ULID.from_datetime(at)).lower()


def time_of(identifier: str) -> datetime:
    """The time by which a well-formed identifier sorts."""
    return ULID.from_str(identifier.partition("-")[2].upper()).datetime


def parse_id(text: str, *expected: Prefix) -> str:
    """`text` itself if it is a well-formed identifier with one of the `expected` prefixes, else `Malformed`."""
    match = _PATTERN.fullmatch(text)
    if match is None or (expected and match.group(1) not in expected):
        wanted = " or ".join(f"`{prefix}-…`" for prefix in expected) or "an identifier"
        raise Malformed(f"{text[:80]!r} is not {wanted} followed by 26 characters of base 32.")
    return text


def prefix_of(identifier: str) -> Prefix:
    """What a well-formed identifier names: `app`, `usr`, `ver`, `op`, `cl` or `key`."""
    match = _PATTERN.fullmatch(identifier)
    if match is None:
        raise Malformed(f"{identifier[:80]!r} is not an identifier of Mainstay.")
    found: Prefix = match.group(1)  # type: ignore[assignment]  # the pattern lists just these
    return found
