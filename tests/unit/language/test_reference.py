"""The reference for users says what is so."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from chalicelib.language.loader import load
from chalicelib.language.schema import json_schema
from chalicelib.language.support import LATER
from tests.unit.language.samples import LEAST

PAGE = (Path(__file__).parents[3] / "docs" / "language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
LEAST_SPEC = "apiVersion: mainstay.dev/v1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
LEAST_STATE = "  state:\n    objects:\n      - namespaces: [shop]\n"


def in_its_place(example: str) -> str:
    """An example of a section inside a whole document."""
    section = example.split(":", maxsplit=1)[0]
    if section == "objects":
        return LEAST_SPEC + "  state:\n" + textwrap.indent(example, "    ")
    if section == "dumps":
        return LEAST + textwrap.indent(example, "    ")
    if section in {"order", "rewrite"}:
        return LEAST_SPEC + LEAST_STATE + "  restore:\n" + textwrap.indent(example, "    ")
    if section in {"backup", "restore", "drill"}:
        return LEAST_SPEC + LEAST_STATE + textwrap.indent(example, "  ")
    return example if section == "apiVersion" else example + LEAST


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_read(example: str) -> None:
    assert load(in_its_place(example)).name == "shop"


def test_every_field_of_the_language_is_in_the_reference() -> None:
    for part in json_schema()["$defs"].values():
        for field in part["properties"]:
            assert re.search(rf"\b{field}\b", PAGE), field


def test_every_section_that_comes_later_is_said_to() -> None:
    table = PAGE.split("## What this release carries out")[1].split("## ")[0]
    for later in LATER:
        row = next(line for line in table.splitlines() if later.path.rpartition(".")[2] in line and "later" in line)
        assert row.startswith("| `spec."), later.path
