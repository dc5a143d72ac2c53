"""Cryptography in one place: purpose keys, boxes of AES-256-GCM, keyed hashes.

A purpose key is HKDF-SHA256 of a key with the purpose's name, so that no key serves two ends. A box is a fresh
random nonce of 12 bytes and what AES-GCM makes of the content, with its place as additional data: bytes that are
moved elsewhere do not open there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class BoxError(Exception):
    """The bytes are cut or altered, stood elsewhere, or were sealed under another key. Stays inside `store`."""


def derive(key: bytes, purpose: str) -> bytes:
    """The key of one purpose, 32 bytes: HKDF-SHA256 without salt, info `mainstay/1/<purpose>`."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"mainstay/1/{purpose}".encode()).derive(key)


def keyed_hash(key: bytes, data: bytes) -> str:
    """HMAC-SHA256 in hex."""
    return hmac.digest(key, data, hashlib.sha256).hex()


def same(one: str, other: str) -> bool:
    """Comparison that takes the same time wherever the two differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def seal(key: bytes, plain: bytes, place: bytes) -> bytes:
    """`nonce + ciphertext + tag`."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, plain, place)


def unseal(key: bytes, box: bytes | memoryview, place: bytes) -> bytes:
    """What `seal` was given, or `BoxError`."""
    from cryptography.exceptions import InvalidTag

    if len(box) < NONCE_BYTES + TAG_BYTES:
        raise BoxError
    try:
        return _cipher(key).decrypt(bytes(box[:NONCE_BYTES]), bytes(box[NONCE_BYTES:]), place)
    except InvalidTag as error:
        raise BoxError from error


@lru_cache(maxsize=64)
def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
