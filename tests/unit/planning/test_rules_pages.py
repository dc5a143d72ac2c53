"""The pages for users tell of rules that are tested: they name the tests, and these are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = ("capture-rules.md", "restore-rules.md")
FOLDERS = ("unit/planning", "unit/engine", "cluster")
PLACES = [file for folder in FOLDERS for file in ROOT.glob(f"tests/{folder}/test_*.py")]
TESTS = {name for place in PLACES for name in re.findall(r"^def (test_\w+)", place.read_text(), re.MULTILINE)}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


@pytest.mark.parametrize("name", PAGES)
def test_every_test_that_a_page_names_exists(name: str) -> None:
    words = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+){2,})`", page(name)))
    named = {word if word.startswith("test_") else f"test_{word}" for word in words}
    assert len(named) > 25
    assert named - TESTS == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_names_exists(name: str) -> None:
    for path in re.findall(r"`((?:chalicelib|tests)/[\w/]+\.py)`", page(name)):
        assert (ROOT / path).exists(), path
