"""docs/cli.md says what the command says."""

from __future__ import annotations

import re
from pathlib import Path

from chalicelib.cli.exits import MEANINGS
from chalicelib.cli.main import cli

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_the_page_names_every_command() -> None:
    table = PAGE.partition("## The commands")[2].partition("## How")[0]
    named = {
        word for cell in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for word in re.findall(r"`([\w-]+)", cell)
    }
    assert set(cli.commands) <= named


def test_every_line_of_the_page_that_calls_the_command_is_a_command() -> None:
    words = re.findall(r"(?:^\$ |`|\()(?:mainstay)(?: --direct)? ([a-z-]+)", PAGE, re.MULTILINE)
    assert len(words) > 15
    assert set(words) <= set(cli.commands)


def test_the_page_lists_the_exit_codes() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE))
    assert {int(code) for code in rows} == {int(code) for code, _ in MEANINGS}
