"""Whose token it is, by the token or by its digest alone."""

from __future__ import annotations

import hashlib

import pytest
from pydantic import SecretStr

from chalicelib.domain.errors import Invalid, Unauthenticated
from chalicelib.services.access import ADMINISTRATOR, Access
from chalicelib.settings import Settings

TOKEN = "a token of twenty characters and more"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()


@pytest.mark.parametrize(
    "access", [Access(SecretStr(TOKEN)), Access(None, DIGEST), Access(SecretStr("x" * 20), DIGEST)]
)
def test_the_administrators_token_is_known_by_itself_or_by_its_digest(access: Access) -> None:
    assert access.identify(TOKEN) == ADMINISTRATOR
    for wrong in (DIGEST, TOKEN.upper(), "ümlaut", "\udcff"):
        with pytest.raises(Unauthenticated, match="not valid"):
            access.identify(wrong)
    with pytest.raises(Unauthenticated, match="Bearer"):
        access.identify("")


def test_without_any_nobody_signs_in() -> None:
    with pytest.raises(Unauthenticated, match="No administrator token"):
        Access(None).identify(TOKEN)


@pytest.mark.parametrize("digest", ["abc", TOKEN, DIGEST.upper(), DIGEST + "0"])
def test_a_digest_that_is_none_is_refused_by_name_and_not_quoted(digest: str) -> None:
    with pytest.raises(Invalid, match="MAINSTAY_ADMIN_TOKEN_SHA256") as refused:
        Settings.read({"MAINSTAY_ADMIN_TOKEN_SHA256": digest})
    assert digest not in str(refused.value)
