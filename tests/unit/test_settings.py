"""Settings: typed, told by name when wrong, and never shown when secret."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.settings import RELEASE, Settings, unknown_names


def test_without_anything_set_there_are_defaults() -> None:
    settings = Settings.read({})
    assert (settings.listen, settings.lease_seconds, settings.repository) == ("127.0.0.1:8700", 30, None)


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert Settings.read({"MAINSTAY_LISTEN": " ", "MAINSTAY_REPOSITORY": ""}) == Settings.read({})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MAINSTAY_REPOSITORY", "/srv/mainstay", "s3://bucket/prefix"),
        ("MAINSTAY_REPOSITORY", "s3://", "bucket"),
        ("MAINSTAY_CONTROL", "file://relative", "file:///"),
        ("MAINSTAY_LISTEN", "8700", "host:port"),
        ("MAINSTAY_LISTEN", "localhost:99999", "host:port"),
        ("MAINSTAY_LEASE_SECONDS", "soon", "it must be a number"),
        ("MAINSTAY_LEASE_SECONDS", "0", "at least 2"),
        ("MAINSTAY_WORKERS", "0", "at least 1"),
    ],
)
def test_what_is_wrong_is_told_by_the_variables_name_and_how_to_mend_it(name: str, value: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        Settings.read({name: value})
    assert name in refused.value.message
    assert says in refused.value.message
    assert refused.value.problems[0].path == name
    assert refused.value.problems[0].hint


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        Settings.read({"MAINSTAY_REPOSITORY": "x", "MAINSTAY_LISTEN": "y"})
    assert len(refused.value.problems) == 2


def test_secrets_are_said_to_be_set_and_never_shown() -> None:
    settings = Settings.read({"MAINSTAY_PASSPHRASE": "hunter2hunter2", "MAINSTAY_ADMIN_TOKEN": "t" * 30})
    shown = settings.shown()
    assert shown["MAINSTAY_PASSPHRASE"] == shown["MAINSTAY_ADMIN_TOKEN"] == "(set, not shown)"
    for text in (repr(settings), str(shown), settings.model_dump_json()):
        assert "hunter2" not in text
        assert "tttt" not in text


def test_a_secret_in_the_wrong_place_is_not_repeated() -> None:
    with pytest.raises(Invalid) as refused:
        Settings.read({"MAINSTAY_REPOSITORY": "hunter2", "MAINSTAY_LISTEN": "hunter2"})
    assert "hunter2" not in str(refused.value.as_json())


def test_a_secret_and_its_file_together_are_refused() -> None:
    with pytest.raises(Invalid, match="MAINSTAY_PASSPHRASE_FILE"):
        Settings.read({"MAINSTAY_PASSPHRASE": "x", "MAINSTAY_PASSPHRASE_FILE": "/y"})


def test_a_secrets_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    settings = Settings.read({"MAINSTAY_PASSPHRASE_FILE": str(file)})
    with pytest.raises(Invalid, match="cannot be read"):
        settings.read_passphrase()
    file.write_text("\n")
    with pytest.raises(Invalid, match="is empty"):
        settings.read_passphrase()
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Invalid, match="not a text file"):
        settings.read_passphrase()
    file.write_text("correct horse\n")
    passphrase = settings.read_passphrase()
    assert passphrase is not None
    assert passphrase.get_secret_value() == "correct horse"


def test_a_short_administrator_token_is_refused() -> None:
    with pytest.raises(Invalid, match="too short"):
        Settings.read({"MAINSTAY_ADMIN_TOKEN": "admin"}).read_admin_token()


def test_a_slip_in_a_variables_name_is_told() -> None:
    assert unknown_names({"MAINSTAY_REPOSITRY": "x", "HOME": "/"}) == [
        "MAINSTAY_REPOSITRY is no setting of Mainstay: did you mean MAINSTAY_REPOSITORY?"
    ]
    assert unknown_names({"MAINSTAY_LISTEN": "x", "MAINSTAY_TOKEN_FILE": "y"}, ["MAINSTAY_TOKEN_FILE"]) == []


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    for name in Settings.names():
        assert f"`{name}`" in page, name


def test_the_release_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == RELEASE
