"""Signed restore requests: JSON texts that somebody without an account, but with a request key, puts into the bucket.

    {"apiVersion", "kind": "RestoreRequest", "application", "version", "options", "key", "time", "nonce", "signature"}

The signature is HMAC-SHA256 over the canonical text of everything else. `docs/requests.md` is for those who sign.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.errors import Malformed

API_VERSION = "mainstay.dev/v1"
KIND = "RestoreRequest"

#: Where a version is meant by what it is, not by its id.
NEWEST_GOOD = "newest good"

#: The largest request that is read, bytes.
LARGEST = 64 * 1024

_MEMBERS = {"apiVersion", "kind", "application", "version", "options", "key", "time", "nonce", "signature"}
_TIME = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class RestoreAsked:
    """A request as it was read. Nothing in it is believed before `is_signed_with`."""

    application: str
    version: str
    options: Mapping[str, Any]
    key: str
    time: datetime
    signature: str
    #: What is signed.
    text: bytes

    def is_signed_with(self, secret: str) -> bool:
        """Whether whoever knows `secret` signed it."""
        return hmac.compare_digest(_hmac(self.text, secret).encode(), self.signature.encode())

    @property
    def digest(self) -> bytes:
        """What makes it this request and no other: two copies have one digest."""
        return hashlib.sha256(self.text).digest()


def signed(body: Mapping[str, Any], secret: str) -> dict[str, Any]:
    """`body` (without `signature`) with its signature."""
    return {**body, "signature": _hmac(canonical(body), secret)}


def canonical(body: Mapping[str, Any]) -> bytes:
    """The one text that is signed: members sorted by name at every level, no spaces, UTF-8, nothing escaped that
    JSON lets stand. `jq -cS` writes it so."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read(data: bytes) -> RestoreAsked:
    """The request in `data`; `Malformed` says what is wrong with its form."""
    body = _object(data)
    unknown = sorted(set(body) - _MEMBERS)
    if unknown:
        raise Malformed(f"A request has no member {unknown[0][:60]!r}.")
    if body.get("apiVersion") != API_VERSION or body.get("kind") != KIND:
        raise Malformed(f"`apiVersion` must be {API_VERSION} and `kind` {KIND}.")
    words = {name: body.get(name, default) for name, default in _WORDS.items()}
    for name, value in words.items():
        if not isinstance(value, str) or len(value) > 200:
            raise Malformed(f"`{name}` must be text of at most 200 characters.")
    if not words["signature"].isascii():
        raise Malformed("`signature` must be 64 hexadecimal digits.")
    if not words["application"] or not words["version"]:
        raise Malformed("`application` and `version` are needed.")
    options = body.get("options", {})
    if not isinstance(options, dict):
        raise Malformed("`options` must be a JSON object.")
    return RestoreAsked(
        application=words["application"],
        version=words["version"],
        options=options,
        key=words["key"],
        time=_time(words["time"]),
        signature=words["signature"],
        text=_canonical({name: value for name, value in body.items() if name != "signature"}),
    )


#: Members that are text, and what they are if they are not there.
_WORDS = {"application": "", "version": NEWEST_GOOD, "key": "", "time": "", "nonce": "", "signature": ""}


def _hmac(text: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def _canonical(body: Mapping[str, Any]) -> bytes:
    try:
        return canonical(body)
    except UnicodeEncodeError:
        raise Malformed("The request has half a character in it (a lone surrogate).") from None


def _time(text: str) -> datetime:
    wrong = Malformed("`time` must be a moment of UTC such as 2026-11-25T09:30:00Z.")
    if _TIME.fullmatch(text) is None:
        raise wrong
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise wrong from None


def _object(data: bytes) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise Malformed(f"The request has more than {LARGEST} bytes: such are not read.")
    try:
        body = json.loads(
            data.decode("utf-8"), object_pairs_hook=_each_once, parse_float=_no_float, parse_constant=_no_float
        )
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("The request is not JSON in UTF-8.") from None
    if not isinstance(body, dict):
        raise Malformed("The request must be a JSON object.")
    return body


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("The request has a member more than once in one object.")
    return found


def _no_float(_text: str) -> Any:
    # Two writers of JSON can write one number in two ways, and only one of them would be signed.
    raise Malformed("The request has a number with a fraction: whole numbers and text are enough for it.")
