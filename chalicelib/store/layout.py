"""Where things are: every key of the repository is made here, and only of parts that were looked at.

Identifiers come from users, so `parse_id` sees each before it becomes part of a key; everything else must be one
plain part (no `/`, no `..`, nothing that a file system or a shell could take for something else).
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from urllib.parse import quote

from chalicelib.domain.errors import Malformed
from chalicelib.domain.ids import parse_id

REPOSITORY = "vault/repository.json"
ROOT_KEYS = "vault/keys/"
APPLICATIONS = "control/apps/"
CLUSTERS = "control/clusters/"
WAKE = "control/wake/"
POLICY = "control/policy.json"
REQUEST_KEYS = "control/request-keys/"

_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._=%+-]{0,198}[A-Za-z0-9_=%+-])?")
_SEGMENT = re.compile(r"([0-9a-f]{64})-([a-z0-9]{4,16})")
_SEGMENT_ANYWHERE = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}-[a-z0-9]{4,16}(?![a-z0-9])")
_LONGEST_NAME = 120


def part(text: str) -> str:
    """`text` itself if it can be one part of a key, else `Malformed`."""
    if _PART.fullmatch(text) is None or ".." in text:
        raise Malformed(f"{text[:80]!r} cannot be part of a key of the repository.")
    return text


def root_key(number: int) -> str:
    return f"{ROOT_KEYS}{number}.json"


def vault(application: str) -> str:
    """The folder of an application's write-once data, with the `/`."""
    return f"vault/{parse_id(application, 'app')}/"


def application_key(application: str, number: int) -> str:
    return f"{vault(application)}key-{number}.json"


def versions(application: str) -> str:
    return f"{vault(application)}versions/"


def manifest(application: str, version: str) -> str:
    return f"{versions(application)}{parse_id(version, 'ver')}.json"


def ended(application: str, version: str) -> str:
    return f"{versions(application)}{parse_id(version, 'ver')}.ended"


def segments(application: str) -> str:
    return f"{vault(application)}segments/"


def segment(application: str, name: str) -> str:
    """The key of the segment `<id>-<r>`; its folder is the first two characters of the id."""
    if _SEGMENT.fullmatch(name) is None:
        raise Malformed(f"{name[:100]!r} is not the name of a segment.")
    return f"{segments(application)}{name[:2]}/{name}"


def segment_names(text: bytes) -> set[str]:
    """Everything in a text that looks like the name of a segment, whatever member it stands in."""
    return {found.decode() for found in _SEGMENT_ANYWHERE.findall(text)}


def segment_id(name: str) -> str:
    """The id in a segment's name `<id>-<r>`."""
    return name.partition("-")[0]


def condemned(application: str) -> str:
    return f"{vault(application)}condemned/"


def condemned_list(application: str, identifier: str) -> str:
    return f"{condemned(application)}{part(identifier)}.json"


def control(application: str) -> str:
    """The folder of an application's documents, with the `/`."""
    return f"{APPLICATIONS}{parse_id(application, 'app')}/"


def application_document(application: str) -> str:
    return f"{control(application)}app.json"


def lane(application: str) -> str:
    return f"{control(application)}lane.json"


def note(application: str, version: str) -> str:
    return f"{control(application)}notes/{parse_id(version, 'ver')}.json"


def sweep_due(application: str) -> str:
    """When the next sweep is to be."""
    return f"{control(application)}sweep.json"


def verification(application: str) -> str:
    """Which operation verifies it, or did last."""
    return f"{control(application)}verify.json"


def operations(application: str) -> str:
    return f"{control(application)}operations/"


def operation(application: str, operation_id: str) -> str:
    return f"{operations(application)}{parse_id(operation_id, 'op')}.json"


def parts(application: str, operation_id: str, name: str) -> str:
    """The folder of an operation's `plan`, `ledger` or `result`, with the `/`."""
    return f"{operations(application)}{parse_id(operation_id, 'op')}/{part(name)}/"


def location(identifier: str) -> str:
    """Where it is written down to which application an operation or a version belongs."""
    return f"control/locations/{parse_id(identifier, 'op', 'ver')}.json"


def cluster(identifier: str) -> str:
    return f"{CLUSTERS}{parse_id(identifier, 'cl')}.json"


def cluster_credentials(identifier: str) -> str:
    return f"control/credentials/{parse_id(identifier, 'cl')}.json"


def request_key(identifier: str) -> str:
    return f"{REQUEST_KEYS}{parse_id(identifier, 'key')}.json"


def name(space: str, text: str) -> str:
    """The document of a unique name. A long name is represented by its hash."""
    plain = quote(text, safe="").replace("~", "%7E")
    if 0 < len(plain) <= _LONGEST_NAME:
        return f"control/names/{part(space)}/n={plain}.json"
    return f"control/names/{part(space)}/h={hashlib.sha256(text.encode()).hexdigest()}.json"


def wake_time(at: datetime) -> str:
    """A moment as the wake index sorts it: UTC with milliseconds, all of the same length."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z"


def numbered(key: str, prefix: str = "") -> int | None:
    """The number in `…/<prefix><n>.json`, or `None`."""
    stem = key.rpartition("/")[2].removesuffix(".json")
    digits = stem.removeprefix(prefix) if stem.startswith(prefix) else ""
    return int(digits) if digits.isascii() and digits.isdigit() else None
