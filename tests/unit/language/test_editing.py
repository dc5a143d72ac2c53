"""Changing a field leaves every other character of a document as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Invalid
from chalicelib.language.editing import remove_field, set_field
from chalicelib.language.text import parse

BLOCK = """\
# The shop.
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: shop}   # its name
spec:
  state:
    objects:
      - namespaces: [shop]  # only this one

  # When.
  backup:
    every: 1h  # hourly is enough
    # five are enough
    keep:
      last: 5
  restore: {mode: merge}
"""
FLOW = "kind: Application\nspec: {state: {objects: []}, backup: {every: 1h, quota: 1Gi}}\n"
JSON = '{\n\t"kind": "Application",\n\t"spec": {\n\t\t"state": {"objects": []}\n\t}\n}\n'
BACKUP = ("spec", "backup")
EVERY = (*BACKUP, "every")


def test_a_scalar_is_replaced_where_it_stands_and_its_comment_stays() -> None:
    assert set_field(BLOCK, EVERY, "2h") == BLOCK.replace("every: 1h ", "every: 2h ")


def test_a_section_is_replaced_and_everything_around_it_stays() -> None:
    changed = set_field(BLOCK, BACKUP, {"cron": "0 3 * * *", "keep": {"last": 3}})
    before, _, rest = BLOCK.partition("    every")
    after = rest.partition("      last: 5\n")[2]
    assert changed == f"{before}    cron: 0 3 * * *\n    keep:\n      last: 3\n{after}"


def test_a_new_section_comes_behind_its_neighbour() -> None:
    silent = BLOCK.replace(BLOCK[BLOCK.index("\n  # When.") : BLOCK.index("  restore:")], "")
    changed = set_field(silent, BACKUP, {"every": "1h"}, after="state")
    assert changed == silent.replace("only this one\n", "only this one\n  backup:\n    every: 1h\n")


def test_a_field_inside_a_section_that_is_not_there_makes_the_section() -> None:
    silent = "kind: Application\nspec:\n  state: {objects: []}"
    assert set_field(silent, EVERY, "1h") == f"{silent}\n  backup:\n    every: 1h"


def test_a_section_on_one_line_stays_on_one_line() -> None:
    assert set_field(FLOW, EVERY, "2h") == FLOW.replace("every: 1h", "every: 2h")
    assert set_field(FLOW, BACKUP, {"every": "2h"}) == FLOW.replace("{every: 1h, quota: 1Gi}", "{every: 2h}")
    assert set_field(FLOW, (*BACKUP, "jitter"), "1m") == FLOW.replace("1Gi}", "1Gi, jitter: 1m}")


def test_json_stays_json_also_with_tabs() -> None:
    changed = set_field(JSON, BACKUP, {"every": "1h"})
    assert json.loads(changed)["spec"] == {"state": {"objects": []}, "backup": {"every": "1h"}}
    assert remove_field(changed, BACKUP) == JSON


def test_removing_a_field_removes_its_line_and_an_emptied_section_with_it() -> None:
    assert remove_field(BLOCK, EVERY) == BLOCK.replace("    every: 1h  # hourly is enough\n", "")
    once = remove_field(BLOCK, EVERY)
    twice = remove_field(once, (*BACKUP, "keep", "last"))
    assert "backup" not in parse(twice).value["spec"]
    assert "restore: {mode: merge}" in twice
    assert "# When." in twice


@pytest.mark.parametrize("name", ["every", "quota"])
def test_removing_a_field_of_a_line_leaves_the_others(name: str) -> None:
    left = parse(remove_field(FLOW, (*BACKUP, name))).value["spec"]["backup"]
    assert left == {each: value for each, value in {"every": "1h", "quota": "1Gi"}.items() if each != name}


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert remove_field(BLOCK, (*BACKUP, "cron")) == BLOCK
    assert remove_field(JSON, EVERY) == JSON


def test_a_text_that_cannot_be_changed_in_place_is_refused_and_not_guessed_at() -> None:
    with pytest.raises(Invalid, match="cannot be changed in place"):
        set_field("spec:\n  ? backup\n  ? state\n", BACKUP, {"every": "1h"})


words = st.text("abcxyz019 :#'\"-{}[],\n*&!%@`éß", max_size=12)
sections: Any = st.recursive(
    st.one_of(words, st.integers(-9, 9), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcde"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    section=st.dictionaries(st.sampled_from(["every", "keep", "notify"]), sections, min_size=1),
    text=st.sampled_from([BLOCK, FLOW, JSON]),
)
def test_whatever_is_set_is_read_back_and_nothing_else_changes(section: dict[str, Any], text: str) -> None:
    wanted = parse(text).value
    wanted["spec"]["backup"] = section
    changed = set_field(text, BACKUP, section, after="state")
    assert parse(changed).value == wanted
    del wanted["spec"]["backup"]
    assert parse(remove_field(changed, BACKUP)).value == wanted
