"""With no settings at all there is everything to start with, and only its user can read it."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

import pytest

from chalicelib.domain.errors import Invalid, StorageError
from chalicelib.local.first_start import Prepared, found, prepare


def test_nothing_set_makes_repository_passphrase_and_token(tmp_path: Path) -> None:
    data = tmp_path / "data"
    prepared = prepare({"MAINSTAY_DATA": str(data)})
    assert prepared.settings.repository == f"file://{data}/repository"
    assert {path.name for path in prepared.made} == {"passphrase", "token"}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for path in prepared.made:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(path.read_text().strip()) >= 40
    token = prepared.settings.read_admin_token()
    assert token is not None
    assert token.get_secret_value() == (data / "token").read_text().strip()


def test_the_second_start_finds_what_the_first_one_made(tmp_path: Path) -> None:
    environment = {"MAINSTAY_DATA": str(tmp_path / "data")}
    first = prepare(environment)
    second = prepare(environment)
    assert second.made == ()
    assert second.settings == first.settings


def test_a_runner_that_starts_while_another_makes_its_secrets_meets_none_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"MAINSTAY_DATA": str(tmp_path / "data")}
    others: list[Prepared] = []
    make = secrets.token_urlsafe

    def meanwhile(size: int) -> str:
        monkeypatch.setattr(secrets, "token_urlsafe", make)
        others.append(prepare(environment))
        return make(size)

    monkeypatch.setattr(secrets, "token_urlsafe", meanwhile)
    one = prepare(environment)
    (other,) = others
    assert [path.name for path in other.made] == ["passphrase", "token"]
    assert one.made == ()
    assert one.settings == other.settings
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["passphrase", "token"]


def test_no_token_is_made_beside_the_digest_of_one(tmp_path: Path) -> None:
    prepared = prepare({"MAINSTAY_DATA": str(tmp_path / "data"), "MAINSTAY_ADMIN_TOKEN_SHA256": "ab" * 32})
    assert [path.name for path in prepared.made] == ["passphrase"]
    assert prepared.settings.read_admin_token() is None


def test_what_is_set_is_left_alone(tmp_path: Path) -> None:
    passphrase = tmp_path / "mine"
    passphrase.write_text("correct horse")
    environment = {
        "MAINSTAY_DATA": str(tmp_path / "data"),
        "MAINSTAY_REPOSITORY": "file:///srv/mainstay",
        "MAINSTAY_PASSPHRASE_FILE": str(passphrase),
        "MAINSTAY_ADMIN_TOKEN": "a-token-of-at-least-20-characters",
    }
    prepared = prepare(environment)
    assert prepared.made == ()
    assert prepared.environment == {}
    assert not (tmp_path / "data").exists()


def test_no_passphrase_is_made_up_for_a_repository_that_may_be_there_already(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="MAINSTAY_PASSPHRASE_FILE"):
        prepare({"MAINSTAY_DATA": str(tmp_path), "MAINSTAY_REPOSITORY": "s3://bucket/prefix"})


def test_a_lost_passphrase_is_not_replaced_by_one_that_opens_nothing(tmp_path: Path) -> None:
    environment = {"MAINSTAY_DATA": str(tmp_path)}
    prepare(environment)
    (tmp_path / "repository").mkdir()
    (tmp_path / "passphrase").unlink()
    with pytest.raises(Invalid, match="is missing"):
        prepare(environment)
    assert not (tmp_path / "passphrase").exists()


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="MAINSTAY_DATA"):
        prepare({"MAINSTAY_DATA": str(tmp_path / "file" / "data")})


def test_what_an_earlier_start_made_is_found_and_nothing_is_made(tmp_path: Path) -> None:
    environment = {"MAINSTAY_DATA": str(tmp_path / "data")}
    assert found(environment).repository is None
    assert not (tmp_path / "data").exists()
    prepared = prepare(environment)
    (tmp_path / "data" / "repository").mkdir()
    (tmp_path / "data" / "token").unlink()
    settings = found(environment)
    assert (settings.repository, settings.passphrase_file) == (
        prepared.settings.repository,
        prepared.settings.passphrase_file,
    )
    assert not (tmp_path / "data" / "token").exists()
    # What is named goes first: the recovery key, say, where the passphrase is lost.
    key = tmp_path / "recovery-key"
    key.write_text("MSR1-…")
    assert found({**environment, "MAINSTAY_PASSPHRASE_FILE": str(key)}).passphrase_file == key
    assert found({**environment, "MAINSTAY_REPOSITORY": "file:///srv/mainstay"}).repository == "file:///srv/mainstay"
