"""What opens a root key: a passphrase, a printed recovery key; each a `Wrapper`. AWS KMS is one in `adapters`.

A wrapper turns a root key into a record that is safe to store, and back. Any one of a key's wrappings opens it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any, Protocol

from chalicelib.domain.errors import WrongKey
from chalicelib.store.sealing import BoxError, derive, seal, unseal

#: A wrapping as it is stored: JSON. `wrapper` names its kind.
Wrapping = dict[str, Any]

_PLACE = b"mainstay root key"
_SCRYPT = {"n": 2**15, "r": 8, "p": 1}
_MOST_SCRYPT_MEMORY = 1 << 30


class Wrapper(Protocol):
    """One way to open root keys."""

    #: The kind, as wrappings name it: `passphrase`, `recovery`, `kms`.
    name: str

    def wrap(self, key: bytes) -> Wrapping:
        """The key in a form that only this wrapper opens."""

    def unwrap(self, wrapping: Wrapping) -> bytes:
        """The key of a wrapping of this kind, or `WrongKey`."""


class Passphrase:
    """A passphrase, stretched by scrypt with parameters that are stored beside what it wraps."""

    name = "passphrase"

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase.encode()

    def wrap(self, key: bytes) -> Wrapping:
        salt = secrets.token_bytes(16)
        box = seal(self._stretch(salt, **_SCRYPT), key, _PLACE)
        return {"wrapper": self.name, "kdf": "scrypt", **_SCRYPT, "salt": _text(salt), "box": _text(box)}

    def unwrap(self, wrapping: Wrapping) -> bytes:
        try:
            cost = {name: int(wrapping[name]) for name in ("n", "r", "p")}
            stretched = self._stretch(_bytes(wrapping["salt"]), **cost)
            return unseal(stretched, _bytes(wrapping["box"]), _PLACE)
        except (BoxError, ValueError, KeyError, TypeError) as error:
            raise WrongKey("The passphrase does not open this repository.") from error

    def _stretch(self, salt: bytes, n: int, r: int, p: int) -> bytes:
        if 128 * n * r > _MOST_SCRYPT_MEMORY or p > 16:
            raise ValueError("the stored parameters of scrypt are absurd")
        # OpenSSL needs a little more than the 128·n·r bytes of the algorithm.
        return hashlib.scrypt(
            self._passphrase, salt=salt, n=n, r=r, p=p, maxmem=128 * n * (r + 1) + (1 << 20), dklen=32
        )


class RecoveryKey:
    """A random key of 160 bits that is printed once, such as `MSR1-ABCDE-…`.

    Base 32 (RFC 4648) of 20 random bytes and the first 5 of their SHA-256, in eight groups of five. Case and
    dashes do not matter when it is typed in.
    """

    name = "recovery"
    _PREFIX = "MSR1"

    @classmethod
    def looks_like_one(cls, text: str) -> bool:
        """Whether this is meant as a recovery key and not as a passphrase."""
        return text.strip().upper().startswith(f"{cls._PREFIX}-")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def generate(cls) -> RecoveryKey:
        """A fresh one."""
        return cls(secrets.token_bytes(20))

    @classmethod
    def parse(cls, text: str) -> RecoveryKey:
        """The one that was printed as `text`; `WrongKey` says what is wrong with it."""
        letters = "".join(text.split()).replace("-", "").upper()
        if not letters.startswith(cls._PREFIX):
            raise WrongKey(f"A recovery key begins with `{cls._PREFIX}-`.")
        # Neither digit is in the alphabet, so each can only have been meant as the letter it looks like.
        body = letters.removeprefix(cls._PREFIX).replace("0", "O").replace("1", "I")
        if len(body) != 40:
            raise WrongKey(f"A recovery key has 40 characters after `{cls._PREFIX}`; this one has {len(body)}.")
        try:
            raw = base64.b32decode(body)
        except ValueError as error:
            raise WrongKey("A recovery key has only letters and the digits 2 to 7.") from error
        if hashlib.sha256(raw[:20]).digest()[:5] != raw[20:]:
            raise WrongKey("The recovery key has a typing error: its checksum does not fit.")
        return cls(raw[:20])

    def printed(self) -> str:
        """The key as people keep it."""
        body = base64.b32encode(self._secret + hashlib.sha256(self._secret).digest()[:5]).decode()
        return "-".join([self._PREFIX, *(body[start : start + 5] for start in range(0, 40, 5))])

    def wrap(self, key: bytes) -> Wrapping:
        return {"wrapper": self.name, "box": _text(seal(derive(self._secret, "recovery"), key, _PLACE))}

    def unwrap(self, wrapping: Wrapping) -> bytes:
        try:
            return unseal(derive(self._secret, "recovery"), _bytes(wrapping["box"]), _PLACE)
        except (BoxError, ValueError, KeyError, TypeError) as error:
            raise WrongKey("The recovery key does not open this repository.") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
