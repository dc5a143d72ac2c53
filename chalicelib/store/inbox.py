"""Requests that others put into the control bucket, and the answers beside them.

`requests/<name>` is answered at `responses/<name>`, whatever it is: what is silently passed over, somebody waits for.
Requests are read and never written; nothing in them is believed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from chalicelib.domain.errors import Damaged, Malformed, StorageUnavailable
from chalicelib.domain.request import LARGEST
from chalicelib.store.backend import Backend, Changed, Exists, Listed

REQUESTS = "requests/"
RESPONSES = "responses/"

#: What a name may not have: control characters, empty parts and parts that mean another folder; nor more bytes than
#: its answer's key has room for, behind a repository's prefix.
_NAME = re.compile(r"(?!(?:.*/)?\.{0,2}(?:/|$))[^\x00-\x1f\x7f\\]+")
_LONGEST = 900

_TRIES = 8


class Inbox:
    """The requests of a repository."""

    def __init__(self, control: Backend) -> None:
        self._control = control

    @staticmethod
    def holds(key: str) -> bool:
        """Whether a key is one of an object that somebody put here. (A key that ends in `/` is how some tools make
        folders.)"""
        return key.startswith(REQUESTS) and not key.endswith("/")

    def waiting(self) -> Iterator[Listed]:
        """Objects that are newer than their answers, or have none."""
        requests = list(self._control.list(REQUESTS))
        if not requests:
            return  # as mostly: one request of the storage is enough to know it
        answered = {listed.key.removeprefix(RESPONSES): listed.modified for listed in self._control.list(RESPONSES)}
        for listed in requests:
            at = answered.get(listed.key.removeprefix(REQUESTS))
            if self.holds(listed.key) and (at is None or at < listed.modified):
                yield listed

    def read(self, key: str) -> bytes | None:
        """A request's bytes, or `None`. Of one that is larger than `LARGEST`, one byte more than that. `Malformed` if
        no answer can have its name."""
        name = key.removeprefix(REQUESTS)
        # A directory has less room for a name than a bucket, and refuses it by itself.
        if "//" in name or len(name.encode()) > _LONGEST or _NAME.fullmatch(name) is None:
            raise Malformed(f"No answer can be called as {key[:100]!a} is.")
        return self._control.beginning(key, LARGEST + 1)

    def answer(self, key: str, content: dict[str, Any]) -> None:
        """Write the answer to the request at `key`, in place of any before. The same answer is written once."""
        path = RESPONSES + key.removeprefix(REQUESTS)
        data = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        for _ in range(_TRIES):
            found = self._control.get(path)
            if found is not None and _same(found.data, content):
                return
            try:
                if found is None:
                    self._control.create(path, data)
                else:
                    self._control.replace(path, data, found.etag)
            except (Exists, Changed):
                continue
            return
        raise StorageUnavailable(f"`{path}` was changed by others each time it was to be written here.")

    def answered(self, key: str) -> dict[str, Any] | None:
        """The answer to the request at `key`, if there is one yet."""
        path = RESPONSES + key.removeprefix(REQUESTS)
        blob = self._control.get(path)
        if blob is None:
            return None
        try:
            return dict(orjson.loads(blob.data))
        except ValueError as error:
            raise Damaged(f"`{path}` cannot be read.", details={"key": path}) from error


def _same(data: bytes, content: dict[str, Any]) -> bool:
    try:
        known = orjson.loads(data)
    except ValueError:
        return False
    return bool(known == orjson.loads(orjson.dumps(content)))
