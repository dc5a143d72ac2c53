"""When a worker may still write, by its own clock alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chalicelib.domain.errors import LeaseLost, StorageUnavailable
from chalicelib.domain.operation import Lane
from chalicelib.engine.lane import lease as module
from chalicelib.engine.lane.lease import Lease, LeaseTerms, NoLease

TERMS = LeaseTerms(seconds=30, margin=10)


class Boottime:
    """The machine's clock, which a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Boottime:
    made = Boottime()
    monkeypatch.setattr(module, "boottime", made)
    return made


class Lanes:
    """Answers renewals as a test says; each may take some time."""

    def __init__(self, *answers: Callable[[], Lane]) -> None:
        self._answers = iter(answers)
        self.asked = 0

    def renew(self, _application: str, _fence: int, _holder: str) -> Lane:
        self.asked += 1
        return next(self._answers)()


class Turns:
    """An event that lets the renewing thread have so many turns, moving the clock before each."""

    def __init__(self, clock: Boottime, *seconds: float) -> None:
        self._clock = clock
        self._seconds: Iterator[float] = iter(seconds)

    def wait(self, _timeout: float) -> bool:
        passed = next(self._seconds, None)
        if passed is None:
            return True
        self._clock.now += passed
        return False


def lane(wanted: str = "") -> Lane:
    return Lane.model_validate({"application": "app", "fence": 3, "wanted": wanted})


def held(clock: Boottime, lanes: Lanes, *seconds: float) -> Lease:
    """A lease that was taken now, after its renewing thread has had these turns."""
    made = Lease(lanes, lane(), "me", clock.now, TERMS)
    made._stopping = Turns(clock, *seconds)  # type: ignore[assignment]
    made._renew()
    return made


def test_a_lease_ends_its_margin_before_another_may_take_the_lane(clock: Boottime) -> None:
    made = held(clock, Lanes())
    clock.now += 19.9
    made.check()
    clock.now += 0.2
    with pytest.raises(LeaseLost, match="ran out"):
        made.check()


def test_a_lease_counts_from_before_the_lane_was_taken(clock: Boottime) -> None:
    taken_at = clock.now
    clock.now += 15  # the storage took its time to answer
    made = Lease(Lanes(), lane(), "me", taken_at, TERMS)
    clock.now += 4.9
    made.check()
    clock.now += 0.2
    with pytest.raises(LeaseLost):
        made.check()


def test_a_renewal_counts_from_when_it_was_asked_for(clock: Boottime) -> None:
    def slowly() -> Lane:
        clock.now += 12
        return lane()

    made = held(clock, Lanes(slowly), 5)
    clock.now = 1005 + 19.9
    made.check()
    clock.now = 1005 + 20.1
    with pytest.raises(LeaseLost):
        made.check()


def test_renewals_keep_it_for_as_long_as_they_come(clock: Boottime) -> None:
    lanes = Lanes(*[lane] * 100)
    made = held(clock, lanes, *[5.0] * 100)
    made.check()
    assert lanes.asked == 100


def test_a_storage_that_is_away_for_a_while_loses_nothing_and_then_everything(clock: Boottime) -> None:
    def away() -> Lane:
        raise StorageUnavailable("It does not answer.")

    held(clock, Lanes(away, away, lane), 5, 5, 5).check()
    lanes = Lanes(*[away] * 9)
    made = held(clock, lanes, *[5.0] * 9)
    with pytest.raises(LeaseLost):
        made.check()
    # Past its end it does not even renew: the lane may be another's by now.
    assert lanes.asked == 3


def test_who_learns_that_another_has_the_lane_stops_at_once(clock: Boottime) -> None:
    def taken() -> Lane:
        raise LeaseLost("Another worker has taken the lane.")

    made = held(clock, Lanes(taken), 5)
    with pytest.raises(LeaseLost, match="Another worker"):
        made.check()


def test_a_machine_that_slept_past_the_end_wakes_without_a_lease(clock: Boottime) -> None:
    lanes = Lanes(lane)
    made = held(clock, lanes, 3600)
    assert lanes.asked == 0
    with pytest.raises(LeaseLost):
        made.check()


def test_what_others_want_comes_with_the_renewal(clock: Boottime) -> None:
    made = held(clock, Lanes(lambda: lane("cancel")), 5)
    assert made.wanted == "cancel"


def test_what_was_wanted_before_is_known_from_the_start(clock: Boottime) -> None:
    assert Lease(Lanes(), lane("yield"), "me", clock.now, TERMS).wanted == "yield"


def test_a_lease_that_is_stopped_has_no_thread_left() -> None:
    made = Lease(Lanes(), lane(), "me", module.boottime(), TERMS).start()
    thread = made._thread
    made.stop()
    assert thread is not None
    assert not thread.is_alive()


def test_without_a_lane_nothing_is_lost() -> None:
    made = NoLease(7)
    made.check()
    assert (made.fence, made.wanted) == (7, "")


@pytest.mark.parametrize(("seconds", "margin"), [(30.0, 10.0), (3.0, 1.5), (60.0, 30.0)])
def test_a_write_ends_within_the_margin_and_three_renewals_fit_before_the_end(seconds: float, margin: float) -> None:
    terms = LeaseTerms(seconds, margin)
    assert terms.write_seconds < margin
    assert 3 * terms.interval <= seconds - margin
