"""What every route does alike: tokens, bodies, queries, errors, waiting."""

from __future__ import annotations

import logging

import pytest

from chalicelib.domain.errors import ClusterUnreachable
from chalicelib.domain.operation import State
from tests.unit.entrypoints.asking import ask
from tests.unit.services.house import DOCUMENT, House


def test_health_and_description_are_open_to_all_and_need_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a process that has not opened anything yet.
    monkeypatch.setattr("chalicelib.bootstrap._built", {})
    monkeypatch.setattr("chalicelib.bootstrap._handed_in", [])
    monkeypatch.setenv("MAINSTAY_REPOSITORY", "nonsense")
    assert ask("GET", "/health", token=None).json["status"] == "ok"
    assert ask("GET", "/openapi.json", token=None).json["openapi"] == "3.1.0"


def test_wrong_settings_are_told_to_the_log_and_not_to_strangers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # As in a process that has not opened anything yet.
    monkeypatch.setattr("chalicelib.bootstrap._built", {})
    monkeypatch.setattr("chalicelib.bootstrap._handed_in", [])
    monkeypatch.setenv("MAINSTAY_REPOSITORY", "nonsense")
    with caplog.at_level(logging.ERROR, "mainstay.api"):
        said = ask("GET", "/app")
    assert (said.status, said.error["code"]) == (503, "not-ready")
    assert "MAINSTAY_REPOSITORY" not in said.text
    assert "MAINSTAY_REPOSITORY" in caplog.text


@pytest.mark.parametrize("token", [None, "", "wrong", "the-administrator's-own-tokem", "ünsinn"])
def test_nobody_gets_in_without_the_token_and_all_wrong_ones_look_alike(built: House, token: str | None) -> None:
    said = ask("GET", "/app", token=token)
    assert said.status == 401
    assert said.error["code"] == "unauthenticated"
    assert said.headers["WWW-Authenticate"].startswith("Bearer")
    assert "own-token" not in said.text


def test_another_scheme_is_no_token(built: House) -> None:
    said = ask("GET", "/app", headers={"authorization": "Basic the-administrator's-own-token"})
    assert said.status == 401


def test_who_may_not_ask_learns_nothing_of_the_request(built: House) -> None:
    assert ask("POST", "/app", b"not json", token="wrong").status == 401
    assert ask("GET", "/app/nonsense?x=1", token=None).status == 401


@pytest.mark.parametrize("body", [b"not json", b"{", b'{"name": }', b"\xff\xfe", b"[" * 50_000])
def test_a_body_that_is_not_json_is_malformed(built: House, body: bytes) -> None:
    said = ask("POST", "/app", body)
    assert (said.status, said.error["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"name": "shop", "name": "other", "document": "x"}', "name"),
        (b'{"name": "shop", "n\\u0061me": "other"}', "name"),
        (b'{"id": "x", "labels": {"release": "1", "release": "2"}}', "release"),
        (b'{"id": ' + b"7" * 5000 + b', "name": "a", "name": "b"}', "name"),
    ],
)
def test_a_key_given_twice_in_a_body_is_refused_by_its_name(built: House, body: bytes, key: str) -> None:
    said = ask("POST", "/app", body)
    assert (said.status, said.error["code"]) == (400, "malformed")
    assert f"'{key}' more than once" in said.error["message"]


@pytest.mark.parametrize("body", [[], "text", 7, None])
def test_a_body_that_is_no_object_is_invalid(built: House, body: object) -> None:
    assert ask("POST", "/app", b"null" if body is None else body).status == 422


def test_every_field_that_is_wrong_is_named_with_its_path(built: House) -> None:
    said = ask("POST", "/app/backup", {"id": 7, "labels": {"ok": 1}, "coment": "x"})
    assert said.status == 422
    problems = {problem["path"]: problem for problem in said.error["details"]["problems"]}
    assert set(problems) == {"id", "labels.ok", "coment"}
    assert problems["coment"]["hint"] == "did you mean `comment`?"
    assert problems["id"]["message"] == "it must be text"


def test_the_given_app_body_may_be_sent_whole_and_read_only_fields_are_ignored(built: House) -> None:
    body = {"id": "mine", "name": "shop", "description": "", "currentVersion": "v", "status": "broken"}
    said = ask("POST", "/app", {**body, "document": DOCUMENT})
    assert said.status == 200
    assert said.json["id"].startswith("app-")
    assert (said.json["status"], said.json["currentVersion"]) == ("active", None)


def test_what_was_sent_is_never_repeated_in_an_error(built: House) -> None:
    said = ask("PUT", "/kubernetes/setKubernetesSettings", {"pods_amount": "s3cret", "kubeconfig": ["s3cret"]})
    assert said.status == 422
    assert "s3cret" not in said.text


