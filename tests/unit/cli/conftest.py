"""The command line against a small server that answers in the API's shapes."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chalicelib.cli import following
from chalicelib.cli.main import run
from chalicelib.cli.session import Session
from tests.unit.cli.fake_service import TOKEN, FakeService, RunningService

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    """What one command line said, and how it ended."""

    code: int
    out: str
    err: str


class FixedSession(Session):
    """A session in which it is always noon."""

    @property
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def running(service: FakeService) -> Iterator[RunningService]:
    server = RunningService(service)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the machine's variables nor its time zone nor its first runner may decide a test."""
    for name in ("MAINSTAY_URL", "MAINSTAY_TOKEN", "MAINSTAY_TOKEN_FILE", "FORCE_COLOR", "NO_COLOR", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("MAINSTAY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def mainstay(running: RunningService, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """`mainstay("backup", "shop")`: one command line against the running server."""
    monkeypatch.setenv("MAINSTAY_URL", running.url)
    monkeypatch.setenv("MAINSTAY_TOKEN", TOKEN)
    monkeypatch.setattr(following, "_FIRST_PAUSE", 0.001)

    def call(*args: str, program: str = "mainstay", stdin: str = "") -> Said:
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr("sys.stdin", _Stdin(stdin))
        code = run(list(args), FixedSession(program=program, out=out, err=err))
        return Said(int(code), out.getvalue(), err.getvalue())

    return call


class _Stdin(io.TextIOWrapper):
    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode()), encoding="utf-8")
