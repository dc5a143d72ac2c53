"""The rule of cutting, as algebra."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.objects import ObjectKey
from chalicelib.store.cutting import KIB, LEAST, MOST, REACH, Cutter, rank

Line = tuple[int, int]  # rank, size

sizes = st.one_of(st.integers(200, 5_000), st.integers(200, 5_000), st.integers(5_000, 200_000), st.integers(1, MOST))
lines_of_one_run = st.lists(st.tuples(st.integers(0, 2**64 - 1), sizes), max_size=60)


@st.composite
def small_lines(draw: st.DrawFn) -> list[Line]:
    """Some hundreds of lines of up to 8 KB, from a seed: drawing each would take longer than what is tested."""
    random = draw(st.randoms(use_true_random=False))
    return [(random.getrandbits(64), random.randint(500, 8_000)) for _ in range(draw(st.integers(50, 400)))]


def cut(lines: list[Line]) -> list[tuple[Line, ...]]:
    """The segments, as runs of lines."""
    cutter, counts = Cutter(), []
    for line_rank, size in lines:
        counts += cutter.add(line_rank, size)
    counts += cutter.finish()
    segments, begin = [], 0
    for count in counts:
        segments.append(tuple(lines[begin : begin + count]))
        begin += count
    assert begin == len(lines)
    return segments


def size_of(segment: tuple[Line, ...]) -> int:
    return sum(size for _, size in segment)


@given(lines_of_one_run)
def test_every_line_goes_into_one_segment_in_its_order_and_none_is_empty(lines: list[Line]) -> None:
    segments = cut(lines)
    assert [line for segment in segments for line in segment] == lines
    assert all(segments)


@given(lines_of_one_run)
def test_no_segment_is_larger_than_the_most(lines: list[Line]) -> None:
    assert all(size_of(segment) <= MOST for segment in cut(lines))


@given(small_lines())
def test_no_segment_of_small_lines_is_smaller_than_the_least_unless_it_is_the_only_one(lines: list[Line]) -> None:
    segments = cut(lines)
    assert len(segments) == 1 or all(size_of(segment) >= LEAST for segment in segments)


def test_few_lines_are_one_segment_and_none_are_none() -> None:
    assert cut([]) == []
    assert cut([(5, LEAST - 1)]) == [((5, LEAST - 1),)]
    assert len(cut([(number, 1000) for number in range(60)])) == 1


def test_segments_of_kilobyte_objects_are_of_the_size_aimed_at() -> None:
    lines = [(rank(ObjectKey("", "Secret", "shop", f"secret-{number:05d}")), 1024) for number in range(12_000)]
    segments = cut(lines)
    mean = sum(map(size_of, segments)) / len(segments)
    assert 180 * KIB < mean < 330 * KIB
    assert max(map(size_of, segments)) <= MOST


def test_ranks_that_only_rise_are_cut_all_the_same() -> None:
    segments = cut([(number, 4096) for number in range(2000)])
    assert all(LEAST <= size_of(segment) <= MOST for segment in segments)


@settings(max_examples=200)
@given(small_lines(), st.data())
def test_one_line_changes_its_segment_and_at_most_the_two_beside_it(lines: list[Line], data: st.DataObject) -> None:
    if max(map(size_of, cut(lines))) > MOST - 8_000 - REACH:
        return  # where the most has to be enforced, the next natural cut brings it back in step
    place = data.draw(st.integers(0, len(lines) - 1))
    what = data.draw(st.sampled_from(["insert", "remove", "resize"]))
    new = (data.draw(st.integers(0, 2**64 - 1)), data.draw(st.integers(500, 8_000)))
    changed = {
        "insert": [*lines[:place], new, *lines[place:]],
        "remove": [*lines[:place], *lines[place + 1 :]],
        "resize": [*lines[:place], (lines[place][0], new[1]), *lines[place + 1 :]],
    }[what]
    before, after = cut(lines), cut(changed)
    assert len(set(after) - set(before)) <= 3
    assert len(set(before) - set(after)) <= 3


def test_cuts_are_never_nearer_than_the_reach() -> None:
    lines = [(rank(ObjectKey("", "ConfigMap", "", f"c{number}")), 3000) for number in range(5000)]
    begins = [0]
    for segment in cut(lines):
        begins.append(begins[-1] + size_of(segment))
    assert all(later - earlier > REACH for earlier, later in pairwise(begins[1:-1]))


def test_the_rank_depends_on_every_part_of_the_name() -> None:
    keys = [
        ObjectKey("a", "b", "c", "d"),
        ObjectKey("", "b", "c", "d"),
        ObjectKey("a", "b", "", "d"),
        ObjectKey("a", "b", "c", "e"),
        ObjectKey("a", "bc", "", "d"),
        ObjectKey("ab", "", "c", "d"),
    ]
    assert len({rank(key) for key in keys}) == len(keys)
