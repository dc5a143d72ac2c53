"""Whatever the text is, loading it gives a document or `Invalid`, never another error."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.document import Document
from chalicelib.domain.errors import Invalid
from chalicelib.language.loader import LoadedDocument, read
from tests.unit.language.samples import EVERYTHING, RIGHT_PARTS, with_spec

ORDINARY = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def outcome(text: str | bytes) -> LoadedDocument | Invalid:
    """What became of a text; any other error than `Invalid` passes through and fails the test."""
    try:
        loaded = read(text)
    except Invalid as invalid:
        _check_problems(invalid, text if isinstance(text, str) else text.decode(errors="replace"))
        return invalid
    assert isinstance(loaded.document, Document)
    return loaded


def _check_problems(invalid: Invalid, text: str) -> None:
    assert invalid.problems
    for problem in invalid.problems:
        assert problem.message
        assert problem.line is not None
        assert 1 <= problem.line <= len(text.splitlines()) + 2
        assert problem.column is not None
        assert problem.column >= 1


@ORDINARY
@given(st.text())
def test_any_text(text: str) -> None:
    assert outcome(text)


@ORDINARY
@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    assert outcome(data)


@ORDINARY
@given(st.text(alphabet="ab:-?*&!|>%@`'\"{}[],# \n\t\\x0Ue~=<.\ud83d"))
def test_any_text_of_yaml_marks(text: str) -> None:
    assert outcome(text)


@ORDINARY
@given(st.data())
def test_any_damage_to_a_right_document(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([EVERYTHING, *map(with_spec, RIGHT_PARTS.values())]))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    assert outcome(text[:start] + data.draw(st.text(max_size=8)) + text[end:])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = [
    line.split(":")[0].strip().removeprefix("- ")
    for line in EVERYTHING.splitlines()
    if ":" in line and not line.strip().startswith("#")
]


@ORDINARY
@given(st.sampled_from(PLACES), VALUES)
def test_any_value_in_any_field(name: str, value: object) -> None:
    text = "\n".join(
        f"{line.split(name + ':')[0]}{name}: {value!r}" if f"{name}:" in line else line
        for line in EVERYTHING.splitlines()
    )
    assert outcome(text)
