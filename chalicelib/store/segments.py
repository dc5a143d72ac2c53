"""Segments: immutable, content-addressed, compressed, encrypted runs of bytes of one application.

    stored = header (4 bytes) + nonce (12) + AES-256-GCM(zstd(plain)) + tag (16)
    header = "MS", format 1, compression 1 (zstd)
    data authenticated beside it = header, application, kind of content, id, each but the first after a zero byte
    id     = HMAC-SHA256(kind of content, zero byte, plain) under the id key: equal content is stored once
    name   = <id>-<r>, r a few random characters; key = vault/<app>/segments/<first two of id>/<name>

The random characters make a name that was never there before: content that a sweep has condemned is uploaded anew
under another name, and a sweeper that wakes late deletes only names that nobody relies on.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections import OrderedDict
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from chalicelib.domain.errors import Damaged
from chalicelib.domain.version import SegmentRef
from chalicelib.store import layout
from chalicelib.store.backend import Backend, Changed, Exists
from chalicelib.store.compression import compress, decompress
from chalicelib.store.condemned import lists
from chalicelib.store.keys import ApplicationKey
from chalicelib.store.sealing import BoxError, keyed_hash, same, seal, unseal

HEADER = b"MS\x01\x01"
_RANDOM_CHARACTERS = 8
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class Present:
    """What an application's vault holds: stored size by segment name, condemned ones left out."""

    sizes: dict[str, int]
    condemned: frozenset[str]
    #: The keys of the condemned lists that were read.
    lists: frozenset[str]

    @classmethod
    def read(cls, backend: Backend, application: str) -> Present:
        """One listing of the segments, and what sweeps have condemned.

        The condemned are read after the listing: a name in the listing may be condemned before this returns, and
        whoever seals looks again.
        """
        sizes = {listed.key.rpartition("/")[2]: listed.size for listed in backend.list(layout.segments(application))}
        found = tuple(lists(backend, application))
        condemned = frozenset().union(*(each.names for each in found))
        present = {name: size for name, size in sizes.items() if name not in condemned}
        return cls(present, condemned, frozenset(each.key for each in found))


class SegmentWriter:
    """Stores content of one application, each content once. Safe to share between threads.

    Made for one operation: what is there is listed when it is made.
    """

    def __init__(self, backend: Backend, key: ApplicationKey) -> None:
        self._backend = backend
        self._key = key
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._under_way: dict[str, Future[SegmentRef]] = {}
        self._present: dict[str, tuple[str, int]] = {}
        #: Bytes and segments that this writer added to the repository.
        self.added_bytes = 0
        self.added = 0
        for name, size in Present.read(backend, key.application).sizes.items():
            self._present[layout.segment_id(name)] = (name, size)

    def has(self, name: str) -> bool:
        """Whether the segment of this name was there when this writer was made, and may be counted on."""
        return self._present.get(layout.segment_id(name), ("", 0))[0] == name

    def put(self, content: str, plain: bytes) -> SegmentRef:
        """Store `plain` as a segment of kind `content` unless it is there, and say where it is."""
        return self.begin(content, plain)[1].result()

    def begin(self, content: str, plain: bytes, executor: Executor | None = None) -> tuple[str, Future[SegmentRef]]:
        """The name `plain` will have, at once, and the segment when it is stored (by `executor`, else here)."""
        identity = keyed_hash(self._key.segment_ids, content.encode() + b"\0" + plain)
        with self._lock:
            under_way = self._under_way.get(identity)
            if under_way is not None:
                return self._names[identity], under_way
            future: Future[SegmentRef] = Future()
            self._under_way[identity] = future
            there = self._present.get(identity)
            name = there[0] if there else f"{identity}-{_random()}"
            self._names[identity] = name
        if there is not None:
            future.set_result(SegmentRef(name=name, content=content, plain=len(plain), stored=there[1]))
        elif executor is not None:
            executor.submit(self._upload, future, name, content, plain)
        else:
            self._upload(future, name, content, plain)
        return name, future

    def _upload(self, future: Future[SegmentRef], name: str, content: str, plain: bytes) -> None:
        try:
            stored = _encode(self._key, name, content, plain)
            self._store(layout.segment(self._key.application, name), stored)
        except BaseException as error:  # noqa: BLE001  # whoever waits for it gets it
            with self._lock:
                # The next one with this content tries again, under another name.
                self._under_way.pop(layout.segment_id(name), None)
            future.set_exception(error)
            return
        with self._lock:
            self.added_bytes += len(stored)
            self.added += 1
        future.set_result(SegmentRef(name=name, content=content, plain=len(plain), stored=len(stored)))

    def _store(self, key: str, stored: bytes) -> None:
        try:
            self._backend.create(key, stored)
        except Exists:
            # The name is random: what is there is ours, written by an attempt whose answer was lost.
            found = self._backend.get(key)
            if found is None or found.data != stored:
                raise Damaged(f"The segment `{key}` is not what was written.", details={"key": key}) from None


