"""Paths in words, and how long to wait."""

from __future__ import annotations

import email.utils
import time

import pytest

from chalicelib.cluster.client import Response
from chalicelib.cluster.refusals import is_secret, refused, retry_after, subject


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/namespaces/shop/secrets/db", "secrets shop/db"),
        ("/api/v1/namespaces/shop/secrets", "secrets in shop"),
        ("/api/v1/secrets", "secrets"),
        ("/api/v1/namespaces/shop", "namespaces shop"),
        ("/api/v1/namespaces", "namespaces"),
        ("/apis/apps/v1/namespaces/shop/deployments/web", "deployments.apps shop/web"),
        ("/apis/apps/v1/namespaces/shop/deployments/web/scale", "deployments.apps (scale) shop/web"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles/a:b", "clusterroles.rbac.authorization.k8s.io a:b"),
        ("/version", "/version"),
        ("/apis", "/apis"),
    ],
)
def test_a_path_is_said_in_words(path: str, words: str) -> None:
    assert subject(path) == words


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("/api/v1/namespaces/shop/secrets/db", True),
        ("/api/v1/namespaces/shop/secrets", True),
        ("/api/v1/secrets", True),
        ("/api/v1/namespaces/secrets", False),
        ("/api/v1/namespaces/secrets/configmaps/web", False),
        ("/apis/example.com/v1/namespaces/shop/secrets/db", False),
    ],
)
def test_secrets_are_known_by_their_path(path: str, secret: bool) -> None:
    assert is_secret(path) is secret


def test_the_server_may_ask_for_a_date_instead_of_seconds() -> None:
    at = email.utils.formatdate(time.time() + 30, usegmt=True)
    wait = retry_after(Response(429, {"retry-after": at}, b""))
    assert wait is not None
    assert 25 < wait <= 30


@pytest.mark.parametrize("text", ["soon", ""])
def test_a_time_to_wait_that_cannot_be_read_is_none(text: str) -> None:
    assert retry_after(Response(429, {"retry-after": text}, b"")) is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"kind": "Status"}', b'{"kind":"Status","details":{}}']
)
def test_any_answer_becomes_an_error_that_can_be_read(body: bytes) -> None:
    error = refused(Response(403, {}, body), "GET", "/api/v1/namespaces/shop/pods")
    assert error.message.startswith("GET pods in shop: the API server answered 403 Forbidden")
    assert error.http_status == 403
