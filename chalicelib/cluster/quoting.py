"""Which of the API server's words may stand anywhere: those that cannot quote what is in an object.

What a server cannot accept it quotes: a password in a custom resource, a whole pod template. So its words are told
by their form, one form after the other, and what is not known here is kept back: then fields and reasons are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# What is said with these is of names, versions and limits.
_ABOUT_THE_OBJECT = frozenset({401, 404, 405, 406, 409, 410, 413, 415, 429})

# Admission that tells of numbers, names and rights.
_ADMISSION = re.compile(
    r"is forbidden: (?:"
    r"User .* cannot [a-z]+ resource"
    r"|user .* is attempting to grant RBAC permissions not currently held"
    r"|(?:exceeded|failed) quota: "
    r"|\[?(?:maximum|minimum) \S+ usage per "
    r"|violates PodSecurity \""
    r"|unable to create new content in namespace \S+ because it is being terminated"
    r"|error looking up service account "
    r"|no PriorityClass with name "
    r")"
)

# 5xx (and a webhook without dry run) that say nothing of the body. Server-side apply quotes what it cannot read, in
# a 500.
_PLUMBING = re.compile(r"etcdserver: |unable to handle the request|request did not complete|does not support dry run")
# A webhook that could not be asked. One that answered with an error is quoted, and may quote.
_NOT_ASKED = re.compile(
    r"dial tcp|connection re(?:fused|set)|deadline exceeded|Client\.Timeout|i/o timeout|no such host|"
    r"no endpoints available|service \"[^\"]*\" not found|x509: |tls: |EOF"
)
_ANSWERED = "an error on the server"

_WEBHOOK = re.compile(
    r"(?:admission|conversion) webhook .*? (?:denied the request|failed)|failed calling webhook \"[^\"]*\""
)
_POLICY = re.compile(r"ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied request")

#: What the server's reasons for a field mean.
_REASONS = {
    "FieldValueRequired": "is required",
    "FieldValueInvalid": "is not valid",
    "FieldValueNotSupported": "is none of the values it may have",
    "FieldValueForbidden": "may not be set or changed",
    "FieldValueDuplicate": "is there twice",
    "FieldValueTooLong": "is too long",
    "FieldValueTooMany": "has too many items",
    "FieldValueTypeInvalid": "is of the wrong type",
    "FieldValueNotFound": "names what is not there",
}
_LONGEST_FIELD = 200
_MOST_FIELDS = 8


def quotes_nothing(said: str, code: int = 403) -> bool:
    """Whether these words of the server cannot quote an object. `code` is the HTTP status they came with."""
    if denied_by(said):
        return bool(_NOT_ASKED.search(said)) and _ANSWERED not in said and "denied" not in said
    if code in _ABOUT_THE_OBJECT:
        return True
    return bool((_ADMISSION if code == 403 else _PLUMBING).search(said))


def denied_by(said: str) -> str:
    """The webhook or policy that said no, or failed to be asked, without its words; `""` if it was none."""
    found = _POLICY.search(said) or _WEBHOOK.search(said)
    return found[0] if found else ""


def wrong_fields(causes: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """`(field, what is wrong there)` of a Status' causes, in our own words."""
    found = []
    for cause in causes:
        field = str(cause.get("field") or "")[:_LONGEST_FIELD]
        if field:
            immutable = "field is immutable" in str(cause.get("message") or "")
            wrong = _REASONS.get(str(cause.get("reason") or ""), "is not accepted")
            found.append((field, "cannot be changed" if immutable else wrong))
    return tuple(found)


def in_words(fields: Iterable[tuple[str, str]]) -> str:
    """`spec.a is required; spec.b is not valid`, of the first few."""
    sentences = list(dict.fromkeys(f"{field} {wrong}" for field, wrong in fields))
    more = f" and {len(sentences) - _MOST_FIELDS} more" if len(sentences) > _MOST_FIELDS else ""
    return "; ".join(sentences[:_MOST_FIELDS]) + more
