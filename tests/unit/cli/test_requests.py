"""`request` and `request-key`: signing without a server, and the keys for it."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.cli.exits import Exit
from chalicelib.domain.request import read
from chalicelib.store.address import backend_at
from chalicelib.store.inbox import Inbox
from tests.unit.cli.conftest import Said
from tests.unit.cli.fake_service import REQUEST_KEY, FakeService, problem

Mainstay = Callable[..., Said]
Put = Callable[..., Said]


@pytest.fixture
def key(mainstay: Mainstay, tmp_path: Path) -> str:
    file = tmp_path / "pipeline.key"
    assert mainstay("request-key", "add", "pipeline", "--out", str(file)).code == 0
    return str(file)


def test_a_key_goes_into_a_file_that_nobody_else_reads_and_is_not_shown(mainstay: Mainstay, tmp_path: Path) -> None:
    file = tmp_path / "a.key"
    said = mainstay("request-key", "add", "pipeline", "--out", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"id": REQUEST_KEY, "secret": "s" * 64}
    assert "ssss" not in said.out + said.err
    assert mainstay("request-key", "add", "pipeline", "--out", str(file)).code == Exit.USAGE


def test_a_key_is_shown_once_without_a_file(mainstay: Mainstay) -> None:
    assert f"Secret, shown this once: {'s' * 64}" in mainstay("request-key", "add", "pipeline").out
    listed = mainstay("request-key", "list").out
    assert "pipeline" in listed
    assert "ssss" not in listed


def test_a_key_is_made_for_applications_and_modes_and_listed_so(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("request-key", "add", "night", "--app", "shop", "--app", "blog", "--mode", "merge", "--elsewhere")
    assert "It restores shop, blog (merge), also elsewhere." in said.out
    (body,) = [each[3] for each in service.asked if each[:2] == ("POST", "/requestKey")]
    assert body == {"name": "night", "applications": ["shop", "blog"], "modes": ["merge"], "elsewhere": True}
    assert "any application" in mainstay("request-key", "list").out


def test_a_file_for_a_key_that_was_not_made_is_not_left(
    mainstay: Mainstay, service: FakeService, tmp_path: Path
) -> None:
    file = tmp_path / "a.key"
    service.script["POST", "/requestKey"] = [(422, problem("invalid", "There is no application 'no-such'."))]
    assert mainstay("request-key", "add", "pipeline", "--app", "no-such", "--out", str(file)).code != 0
    assert not file.exists()


def test_a_key_is_revoked_by_its_id(mainstay: Mainstay) -> None:
    assert "is revoked" in mainstay("request-key", "revoke", REQUEST_KEY).out
    assert mainstay("request-key", "revoke", "key-01kb7777000000000000000001").code == Exit.NOT_FOUND


def test_a_request_is_signed_with_no_server_asked(mainstay: Mainstay, service: FakeService, key: str) -> None:
    service.asked.clear()
    said = mainstay("request", "shop", "--key-file", key, "--mode", "merge", "--only", "ConfigMap/*", "--dry-run")
    asked = read(said.out.encode())
    assert asked.is_signed_with("s" * 64)
    assert not asked.is_signed_with("t" * 64)
    assert (asked.application, asked.version, asked.key) == ("shop", "newest good", REQUEST_KEY)
    assert asked.options == {"mode": "merge", "only": ["ConfigMap/*"], "dryRun": True}
    assert service.asked == []


def test_two_requests_are_never_one(mainstay: Mainstay, key: str) -> None:
    first, second = (read(mainstay("request", "shop", "--key-file", key).out.encode()) for _ in range(2))
    assert first.digest != second.digest


def test_a_request_can_go_into_a_file(mainstay: Mainstay, key: str, tmp_path: Path) -> None:
    file = tmp_path / "restore.json"
    version = "ver-01jd0000000000000000000000"
    assert mainstay("request", "shop", version.upper(), "--key-file", key, "--out", str(file)).out == ""
    assert read(file.read_bytes()).version == version


@pytest.mark.parametrize("version", ["latest", "previous", "before-deploy", "ver-01jd", "op-" + "0" * 26, ""])
def test_a_version_that_only_the_service_could_look_up_is_not_signed(
    mainstay: Mainstay, key: str, version: str
) -> None:
    said = mainstay("request", "shop", version, "--key-file", key)
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert f"{version!r} is no version's id" in said.err
    assert "mainstay versions shop" in said.err


def test_the_newest_good_version_can_be_said_in_words(mainstay: Mainstay, key: str) -> None:
    said = mainstay("request", "shop", "newest good", "--key-file", key)
    assert read(said.out.encode()).version == "newest good"


@pytest.mark.parametrize("application", ["", "x" * 201])
def test_what_would_be_refused_for_its_form_is_not_signed(mainstay: Mainstay, key: str, application: str) -> None:
    said = mainstay("request", application, "--key-file", key)
    assert said.code != Exit.OK
    assert said.out == ""


class Service:
    """Answers what is put into an inbox, with one answer after the other; the last one stays."""

    def __init__(self, folder: Path, *answers: dict[str, Any]) -> None:
        self.address = f"file://{folder}/repository"
        self._inbox = Inbox(backend_at(self.address))
        self._answers = list(answers)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._answer)

    def _answer(self) -> None:
        known: list[str] = []
        while not self._stopped.wait(0.02):
            known += [listed.key for listed in self._inbox.waiting() if listed.key not in known]
            for key in known:
                if self._answers:
                    self._inbox.answer(key, self._answers.pop(0))

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def told(state: str, error: dict[str, str] | None = None) -> dict[str, Any]:
    ended = state not in {"queued", "running"}
    known = {"accepted": True, "operation": "op-1", "kind": "restore", "state": state, "ended": ended}
    return {**known, "error": error}


REVOKED = {"accepted": False, "error": {"code": "revoked", "message": "The key was revoked."}}


@pytest.fixture
def put(mainstay: Mainstay, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    def put(options: list[str], *answers: dict[str, Any]) -> Said:
        with Service(tmp_path, *answers) as service:
            monkeypatch.setenv("MAINSTAY_REPOSITORY", service.address)
            return mainstay("request", "shop", "--key-file", key, "--put", *options)

    return put


def test_a_request_can_be_put_into_the_repository_and_its_answer_waited_for(put: Put) -> None:
    said = put([], told("queued"))
    assert said.code == Exit.OK
    assert "Accepted: the restore op-1 is queued." in said.out


@pytest.mark.parametrize("options", [[], ["--wait"]])
def test_a_request_that_is_refused_is_told_at_once(put: Put, options: list[str]) -> None:
    said = put(options, REVOKED)
    assert said.code == Exit.REFUSED
    assert "Refused: The key was revoked." in said.out


@pytest.mark.parametrize(
    ("end", "code", "sentence"),
    [
        (told("succeeded"), Exit.OK, "The restore op-1 succeeded."),
        (told("partial"), Exit.PARTIAL, "The restore op-1 is done in part."),
        (told("failed", {"code": "x", "message": "A quota is full."}), Exit.FAILED, "op-1 failed: A quota is full."),
        (told("failed", {"code": "conflict", "message": "It moved."}), Exit.REFUSED, "op-1 failed: It moved."),
        (told("cancelled"), Exit.FAILED, "The restore op-1 was cancelled."),
    ],
)
def test_the_end_can_be_waited_for_and_decides_the_exit_code(
    put: Put, end: dict[str, Any], code: Exit, sentence: str
) -> None:
    said = put(["--wait"], told("queued"), told("running"), end)
    assert said.code == code
    assert said.out.endswith(f"{sentence}\n")


def test_who_waits_for_the_end_is_shown_the_last_answer_alone_as_json(put: Put) -> None:
    said = put(["--wait", "-o", "json"], told("queued"), told("succeeded"))
    assert json.loads(said.out) == told("succeeded")


def test_the_waiting_for_the_end_has_a_limit_and_says_where_the_answer_will_be(put: Put) -> None:
    said = put(["--wait", "--limit", "1s"], told("running"))
    assert said.code == Exit.UNREACHABLE
    assert "The restore op-1 is running after 1.0 s. It goes on." in said.err
    assert "/responses/" in said.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--wait"], "--wait needs --put"),
        (["--put", "--limit", "5m"], "--limit needs --wait"),
        (["--put", "--wait", "--limit", "soon"], "--limit: "),
        (["--put", "--out", "x.json"], "exclude each other"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_put(
    mainstay: Mainstay, key: str, options: list[str], why: str
) -> None:
    said = mainstay("request", "shop", "--key-file", key, *options)
    assert said.code == Exit.USAGE
    assert why in said.err


@pytest.mark.parametrize("content", ["", "[]", '{"id": "key-1"}', None])
def test_what_is_no_key_is_told(mainstay: Mainstay, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "none.key"
    if content is not None:
        file.write_text(content)
    said = mainstay("request", "shop", "--key-file", str(file))
    assert said.code == Exit.USAGE
    assert str(file) in said.err
