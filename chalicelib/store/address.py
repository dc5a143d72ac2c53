"""From an address as people write it to a backend."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from chalicelib.domain.errors import Malformed
from chalicelib.store.backend import Backend
from chalicelib.store.backends.directory import DirectoryBackend

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/+=@-]*")


#: The least margin (seconds) a lease must have over a bucket: below it, a request that is only slow would fail.
LEAST_MARGIN_ON_S3 = 3.75


def backend_at(address: str, *, margin: float | None = None) -> Backend:
    """The backend of `s3://bucket/prefix` or `file:///path`; `Malformed` says what is wrong with the address.

    `margin` is how many seconds before a lease's end its holder stops: every attempt of a request is to be shorter.
    Where an S3 server is and who asks comes from the environment, as boto3 reads it.
    """
    scheme = address.partition("://")[0]
    if scheme == "s3":
        bucket, prefix = _parse_s3(address)
        from chalicelib.store.backends.s3 import S3Backend, S3Limits

        return S3Backend(bucket, prefix, limits=None if margin is None else S3Limits.within(margin))
    if scheme == "file":
        return DirectoryBackend(_parse_file(address))
    raise Malformed(f"{address!r} is no address of a repository: write `s3://bucket/prefix` or `file:///path`.")


def _parse_s3(address: str) -> tuple[str, str]:
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if _BUCKET.fullmatch(bucket) is None:
        raise Malformed(f"{bucket!r} in {address!r} is not the name of a bucket (3 to 63 of a–z, 0–9, `.`, `-`).")
    if _PREFIX.fullmatch(prefix) is None or any(part in {"", ".", ".."} for part in prefix.split("/") if prefix):
        raise Malformed(f"The prefix {prefix!r} in {address!r} has characters or parts that a key should not have.")
    return bucket, prefix


def _parse_file(address: str) -> Path:
    split = urlsplit(address)
    path = Path(unquote(split.path))
    if split.netloc not in {"", "localhost"}:
        raise Malformed(f"{address!r} names the host {split.netloc!r}: a directory is written with three slashes.")
    if split.query or split.fragment:
        raise Malformed(f"{address!r}: write `?` as %3F and `#` as %23.")
    if not path.is_absolute() or path == Path("/") or ".." in path.parts:
        raise Malformed(f"{address!r} must name an absolute path below `/`, without `..`.")
    return path
