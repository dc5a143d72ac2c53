"""Rows in columns say what rows as objects said."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.objects import ObjectKey
from chalicelib.engine.capture.rows import Row, Rows, Run

KINDS = st.sampled_from([("", "ConfigMap"), ("", "Secret"), ("apps", "Deployment")])
NAMES = st.text("abc-.0", min_size=1, max_size=4)
PLACES = st.sampled_from(["", "a", "a-b", "b"])
KEYS = st.builds(lambda kind, place, name: ObjectKey(*kind, place, name), KINDS, PLACES, NAMES)
ROWS = st.builds(
    Row,
    KEYS,
    st.sampled_from([b"\1" * 32, b"\0" * 32, b""]),
    st.uuids().map(str),
    st.integers(1, 10**9).map(str),
    st.sampled_from([None, None, "owner"]),
    st.integers(0, 2**63),
    st.sampled_from(["", "", "owned"]),
    st.sampled_from([(), (), ("owner", "other")]),
)


def key(row: Row) -> ObjectKey:
    return row.key


def run_of(rows: list[Row]) -> Run:
    run = Run()
    for row in rows:
        run.append(row)
    return run


@given(st.lists(st.lists(ROWS, unique_by=key)))
def test_rows_come_back_as_they_were_in_the_order_of_their_keys(listings: list[list[Row]]) -> None:
    rows = Rows(run_of(listing) for listing in listings)
    expected = sorted((row for listing in listings for row in listing), key=key)
    assert sorted(rows, key=repr) == sorted(expected, key=repr)
    assert [row.key for row in rows] == [row.key for row in expected]
    assert list(rows) == list(rows)
    assert len(rows) == len(expected)
    assert rows.counts() == Counter((row.key.group, row.key.kind) for row in expected)


@given(st.lists(ROWS, unique_by=key))
def test_what_a_controller_makes_again_can_drop_out_when_all_is_read(rows: list[Row]) -> None:
    run = run_of(rows)
    run.revise(lambda row: row._replace(standing="derived") if row.key.name < "b" else None)
    kept = [row if row.owner is None else row._replace(standing="derived") for row in rows]
    kept = [row for row in kept if row.owner is None or row.key.name < "b"]
    assert list(run) == sorted(kept, key=key)
    assert len(run) == len(kept)
    assert run.counts() == Counter((row.key.group, row.key.kind) for row in kept)


def test_a_listing_that_begins_anew_leaves_nothing_of_its_first_beginning() -> None:
    run = run_of([Row(ObjectKey("", "Secret", "a", "x"), b"\1" * 32, "u", "1", "owner", 1)])
    run.clear()
    assert list(run) == []
    assert list(run.owners()) == []
    run.append(Row(ObjectKey("", "ConfigMap", "b", "y"), b"\1" * 32, "u", "1", None, 1))
    assert [row.key.name for row in run] == ["y"]


def test_an_ordinary_row_takes_little_more_than_its_name() -> None:
    run = run_of(
        [
            Row(ObjectKey("", "Secret", "a", f"{n:06}"), b"\1" * 32, f"{n:036}", f"{n:06}", None, n)
            for n in range(10_000)
        ]
    )
    assert run.nbytes / 10_000 < 140
