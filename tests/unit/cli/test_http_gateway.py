"""The gateway over HTTP: what it sends, what it repeats, and what its failures say."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.http import HttpGateway
from chalicelib.cli.token import find_token
from tests.unit.cli.fake_service import APP, NEW, PLAN, RESTORE, TOKEN, FakeService, RunningService, problem, version


@pytest.fixture
def gateway(running: RunningService) -> HttpGateway:
    return HttpGateway(running.url, TOKEN, timeout=5, sleep=lambda _seconds: None)


def test_a_list_is_whole_whatever_pages_it_comes_in(gateway: HttpGateway, service: FakeService) -> None:
    service.page = 2
    whole = gateway.versions(APP, safety=True)["items"]
    assert [each["id"] for each in whole] == [each["id"] for each in service.versions]
    assert len(service.asked) == 2


def test_a_bounded_list_asks_for_no_more_than_it_needs(gateway: HttpGateway, service: FakeService) -> None:
    service.versions = [version(f"ver-01kb{number:022d}") for number in range(9)]
    service.page = 3
    assert len(gateway.versions(APP, limit=4)["items"]) == 4
    assert [query["limit"] for _, _, query, _ in service.asked] == ["4", "1"]


def test_a_plan_has_the_actions_of_all_its_pages(gateway: HttpGateway, service: FakeService) -> None:
    service.page = 3
    plan = gateway.plan(PLAN)
    assert plan["actions"] == service.plan["actions"]
    assert plan["next"] is None


def test_requests_are_what_the_api_documents(gateway: HttpGateway, service: FakeService) -> None:
    gateway.backup({"id": APP, "name": "a & b"})
    gateway.restore(NEW, {"dryRun": True, "mode": "merge"})
    gateway.compare(NEW, "live")
    gateway.undo(RESTORE)
    gateway.cancel(RESTORE)
    gateway.delete(APP, keep_versions=True)
    gateway.operations(APP, running=True, limit=5)
    assert service.asked == [
        ("POST", "/app/backup", {}, {"id": APP, "name": "a & b"}),
        ("PUT", "/version/restoreVersion", {"versionId": NEW}, {"dryRun": True, "mode": "merge"}),
        ("GET", "/version/compare", {"from": NEW, "to": "live"}, None),
        ("POST", f"/operation/{RESTORE}/undo", {}, {}),
        ("DELETE", f"/operation/{RESTORE}", {}, None),
        ("DELETE", f"/app/{APP}", {"keepVersions": "true"}, None),
        ("GET", "/operation", {"appId": APP, "running": "true", "limit": "5"}, None),
    ]


def test_an_identifier_cannot_lead_elsewhere(gateway: HttpGateway, service: FakeService) -> None:
    with pytest.raises(Failure):
        gateway.application("../../metrics?x=1")
    assert service.asked[0][1] == "/app/..%2F..%2Fmetrics%3Fx%3D1"


@pytest.mark.parametrize("passing", [502, 503, 504, 429])
def test_a_read_is_repeated_after_a_bad_moment(gateway: HttpGateway, service: FakeService, passing: int) -> None:
    service.script["GET", "/app"] = [(passing, b"<html>proxy</html>"), (passing, b"")]
    assert gateway.applications()["items"][0]["id"] == APP
    assert len(service.asked) == 3


def test_a_read_is_not_repeated_for_ever(gateway: HttpGateway, service: FakeService) -> None:
    service.script["GET", "/app"] = [(503, b"")] * 9
    with pytest.raises(Failure) as caught:
        gateway.applications()
    assert caught.value.exit_code is Exit.UNREACHABLE
    assert len(service.asked) == 4


def test_a_write_is_never_repeated(gateway: HttpGateway, service: FakeService) -> None:
    service.script["PUT", "/version/restoreVersion"] = [(503, b"")]
    with pytest.raises(Failure):
        gateway.restore(NEW, {})
    assert len(service.asked) == 1


def test_what_the_service_says_itself_is_final(gateway: HttpGateway, service: FakeService) -> None:
    service.script["GET", "/app"] = [(503, problem("storage-unavailable", "The bucket does not answer."))]
    with pytest.raises(Failure) as caught:
        gateway.applications()
    assert caught.value.message == "The bucket does not answer."
    assert caught.value.request_id == "req-1"
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (400, "malformed", Exit.FAILED),
        (401, "unauthenticated", Exit.REFUSED),
        (403, "forbidden", Exit.REFUSED),
        (404, "not-found", Exit.NOT_FOUND),
        (404, "cluster-not-configured", Exit.NOT_FOUND),
        (409, "conflict", Exit.REFUSED),
        (422, "invalid", Exit.FAILED),
        (500, "damaged", Exit.FAILED),
        (502, "cluster-refused", Exit.FAILED),
        (503, "cluster-unreachable", Exit.UNREACHABLE),
        (507, "storage-full", Exit.FAILED),
    ],
)
def test_each_error_has_its_exit_code(
    gateway: HttpGateway, service: FakeService, status: int, code: str, exit_code: Exit
) -> None:
    service.script["GET", f"/operation/{PLAN}"] = [(status, problem(code, "Because."))]
    with pytest.raises(Failure) as caught:
        gateway.operation(PLAN)
    assert caught.value.exit_code is exit_code
    assert caught.value.as_json()["error"]["code"] == code


def test_another_server_is_not_taken_for_mainstay(gateway: HttpGateway, service: FakeService) -> None:
    service.script["GET", "/app"] = [(200, b"<html>hello</html>")]
    with pytest.raises(Failure, match="not as Mainstay does") as caught:
        gateway.applications()
    assert "--url" in caught.value.hint


def test_a_redirect_does_not_get_the_token(gateway: HttpGateway, service: FakeService) -> None:
    service.script["GET", "/app"] = [(302, b"")]
    with pytest.raises(Failure):
        gateway.applications()
    assert len(service.asked) == 1


def test_where_nothing_listens_the_hint_says_how_to_start(gateway: HttpGateway) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Failure) as caught:
        HttpGateway(url, None, sleep=lambda _seconds: pytest.fail("waited for nothing")).applications()
    assert caught.value.exit_code is Exit.UNREACHABLE
    assert "{program} serve" in caught.value.hint


def test_a_write_without_an_answer_says_that_it_may_have_arrived(service: FakeService) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Failure) as caught:
            HttpGateway(url, None, timeout=0.1).backup({"id": APP})
    assert "may have arrived" in caught.value.hint
    assert caught.value.exit_code is Exit.UNREACHABLE


@pytest.mark.parametrize("url", ["", "ftp://x", "localhost:8700", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Failure) as caught:
        HttpGateway(url, None)
    assert caught.value.exit_code is Exit.USAGE


def test_the_token_comes_from_file_then_variable_then_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = "http://127.0.0.1:8700"
    data = tmp_path / "data"
    data.mkdir()
    _private(data / "token", "of-the-runner")
    monkeypatch.setenv("MAINSTAY_DATA", str(data))
    assert find_token(here) == "of-the-runner"
    monkeypatch.setenv("MAINSTAY_TOKEN_FILE", str(_private(tmp_path / "named", "of-the-named-file\n")))
    assert find_token(here) == "of-the-named-file"
    monkeypatch.setenv("MAINSTAY_TOKEN", "of-the-variable")
    assert find_token(here) == "of-the-variable"
    assert find_token(here, str(_private(tmp_path / "t", "of-the-option"))) == "of-the-option"


def test_a_server_that_speaks_no_tls_is_not_said_to_have_a_bad_certificate(running: RunningService) -> None:
    asked = HttpGateway(running.url.replace("http:", "https:"), TOKEN, timeout=5, sleep=lambda _seconds: None)
    with pytest.raises(Failure, match="does not speak TLS") as refused:
        asked.applications()
    assert refused.value.exit_code == Exit.UNREACHABLE
    assert "certificate" not in refused.value.message


@pytest.mark.parametrize(
    "url", ["https://mainstay.example.com", "http://10.0.0.1:8700", "http://127.evil.example.com"]
)
def test_the_runners_token_never_leaves_this_machine(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _private(tmp_path / "token", "of-the-runner")
    monkeypatch.setenv("MAINSTAY_DATA", str(tmp_path))
    assert find_token(url) is None


def test_a_token_that_others_can_read_is_warned_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loose = tmp_path / "token"
    loose.write_text("secret-token")
    loose.chmod(0o644)
    assert find_token("http://127.0.0.1:1", str(loose)) == "secret-token"
    warned = capsys.readouterr().err
    assert "chmod 600" in warned
    assert "secret-token" not in warned


@pytest.mark.parametrize("text", ["", "two words", "a\nb"])
def test_a_file_that_holds_no_token_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="does not hold one token"):
        find_token("http://127.0.0.1:1", str(_private(tmp_path / "token", text)))


def _private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_what_is_meant_for_this_machine_goes_to_no_proxy(
    gateway: HttpGateway, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert [each["id"] for each in gateway.versions(APP, safety=True)["items"]] == [
        each["id"] for each in service.versions
    ]


def test_a_proxy_may_be_named_without_a_scheme_and_one_that_is_none_is_told(
    running: RunningService, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", running.url.removeprefix("http://"))
    beyond = HttpGateway("http://mainstay.example", TOKEN, timeout=5, sleep=lambda _seconds: None)
    assert beyond.applications()["items"]
    assert len(service.asked) == 1
    monkeypatch.setenv("http_proxy", "socks9://user:secret@proxy:1")
    other = HttpGateway("http://mainstay.example", TOKEN, timeout=5, sleep=lambda _seconds: None)
    with pytest.raises(Failure, match="The proxy that is set for http cannot be used") as raised:
        other.applications()
    assert "secret" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize("token", ["one\ntwo", "one two", "schlüssel"])
def test_a_token_that_is_none_is_refused_and_not_shown(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAY_TOKEN", token)
    with pytest.raises(Failure, match="MAINSTAY_TOKEN does not hold one token on one line") as raised:
        find_token("http://127.0.0.1:8700")
    assert token not in f"{raised.value}"
