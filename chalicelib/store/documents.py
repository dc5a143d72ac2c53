"""Documents: small JSON records that are changed by compare and swap only.

On the storage each is `{"document": {…}, "writer": {"born": t, "recent": [t, …]}}`, where every t is a random token
that one attempt of one write carried. They make the bytes of every write different, so that an old ETag can never
match again, and they settle **lost answers**: a write whose answer was lost looks refused when it is repeated, but
its token is among the recent ones, even if others have written on top. `born` stays for the document's life, so
whoever created it can always tell. Only after that is the caller's `applied` asked whether the *effect* is there.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import orjson
from pydantic import ValidationError

from chalicelib.domain.errors import Damaged, NotFound, StorageUnavailable
from chalicelib.domain.version import Stored
from chalicelib.store.backend import Backend, Changed, Exists, Guard

_log = logging.getLogger(__name__)

M = TypeVar("M", bound=Stored)

_TRIES = 24
_RECENT = 16
_LONGEST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Versioned(Generic[M]):
    """A document as it was read. `at` is the storage's own clock when it answered."""

    model: M
    etag: str
    at: datetime
    born: str
    recent: tuple[str, ...]

    def written_by(self, tokens: set[str]) -> bool:
        """Whether one of these writes is among the last ones that took place."""
        return not tokens.isdisjoint((self.born, *self.recent))


class Documents:
    """The documents of a backend. Safe to share between threads."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def guarded(self, guard: Guard) -> Documents:
        """The same documents, where `guard` is asked before every attempt of every write."""
        return Documents(self._backend.guarded(guard))

    def read(self, key: str, model: type[M]) -> Versioned[M] | None:
        """The document under `key`, or `None`. `Damaged` if it cannot be read."""
        blob = self._backend.get(key)
        if blob is None:
            return None
        try:
            envelope = orjson.loads(blob.data)
            writer = envelope["writer"]
            return Versioned(
                model=model.model_validate(envelope["document"]),
                etag=blob.etag,
                at=blob.at,
                born=str(writer["born"]),
                recent=tuple(map(str, writer["recent"])),
            )
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise Damaged(f"The document `{key}` cannot be read.", details={"key": key}) from error

    def each(self, keys: Iterable[str], model: type[M]) -> Iterator[M]:
        """The documents under these keys; one that is gone, or damaged, takes none of the others along."""
        for key in keys:
            try:
                found = self.read(key, model)
            except Damaged as error:
                _log.warning("passed over: %s", error.message)
                continue
            if found is not None:
                yield found.model

    def create(self, key: str, document: M) -> M:
        """Write a document that is not there yet, else `Exists`.

        Raises nothing if the one that is there is this very one: its answer was lost. (It may have been changed
        since; what is returned is what is there.)
        """
        token = _token()
        try:
            self._backend.create(key, _envelope(document, token, (token,)))
        except Exists:
            found = self.read(key, type(document))
            if found is None or found.born != token:
                raise
            return found.model
        return document

    def update(
        self,
        key: str,
        model: type[M],
        change: Callable[[M], M | None],
        *,
        applied: Callable[[M], bool] | None = None,
        default: M | None = None,
    ) -> M:
        """Change a document: read, `change`, write over what was read, and again if somebody else was quicker.

        Returns the document after the change, with whatever others may have written on top. `change` must be free
        of effects; it may raise, and `None` (or the same document) means that there is nothing to do. `applied` is
        asked, after a write that looked refused, whether its effect is there nevertheless. Without a document,
        `change` gets `default`; without that, `NotFound`.
        """
        return self.update_at(key, model, lambda found, _: change(found), applied=applied, default=default)

    def update_at(
        self,
        key: str,
        model: type[M],
        change: Callable[[M, datetime], M | None],
        *,
        applied: Callable[[M], bool] | None = None,
        default: M | None = None,
    ) -> M:
        """`update`, where `change` also gets the storage's own clock from before the write."""
        tokens: set[str] = set()
        for tried in range(_TRIES):
            if tried:
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.01 * 2**tried)))  # noqa: S311  # jitter
            found = self.read(key, model)
            if found is not None and tokens and (found.written_by(tokens) or (applied and applied(found.model))):
                return found.model
            if found is None and default is None:
                raise NotFound(f"There is no document `{key}`.", details={"key": key})
            before = found.model if found else default
            assert before is not None  # noqa: S101  # one of the two is there
            after = change(before, found.at if found else self._backend.now())
            if after is None or (found is not None and after == before):
                return before
            token = _token()
            tokens.add(token)
            try:
                self._write(key, after, found, token)
            except (Exists, Changed):
                continue
            return after
        raise StorageUnavailable(
            f"The document `{key}` was changed by others each of the {_TRIES} times it was to be changed here.",
            details={"key": key},
        )

    def delete(self, key: str) -> None:
        """Remove a document for good. Unique names are never removed; see `names`."""
        self._backend.delete(key)

    def _write(self, key: str, document: M, found: Versioned[M] | None, token: str) -> None:
        if found is None:
            self._backend.create(key, _envelope(document, token, (token,)))
        else:
            recent = (token, *found.recent[: _RECENT - 1])
            self._backend.replace(key, _envelope(document, found.born, recent), found.etag)


def _token() -> str:
    return secrets.token_urlsafe(9)


def _envelope(document: Stored, born: str, recent: tuple[str, ...]) -> bytes:
    content = document.model_dump(mode="json", by_alias=True)
    return orjson.dumps(
        {"document": content, "writer": {"born": born, "recent": recent}}, option=orjson.OPT_SORT_KEYS
    )
