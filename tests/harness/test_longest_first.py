"""Where several workers share the tests, the longest come first and what shares a server stays together."""

from pathlib import Path

from tests import durations
from tests.harness.longest_first import ordered

REPOSITORY = Path(__file__).parents[2]


def unit(item: str) -> str:
    return item.partition("::")[0]


def test_the_longest_unit_comes_first_and_what_nobody_measured_last() -> None:
    items = ["a::1", "b::1", "c::1", "a::2", "c::2"]
    assert ordered(items, unit, {"b": 5, "c": 9}) == ["c::1", "c::2", "b::1", "a::1", "a::2"]


def test_nothing_is_lost_and_units_of_one_length_stay_as_they_came() -> None:
    items = ["b::1", "a::1", "c::1"]
    assert ordered(items, unit, {}) == items


def test_what_is_said_to_be_long_is_there() -> None:
    files = {name.partition("::")[0] for name in durations.SECONDS} - set(durations.TOGETHER.values())
    assert [file for file in files if not (REPOSITORY / file).is_file()] == []
    beginnings = [REPOSITORY / beginning for beginning in durations.TOGETHER]
    assert [path for path in beginnings if not (path.is_dir() or list(path.parent.glob(f"{path.name}*")))] == []
    assert durations.SECONDS.keys() >= {*durations.APART, *durations.TOGETHER.values()}


def test_a_test_is_given_out_with_its_file_unless_it_is_said_to_be_otherwise() -> None:
    assert durations.unit_of("tests/unit/a.py::b[c::d]") == "tests/unit/a.py"
    assert durations.unit_of(durations.APART[0]) == durations.APART[0]
    assert durations.unit_of("tests/e2e/test_localstack_faults.py::a") == "LocalStack"
