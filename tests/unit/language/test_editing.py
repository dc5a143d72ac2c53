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
from chalicelib.language.writer import Observed, draft

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


ENTRY = """\
spec:
  state:
    objects:
      - namespaces: [shop]
"""
#: What may stand behind the state's last entry, as lines of its own and lines of what follows.
BEHIND = {
    "its commented lines": ("      # - kinds: [ClusterRole]\n      #   labels: app=web\n", ""),
    "a remark about all of it": ("    # Volumes are not part of it.\n", ""),
    "commented lines behind a blank one": ("\n        # exclude:\n\n      # - kinds: []\n", ""),
    "lines whose marks are at the begin": ("#     - kinds: [ClusterRole]\n#       labels: app=web\n", ""),
    "what is said of the next": ("    # the state's\n", "  # How it is put back.\n  restore: {mode: merge}\n"),
    "what is said of the next, behind a blank line": ("", "\n  # How it is put back.\n  restore: {mode: merge}\n"),
    "remarks at the end": ("      # the entry's\n", "# vim: set ts=2:\n\n# The end.\n"),
    "the end of the document": ("      # the entry's\n", "...\n"),
    "blank lines": ("", "\n\n"),
    "a block of text": ("    note: |\n      one\n      # two\n\n    # the state's\n", "  restore: {}\n"),
    "a block of text with its blank lines": ("    note: |+\n      one\n\n\n", "  restore: {}\n"),
    "a folded block and no more": ("    note: >-\n      one\n      # two\n", ""),
    "brackets over several lines": ("    more: [\n  a, # one\n  b]  # two\n    # the state's\n", "  restore: {}\n"),
}


@pytest.mark.parametrize("begin", ["", "---\n", "# The shop.\n--- # begins\n"], ids=["bare", "marked", "said"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("behind", BEHIND)
def test_a_new_section_comes_behind_the_comments_of_its_neighbour_and_no_other_byte_changes(
    behind: str, line_break: str, begin: str
) -> None:
    own, others = BEHIND[behind]
    head, tail = (part.replace("\n", line_break) for part in (begin + ENTRY + own, others))
    changed = set_field(head + tail, BACKUP, {"every": "1h", "keep": {"last": 5}}, after="state")
    section = "  backup:\n    every: 1h\n    keep:\n      last: 5\n".replace("\n", line_break)
    assert changed == head + section + tail
    assert remove_field(changed, BACKUP) == head + tail


@pytest.mark.parametrize("line_break", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("own", ["", "      # - kinds: []\n", "    note: |-\n      one\n"])
def test_a_text_whose_last_line_has_no_end_gets_none(own: str, line_break: str) -> None:
    text = (ENTRY + own).removesuffix("\n").replace("\n", line_break)
    changed = set_field(text, EVERY, "1h", after="state")
    assert changed == text + "\n  backup:\n    every: 1h".replace("\n", line_break)
    assert remove_field(changed, EVERY) == text


def test_a_section_written_anew_has_the_line_ends_of_the_rest() -> None:
    windows = BLOCK.replace("\n", "\r\n")
    section = {"every": "2h", "keep": {"last": 7}}
    assert set_field(windows, BACKUP, section) == set_field(BLOCK, BACKUP, section).replace("\n", "\r\n")


def test_a_section_of_commented_lines_alone_is_filled_before_them() -> None:
    text = ENTRY + "  backup:\n    # every: 1h\n  restore: {}\n"
    assert remove_field(text, EVERY) == text
    assert set_field(text, EVERY, "2h") == text.replace("backup:", "backup: {every: 2h}")


def test_in_a_document_that_init_wrote_a_schedule_comes_before_what_is_said_of_restores() -> None:
    seen = Observed(counts={"Deployment": 2}, claims=("data-db-0",), excluded_kinds=("Event",))
    text = draft("shop", "shop", None, seen)
    changed = set_field(text, EVERY, "1h", after="state")
    before, section, after = changed.partition("  backup:\n    every: 1h\n")
    assert section
    assert before + after == text
    assert before.endswith("(data-db-0).\n")
    assert after.startswith("  # How a version is put back.")


@given(
    lines=st.lists(
        st.one_of(
            st.just(""),
            st.builds(lambda indent, gap: f"{' ' * indent}#{' ' * gap}x", st.integers(0, 9), st.integers(0, 9)),
        ),
        max_size=8,
    ),
    following=st.sampled_from(["", "  restore: {}\n", "...\n", "# end"]),
    line_break=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_comments_follow_one_run_of_lines_is_added_and_none_before_it_that_is_further_in(
    lines: list[str], following: str, line_break: str
) -> None:
    text = (ENTRY + "".join(f"{line}\n" for line in lines) + following).replace("\n", line_break)
    changed = set_field(text, EVERY, "1h", after="state")
    before, _, after = changed.partition(f"  backup:{line_break}    every: 1h{line_break}")
    assert before + after == text
    next_comment = next((line for line in after.split(line_break) if line.strip()), "")
    assert len(next_comment) - len(next_comment.lstrip()) <= 2


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
