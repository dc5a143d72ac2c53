"""An S3-compatible bucket as storage: `s3://bucket/prefix`.

boto3 does the requests, without its own retries: which request may be repeated, how often and until when is
decided in `attempts`, because a call must be over before a lease's margin is, and because every repetition of a
write has to pass the holder's guard again.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from chalicelib.domain.errors import StorageUnfit
from chalicelib.store.backend import Blob, Changed, Exists, Guard, Listed, Written
from chalicelib.store.backends.attempts import Attempts, Outcome, outcome_of
from chalicelib.store.fitness import check_conditional_writes

_PAGE = 1000
#: Of a lease's margin, what one attempt may take.
_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class S3Limits:
    """Times in seconds. One call takes at most `total`, and no attempt begins that could end later."""

    connect: float = 2.0
    read: float = 6.0
    total: float = 18.0
    connections: int = 40

    @classmethod
    def within(cls, margin: float) -> S3Limits:
        """Shorter ones where a lease's margin (seconds) is shorter than usual: an attempt that began before the
        holder's deadline is over when four fifths of the margin are."""
        usual = cls()
        share = min(1.0, margin * _SHARE / (usual.connect + usual.read))
        return cls(usual.connect * share, usual.read * share, usual.total * share)


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where the server is and who asks. What is left out comes from the environment, as boto3 reads it."""

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None

    def __repr__(self) -> str:
        return f"S3Access(endpoint={self.endpoint!r}, region={self.region!r})"


class S3Backend:
    """`Backend` in a bucket, below an optional prefix."""

    def __init__(
        self, bucket: str, prefix: str = "", *, access: S3Access | None = None, limits: S3Limits | None = None
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._limits = limits or S3Limits()
        self._client = _client(access or S3Access(), self._limits)
        self._attempts = Attempts(self._limits.total, self._limits.connect + self._limits.read)
        self._guard: Guard | None = None

    @property
    def patience(self) -> float:
        return self._limits.total

    def describe(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def guarded(self, guard: Guard) -> S3Backend:
        view = copy.copy(self)
        view._guard = guard
        return view

    def check(self) -> None:
        check_conditional_writes(self)

    def get(self, key: str) -> Blob | None:
        def request() -> Blob:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            # Reading the body is part of the attempt: a connection can break in the middle of it.
            return Blob(answer["Body"].read(), answer["ETag"], _date(answer))

        outcome = self._attempt(request, key)
        return None if outcome.missing else outcome.answer

    def beginning(self, key: str, most: int) -> bytes | None:
        def request() -> bytes:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, Range=f"bytes=0-{most - 1}")
            with contextlib.closing(answer["Body"]) as body:
                return bytes(body.read(most))  # a server that knows no ranges sends everything

        outcome = self._attempt(request, key)
        if outcome.beyond_the_end:
            return b""
        return None if outcome.missing else outcome.answer

    def create(self, key: str, data: bytes) -> Written:
        outcome = self._write(key, data, {"IfNoneMatch": "*"})
        if outcome.refused_precondition:
            raise Exists(key)
        written: Written = outcome.answer
        return written

    def replace(self, key: str, data: bytes, etag: str) -> Written:
        outcome = self._write(key, data, {"IfMatch": etag})
        if outcome.refused_precondition or outcome.missing:
            raise Changed(key)
        written: Written = outcome.answer
        return written

    def delete(self, key: str) -> None:
        self._attempt(
            lambda: self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key), key, self._guard
        )

    def list(self, prefix: str, *, after: str = "", limit: int | None = None, deep: bool = True) -> Iterator[Listed]:
        left = limit
        for page in self._pages(prefix, after, limit, "" if deep else "/"):
            for entry in page.get("Contents", ()):
                if left == 0:
                    return
                if left is not None:
                    left -= 1
                yield Listed(
                    entry["Key"].removeprefix(self._prefix), entry["Size"], entry["LastModified"].astimezone(UTC)
                )

    def folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix, "", None, "/"):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"].removeprefix(self._prefix + prefix).removesuffix("/")

    def now(self) -> datetime:
        # The cheapest request that needs no right beyond reading; whether the key is there does not matter.
        key = "vault/repository.json"

        def request() -> datetime:
            return _date(self._client.head_object(Bucket=self._bucket, Key=self._prefix + key))

        outcome = self._attempt(request, key)
        return _date(outcome.error.response) if outcome.error is not None else outcome.answer

    def _pages(self, prefix: str, after: str, limit: int | None, delimiter: str) -> Iterator[dict[str, Any]]:
        arguments: dict[str, Any] = {
            "Bucket": self._bucket,
            "Prefix": self._prefix + prefix,
            "MaxKeys": min(limit or _PAGE, _PAGE),
        }
        if delimiter:
            arguments["Delimiter"] = delimiter
        if after:
            arguments["StartAfter"] = self._prefix + after
        while True:
            page = self._attempt(lambda: self._client.list_objects_v2(**arguments), prefix).needed(self.describe())
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def _write(self, key: str, data: bytes, condition: dict[str, str]) -> Outcome:
        # Checked by the server, whichever it is; buckets with Object Lock demand it.
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()

        def request() -> Written:
            answer = self._client.put_object(
                Bucket=self._bucket, Key=self._prefix + key, Body=data, ContentMD5=digest, **condition
            )
            return Written(answer["ETag"], _date(answer))

        return self._attempt(request, key, self._guard)

    def _attempt(self, request: Callable[[], Any], key: str, guard: Guard | None = None) -> Outcome:
        return self._attempts.make(lambda: outcome_of(request), key, self.describe(), guard)


def _date(answer: dict[str, Any]) -> datetime:
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError) as error:
        raise StorageUnfit(
            "The S3 server's answers carry no `Date`. Mainstay measures the age of leases by the storage's own clock "
            "and cannot do without it.",
        ) from error


def _client(access: S3Access, limits: S3Limits) -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.session.Session()
    config = Config(
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        max_pool_connections=limits.connections,
        retries={"total_max_attempts": 1, "mode": "standard"},
        # Other servers than AWS's do not all know the newer checksums; the content is authenticated anyway.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        tcp_keepalive=True,
    )
    return session.client(
        "s3",
        endpoint_url=access.endpoint,
        region_name=access.region or session.region_name or "us-east-1",
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        config=config,
    )
