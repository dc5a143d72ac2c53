"""Who asks. One administrator for now, known by a token; accounts come later and replace what is behind this."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from pydantic import SecretStr

from chalicelib.domain.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Asker:
    """Who a request comes from: `name` as operations and owners record it, `role` as rights are decided by."""

    name: str
    role: str


ADMINISTRATOR = Asker("admin", "admin")


class Access:
    """Knows the tokens."""

    def __init__(self, admin_token: SecretStr | None, admin_token_sha256: str | None = None) -> None:
        # Digests have one length, so that comparing them tells nothing, not even the token's length.
        self._admins = [] if admin_token is None else [_digest(admin_token.get_secret_value())]
        if admin_token_sha256 is not None:
            self._admins.append(bytes.fromhex(admin_token_sha256))

    def identify(self, token: str) -> Asker:
        """Whose token this is; `Unauthenticated` if nobody's, with the same words for every wrong one."""
        if not self._admins:
            raise Unauthenticated(
                "No administrator token is set, so nobody can sign in: set MAINSTAY_ADMIN_TOKEN or "
                "MAINSTAY_ADMIN_TOKEN_FILE and start the service again."
            )
        if not token:
            raise Unauthenticated("A token is needed: send `Authorization: Bearer <token>`.")
        if not any(hmac.compare_digest(_digest(token), admin) for admin in self._admins):
            raise Unauthenticated("The token is not valid.")
        return ADMINISTRATOR


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
