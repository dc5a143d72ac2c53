"""Writes that get no answer in time, mostly for a webhook that hangs: why, and what is not sent meanwhile.

A write may take as long as the lease's margin allows, and the server gives it up then without a word. A webhook may
hang for longer (10 s unless its configuration says otherwise, 30 s at most) before the server names it. So what got
no answer is asked once more as a dry run, which writes nothing, needs no lease, and may take that long:

    write     |—— no answer ——|
    dry run                   |———— webhook ————| failed calling webhook "guard.example.com"

What was found out with one object goes for all of its kind: they are not sent until one of them is answered. Or each
of many would take its time, and the server would be kept busy with them.

A dry run that is answered too late tells less: the server may be slow for all that it was sent at once. Such a write
is tried again with nothing beside it before it counts as one that hangs.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from chalicelib.domain.errors import ClusterRefused, Told
from chalicelib.domain.objects import ObjectKey, Resource
from chalicelib.domain.plan import LedgerEntry

#: How long a dry run may take: longer than the longest webhook, seconds.
ASK_SECONDS = 35.0
#: How long a write may take once some other one got no answer: time for most, and not to be had for all, seconds.
BRIEF_SECONDS = 3.0
#: A refusal that took longer is as bad as none, seconds. A webhook without a server behind it fails at once.
SLOW_SECONDS = 2.0

_NOT_CALLED = "failed calling webhook"
_NO_DRY_RUN = "does not support dry run"
_MARK = "unanswered"
_SLOW = "slow"


class Manner(enum.Enum):
    """How an action deals with silence."""

    #: What belongs to a kind that gets no answer is not sent.
    USUAL = enum.auto()
    #: It is asked by dry run whether there is an answer by now, and only then sent.
    ASKING = enum.auto()
    #: The same, while nothing else is under way: what is too slow now is so by itself.
    ALONE = enum.auto()
    #: It is sent, for a short time, and not asked about: a webhook may be meant for others of its kind only.
    BRIEF = enum.auto()

    @property
    def asks(self) -> bool:
        """Whether it is this action's to find out if there are answers again."""
        return self in {Manner.ASKING, Manner.ALONE}


class Write(NamedTuple):
    """One write: what admission calls it, of which object, and the object's `resourceVersion` when it was looked at
    before (`None`: it was not there, or that is not known)."""

    verb: str
    resource: Resource
    key: ObjectKey
    version: str | None

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What the rules of a webhook tell apart, as far as it can be known: verb, kind and namespace."""
        return self.verb, self.resource.group, self.resource.plural, self.key.namespace


class Silence:
    """Which writes get no answer, with the reason. Safe with threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str, str], ClusterRefused] = {}
        self._asking: dict[tuple[str, str, str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def begins(self, write: Write, why: ClusterRefused) -> None:
        """A write got no answer."""
        with self._lock:
            known = self._known.get(write.place)
            if known is None or slow(known):
                self._known[write.place] = why

    @contextmanager
    def finding_out(self, write: Write) -> Iterator[None]:
        """A context for who finds out why: one at a time for all that the reason goes for."""
        with self._lock:
            asking = self._asking.setdefault(write.place, threading.Lock())
        with asking:
            yield

    def ends(self, write: Write) -> None:
        """There are answers again."""
        with self._lock:
            self._known.pop(write.place, None)

    def of(self, write: Write, *, sent: bool = False) -> ClusterRefused | None:
        """Why a write is not to be sent, or, if it was `sent`, why it got no answer; `None` if nothing is known."""
        with self._lock:
            why = self._known.get(write.place)
        if sent:
            said = f"{write.verb} got no answer in time, like another one of its kind. "
        else:
            said = "It was not sent, as another one of its kind got no answer in time. "
        return why and _because(why, said)

    def brief(self, write: Write, *, though_slow: bool) -> ClusterRefused | None:
        """Where others get no answer (`though_slow`: or got it too late): what to say of a write that gets none in
        `BRIEF_SECONDS` either."""
        with self._lock:
            why = next((known for known in self._known.values() if though_slow or not slow(known)), None)
        said = f"{write.verb} got no answer within {BRIEF_SECONDS:g} s. Others got none before. "
        return why and _because(why, said)


def unanswered(failed: LedgerEntry | ClusterRefused) -> bool:
    """Whether it failed for want of an answer, mostly a webhook's: it may have one later."""
    error: dict[str, Any] = failed.as_json() if isinstance(failed, ClusterRefused) else failed.error or {}
    return _NOT_CALLED in failed.message or bool((error.get("details") or {}).get(_MARK))


def slow(failed: LedgerEntry | ClusterRefused) -> bool:
    """Whether it was answered, but too late, while the server had more to do."""
    error: dict[str, Any] = failed.as_json() if isinstance(failed, ClusterRefused) else failed.error or {}
    return bool((error.get("details") or {}).get(_SLOW))


def understand(answer: ClusterRefused, write_seconds: float) -> ClusterRefused | None:
    """What the answer to the dry run means for a write that got none; `None` if the next try will tell."""
    if unanswered(answer):
        return answer
    if _NO_DRY_RUN in answer.message:
        return _because(answer, f"It got no answer within {write_seconds:g} s. Why cannot be asked by dry run: ")
    if answer.http_status >= 500 or answer.http_status in {401, 404, 409, 410, 429}:
        return None  # it may be done by now, or the object be another one
    return answer


def too_slow(write: Write, write_seconds: float, asked_seconds: float, *, alone: bool) -> ClusterRefused:
    """For a dry run that was answered, later than a write may be: `alone`, or beside others."""
    error = _made(
        write,
        f"{write.verb} got no answer within {write_seconds:g} s, which a write may take; a dry run of it took "
        f"{asked_seconds:.0f} s. A webhook, or the server itself, is that slow: see to it, or let writes take longer "
        "with a longer lease (`MAINSTAY_LEASE_SECONDS`).",
    )
    if not alone:
        error.details[_SLOW] = True
    return error


def mute(write: Write) -> ClusterRefused:
    """For a dry run without an answer, while the server answers reads."""
    return _made(
        write,
        f"The dry run of {write.verb} got no answer within {ASK_SECONDS:g} s, while reads are answered. Webhooks "
        "that hang one after the other can be the cause.",
    )


def _made(write: Write, message: str) -> ClusterRefused:
    key = write.key
    path = write.resource.object_path(key.namespace, key.name)
    error = ClusterRefused(message, http_status=504, reason="Timeout", request=f"{write.verb} {path}")
    error.details[_MARK] = True
    return error


def _because(why: ClusterRefused, beginning: str) -> ClusterRefused:
    error = ClusterRefused(
        f"{beginning}{why.message}",
        http_status=why.http_status,
        reason=why.reason,
        request=why.request,
        causes=why.causes,
        told=Told(f"{beginning}{why.told.message}", why.told.causes) if why.told else None,
    )
    error.details[_MARK] = True
    if slow(why):
        error.details[_SLOW] = True
    return error
