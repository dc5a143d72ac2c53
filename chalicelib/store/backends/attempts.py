"""Which answers of an S3 server are worth another attempt, and for how long.

    500, 502, 503 (SlowDown), 504, 429, RequestTimeout      again
    409 ConditionalRequestConflict, OperationAborted        again: two writes met, none took place for us
    400 BadDigest                                           again: the bytes were altered on their way
    no connection, a time limit, a broken connection        again: the write may have taken place all the same
    404 NoSuchKey, 412, 416                                 an outcome, not an error
    507, quota                                              StorageFull
    501                                                     StorageUnfit
    anything else                                           StorageRefused

Attempts are bounded in number and in time. The time is counted by a clock that goes on while the machine is
suspended: a frozen process that thaws makes no further attempt.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from chalicelib.domain.errors import StorageError, StorageFull, StorageRefused, StorageUnavailable, StorageUnfit
from chalicelib.store.backend import Guard

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_MOST = 8
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_AGAIN_STATUS = {429, 500, 502, 503, 504}
_AGAIN_CODE = {
    "BadDigest",
    "ConditionalRequestConflict",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "Throttling",
    "InternalError",
    "ServiceUnavailable",
}
_FULL_CODE = {"QuotaExceeded", "StorageFull", "XMinioStorageFull", "InsufficientStorage", "InsufficientCapacity"}

#: Minutes between two clocks from which S3 may refuse a signature for that (its own limit is 15).
_CLOCKS_APART = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request came to: an answer, or one of the errors that mean something."""

    answer: Any = None
    error: ClientError | None = None
    again: Exception | None = None

    @property
    def missing(self) -> bool:
        """404, of the key (a missing bucket is refused earlier)."""
        return self.error is not None and _status(self.error) == 404

    @property
    def refused_precondition(self) -> bool:
        """412."""
        return self.error is not None and _status(self.error) == 412

    @property
    def beyond_the_end(self) -> bool:
        """416: of an empty object there is no range."""
        return self.error is not None and _status(self.error) == 416

    @property
    def means_something(self) -> bool:
        """Whether whoever asked knows what to make of it."""
        return self.missing or self.refused_precondition or self.beyond_the_end

    def needed(self, where: str) -> Any:
        """The answer of a request that must have one."""
        if self.error is not None:
            raise _refusal(self.error, where, where) from self.error
        return self.answer


def outcome_of(request: Callable[[], Any]) -> Outcome:
    """Run one request and sort what came of it; errors of configuration are raised at once."""
    from botocore import exceptions

    try:
        return Outcome(answer=request())
    except exceptions.ClientError as error:
        again = _status(error) in _AGAIN_STATUS or _code(error) in _AGAIN_CODE
        return Outcome(again=error) if again else Outcome(error=error)
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
    ) as e:
        raise StorageRefused(f"There are no usable credentials for the storage: {e}.") from e
    except (exceptions.ParamValidationError, exceptions.InvalidRegionError) as error:
        raise StorageRefused(f"The storage's settings are wrong: {error}.") from error
    except exceptions.BotoCoreError as error:
        # Timeouts, refused and dropped connections, bodies that end too early, answers that are no XML.
        return Outcome(again=error)


@dataclass(frozen=True, slots=True)
class Attempts:
    """A bounded series: at most `total` seconds, of which the last attempt may need `longest`."""

    total: float
    longest: float

    def make(self, attempt: Callable[[], Outcome], key: str, where: str, guard: Guard | None = None) -> Outcome:
        """The first outcome that is final. `guard` is asked before each attempt. `StorageUnavailable` at the end."""
        begun = _now()
        pause = _FIRST_PAUSE
        last: Exception | None = None
        for number in range(1, _MOST + 1):
            if guard is not None:
                guard()
            outcome = attempt()
            if outcome.error is not None and not outcome.means_something:
                raise _refusal(outcome.error, key, where) from outcome.error
            if outcome.error is not None and _code(outcome.error) == "NoSuchBucket":
                raise _refusal(outcome.error, key, where) from outcome.error
            if outcome.again is None:
                return outcome
            last = outcome.again
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311  # jitter
            if number == _MOST or _now() - begun + wait + self.longest > self.total:
                break
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise StorageUnavailable(
            f"The storage {where} gave no usable answer for `{key}` within {number} attempts and "
            f"{_now() - begun:.1f} s; the last said: {_said(last)}.",
            details={"key": key, "attempts": number},
        ) from last


def _refusal(error: ClientError, key: str, where: str) -> StorageError:
    status, code = _status(error), _code(error)
    details = {"key": key, "httpStatus": status, "reason": code}
    if status == 507 or code in _FULL_CODE:
        return StorageFull(f"The storage {where} is full or its quota used up ({code}).", details=details)
    if status == 501:
        return StorageUnfit(
            f"The storage {where} does not know a request that Mainstay rests on ({code}, at `{key}`).",
            details=details,
        )
    if code == "NoSuchBucket":
        return StorageRefused(f"There is no bucket for {where}.", details=details)
    return StorageRefused(f"The storage {where} refused `{key}`: {_said(error)}.{_clocks(error)}", details=details)


def _clocks(error: ClientError) -> str:
    """A sentence where a refusal may be the clock's fault: signatures hold the time, and are valid for minutes."""
    date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if _status(error) != 403 or date is None:
        return ""
    try:
        minutes = (time.time() - parsedate_to_datetime(date).timestamp()) / 60
    except ValueError:
        return ""
    if abs(minutes) < _CLOCKS_APART:
        return ""
    side = "ahead of" if minutes > 0 else "behind"
    return (
        f" The clock of this machine is {abs(minutes):.0f} minutes {side} the storage's, which refuses signatures of "
        "such a time: set the clock right."
    )


def _said(error: Exception | None) -> str:
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return f"{_status(error)} {_code(error)} {error.response.get('Error', {}).get('Message', '')}".strip().rstrip(
            "."
        )
    return f"{type(error).__name__}: {error}".rstrip(".")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _now() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
