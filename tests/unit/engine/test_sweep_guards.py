"""Each guard that the argument of `docs/sweep.md` rests on is taken away in turn, and a test must notice.

The soak plays everything at random and meets most of these moments rarely; the tests named here bring each about.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import Damaged
from chalicelib.engine.lane import running
from chalicelib.engine.lane.sweeps import Sweeps
from chalicelib.engine.operations import sweep as sweep_flow
from chalicelib.store import layout, segments, sweeping
from chalicelib.store.repository import Repository
from chalicelib.store.segments import Present
from chalicelib.store.sweeping import Found, Sweep
from chalicelib.store.versions import Versions
from tests.unit.engine import test_sweep as promises
from tests.unit.engine.house import House

_PAGE = Path(__file__).parents[3] / "docs" / "sweep.md"

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Guard:
    """What is guarded (in the page's words), how to take it away, and the test that must fail then."""

    says: str
    without: Callable[[Patch], None]
    noticed_by: Callable[..., None]


def _nothing(*_: Any, **__: Any) -> None:
    """In place of a guard."""


def condemning(patch: Patch) -> None:
    patch.setattr(Sweep, "condemn", _nothing)


def looking_once_more(patch: Patch) -> None:
    patch.setattr(Sweep, "spare_new", lambda _self, _found, doomed: doomed)


def avoiding_what_is_condemned(patch: Patch) -> None:
    read = Present.read.__func__  # type: ignore[attr-defined]

    def counting_on_everything(cls: type[Present], backend: Any, application: str) -> Present:
        found: Present = read(cls, backend, application)
        listed = backend.list(layout.segments(application))
        return replace(found, sizes={each.key.rpartition("/")[2]: each.size for each in listed})

    patch.setattr(Present, "read", classmethod(counting_on_everything))


def looking_before_the_manifest(patch: Patch) -> None:
    check, looked = Versions._check_segments, list[str]()

    def only_afterwards(self: Versions, manifest: Any) -> Present:
        if manifest.version in looked:
            return check(self, manifest)
        looked.append(manifest.version)
        return Present.read(self._vault, self._application)

    patch.setattr(Versions, "_check_segments", only_afterwards)


def looking_after_the_manifest(patch: Patch) -> None:
    patch.setattr(Versions, "_look_again", _nothing)


def ending_what_a_sweep_met(patch: Patch) -> None:
    patch.setattr(Versions, "end", _nothing)


def names_of_their_own(patch: Patch) -> None:
    patch.setattr(segments, "_random", lambda: "aaaaaaaa")


def lists_while_they_guard(patch: Patch) -> None:
    tidy = Sweep.tidy

    def taking_every_list(self: Sweep, found: Found, progress: Any) -> None:
        tidy(self, replace(found, segments={}), progress)

    patch.setattr(Sweep, "tidy", taking_every_list)


def lists_for_an_hour(patch: Patch) -> None:
    patch.setattr(sweeping, "_LIST_STAYS", timedelta(0))


def stopping_at_what_cannot_be_read(patch: Patch) -> None:
    names = Versions.segments_of

    def going_on(self: Versions, version: str) -> set[str]:
        try:
            return names(self, version)
        except Damaged:
            return set()

    patch.setattr(Versions, "segments_of", going_on)


def names_in_every_member(patch: Patch) -> None:
    def of_known_members(self: Versions, version: str) -> set[str]:
        found = self._read(version)
        return set() if found is None else {each.name for each in found.everything}

    patch.setattr(Versions, "segments_of", of_known_members)


def markers_for_ninety_days(patch: Patch) -> None:
    patch.setattr(sweeping, "_MARKER_STAYS", timedelta(days=1))


def ending_what_is_given_up(patch: Patch) -> None:
    patch.setattr(running, "_unsealed", lambda _operation: None)


def refusing_what_has_ended(patch: Patch) -> None:
    patch.setattr(Versions, "ended", lambda _self, _version: None)


def either_held_or_ended(patch: Patch) -> None:
    patch.setattr(
        Repository,
        "end_version",
        lambda self, application, version, by, reason: self.versions(application).end(version, by, reason),
    )


def the_key_last(patch: Patch) -> None:
    def in_any_order(self: Sweep) -> None:
        self._delete([listed.key for listed in self._vault.list(f"vault/{self.application}/")])

    patch.setattr(Sweep, "remove_vault", in_any_order)


def the_grace_of_segments(patch: Patch) -> None:
    def whatever_its_age(_: Sweep, found: Found) -> dict[str, Any]:
        return {each.key.rpartition("/")[2]: each for each in found.unneeded()}

    patch.setattr(Sweep, "doomed", whatever_its_age)


def the_grace_of_versions(patch: Patch) -> None:
    find = Sweep.find

    def sparing_none(self: Sweep, also_needed: Any = ()) -> Found:
        found = find(self, also_needed)
        needed = self._needed_by(found.survey.existing) | set(also_needed)
        return replace(found, spared=frozenset(), needed=frozenset(needed))

    patch.setattr(Sweep, "find", sparing_none)


def what_is_paused(patch: Patch) -> None:
    patch.setattr(sweep_flow, "_relied_on", lambda _work: set())


def asking_the_lease(patch: Patch) -> None:
    patch.setattr(Repository, "guarded", lambda self, _guard: self)


def what_an_earlier_turn_read(patch: Patch) -> None:
    recall = sweep_flow._Manifests.recall
    patch.setattr(sweep_flow._Manifests, "recall", lambda self: ((version, []) for version, _ in recall(self)))


GUARDS = (
    Guard(
        "what is to be deleted is condemned first",
        condemning,
        promises.test_condemned_before_the_first_deletion,
    ),
    Guard(
        "after that the versions are listed once more",
        looking_once_more,
        promises.test_a_version_sealed_after_the_first_look_is_spared,
    ),
    Guard(
        "who makes a version counts on nothing that is condemned",
        avoiding_what_is_condemned,
        promises.test_a_condemned_segment_is_uploaded_again_under_another_name,
    ),
    Guard(
        "who makes a version looks before the manifest",
        looking_before_the_manifest,
        promises.test_a_backup_that_counted_on_what_was_condemned_uploads_it_again,
    ),
    Guard(
        "and looks again after it",
        looking_after_the_manifest,
        promises.test_a_version_that_a_sweep_met_while_it_was_sealed_is_none,
    ),
    Guard(
        "a version that fails that look ends",
        ending_what_a_sweep_met,
        promises.test_a_version_that_a_sweep_met_while_it_was_sealed_is_none,
    ),
    Guard(
        "no name is used twice",
        names_of_their_own,
        promises.test_a_condemned_segment_is_uploaded_again_under_another_name,
    ),
    Guard(
        "a condemned list stays while something lies under one of its names",
        lists_while_they_guard,
        promises.test_to_be_condemned_kills_nothing_that_a_version_needs,
    ),
    Guard(
        "and an hour at least",
        lists_for_an_hour,
        promises.test_a_list_goes_when_all_its_segments_are_gone_and_it_is_old,
    ),
    Guard(
        "a manifest that cannot be read stops the sweep",
        stopping_at_what_cannot_be_read,
        promises.test_a_manifest_that_cannot_be_read_stops_the_sweep,
    ),
    Guard(
        "names are looked for in the whole manifest",
        names_in_every_member,
        promises.test_what_a_newer_release_names_in_members_of_its_own_stays,
    ),
    Guard(
        "what an earlier turn read of manifests counts",
        what_an_earlier_turn_read,
        promises.test_a_sweep_whose_time_ends_while_it_reads_manifests_reads_each_once,
    ),
    Guard(
        "a marker stays for ninety days",
        markers_for_ninety_days,
        promises.test_a_marker_guards_for_ninety_days,
    ),
    Guard(
        "a version that is given up is ended first",
        ending_what_is_given_up,
        promises.test_the_draft_of_an_operation_that_is_given_up_can_never_become_a_version,
    ),
    Guard(
        "what has ended is never sealed",
        refusing_what_has_ended,
        promises.test_the_draft_of_an_operation_that_is_given_up_can_never_become_a_version,
    ),
    Guard(
        "a version is held, or it ends",
        either_held_or_ended,
        promises.test_either_it_is_held_or_it_ends,
    ),
    Guard(
        "of a deleted application the key goes last",
        the_key_last,
        promises.test_the_key_goes_last,
    ),
    Guard(
        "nothing goes before its grace is over",
        the_grace_of_segments,
        promises.test_what_was_just_uploaded_stays_until_its_grace_is_over,
    ),
    Guard(
        "nor what a version needs that ended less than the grace ago",
        the_grace_of_versions,
        promises.test_what_ends_while_a_sweep_is_to_come_is_not_forgotten,
    ),
    Guard(
        "nor what a paused backup has written down",
        what_is_paused,
        promises.test_what_a_paused_backup_has_written_down_stays,
    ),
    Guard(
        "the lease is asked before each write",
        asking_the_lease,
        promises.test_a_sweeper_that_has_lost_its_lease_deletes_nothing_more,
    ),
)


PROMISES = tuple(dict.fromkeys(guard.noticed_by for guard in GUARDS))


def kept(promise: Callable[..., None], house: House, sweeps: Sweeps) -> bool:
    """Whether a test passes."""
    with pytest.MonkeyPatch.context() as patch:
        given = {"house": house, "sweeps": sweeps, "monkeypatch": patch}
        wanted = {name: given[name] for name in inspect.signature(promise).parameters}
        try:
            promise(**wanted)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  # whatever it fails with
            return False
    return True


@pytest.fixture
def sweeps(house: House) -> Sweeps:
    return promises.sweeps_of(house)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.says)
def test_each_guard_that_is_taken_away_is_noticed(
    house: House, sweeps: Sweeps, monkeypatch: Patch, guard: Guard
) -> None:
    guard.without(monkeypatch)
    assert not kept(guard.noticed_by, house, sweeps), f"nobody notices that it is not so that {guard.says}"


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_and_with_every_guard_in_place_all_is_well(
    house: House, sweeps: Sweeps, promise: Callable[..., None]
) -> None:
    assert kept(promise, house, sweeps)


def test_the_page_has_every_guard_with_its_test() -> None:
    page = _PAGE.read_text()
    missing = [guard.says for guard in GUARDS if f"| {guard.says} | `{guard.noticed_by.__name__}` |" not in page]
    assert missing == []
