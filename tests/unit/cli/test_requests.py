"""`request` and `request-key`: signing without a server, and the keys for it."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chalicelib.cli.exits import Exit
from chalicelib.domain.request import read
from chalicelib.store.address import backend_at
from chalicelib.store.inbox import Inbox
from tests.unit.cli.conftest import Said
from tests.unit.cli.fake_service import REQUEST_KEY, FakeService, problem

Mainstay = Callable[..., Said]


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
    assert mainstay("request", "shop", "ver-1", "--key-file", key, "--out", str(file)).out == ""
    assert read(file.read_bytes()).version == "ver-1"


@pytest.mark.parametrize("accepted", [True, False])
def test_a_request_can_be_put_into_the_repository_and_waited_for(
    mainstay: Mainstay, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, accepted: bool
) -> None:
    address = f"file://{tmp_path}/repository"
    monkeypatch.setenv("MAINSTAY_REPOSITORY", address)
    inbox, stopped = Inbox(backend_at(address)), threading.Event()
    answer = (
        {"accepted": True, "operation": "op-1", "kind": "restore", "state": "queued"}
        if accepted
        else {"accepted": False, "error": {"code": "revoked", "message": "The key was revoked."}}
    )

    def somebody() -> None:
        while not stopped.wait(0.02):
            for listed in inbox.waiting():
                inbox.answer(listed.key, answer)

    worker = threading.Thread(target=somebody)
    worker.start()
    said = mainstay("request", "shop", "--key-file", key, "--put")
    stopped.set()
    worker.join()
    assert said.code == (Exit.OK if accepted else Exit.REFUSED)
    assert ("the restore op-1 is queued" if accepted else "Refused: The key was revoked.") in said.out


@pytest.mark.parametrize("content", ["", "[]", '{"id": "key-1"}', None])
def test_what_is_no_key_is_told(mainstay: Mainstay, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "none.key"
    if content is not None:
        file.write_text(content)
    said = mainstay("request", "shop", "--key-file", str(file))
    assert said.code == Exit.USAGE
    assert str(file) in said.err
