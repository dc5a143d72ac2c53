"""Tokens that end: renewed before they do, and when they are refused."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.cluster.connection import by_token
from chalicelib.cluster.credentials import RenewedToken, tls_context
from chalicelib.domain.errors import ClusterNotConfigured, ClusterUnreachable


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    def __init__(self, seconds: float = 840.0) -> None:
        self.seconds = seconds
        self.issued = 0
        self.error: Exception | None = None

    def __call__(self) -> tuple[str, float]:
        if self.error is not None:
            raise self.error
        self.issued += 1
        return f"token-{self.issued}", self.seconds


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    clock, issuer = Clock(), Issuer()
    token = RenewedToken(issuer, "a test", clock)
    assert token(False) == "token-1"
    clock.now += 840 - 121
    assert token(False) == "token-1"
    clock.now += 2
    assert token(False) == "token-2"


def test_a_short_one_is_renewed_when_a_fifth_of_it_is_left() -> None:
    clock, issuer = Clock(), Issuer(10.0)
    token = RenewedToken(issuer, "a test", clock)
    token(False)
    clock.now += 7.9
    assert token(False) == "token-1"
    clock.now += 0.2
    assert token(False) == "token-2"


def test_a_refused_token_is_issued_anew_once_for_all_who_were_refused() -> None:
    clock, issuer = Clock(), Issuer()
    token = RenewedToken(issuer, "a test", clock)
    token(False)
    clock.now += 5
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(token, [True] * 8)) == {"token-2"}


def test_what_the_issuer_says_is_told_and_the_next_try_is_free() -> None:
    issuer = Issuer()
    token = RenewedToken(issuer, "a test", Clock())
    issuer.error = ClusterUnreachable("AWS gave no answer.")
    with pytest.raises(ClusterUnreachable):
        token(False)
    issuer.error = None
    assert token(False) == "token-1"


def test_a_machine_that_slept_does_not_use_a_token_that_ended_meanwhile() -> None:
    clock, issuer = Clock(), Issuer()
    token = RenewedToken(issuer, "a test", clock)
    token(False)
    clock.now += 24 * 3600
    assert token(False) == "token-2"


@pytest.mark.parametrize(("server", "authority"), [("ftp://x", "YQ=="), ("https://x", "!!!"), ("https://u:p@x", "")])
def test_an_address_or_authority_that_is_none_is_told(server: str, authority: str) -> None:
    with pytest.raises(ClusterNotConfigured, match="the EKS cluster shop"):
        tls_context(by_token(server, authority, RenewedToken(Issuer(), "x"), "the EKS cluster shop"))


def test_the_way_to_a_cluster_leads_through_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "")
    authority = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()
    made = by_token("https://abc.eks.amazonaws.com", authority, RenewedToken(Issuer(), "x"), "EKS")
    assert made.proxy == "http://proxy:3128"
    assert made.authorization() == "Bearer token-1"
