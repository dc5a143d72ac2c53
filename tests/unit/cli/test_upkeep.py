"""`mainstay repository verify`, `stats` and `sweep`, on a directory."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.cli.exits import Exit
from chalicelib.cli.main import run
from chalicelib.cli.rendering.upkeep import applications_table, unread, versions_table
from chalicelib.cli.session import Session
from chalicelib.domain.application import Application
from chalicelib.domain.ids import new_id
from chalicelib.domain.version import Manifest
from chalicelib.store import layout
from chalicelib.store.backends.files import path_of
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Passphrase


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository that the environment leads to, with one application."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.setenv("MAINSTAY_REPOSITORY", f"file://{folder}")
    monkeypatch.setenv("MAINSTAY_PASSPHRASE", "correct horse")
    return Repository.initialise(f"file://{folder}", wrappers=[Passphrase("correct horse")]).repository


def registered(repository: Repository) -> str:
    now = repository.now()
    application = Application(
        id=new_id("app", now),
        name="shop",
        owner="somebody",
        cluster="cl-x",
        document="",
        created_at=now,
        updated_at=now,
    )
    return repository.applications.create(application).id


def version(repository: Repository, application: str, content: str) -> Manifest:
    writer, now = repository.segment_writer(application), repository.now()
    manifest = Manifest(
        application=application,
        version=new_id("ver", now),
        application_name="shop",
        cluster="cl-x",
        operation=new_id("op", now),
        fence=1,
        started_at=now,
        captured_at=now,
        document=writer.put("document", content.encode()),
    )
    return repository.versions(application).seal(manifest)


def said(*args: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(["repository", *args], Session(out=out, err=err))
    return code, out.getvalue(), err.getvalue()


def test_a_whole_repository_is_told_to_be_whole(repository: Repository) -> None:
    version(repository, registered(repository), "one")
    code, out, _ = said("verify")
    assert code == Exit.OK
    assert out.startswith("shop: whole. 1 version, 0 objects, 1 segment (")


def test_what_is_damaged_is_named_stored_again_by_the_next_backup_and_then_mended(
    repository: Repository, tmp_path: Path
) -> None:
    application = registered(repository)
    damaged = version(repository, application, "one")
    key = layout.segment(application, damaged.document.name)
    path = path_of(tmp_path / "repository", key)
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = said("verify", "--app", "shop")
    assert code == Exit.FAILED
    assert key in out.replace("\n", "")
    assert f"versions: {damaged.version}" in out
    assert "--repair" in err
    assert said("verify", "--quick")[0] == Exit.FAILED
    code, out, _ = said("verify", "--repair", "-o", "json")
    answer = json.loads(out)
    assert (code, answer["damaged"], answer["condemned"]) == (Exit.FAILED, 1, 1)
    assert answer["applications"][0]["affectedVersions"] == [damaged.version]
    later = version(repository, application, "one")
    assert later.document.name != damaged.document.name
    code, out, _ = said("verify", "--repair")
    assert code == Exit.OK
    assert out.startswith("shop: was damaged, and is whole again.")
    code, out, _ = said("verify")
    assert (code, out.split(".")[0]) == (Exit.OK, "shop: whole")


def test_statistics_of_all_and_of_one(repository: Repository) -> None:
    application = registered(repository)
    made = version(repository, application, "one")
    code, out, _ = said("stats", "--app", application)
    assert code == Exit.OK
    assert "shop" in out
    assert made.version in out
    _, out, _ = said("stats", "-o", "json")
    found = json.loads(out)["applications"][0]
    assert (found["name"], found["storedBytes"]) == ("shop", made.document.stored)
    assert found["versions"][0]["ownBytes"] == made.document.stored


def test_direct_works_on_the_runners_own_repository_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAINSTAY_REPOSITORY", raising=False)
    monkeypatch.delenv("MAINSTAY_PASSPHRASE", raising=False)
    monkeypatch.setenv("MAINSTAY_DATA", str(tmp_path / "data"))
    assert "MAINSTAY_REPOSITORY is not set" in said("verify", "--direct")[2]
    (tmp_path / "data" / "repository").mkdir(parents=True)
    (tmp_path / "data" / "passphrase").write_text("correct horse")
    address = f"file://{tmp_path}/data/repository"
    made = Repository.initialise(address, wrappers=[Passphrase("correct horse")]).repository
    version(made, registered(made), "one")
    for line, answer in (
        (("verify", "--direct"), "shop: whole."),
        (("stats", "--direct"), "shop "),
        (("rewrap",), "Everything that is set opens it already."),
    ):
        code, out, _ = said(*line)
        assert (code, answer in out) == (Exit.OK, True)


def measured(**changes: Any) -> dict[str, Any]:
    whole = {
        "id": "app-1",
        "name": "shop",
        "complete": True,
        "damaged": [],
        "existing": 9000,
        "segments": 70,
        "plainBytes": 2048,
        "storedBytes": 1024,
        "neededBytes": 1024,
        "ratio": 2.0,
        "unneededBytes": 0,
        "condemnedSegments": 0,
        "versions": [],
    }
    return {**whole, **changes}


def test_what_was_measured_in_part_says_so_and_guesses_nothing() -> None:
    unknown = dict.fromkeys(("plainBytes", "neededBytes", "ratio", "unneededBytes"))
    version = {"id": "ver-1", "objects": 7, "plainBytes": 700, "storedBytes": 70, "ownBytes": None}
    part = measured(complete=False, versions=[version] * 240, **unknown)
    (row,) = applications_table([part]).cells
    assert [str(cell) for cell in row] == ["shop", "9,000", "70", "?", "1.0 KiB", "", "?", "0"]
    assert str(versions_table([version]).cells[0][-1]) == "?"
    assert unread(part) == "shop: only the newest 240 of 9,000 versions could be read in the time that a request has."
    assert "the beginning of its listing" in unread(measured(complete=False, **unknown))
    assert unread(measured()) == ""
    sick = unread(measured(complete=False, damaged=["ver-2"], **unknown))
    assert sick == "shop: ver-2 cannot be read, so what is needed is not known."


def test_a_sweep_by_hand_says_what_it_removed(repository: Repository) -> None:
    application = registered(repository)
    ended = version(repository, application, "one")
    repository.end_version(application, ended.version, "somebody", "asked for")
    code, out, _ = said("sweep")
    assert (code, out) == (Exit.OK, "shop: 0 segments removed (0 B). Left for later: 1 deleted version.\n")
    code, out, _ = said("sweep", "--now", "--app", "shop")
    assert code == Exit.OK
    assert out.startswith("shop: 1 segment removed (")
    assert list(repository.vault.list(layout.segments(application))) == []


def test_an_application_that_is_not_there_is_told(repository: Repository) -> None:
    registered(repository)
    code, _, err = said("verify", "--app", "nowhere")
    assert code == Exit.NOT_FOUND
    assert "'nowhere'" in err
