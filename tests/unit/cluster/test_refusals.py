"""Paths in words, and how long to wait."""

from __future__ import annotations

import email.utils
import time

import orjson
import pytest

from chalicelib.cluster.client import Response
from chalicelib.cluster.refusals import is_secret, refused, retry_after, subject
from chalicelib.domain.errors import ClusterRefused, Conflict


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


VAULTS = "/apis/example.com/v1/namespaces/shop/vaults"


def answered(code: int, reason: str, message: str, *causes: dict[str, str], **more: str) -> ClusterRefused:
    status = {"kind": "Status", "reason": reason, "message": message, "details": {"causes": list(causes)}}
    verb, path = more.get("verb", "POST"), more.get("path", VAULTS)
    return refused(Response(code, {}, orjson.dumps(status)), verb, path)


UNSUPPORTED = {
    "reason": "FieldValueNotSupported",
    "field": "spec.password",
    "message": 'Unsupported value: "hunter2": supported values: "a", "b"',
}


def test_what_a_server_quotes_is_for_those_who_may_read_the_object_only() -> None:
    error = answered(422, "Invalid", 'Vault "v" is invalid: spec.password: "hunter2"', UNSUPPORTED)
    error.details["outcome"] = "refused"
    assert "hunter2" in error.message
    assert error.causes == (("spec.password", UNSUPPORTED["message"]),)
    public = error.public("`mainstay result op-1`")
    assert public.message == (
        "POST vaults.example.com in shop: the API server answered 422 Invalid: "
        "spec.password is none of the values it may have. "
        "The server's own words can quote the object; they are in `mainstay result op-1`."
    )
    assert str(public) == public.message
    assert isinstance(public, ClusterRefused)
    assert (public.code, public.http_status, public.reason) == ("cluster-refused", 422, "Invalid")
    assert public.as_json()["details"] == {
        "httpStatus": 422,
        "reason": "Invalid",
        "request": f"POST {VAULTS}",
        "causes": [{"field": "spec.password", "message": "is none of the values it may have"}],
        "outcome": "refused",
    }
    assert public.public("elsewhere") is public


def test_a_field_that_cannot_be_changed_is_told_as_such() -> None:
    cause = {
        "reason": "FieldValueInvalid",
        "field": "spec.selector",
        "message": "Invalid value: x: field is immutable",
    }
    error = answered(422, "Invalid", "Deployment is invalid", cause, verb="PUT")
    assert "spec.selector cannot be changed." in error.public().message


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (403, 'vaults.example.com is forbidden: User "u" cannot create resource "vaults" in API group "example.com"'),
        (403, 'pods "web" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3'),
        (403, 'pods "web" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'),
        (403, "x is forbidden: unable to create new content in namespace shop because it is being terminated"),
        (403, 'pods "w" is forbidden: error looking up service account shop/web: serviceaccount "web" not found'),
        (404, 'namespaces "shop" not found'),
        (409, "the object has been modified; please apply your changes to the latest version and try again"),
        (413, "Request entity too large: limit is 3145728"),
        (429, "Too many requests, please try again later."),
        (500, "etcdserver: request is too large"),
        (
            500,
            'failed calling webhook "guard.example.com": Post "https://guard.shop.svc:443/": dial tcp 10.0.0.1:443',
        ),
    ],
)
def test_words_that_cannot_quote_an_object_are_told_everywhere(code: int, said: str) -> None:
    error = answered(code, "Reason", said)
    assert error.public() is error
    assert said in error.message


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (
            403,
            'admission webhook "guard.example.com" denied the request: hunter2 is weak',
            'admission webhook "guard.example.com" denied the request',
        ),
        (
            # A webhook chooses the code it denies with, here one whose words are otherwise told.
            409,
            'admission webhook "guard.example.com" denied the request: hunter2 dial tcp',
            'admission webhook "guard.example.com" denied the request',
        ),
        (
            500,
            'failed calling webhook "guard.example.com": an error on the server ("hunter2: EOF") has prevented it',
            'failed calling webhook "guard.example.com"',
        ),
        (
            422,
            "vaults \"v\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: hunter2",
            "ValidatingAdmissionPolicy 'p' with binding 'b' denied request",
        ),
        (400, 'Vault in version "v1" cannot be handled: invalid "hunter2"', "400 Reason."),
        (500, "failed to create typed patch object: hunter2", "500 Reason."),
        (403, 'vaults "v" is forbidden: hunter2', "403 Reason."),
    ],
)
def test_who_refused_is_told_everywhere_but_not_what_it_said(code: int, said: str, told: str) -> None:
    error = answered(code, "Reason", said, {"field": "hunter2", "message": "hunter2"} if "webhook" in said else {})
    assert "hunter2" in error.message
    public = error.public()
    assert told in public.message
    assert "hunter2" not in str(public.as_json())


def test_reading_sends_nothing_that_could_be_quoted() -> None:
    error = answered(500, "InternalError", "the log of the storage is broken", verb="GET")
    assert error.public() is error
    converted = answered(
        500, "InternalError", "conversion webhook for example.com/v1, Kind=Vault failed: hunter2", verb="GET"
    )
    assert "conversion webhook for example.com/v1, Kind=Vault failed" in converted.public().message
    assert "hunter2" not in converted.public().message


def test_of_a_secret_the_words_are_told_nowhere() -> None:
    error = answered(422, "Invalid", "hunter2", UNSUPPORTED, path="/api/v1/namespaces/shop/secrets")
    assert error.public() is error
    assert "hunter2" not in str(error.as_json())


def test_other_errors_are_public_as_they_are() -> None:
    error = Conflict("The plan is stale.", details={"moved": []})
    assert error.public("anywhere") is error