def test_a_slip_in_a_query_is_refused_before_anything_happens(built: House) -> None:
    application = built.registered()
    said = ask("DELETE", f"/app/{application}?keepVersion=true")
    assert said.status == 422
    assert said.error["details"]["problems"][0]["hint"] == "did you mean `keepVersions`?"
    assert built.engine.started == []


def test_a_query_parameter_given_twice_is_refused(built: House) -> None:
    said = ask("GET", "/version/selectVersion?versionId=a&versionId=b")
    assert said.status == 422
    assert said.error["details"]["problems"][0]["path"] == "versionId"


@pytest.mark.parametrize(
    "path",
    [
        "/app/..",
        "/app/%2e%2e",
        "/app/%2e%2e%2fvault%2fkeys",
        "/app/%00",
        "/app/app-%00",
        "/app/%ff",
        "/app/%252e",
        "/app/status/..%5c..",
        "/operation/%2e%2e/plan",
        "/version/selectVersion?versionId=../../x",
        "/version/selectVersion?versionId=%00",
        "/app?next=%2e%2e%2f",
    ],
)
def test_ids_with_tricks_are_malformed_and_nothing_is_made_of_them(built: House, path: str) -> None:
    said = ask("GET", path)
    assert (said.status, said.error["code"]) == (400, "malformed")


def test_a_path_parameter_is_decoded_once(built: House) -> None:
    application = built.registered()
    encoded = "".join(f"%{ord(letter):02x}" for letter in application)
    assert ask("GET", f"/app/{encoded}").json["id"] == application


def test_long_work_answers_202_and_says_where_to_follow_it(built: House) -> None:
    said = ask("POST", "/app/backup", {"id": built.registered()})
    assert said.status == 202
    assert said.headers["Location"] == f"/operation/{said.json['id']}"
    assert said.json["state"] == "queued"
    assert ask("GET", said.headers["Location"]).json == said.json


def test_who_prefers_to_wait_gets_the_finished_operation(built: House, monkeypatch: pytest.MonkeyPatch) -> None:
    application = built.registered()
    start = built.engine.start

    def finish_at_once(operation: object) -> object:
        started = start(operation)  # type: ignore[arg-type]
        return built.engine.change(started.id, state=State.SUCCEEDED)

    monkeypatch.setattr(built.engine, "start", finish_at_once)
    said = ask("POST", "/app/backup", {"id": application}, headers={"prefer": "respond-async, wait=5"})
    assert (said.status, said.json["state"]) == (200, "succeeded")
    assert said.headers["Preference-Applied"] == "wait=5"


def test_waiting_is_bounded_whatever_is_preferred(built: House) -> None:
    from chalicelib.entrypoints.api.routing import LONGEST_WAIT

    built.services.operations.stop_waiting()
    said = ask("POST", "/app/backup", {"id": built.registered()}, headers={"prefer": "wait=99999"})
    assert said.status == 202
    assert said.headers["Preference-Applied"] == f"wait={LONGEST_WAIT}"


def test_an_error_of_a_cluster_keeps_its_status_and_says_when_to_ask_again(
    built: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise ClusterUnreachable("The cluster did not answer within 5 s.")

    monkeypatch.setattr(type(built.services.documents), "draft", unreachable)
    said = ask("POST", "/document/draft", {"namespace": "shop"})
    assert (said.status, said.error["code"]) == (503, "cluster-unreachable")
    assert said.headers["Retry-After"] == "5"


def test_an_unexpected_error_tells_the_log_where_and_nobody_what(
    built: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(type(built.services.applications), "list", broken)
    with caplog.at_level(logging.ERROR, "mainstay.api"):
        said = ask("GET", "/app")
    assert (said.status, said.error["code"]) == (500, "internal")
    assert said.error["requestId"] == said.headers["X-Request-Id"]
    assert said.error["requestId"] in caplog.text
    assert "in broken" in caplog.text
    assert "hunter2" not in said.text + caplog.text


def test_a_method_a_route_does_not_have_is_refused_in_the_one_shape(built: House) -> None:
    said = ask("PATCH", "/app")
    assert (said.status, said.error["code"]) == (405, "method-not-allowed")
    assert set(said.headers["Allow"].split(", ")) == {"GET", "POST"}


def test_a_body_of_another_type_is_refused_in_the_one_shape(built: House) -> None:
    said = ask("POST", "/app", b"name: shop", headers={"content-type": "application/yaml"})
    assert (said.status, said.error["code"]) == (415, "unsupported-media-type")


def test_a_body_that_is_too_large_is_refused_in_lambda_too(built: House) -> None:
    said = ask("POST", "/document/check", b'{"document": "' + b"x" * 2_000_000 + b'"}')
    assert (said.status, said.error["code"]) == (413, "too-large")


def test_answers_are_not_kept_by_anyone_on_the_way(built: House) -> None:
    said = ask("GET", "/app")
    assert said.headers["Cache-Control"] == "no-store"
    assert said.headers["X-Content-Type-Options"] == "nosniff"
