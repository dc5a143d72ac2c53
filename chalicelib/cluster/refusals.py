"""What the API server said no to, as an error of the domain: object, request and the server's own words.

Two things are kept out of those words: the contents of Secrets (a server quotes what it cannot accept), and walls
of text (an immutable pod template is quoted whole). What they can quote of other objects is for whoever may read the
object: each error has a second form without it, `ClusterRefused.public`.
"""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from chalicelib.cluster.quoting import denied_by, in_words, quotes_nothing, wrong_fields
from chalicelib.cluster.transport import Response
from chalicelib.domain.errors import ClusterError, ClusterRefused, Told

#: Characters of the server's message that are kept.
LONGEST = 1500

_PATH = re.compile(
    r"/(?:api/(?P<core>[^/]+)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>.+))?"
)

_RBAC = re.compile(r"is forbidden: User .* cannot [a-z]+ resource")
# 5xx that come before anything is stored.
_BEFORE = re.compile(
    r"failed calling webhook|conversion webhook for .* failed|failed to create typed patch object|"
    r"failed to convert new object"
)


def refused(response: Response, verb: str, path: str) -> ClusterRefused:
    """The error for an answer of 300 and above.

    `details["outcome"]` is `refused` (nothing was changed) or `unknown` (a 5xx that can come after the deed).
    """
    status = _status(response)
    reason = str(status.get("reason") or _PLAIN.get(response.status, "Unknown"))
    details = status.get("details") or {}
    answer = _Answer(
        code=response.status,
        said=str(status.get("message") or ""),
        causes=[cause for cause in details.get("causes") or [] if isinstance(cause, dict)],
        reads=verb == "GET",
    )
    beginning = f"{verb} {subject(path)}: the API server answered {response.status} {reason}"
    message, causes = answer.about_a_secret() if is_secret(path) else answer.in_full()
    error = ClusterRefused(
        f"{beginning}{message}",
        http_status=response.status,
        reason=reason,
        request=f"{verb} {path}",
        causes=causes,
        retry_after=retry_after(response, details),
        told=None if answer.harmless or is_secret(path) else answer.told(beginning),
    )
    unknown = response.status >= 500 and not _BEFORE.search(str(status.get("message") or ""))
    error.details["outcome"] = "unknown" if unknown else "refused"
    if response.status == 410:
        # Where a list whose moment is forgotten may go on (see `listing`).
        error.details["continue"] = str((status.get("metadata") or {}).get("continue") or "")
    return error


def unauthorised(response: Response) -> bool:
    """Whether roles (and not admission) refuse it: what a starting server does before it knows its roles."""
    return response.status == 403 and _RBAC.search(str(_status(response).get("message") or "")) is not None


def webhook_failed(response: Response) -> bool:
    """Whether a webhook could not be asked: it is away, or took all its time."""
    return response.status >= 500 and "failed calling webhook" in str(_status(response).get("message") or "")


def outcome_unknown(error: ClusterError) -> bool:
    """Whether the write that failed with this may have been done all the same: settle it by reading."""
    return error.details.get("outcome") == "unknown"


def subject(path: str) -> str:
    """What a path names, for people: `deployments.apps shop/web`, `secrets in shop`, or the path itself."""
    match = _PATH.fullmatch(path)
    if match is None:
        return path
    kind = f"{match['plural']}.{match['group']}" if match["group"] else match["plural"]
    if match["sub"]:
        kind = f"{kind} ({match['sub']})"
    namespace, name = match["namespace"], match["name"]
    if name:
        return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
    return f"{kind} in {namespace}" if namespace else kind


def is_secret(path: str) -> bool:
    """Whether a path names Secrets, whose contents no error may show."""
    match = _PATH.fullmatch(path)
    return match is not None and not match["group"] and match["plural"] == "secrets"


def retry_after(response: Response, details: dict[str, Any] | None = None) -> float | None:
    """Seconds the server asks to wait, from the header (seconds or a date) or the Status."""
    text = response.headers.get("retry-after", "")
    if text:
        try:
            return max(float(text), 0.0)
        except ValueError:
            pass
        try:
            at = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        return max((at - datetime.now(UTC)).total_seconds(), 0.0) if at.tzinfo else None
    seconds = (details or {}).get("retryAfterSeconds")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None


_PLAIN = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 429: "TooManyRequests"}


def _status(response: Response) -> dict[str, Any]:
    try:
        body = orjson.loads(response.data)
    except ValueError:
        body = None
    if isinstance(body, dict) and body.get("kind") == "Status":
        return body
    # Not the API server's way to answer: a proxy before it, or a page.
    return {"message": response.data[:300].decode("utf-8", "replace").strip()}


@dataclass(frozen=True, slots=True)
class _Answer:
    """A Status: code, message and causes. `reads`: nothing was sent that could be quoted."""

    code: int
    said: str
    causes: list[dict[str, Any]]
    reads: bool

    @property
    def harmless(self) -> bool:
        return quotes_nothing(self.said, self.code) or (self.reads and not denied_by(self.said))

    def in_full(self) -> tuple[str, list[tuple[str, str]]]:
        """`": message"` or `"."`, and the causes."""
        hint = _HINTS.get(self.code, "")
        texts = [(field, _short(text)) for field, text in self._texts()]
        return (f": {_short(self.said)}{hint}" if self.said else f".{hint}"), texts

    def about_a_secret(self) -> tuple[str, list[tuple[str, str]]]:
        """The same without anything that can quote it, reading or writing."""
        if quotes_nothing(self.said, self.code):
            return self.in_full()
        kinds = {str(cause.get("reason") or "") for cause in self.causes}
        fields = ", ".join(sorted({field for field, _ in self._texts() if field}))
        about = f": {'/'.join(sorted(kinds - {''}))} at {fields}" if fields else ""
        return (
            f"{about} (its own words are left out: they can quote what is in a Secret).",
            [(field, "left out: a Secret's content") for field, _ in self._texts()],
        )

    def told(self, beginning: str) -> Told:
        """What may be told anywhere. The causes of webhooks and policies are theirs, and can hold anything."""
        denied = denied_by(self.said)
        fields = () if denied else wrong_fields(self.causes)
        about = denied or in_words(fields)
        return Told(f"{beginning}: {about}." if about else f"{beginning}.", fields)

    def _texts(self) -> list[tuple[str, str]]:
        return [
            (str(cause.get("field") or ""), str(cause.get("message") or cause.get("reason") or ""))
            for cause in self.causes
        ]


_HINTS = {401: " The credentials are not accepted: they may have ended, or belong to another cluster."}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST * 2 // 3]} … {text[-LONGEST // 3 :]}"
