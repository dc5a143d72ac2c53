"""Every error a user can meet.

    MainstayError
    ├── RequestError                what was asked cannot be done as asked; asking again does not help
    │   ├── Malformed               not readable at all                                              400
    │   ├── Unauthenticated         no, or an ended, session or token                                401
    │   ├── Forbidden               known, but not allowed                                           403
    │   ├── NotFound                no such thing, or none that the asker may see                    404
    │   ├── Conflict                against the present state (held version, name taken, stale plan) 409
    │   └── Invalid                 readable but wrong; carries one Problem for each place           422
    ├── StorageError                the repository's storage                                         503
    │   ├── StorageUnavailable      did not answer, or answered 5xx, until the retries ran out       503
    │   ├── StorageRefused          credentials, permissions, no such bucket                         503
    │   ├── StorageFull             no space or quota left                                           507
    │   ├── StorageUnfit            does not honour conditional writes                               503
    │   ├── Damaged                 stored bytes are missing, cut or altered                         500
    │   │   └── SegmentsGone        a version is not sealed: a sweep took what it counted on         500
    │   └── WrongKey                the passphrase, recovery key or KMS key does not open this       503
    ├── QueueUnavailable            the work queue; nothing is lost with it                          503
    ├── ClusterError                the API server of an application's cluster
    │   ├── ClusterUnreachable      did not answer until the retries ran out                         503
    │   ├── ClusterRefused          answered with an error: carries status, reason and message       502
    │   └── ClusterNotConfigured    none registered, or its credentials cannot be used               404
    └── Interrupted                 an operation stops here, in an orderly way
        ├── LeaseLost               another worker owns the lane now, or this one's lease ran out
        ├── DeadlineExceeded        a bounded wait ended; the reason says which
        ├── Cancelled               a user cancelled the operation
        └── Yielded                 a restore goes first, or the service stops: queued again
            └── TurnEnded           the worker's time is over: queued again, and counted

Each carries a stable `code` (for programs), a sentence a user can act on, `details` for machines, and its
cause by `raise … from`. The HTTP status is part of the class, because the classes are chosen by what the
asker can do about it. No error ever carries what is in a Secret. A server's own words can quote other objects: what
goes where it is not encrypted (an operation's document, a log) or to whoever asks goes as `error.public()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in something a user wrote, and where.

    `path` is a dotted path such as `spec.backup.keep.last`; `line` and `column` count from 1 and are given
    where the text itself was read; `hint` says how to mend it ("did you mean `namespaces`?").
    """

    path: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The problem as the API shows it: only the members that say something."""
        members = {
            "path": self.path,
            "message": self.message,
            "line": self.line,
            "column": self.column,
            "hint": self.hint,
        }
        return {name: value for name, value in members.items() if value is not None}

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}: " if self.line is not None else ""
        what = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{what}{self.message}{hint}"


class MainstayError(Exception):
    """The root of the tree drawn above. `code` is stable; `message` is a sentence for people."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})

    def public(self, words_in: str = "") -> Self:  # noqa: ARG002  # for those that have something to keep back
        """This error as it may stand where nothing is encrypted: code, object, request and fields, but no words that
        can quote what is in an object. `words_in` says where those are kept, such as `mainstay result op-…`."""
        return self

    def as_json(self) -> dict[str, Any]:
        """`{code, message, details}`: what the API, a result and an operation's document show."""
        return {"code": self.code, "message": self.message, "details": self.details}


class RequestError(MainstayError):
    """What was asked cannot be done as asked."""

    code = "bad-request"
    status = 400


class Malformed(RequestError):
    """The request cannot be read at all."""

    code = "malformed"


class Unauthenticated(RequestError):
    """No session or token, or one that has ended."""

    code = "unauthenticated"
    status = 401


class Forbidden(RequestError):
    """The asker is known but not allowed."""

    code = "forbidden"
    status = 403


class NotFound(RequestError):
    """No such thing, or none that the asker may see."""

    code = "not-found"
    status = 404


class Conflict(RequestError):
    """Against the present state: a name that is taken, a held version, a stale plan."""

    code = "conflict"
    status = 409


class Invalid(RequestError):
    """Understood but wrong. `problems` has one entry for each place, in the order of the text."""

    code = "invalid"
    status = 422

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, details={"problems": [problem.as_json() for problem in problems]})
        self.problems = tuple(problems)


