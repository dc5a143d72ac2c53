"""`mainstay repository init` and `rewrap`: the repository is made, and opened by more than before, with no server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Said

Mainstay = Callable[..., Said]
RECOVERY = re.compile(r"MSR1(-[A-Z2-7]{5}){8}")


@pytest.fixture(autouse=True)
def _repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAINSTAY_REPOSITORY", f"file://{tmp_path}/repository")
    monkeypatch.setenv("MAINSTAY_PASSPHRASE", "correct horse")
    monkeypatch.delenv("MAINSTAY_KMS_KEY", raising=False)


def test_the_recovery_key_is_shown_once_and_not_in_the_answer(mainstay: Mainstay) -> None:
    made = mainstay("repository", "init", "-o", "json")
    assert (made.code, json.loads(made.out)["made"]) == (0, True)
    assert RECOVERY.search(made.err)
    assert not RECOVERY.search(made.out)
    again = mainstay("repository", "init")
    assert (again.code, "There is a repository" in again.out) == (0, True)
    assert not RECOVERY.search(again.err)


def test_a_lost_passphrase_is_replaced_with_the_recovery_key(
    mainstay: Mainstay, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = RECOVERY.search(mainstay("repository", "init").err)
    assert shown is not None
    monkeypatch.setenv("MAINSTAY_PASSPHRASE", "forgotten")
    assert mainstay("repository", "rewrap").code != 0
    monkeypatch.setenv("MAINSTAY_PASSPHRASE", shown[0])
    said = mainstay("repository", "rewrap", "--new-recovery-key", "-o", "json")
    assert json.loads(said.out)["added"] == ["recovery"]
    fresh = RECOVERY.search(said.err)
    assert fresh is not None
    monkeypatch.setenv("MAINSTAY_PASSPHRASE", fresh[0])
    assert "Everything that is set opens it already" in mainstay("repository", "rewrap").out


def test_without_a_repository_named_it_is_said_which_setting_is_missing(
    mainstay: Mainstay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAINSTAY_REPOSITORY")
    for name in ("init", "rewrap"):
        said = mainstay("repository", name)
        assert said.code != 0
        assert "MAINSTAY_REPOSITORY is not set" in said.err
