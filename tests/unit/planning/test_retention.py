"""Which versions stay, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.document.backup import Keep
from chalicelib.domain.policy import BackupPolicy
from chalicelib.language.loader import load
from chalicelib.planning.retention import Candidate, keep_of, verdicts
from tests.unit.language.samples import LEAST, with_spec

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def versions(*hours_ago: float, partial: tuple[int, ...] = ()) -> list[Candidate]:
    return [
        Candidate(f"v{number}", NOON - timedelta(hours=hours), number not in partial)
        for number, hours in enumerate(hours_ago)
    ]


def staying(found: list[Candidate], **keep: object) -> list[str]:
    return [each.version for each in verdicts(found, Keep.model_validate(keep)) if each.stays]


candidates = st.lists(
    st.builds(
        Candidate,
        version=st.integers(0, 10**6).map(lambda number: f"v{number}"),
        captured_at=st.integers(1_704_067_200, 1_798_675_200).map(lambda at: datetime.fromtimestamp(at, UTC)),
        complete=st.booleans(),
    ),
    max_size=40,
    unique_by=lambda each: each.version,
)
counts = st.integers(0, 5)
rules = st.fixed_dictionaries(
    dict.fromkeys(("last", "hourly", "daily", "weekly", "monthly", "yearly"), counts)
).filter(lambda keep: any(keep.values()))


@given(candidates, rules)
def test_the_last_good_version_always_stays(found: list[Candidate], keep: dict[str, int]) -> None:
    good = [each for each in found if each.complete]
    if good:
        newest = max(good, key=lambda each: (each.captured_at, each.version))
        assert newest.version in staying(found, **keep)


@given(candidates, rules)
def test_what_stays_stays_when_it_is_asked_again_of_what_stayed(found: list[Candidate], keep: dict[str, int]) -> None:
    stays = staying(found, **keep)
    assert staying([each for each in found if each.version in stays], **keep) == stays


@given(candidates, rules)
def test_keeping_more_never_lets_go_what_keeping_less_keeps(found: list[Candidate], keep: dict[str, int]) -> None:
    more = {name: count + 1 for name, count in keep.items()}
    assert set(staying(found, **keep)) <= set(staying(found, **more))


@given(candidates, rules)
def test_each_version_gets_one_verdict_newest_first_and_the_newest_so_many_stay(
    found: list[Candidate], keep: dict[str, int]
) -> None:
    judged = verdicts(found, Keep.model_validate(keep))
    ordered = sorted(found, key=lambda each: (each.captured_at, each.version), reverse=True)
    assert [each.version for each in judged] == [each.version for each in ordered]
    assert all(each.stays for each in judged[: keep["last"]])


@given(candidates, rules, st.integers(0, 39))
def test_what_something_else_needs_stays_and_lets_nothing_else_go(
    found: list[Candidate], keep: dict[str, int], number: int
) -> None:
    if number < len(found):
        needed = {found[number].version: ["it is held"]}
        judged = verdicts(found, Keep.model_validate(keep), needed=needed)
        stays = {each.version for each in judged if each.stays}
        assert stays == {*staying(found, **keep), found[number].version}


def test_the_last_so_many_stay_and_say_their_number() -> None:
    judged = verdicts(versions(1, 2, 3, 4), Keep(last=2))
    assert [each.stays for each in judged] == [True, True, False, False]
    assert judged[1].reasons == ("it is one of the last 2 (number 2)",)


def test_of_each_day_the_newest_stays_for_as_many_days_as_have_one() -> None:
    found = versions(1, 3, 20, 24 * 9, 24 * 9 + 1, 24 * 30)
    assert staying(found, daily=3) == ["v0", "v2", "v3"]
    reasons = verdicts(found, Keep(daily=3))[3].reasons
    assert reasons == ("it is the newest of the day 2026-11-15 (3 of 3 kept)",)


def test_days_are_those_of_the_documents_time_zone() -> None:
    found = [
        Candidate("late", datetime(2026, 11, 24, 23, 30, tzinfo=UTC), complete=True),
        Candidate("noon", datetime(2026, 11, 24, 12, 0, tzinfo=UTC), complete=True),
    ]
    assert [each.stays for each in verdicts(found, Keep(daily=5))] == [True, False]
    berlin = verdicts(found, Keep(daily=5), zone=ZoneInfo("Europe/Berlin"))
    assert [each.stays for each in berlin] == [True, True]


def test_partial_versions_never_push_the_last_good_one_out() -> None:
    found = versions(1, 2, 3, 4, partial=(0, 1, 2))
    assert staying(found, last=2) == ["v0", "v1", "v3"]
    assert verdicts(found, Keep(last=2))[3].reasons == ("it is the last good version",)


def test_the_documents_rules_hold_and_the_defaults_where_it_has_none() -> None:
    policy = BackupPolicy(keep=Keep(last=9))
    assert keep_of(load(with_spec("backup: {keep: {last: 3}}")), policy) == Keep(last=3)
    assert keep_of(load(with_spec("backup: {every: 1h}")), policy) == Keep(last=9)
    assert keep_of(load(LEAST), BackupPolicy()) is None
