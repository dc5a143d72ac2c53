"""The examples of docs/requests.md sign requests that are accepted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.services.house import House
from tests.unit.services.test_requests import made, put

PAGE = (Path(__file__).parents[3] / "docs" / "requests.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("language", "program"), [("python", [sys.executable, "-"]), ("sh", ["sh", "-s"])])
def test_an_example_of_the_page_signs_what_is_accepted(
    built: House, tmp_path: Path, language: str, program: list[str]
) -> None:
    built.version(built.registered())
    key = made(built)
    (tmp_path / "pipeline.key").write_text(json.dumps({"id": key.id, "secret": key.secret}))
    example = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    subprocess.run(program, input=example[1], text=True, cwd=tmp_path, check=True)
    answer = put(built, (tmp_path / "restore.json").read_bytes())
    assert answer["accepted"] is True
    assert built.engine.started[0].arguments["mode"] == "exact"
    assert set(answer) == set(json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1]))  # type: ignore[index]


def test_the_page_names_each_code_of_a_refusal() -> None:
    named = set(re.findall(r"`([a-z-]+)`", PAGE.partition("| `error.code`")[2].partition("## Once")[0]))
    assert {"malformed", "not-signed", "revoked", "expired", "replayed", "not-found", "invalid", "conflict"} <= named