class StorageError(MainstayError):
    """The repository's storage failed. `details["key"]` names the key where one is concerned."""

    code = "storage"
    status = 503


class StorageUnavailable(StorageError):
    """No usable answer within the retries."""

    code = "storage-unavailable"


class StorageRefused(StorageError):
    """The storage refused: credentials, permissions or a missing bucket."""

    code = "storage-refused"


class StorageFull(StorageError):
    """No space or quota left."""

    code = "storage-full"
    status = 507


class StorageUnfit(StorageError):
    """The storage does not keep a promise the repository rests on, such as conditional writes."""

    code = "storage-unfit"


class Damaged(StorageError):
    """Stored bytes are missing, cut or altered. Nothing was done with them."""

    code = "damaged"
    status = 500


class SegmentsGone(Damaged):
    """A version is not sealed: a segment that it counts on is missing, or a sweep has condemned it. What it was made
    of has to be stored again."""

    code = "segments-gone"


class WrongKey(StorageError):
    """The passphrase, recovery key or KMS key at hand does not open this repository."""

    code = "wrong-key"


class QueueUnavailable(MainstayError):
    """The work queue takes or gives no messages. Nothing is lost with it: the wake index has the work too."""

    code = "queue-unavailable"
    status = 503


class ClusterError(MainstayError):
    """The API server of a cluster failed or refused."""

    code = "cluster"
    status = 502


class ClusterUnreachable(ClusterError):
    """The API server gave no usable answer within the retries."""

    code = "cluster-unreachable"
    status = 503


class ClusterNotConfigured(ClusterError):
    """No cluster is registered under this name, or its credentials cannot be used."""

    code = "cluster-not-configured"
    status = 404


class ClusterRefused(ClusterError):
    """The API server answered with an error.

    `http_status` and `reason` are the server's own (`reason` such as `Conflict`, `Invalid`, `Forbidden`);
    `request` is `VERB path`; `causes` are the server's field causes as `(field, message)`. `told` is what may be told
    of it anywhere, where message and causes can quote the object.
    """

    code = "cluster-refused"

    def __init__(
        self,
        message: str,
        *,
        http_status: int,
        reason: str,
        request: str,
        causes: Sequence[tuple[str, str]] = (),
        retry_after: float | None = None,
        told: Told | None = None,
    ) -> None:
        super().__init__(
            message,
            details={
                "httpStatus": http_status,
                "reason": reason,
                "request": request,
                "causes": _causes(causes),
            },
        )
        self.http_status = http_status
        self.reason = reason
        self.request = request
        self.causes = tuple(causes)
        self.retry_after = retry_after
        self.told = told

    def public(self, words_in: str = "") -> Self:
        """The same refusal with what may be told of it: see `MainstayError.public`. The cause is not taken along."""
        if self.told is None:
            return self
        where = f" The server's own words can quote the object; they are in {words_in}." if words_in else ""
        message = f"{self.told.message}{where}"
        twin = type(self).__new__(type(self), message)
        twin.__dict__.update(self.__dict__)
        twin.message, twin.causes, twin.told = message, self.told.causes, None
        twin.details = {**self.details, "causes": _causes(self.told.causes)}
        return twin


@dataclass(frozen=True, slots=True)
class Told:
    """What may be told of a refusal anywhere: a sentence, and `(field, what is wrong there)`. No content."""

    message: str
    causes: tuple[tuple[str, str], ...] = ()


def _causes(causes: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"field": field, "message": text} for field, text in causes]


class Interrupted(MainstayError):
    """An operation stops here in an orderly way; its document says what becomes of it."""

    code = "interrupted"


class LeaseLost(Interrupted):
    """This worker may no longer write: the lane has another holder, or its own lease ran out."""

    code = "lease-lost"


class DeadlineExceeded(Interrupted):
    """A bounded wait or the operation's own deadline ended. The message says which, and what it waited for."""

    code = "deadline-exceeded"


class Cancelled(Interrupted):
    """A user cancelled the operation."""

    code = "cancelled"


class Yielded(Interrupted):
    """The operation goes back into the line with its checkpoint: a restore goes first, or its worker stops."""

    code = "yielded"


class TurnEnded(Yielded):
    """The time that this worker has is over. `details["waitsFor"]` says what it was waiting for, if it was."""
