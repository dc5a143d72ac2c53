"""The administrator's token of a stage: a file on the machine of who deploys, and its SHA-256 in the stack.

A stack that is there changes its token only where somebody asks for that: who deploys from another machine, or with
an old file, must not lock everybody else out.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from infra.checks import DeploymentError

#: The stack's parameter that carries the digest.
PARAMETER = "AdminTokenSha256"
_SHORTEST = 20


@dataclass(frozen=True)
class Token:
    """What to deploy with. `file` has the token once the stack is there; `None`, nobody knows where it is."""

    #: SHA-256 in hex, `None`: the stack keeps what it has.
    digest: str | None
    file: Path | None
    said: str = ""
    _aside: Path | None = None

    @property
    def parameters(self) -> dict[str, str]:
        return {} if self.digest is None else {PARAMETER: self.digest}

    def keep(self) -> None:
        """Put a new token in the old one's place. For when the stack knows it: until then the old one opens it."""
        if self._aside is not None and self.file is not None:
            self._aside.replace(self.file)


def choose(file: Path, *, named: bool, new: bool, current: str | None) -> Token:
    """The token to deploy with.

    `named`: the file was asked for, and is not just where tokens are by custom. `new`: so was a new token.
    `current`: the digest that the stack has, `None` if there is no stack yet.
    """
    aside = file.with_name(f"{file.name}.new")
    if current is not None and aside.exists() and digest_of(aside) == current:
        # The stack took it, and who deployed it did not live to see that.
        aside.replace(file)
    if new:
        said = "" if current is None else "the administrator gets a new token, and the old one will open nothing"
        return Token(_made(aside), file, said, aside)
    if current is None:
        return Token(_made(file), file)
    if named:
        if not file.exists():
            raise DeploymentError(f"{file} is not there. With --new-token a new token is made in it.")
        return Token(digest_of(file), file)
    if not file.exists():
        return Token(None, None, f"the administrator's token stays as it is: there is none in {file}")
    if digest_of(file) != current:
        return Token(
            None,
            None,
            f"the administrator's token stays as it is, and is not the one in {file}: it was changed from elsewhere",
        )
    return Token(None, file)


def digest_of(file: Path) -> str:
    """SHA-256 of the token in a file, in hex."""
    try:
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeploymentError(f"The token in {file} cannot be read ({type(error).__name__}).") from error
    if len(token) < _SHORTEST:
        raise DeploymentError(f"The token in {file} is too short to be safe: `openssl rand -hex 24` makes one.")
    return hashlib.sha256(token.encode()).hexdigest()


def _made(file: Path) -> str:
    """The digest of the token in a file, which is made, readable by its owner only, where there is none."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return digest_of(file)
    except OSError as error:
        raise DeploymentError(
            f"No token can be written to {file} ({error.strerror}): name another file with --token-file."
        ) from error
    with os.fdopen(handle, "w") as written:
        written.write(secrets.token_urlsafe(32) + "\n")
    return digest_of(file)