class SegmentReader:
    """Reads segments of one application and believes nothing. Safe to share between threads."""

    def __init__(self, backend: Backend, key: ApplicationKey, cache_bytes: int = 16 * 1024 * 1024) -> None:
        self._backend = backend
        self._key = key
        self._most = cache_bytes
        self._cache: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._cached = 0
        self._lock = threading.Lock()

    def get(self, segment: SegmentRef | str, content: str) -> bytes:
        """The plain bytes of a segment of kind `content`; `Damaged` names its key if it is missing or altered."""
        name = segment if isinstance(segment, str) else segment.name
        with self._lock:
            known = self._cache.get((name, content))
            if known is not None:
                self._cache.move_to_end((name, content))
                return known
        key = layout.segment(self._key.application, name)
        blob = self._backend.get(key)
        if blob is None:
            raise Damaged(f"The segment `{key}` is missing.", details={"key": key})
        plain = self._decoded(name, content, blob.data)
        self._remember((name, content), plain)
        return plain

    def mend(self, name: str, content: str) -> bool:
        """Write over a damaged segment what another one with the same content has; whether it is whole now.

        Only over the very bytes that are damaged, by compare and swap: nothing is written where nothing is, as no
        name is ever used twice (`docs/sweep.md`).
        """
        key, identity = layout.segment(self._key.application, name), layout.segment_id(name)
        for listed in self._backend.list(key.removesuffix(name) + identity):
            damaged, other = self._backend.get(key), self._backend.get(listed.key)
            if damaged is None or self._is_whole(name, content, damaged.data):
                return damaged is not None
            if other is not None and self._is_whole(name, content, other.data):
                with contextlib.suppress(Changed):
                    self._backend.replace(key, other.data, damaged.etag)
        mended = self._backend.get(key)
        return mended is not None and self._is_whole(name, content, mended.data)

    def _is_whole(self, name: str, content: str, stored: bytes) -> bool:
        try:
            self._decoded(name, content, stored)
        except Damaged:
            return False
        return True

    def _decoded(self, name: str, content: str, stored: bytes) -> bytes:
        try:
            return _decode(self._key, name, content, stored)
        except BoxError as error:
            key = layout.segment(self._key.application, name)
            raise Damaged(f"The segment `{key}` was cut or altered.", details={"key": key}) from error

    def _remember(self, entry: tuple[str, str], plain: bytes) -> None:
        with self._lock:
            if len(plain) > self._most or entry in self._cache:
                return
            self._cache[entry] = plain
            self._cached += len(plain)
            while self._cached > self._most:
                _, dropped = self._cache.popitem(last=False)
                self._cached -= len(dropped)


def _encode(key: ApplicationKey, name: str, content: str, plain: bytes) -> bytes:
    return HEADER + seal(key.segments, compress(plain), _place(key, name, content))


def _decode(key: ApplicationKey, name: str, content: str, stored: bytes) -> bytes:
    if stored[: len(HEADER)] != HEADER:
        raise BoxError
    plain = decompress(unseal(key.segments, memoryview(stored)[len(HEADER) :], _place(key, name, content)))
    if not same(keyed_hash(key.segment_ids, content.encode() + b"\0" + plain), layout.segment_id(name)):
        raise BoxError
    return plain


def _place(key: ApplicationKey, name: str, content: str) -> bytes:
    return b"\0".join((HEADER, key.application.encode(), content.encode(), layout.segment_id(name).encode()))


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
