"""`app autobackup` and `policy`: how often things are backed up by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from chalicelib.cli.exits import Exit
from tests.unit.cli.conftest import Said
from tests.unit.cli.fake_service import APP, FakeService

Mainstay = Callable[..., Said]


def sent(service: FakeService, method: str) -> list[tuple[str, object]]:
    return [(path, body) for asked, path, _, body in service.asked if asked == method]


@pytest.mark.parametrize(
    ("interval", "seconds"), [("1h", 3600), ("90", 90), ("1d", 86400), ("off", 0), ("0", 0), ("never", 0)]
)
def test_an_interval_is_sent_in_seconds(
    mainstay: Mainstay, service: FakeService, interval: str, seconds: int
) -> None:
    assert mainstay("app", "autobackup", "shop", interval).code == 0
    assert sent(service, "PUT") == [(f"/app/autobackup/{APP}/{seconds}", {})]


def test_it_says_when_the_next_backup_is(mainstay: Mainstay, service: FakeService) -> None:
    service.status["nextBackup"] = "2026-11-24T13:00:00Z"
    assert mainstay("app", "autobackup", "shop", "1h").out == (
        "shop is backed up every 1h, next at 2026-11-24 13:00:00.\n"
    )
    service.status["nextBackup"] = None
    assert "not backed up by itself" in mainstay("app", "autobackup", "shop", "off").out


def test_an_interval_that_is_none_is_told_before_anything_is_sent(mainstay: Mainstay, service: FakeService) -> None:
    said = mainstay("app", "autobackup", "shop", "often")
    assert said.code == Exit.USAGE
    assert "`often` is not a duration" in said.err
    assert service.asked == []


def test_the_default_is_shown_in_words_and_as_it_is(mainstay: Mainstay) -> None:
    out = mainstay("policy", "show").out
    assert "every 1h" in out
    assert "last 5, and the last good one" in out
    assert json.loads(mainstay("policy", "show", "-o", "json").out)["backup_regularity"] == 3600


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--every", "6h"], {"backup_regularity": 21600}),
        (["--every", "off"], {"backup_regularity": 0}),
        (["--keep-last", "7"], {"backup_regularity": 3600, "keep": {"last": 7}}),
        (["--every", "1d", "--keep-all"], {"backup_regularity": 86400, "keep": None}),
    ],
)
def test_what_is_not_given_stays(
    mainstay: Mainstay, service: FakeService, options: list[str], body: dict[str, object]
) -> None:
    assert mainstay("policy", "set", *options).code == 0
    assert sent(service, "PUT") == [("/kubernetes/changeBackupPolicies", body)]


@pytest.mark.parametrize("options", [[], ["--keep-last", "1", "--keep-all"], ["--keep-last", "0"]])
def test_a_change_that_is_none_is_refused(mainstay: Mainstay, service: FakeService, options: list[str]) -> None:
    assert mainstay("policy", "set", *options).code == Exit.USAGE
    assert service.asked == []
