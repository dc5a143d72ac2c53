"""Workers with little time, and the queue that wakes them: operations in many turns, messages that come twice or not
at all, a queue that is down.

The handlers are the product's own, as Lambda calls them.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chalicelib.domain.operation import State
from chalicelib.engine.lane.lease import LeaseTerms
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.entrypoints.events import messages
from tests.harness.access import Access
from tests.support import shop
from tests.support.lambdas import open_functions
from tests.support.moments import Moment
from tests.support.pieces import Pieces
from tests.support.site import Site
from tests.support.together import together
from tests.support.truth import assert_as, assert_no_version_lost, assert_result_is_true, assert_succeeded

pytestmark = pytest.mark.cluster

#: A plan is made in one turn or not at all, and takes one piece for each kind that is served, and some.
ENOUGH_TO_PLAN = 55


def crowd(site: Site, count: int) -> None:
    """More objects than fit into a turn."""
    path = f"/api/v1/namespaces/{site.namespace}/configmaps"

    def make(number: int) -> None:
        site.cluster.api.post(path, {"metadata": {"name": f"crowd-{number:04d}"}, "data": {"number": str(number)}})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(count)))


def test_a_backup_in_turns_of_a_few_pieces_is_the_backup_it_would_be_in_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(site, 150)
    whole = site.backup()
    with open_functions(site, monkeypatch, pieces=lambda: 7) as functions:
        done = functions.run("backup")
    assert_succeeded(site, done)
    assert done.turns >= 4
    assert done.attempts == done.turns + 1
    versions = site.versions()
    assert versions[done.outcome["version"]] == versions[whole]
    assert done.outcome["addedBytes"] == 0
    assert site.engine().due() == []


@pytest.mark.parametrize("seed", [1, 2])
def test_every_operation_gets_through_in_many_turns(site: Site, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    crowd(site, 120)
    with open_functions(
        site, monkeypatch, lambda: chance.randrange(ENOUGH_TO_PLAN, ENOUGH_TO_PLAN + 20)
    ) as functions:
        made = functions.run("backup")
        version, wanted = str(made.outcome["version"]), site.look()
        shop.damage(site.cluster.api, site.namespace)
        for number in range(0, 120, 2):
            site.cluster.api.delete(f"/api/v1/namespaces/{site.namespace}/configmaps/crowd-{number:04d}")
        before, versions = site.look(), site.versions()
        restored = functions.run("restore", version=version)
        assert_succeeded(site, restored)
        assert restored.turns >= 2
        assert_result_is_true(site, restored, before, wanted)
        assert_as(site, wanted)
        undone = functions.run("undo", restore=restored.id)
        assert_succeeded(site, undone)
        assert undone.turns >= 2
        assert_as(site, before)
        assert_no_version_lost(site, versions)
        assert functions.run("delete").state is State.SUCCEEDED
    assert [operation.stalled for operation in (made, restored, undone)] == [0, 0, 0]


def test_a_restore_that_fails_is_undone_in_as_many_turns_as_it_takes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = site.backup()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    with open_functions(site, monkeypatch, lambda: ENOUGH_TO_PLAN) as functions, site.refusing("StatefulSet", "db"):
        done = functions.run("restore", version=version)
    assert (done.state, done.outcome["undone"]) == (State.FAILED, True)
    assert done.turns >= 1
    assert_as(site, before)


def test_a_step_for_which_no_worker_has_the_time_fails_with_this_reason(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = site.backup()
    shop.damage(site.cluster.api, site.namespace)
    before = site.look()
    with open_functions(site, monkeypatch, lambda: 5, TurnTerms(idle_seconds=0.5)) as functions:
        done = functions.run("restore", version=version)
    assert done.state is State.FAILED
    assert done.error is not None
    assert "Step `plan` got nowhere in" in done.error.message
    assert "does not fit into the time that a worker has" in done.error.message
    assert_as(site, before)


#: Where a worker dies at the end of a turn: what was read is kept or not, the checkpoint names it or not, the
#: operation is back in line or not, the next worker is woken or not.
DEATHS_BETWEEN_TURNS = [
    Moment("store-asked", "/captured/"),
    Moment("stored", "/captured/"),
    Moment("stored", "/captured/", 2),
    Moment("store-asked", "/turn-"),
    Moment("stored", "/turn-"),
    Moment("stored", "/turn-", 3),
]


def test_a_backup_whose_worker_was_killed_between_two_turns_is_finished_by_another(
    control_plane: Access, tmp_path: Path
) -> None:
    together(control_plane, tmp_path, DEATHS_BETWEEN_TURNS, kill_between_turns)


def kill_between_turns(site: Site, moment: Moment) -> None:
    site.backup()
    shop.damage(site.cluster.api, site.namespace)
    versions, objects = site.versions(), site.look()
    operation = site.start("backup")
    site.worker(moment, pieces=9).wait_killed()
    assert_no_version_lost(site, versions)
    done = site.finish(operation)
    assert_succeeded(site, done)
    made = site.versions().keys() - versions.keys()
    assert made == {done.outcome["version"]}
    assert_as(site, objects)
    assert site.run("restore", version=done.outcome["version"]).outcome["counts"].keys() == {"keep"}


def test_the_same_message_twice_at_once_is_worked_off_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    with open_functions(site, monkeypatch) as functions:
        started = functions.start("restore", version=version)
        body = functions.sqs.waiting.popleft()
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(functions.work, [body] * 3)) == [True] * 3
        done = site.finish(started)
        writes = [name for what, name in functions.watch.happened if what == "write-answered"]
    assert_succeeded(site, done)
    assert done.attempts == 1
    assert len(writes) == len(set(writes))
    assert_as(site, wanted)


def test_a_message_that_is_lost_is_made_up_for_by_the_next_tick(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_functions(site, monkeypatch, lambda: 12) as functions:
        started = functions.start("backup")
        lost = 0
        while not site.operation(started.id).state.ended:
            functions.sqs.waiting.clear()  # each message is lost, also those that lead from turn to turn
            lost += 1
            functions.tick()
            functions.work(functions.sqs.waiting.popleft())
    done = site.operation(started.id)
    assert_succeeded(site, done)
    assert done.turns >= 2
    assert lost == done.turns + 1


def test_while_the_queue_is_down_operations_are_taken_and_then_worked_off(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_functions(site, monkeypatch, lambda: 12) as functions:
        functions.sqs.down = True
        started = functions.start("backup")
        functions.tick()
        assert (site.operation(started.id).state, functions.sqs.sent) == (State.QUEUED, [])
        functions.sqs.down = False
        functions.tick()
        functions.work(functions.sqs.waiting.popleft())
        functions.sqs.down = True  # in the middle of the operation
        functions.sqs.waiting.clear()
        functions.tick()
        assert site.operation(started.id).state is State.QUEUED
        functions.sqs.down = False
        functions.tick()
        functions.work_off()
    assert_succeeded(site, site.operation(started.id))


def test_a_poisoned_message_is_dropped_and_harms_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_functions(site, monkeypatch) as functions:
        for body in (
            "",
            "{}",
            '{"application": "app-../../x"}',
            '{"application": 7, "operation": null}',
            "\0" * 1000,
        ):
            assert functions.work(body)
            assert functions.dead_letter(body)
        assert_succeeded(site, functions.run("backup"))


def test_an_operation_that_kills_every_worker_ends_with_a_reason_and_its_lane_is_free(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message about it becomes a dead letter meanwhile, and whoever looks into that fails nothing early."""
    terms = LeaseTerms(seconds=1.0, margin=0.5)
    with open_functions(site, monkeypatch) as functions:
        started = functions.start("backup")
        body = functions.sqs.waiting.popleft()
        deaths = 0
        for _ in range(7):
            site.worker(Moment("step-begins", "backup.capture"), terms=terms).wait_killed()
            deaths += 1
            assert functions.dead_letter(body)
            assert not site.operation(started.id).state.ended
        done = site.finish(started)
        assert done.state is State.FAILED
        assert done.error is not None
        assert f"was begun {deaths} times without getting further" in done.error.message
        functions.sqs.waiting.clear()
        assert_succeeded(site, functions.run("backup"))


def test_a_worker_past_its_time_joins_what_runs_and_begins_nothing_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen Lambda thaws later: nothing of it may be under way by then."""
    version, wanted = site.backup(), site.look()
    shop.damage(site.cluster.api, site.namespace)
    with open_functions(site, monkeypatch) as functions:
        budget = Pieces(100_000)

        def takes_long() -> None:
            budget._pieces = 0
            time.sleep(0.3)

        functions.watch.add(Moment("write-answered", "", 1), takes_long)
        started = functions.start("restore", version=version)
        monkeypatch.setattr(messages, "budget_of", lambda _context: budget)
        assert functions.work(functions.sqs.waiting.popleft())
        happened = len(functions.watch.happened)
        waits = site.operation(started.id)
        assert (waits.state, waits.step, waits.turns, waits.idle_turns) == (State.QUEUED, "apply", 1, 0)
        time.sleep(0.3)
        assert len(functions.watch.happened) == happened
        monkeypatch.undo()
        functions.work_off()
    done = site.operation(started.id)
    assert_succeeded(site, done)
    assert_as(site, wanted)
