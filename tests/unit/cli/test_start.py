"""What the installed command itself promises: a quick start, clean pipes, and a line that is written over."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.cli import fake_service as fake
from tests.unit.cli.fake_service import BACKUP, TOKEN, FakeService, RunningService

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'mainstay'; from chalicelib.cli.main import main; main()"]


def _environment(running: RunningService | None = None, **more: str) -> dict[str, str]:
    own = {name: given for name, given in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    here = {"MAINSTAY_URL": running.url, "MAINSTAY_TOKEN": TOKEN} if running else {}
    root = str(Path(__file__).parents[3])
    return {**own, **here, "PYTHONPATH": root, "TERM": "xterm-256color", **more}


def test_help_loads_nothing_heavy() -> None:
    program = "import sys, chalicelib.cli.main; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], env=_environment(), capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"rich", "urllib3", "pydantic", "yaml", "boto3", "kubernetes", "chalice", "cryptography", "requests"}
    assert not heavy & set(loaded)


def test_a_reader_that_has_seen_enough_is_no_trace(running: RunningService, service: FakeService) -> None:
    service.versions = [fake.version(f"ver-01kb{number:022d}", comment="x" * 200) for number in range(900)]
    line = " ".join([*(f"'{part}'" if " " in part else part for part in COMMAND[:2]), f'"{COMMAND[2]}"'])
    ended = subprocess.run(
        ["sh", "-c", f"{line} versions shop --all | head -1"],
        env=_environment(running),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.startswith("VERSION")
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr


def test_without_a_terminal_there_are_no_colours(running: RunningService) -> None:
    ended = subprocess.run(
        [*COMMAND, "plan", "shop"], env=_environment(running), capture_output=True, text=True, check=True
    )
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "Plan: 1 to create" in ended.stdout


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(
    running: RunningService, more: dict[str, str], coloured: bool
) -> None:
    seen = _on_a_terminal(["plan", "shop"], _environment(running, **more))
    assert ("\x1b[1;32m" in seen or "\x1b[32m" in seen) is coloured
    assert "Plan:" in seen


def test_progress_is_one_line_that_is_written_over(running: RunningService, service: FakeService) -> None:
    done = service.operations[BACKUP]
    service.operations[BACKUP] = fake.operation(BACKUP, "backup", "queued")
    progress = {"done": 3, "total": 9, "bytes": 0, "unit": "kinds"}
    service.later[BACKUP] = [
        fake.operation(BACKUP, "backup", "running", step="capture", progress=progress),
        done,
    ]
    seen = _on_a_terminal(["backup", "shop"], _environment(running))
    assert "capture" in seen
    assert "\x1b[2K" in seen, "the line is cleared before it is written again"
    assert seen.rstrip().splitlines()[-1].startswith(("See it", "\x1b[2mSee it"))


def test_a_command_to_copy_stands_on_one_line_however_narrow_the_terminal(running: RunningService) -> None:
    seen = _on_a_terminal(["plan", "shop"], _environment(running, NO_COLOR="1"), columns=30)
    assert f"Apply exactly this: mainstay restore shop --plan {fake.PLAN}" in seen


def test_what_the_terminal_cannot_show_is_replaced(running: RunningService) -> None:
    ended = subprocess.run(
        [*COMMAND, "plan", "shop"],
        env=_environment(running, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C"),
        capture_output=True,
        check=True,
    )
    assert ended.stdout.decode("ascii").count("1 -> 3") == 1


def _on_a_terminal(args: list[str], environment: dict[str, str], columns: int = 100) -> str:
    """Everything the command writes on a terminal of so many columns."""
    main, side = pty.openpty()
    environment = {**environment, "COLUMNS": str(columns), "LINES": "50"}
    process = subprocess.Popen([*COMMAND, *args], stdin=side, stdout=side, stderr=side, env=environment)
    os.close(side)
    seen = b""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([main], [], [], 0.05)[0]:
            try:
                seen += os.read(main, 65536)
            except OSError:
                break  # the other side is closed: it has ended
        elif process.poll() is not None:
            break
    os.close(main)
    assert process.wait(5) == 0
    return seen.decode()
