"""The page for users tells of rules that are tested: it names the tests, and they are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "capture-rules.md").read_text()
PLACES = (*ROOT.glob("tests/unit/planning/test_*.py"), *ROOT.glob("tests/cluster/test_planning_*.py"))
TESTS = {name for place in PLACES for name in re.findall(r"^def (test_\w+)", place.read_text(), re.MULTILINE)}


def named() -> set[str]:
    words = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+){2,})`", PAGE))
    return {word if word.startswith("test_") else f"test_{word}" for word in words}


def test_every_test_that_the_page_names_exists() -> None:
    assert len(named()) > 25
    assert named() - TESTS == set()


def test_every_file_that_the_page_names_exists() -> None:
    for path in re.findall(r"`((?:chalicelib|tests)/[\w/]+\.py)`", PAGE):
        assert (ROOT / path).exists(), path
