"""Requests, answers, request keys and the default policy, on each storage."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.document.backup import Keep
from chalicelib.domain.errors import Damaged, Malformed, NotFound
from chalicelib.domain.ids import new_id
from chalicelib.domain.policy import BackupPolicy
from chalicelib.domain.request import LARGEST
from chalicelib.domain.request_key import Scope
from chalicelib.store import layout
from chalicelib.store.backends.directory import DirectoryBackend
from chalicelib.store.inbox import Inbox
from chalicelib.store.repository import Repository
from tests.contract.store.places import Place
from tests.contract.store.samples import AT, PASSPHRASE, made_repository

NAMES = ["requests/a.json", "requests/b/c d.json", "requests/ü+%20.json", "requests/without an ending"]


def test_a_request_waits_until_it_is_answered(place: Place) -> None:
    inbox = Inbox(place.backend())
    assert list(inbox.waiting()) == []
    for name in NAMES:
        place.write(name, b"{}")
    assert {listed.key for listed in inbox.waiting()} == set(NAMES)
    inbox.answer(NAMES[1], {"accepted": True})
    assert {listed.key for listed in inbox.waiting()} == set(NAMES) - {NAMES[1]}
    assert Inbox(place.backend()).answered(NAMES[1]) == {"accepted": True}
    assert inbox.answered(NAMES[0]) is None


def test_of_a_request_no_more_is_read_than_shows_that_it_is_too_large(place: Place) -> None:
    inbox = Inbox(place.backend())
    sizes = {"empty": 0, "largest": LARGEST, "larger": LARGEST + 1, "huge": 50 * LARGEST}
    for name, size in sizes.items():
        place.write(f"requests/{name}.json", b"x" * size)
    read = {name: len(inbox.read(f"requests/{name}.json") or b"") for name in sizes}
    assert read == {"empty": 0, "largest": LARGEST, "larger": LARGEST + 1, "huge": LARGEST + 1}
    assert inbox.read("requests/empty.json") == b""
    assert inbox.read("requests/huge") is None
    assert inbox.read("requests/other.json") is None


def test_what_no_answer_can_be_called_is_told_and_not_read(place: Place) -> None:
    inbox = Inbox(place.backend())
    for name in ("a//b.json", "../control/a.json", "a/./b.json", "a\n.json", "a" * 901, "ü" * 451, ""):
        with pytest.raises(Malformed):
            inbox.read(f"requests/{name}")


def test_what_is_no_plain_file_is_not_waited_for_and_shows_nothing(tmp_path: Path) -> None:
    backend = DirectoryBackend(tmp_path / "repository")
    inbox, folder = Inbox(backend), tmp_path / "repository" / "requests"
    (folder / "generations.json@").mkdir(parents=True)
    (tmp_path / "theirs").write_text("somebody else's secret")
    for name in ("pipe.json", "generations.json"):
        os.mkfifo(folder / name)
    (folder / "link.json").symlink_to(tmp_path / "theirs")
    (folder / "endless.json").symlink_to("/dev/zero")
    os.mknod(folder / "socket.json", stat.S_IFSOCK | 0o600)
    found: dict[str, bytes | None] = {}

    def look() -> None:
        found.update((listed.key, inbox.read(listed.key)) for listed in inbox.waiting())

    # A thread that ends with the process: to open a pipe would not end.
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(60)
    names = ("endless", "generations", "link", "pipe", "socket")
    assert found == {f"requests/{name}.json": b"" for name in names}


def test_a_file_that_somebody_copied_into_a_directory_is_read_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "requests"
    folder.mkdir()
    for name in ("my own.json", "ü.json", "plain.json", ".being-written.json"):
        (folder / name).write_bytes(name.encode())
    inbox = Inbox(DirectoryBackend(tmp_path))
    assert {listed.key for listed in inbox.waiting()} == {
        "requests/my own.json",
        "requests/ü.json",
        "requests/plain.json",
    }
    assert inbox.read("requests/my own.json") == b"my own.json"
    assert inbox.read("requests/ü.json") == "ü.json".encode()
    assert inbox.read("requests/.being-written.json") is None


def test_the_last_answer_counts_and_the_same_one_is_not_written_again(place: Place) -> None:
    inbox = Inbox(place.backend())
    states: list[dict[str, Any]] = [{"state": "queued"}, {"state": "running"}, {"state": "succeeded"}]
    for state in states:
        inbox.answer(NAMES[0], state)
        assert inbox.answered(NAMES[0]) == state
    before = place.backend().get("responses/a.json")
    inbox.answer(NAMES[0], states[-1])
    after = place.backend().get("responses/a.json")
    assert before is not None
    assert after is not None
    assert before.etag == after.etag


def test_many_who_answer_at_once_agree_on_one_whole_answer(real_place: Place) -> None:
    answers = [{"operation": f"op-{number}", "padding": "x" * 2000} for number in range(6)]
    threads = [
        threading.Thread(target=Inbox(real_place.backend()).answer, args=(NAMES[0], answer)) for answer in answers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Inbox(real_place.backend()).answered(NAMES[0]) in answers


def test_an_answer_that_cannot_be_read_is_told_and_can_be_written_anew(place: Place) -> None:
    place.write("responses/a.json", b"spoiled")
    inbox = Inbox(place.backend())
    with pytest.raises(Damaged, match=r"responses/a\.json"):
        inbox.answered(NAMES[0])
    inbox.answer(NAMES[0], {"accepted": True})
    assert inbox.answered(NAMES[0]) == {"accepted": True}


def another(place: Place) -> Repository:
    backend = place.backend()
    return Repository.on(backend, backend, [PASSPHRASE])


def test_a_key_is_kept_encrypted_opened_elsewhere_and_revoked_for_good(place: Place) -> None:
    keys, identifier = made_repository(place).request_keys, new_id("key", AT)
    keys.create(identifier, "pipeline", "the secret", AT, "admin")
    assert b"the secret" not in place.read(layout.request_key(identifier))
    elsewhere = another(place).request_keys
    assert elsewhere.secret(elsewhere.get(identifier)) == "the secret"
    assert [key.name for key in elsewhere.list()] == ["pipeline"]
    first = elsewhere.revoke(identifier, AT, "admin")
    assert keys.revoke(identifier, AT, "somebody else") == first
    assert keys.get(identifier).revoked_by == "admin"
    with pytest.raises(NotFound):
        keys.revoke(new_id("key", AT), AT, "admin")


def test_what_a_key_is_for_is_kept_with_it(place: Place) -> None:
    keys = made_repository(place).request_keys
    scope = Scope(applications=(new_id("app", AT),), modes=("merge",), elsewhere=False)
    made = keys.create(new_id("key", AT), "pipeline", "the secret", AT, "admin", scope)
    everything = keys.create(new_id("key", AT), "operator", "another", AT, "admin")
    elsewhere = another(place).request_keys
    assert elsewhere.get(made.id).scope == elsewhere.revoke(made.id, AT, "admin").scope == scope
    assert elsewhere.get(everything.id).scope == Scope(applications=None, modes=None, elsewhere=True)


def test_a_secret_that_was_moved_to_another_key_does_not_open(place: Place) -> None:
    keys = made_repository(place).request_keys
    one = keys.create(new_id("key", AT), "one", "secret of one", AT, "admin")
    other = keys.create(new_id("key", AT), "other", "secret of the other", AT, "admin")
    with pytest.raises(Damaged):
        keys.secret(one.model_copy(update={"sealed": other.sealed}))


def test_the_default_is_none_until_it_is_set_and_the_same_for_everybody_then(place: Place) -> None:
    policies = made_repository(place).policies
    assert policies.read() == BackupPolicy()
    policies.update(lambda found: found.model_copy(update={"every_seconds": 600, "keep": Keep(last=3)}))
    assert another(place).policies.read() == BackupPolicy(every_seconds=600, keep=Keep(last=3))
