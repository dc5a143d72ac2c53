"""zstd, with a bound: what claims to be larger is not decompressed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from chalicelib.store.sealing import BoxError

if TYPE_CHECKING:
    import zstandard

#: The most plain bytes of one segment or part.
MOST_PLAIN = 64 * 1024 * 1024
_LEVEL = 3

_thread = threading.local()


def compress(plain: bytes) -> bytes:
    """One zstd frame that tells its plain size."""
    if len(plain) > MOST_PLAIN:
        raise ValueError(f"at most {MOST_PLAIN} bytes are stored in one piece")
    return _compressor().compress(plain)


def decompress(packed: bytes) -> bytes:
    """What `compress` was given, or `BoxError`."""
    import zstandard

    try:
        # The size is the frame's own claim, and the decompressor allocates no more than it.
        if not 0 <= zstandard.frame_content_size(packed) <= MOST_PLAIN:
            raise BoxError
        return zstandard.ZstdDecompressor().decompress(packed)
    except zstandard.ZstdError as error:
        raise BoxError from error


def _compressor() -> zstandard.ZstdCompressor:
    # One for each thread: they are not safe to share, and making one costs more than a small segment.
    found: zstandard.ZstdCompressor | None = getattr(_thread, "compressor", None)
    if found is None:
        import zstandard

        found = _thread.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return found
