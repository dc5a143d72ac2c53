"""A plan carried out: wave by wave, each intent before its deed, and what then happens when something fails."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from chalicelib.domain.errors import ClusterUnreachable, LeaseLost
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.plan import Action, Identity, LedgerEntry, Verb
from chalicelib.engine.lane.work import Work
from chalicelib.engine.write import apply as module
from chalicelib.engine.write.apply import Applied, apply
from chalicelib.engine.write.ledger import Ledger, LedgerState, read_entries, state_of
from chalicelib.engine.write.silence import Manner
from tests.unit.engine.house import House, working

Answer = Callable[[], str]


#: What a write is refused with that was answered too late, while there was more to do.
SLOW = "CREATE got no answer within 8 s; a dry run of it took 10 s."


class Cluster:
    """A writer that says yes to everything, but for what a test says. Answers: `""` for done, else a refusal."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self._answers = answers or {}
        self._lock = threading.Lock()
        self.done: list[str] = []
        self.tried: defaultdict[str, int] = defaultdict(int)
        self.manners: list[tuple[str, Manner]] = []
        self.seen: list[list[str]] = []
        self.ledger: Callable[[], list[str]] = list

    def perform(
        self, number: int, phase: str, action: Action, wanted: Body | None, manner: Manner = Manner.USUAL
    ) -> LedgerEntry:
        name = action.object.name
        assert (wanted is None) is (action.verb is Verb.DELETE)
        with self._lock:
            self.tried[name] += 1
            self.manners.append((name, manner))
            self.seen.append(self.ledger())
            answer = self._answers.get(name, "")
            refusal = answer(self) if callable(answer) else answer
            if not refusal:
                self.done.append(name)
        return LedgerEntry(
            action=number,
            phase=phase,
            mark="failed" if refusal else "done",
            verb=action.verb,
            object=action.object,
            message=refusal,
            error={"details": {"unanswered": True, "slow": True}} if refusal == SLOW else None,
        )

    def adopt(self, _contents: Iterable[tuple[ObjectKey, Body]]) -> None:
        """Nobody has an owner here."""


def action(name: str, wave: int = 0, verb: Verb = Verb.CREATE) -> Action:
    return Action(verb=verb, object=Identity(kind="ConfigMap", namespace="shop", name=name), reason="r", wave=wave)


def carry_out(
    work: Work, cluster: Cluster, actions: Sequence[Action], *, keep_going: bool = False, phase: str = "apply"
) -> Applied:
    known = state_of(read_entries(work.repository, work.application.id, work.operation.id), phase)
    return apply(
        work,
        None,  # type: ignore[arg-type]  # asked only for definitions
        actions,
        phase=phase,
        wanted=lambda keys: [(key, {"metadata": {"name": key.name}}) for key in keys],
        writer=cluster,  # type: ignore[arg-type]
        ledger=Ledger(work),
        known=known,
        keep_going=keep_going,
        connections=4,
    )


def told(work: Work) -> LedgerState:
    return state_of(read_entries(work.repository, work.application.id, work.operation.id), "apply")


@pytest.fixture
def work(house: House) -> Work:
    return working(house)


def test_a_wave_is_finished_before_the_next_begins(work: Work) -> None:
    cluster = Cluster()
    actions = [action(f"{wave}-{number}", wave) for wave in range(3) for number in range(20)]
    applied = carry_out(work, cluster, actions)
    assert [name[0] for name in cluster.done] == ["0"] * 20 + ["1"] * 20 + ["2"] * 20
    assert (applied.failed, len(applied.outcomes)) == ([], 60)


def test_every_intent_is_written_before_its_deed(work: Work) -> None:
    cluster = Cluster()
    cluster.ledger = lambda: [
        entry.object.name for entry in read_entries(work.repository, work.application.id, work.operation.id)
    ]
    carry_out(work, cluster, [action(f"object-{number}") for number in range(10)])
    assert all(set(cluster.tried) <= set(seen) for seen in cluster.seen)
    assert told(work).open == {}


def test_what_is_kept_or_skipped_is_not_done(work: Work) -> None:
    cluster = Cluster()
    carry_out(
        work, cluster, [action("a", verb=Verb.SKIP), action("b", verb=Verb.KEEP), action("c", verb=Verb.DELETE)]
    )
    assert cluster.done == ["c"]


def test_the_first_failure_ends_it_after_its_wave(work: Work) -> None:
    cluster = Cluster({"0-b": "no"})
    applied = carry_out(work, cluster, [action("0-a"), action("0-b"), action("0-c"), action("1-a", 1)])
    assert set(cluster.tried) == {"0-a", "0-b", "0-c"}
    assert [entry.object.name for entry in applied.failed] == ["0-b"]
    assert set(told(work).settled) == {0, 1, 2}


def test_a_large_wave_ends_with_the_batches_that_are_under_way(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 4)
    cluster = Cluster({"00": "no"})
    carry_out(work, cluster, [action(f"{number:02}") for number in range(40)])
    assert len(cluster.tried) <= 8


def test_a_failure_ends_nothing_where_it_is_to_be_gone_on(work: Work) -> None:
    cluster = Cluster({"0-b": "no"})
    applied = carry_out(work, cluster, [action("0-a"), action("0-b"), action("1-a", 1)], keep_going=True)
    assert cluster.done == ["0-a", "1-a"]
    assert len(applied.failed) == 1


# ── room that others give up ────────────────────────────────────────────────────────────────────────────────

FULL = "exceeded quota: few, requested: pods=1"
TAKEN = "provided port is already allocated"


@pytest.mark.parametrize("refusal", [FULL, TAKEN])
def test_what_finds_no_room_is_tried_again_once_others_gave_some_up(work: Work, refusal: str) -> None:
    cluster = Cluster({"wants": lambda here: "" if "gives" in here.done else refusal})
    actions = [action("wants"), action("between", 1), action("gives", 2, Verb.DELETE), action("last", 3)]
    applied = carry_out(work, cluster, actions)
    assert applied.failed == []
    assert cluster.done == ["between", "gives", "wants", "last"]
    assert told(work).settled.keys() == {0, 1, 2, 3}


def test_room_that_another_of_the_same_wave_gives_up_is_found_at_once(work: Work) -> None:
    cluster = Cluster({"wants": lambda here: "" if "gives" in here.done else TAKEN})
    carry_out(
        work, cluster, [action("wants", verb=Verb.UPDATE), action("gives", verb=Verb.UPDATE), action("next", 1)]
    )
    assert cluster.done == ["gives", "wants", "next"]


def test_many_that_find_no_room_ask_for_it_one_at_a_time(work: Work) -> None:
    wanting = {f"wants-{number:02}": (lambda here: "" if "gives" in here.done else FULL) for number in range(30)}
    cluster = Cluster(wanting)
    waves = [action(f"wave-{number}", number) for number in range(1, 10)]
    applied = carry_out(
        work, cluster, [*(action(name) for name in wanting), *waves, action("gives", 10, Verb.DELETE)]
    )
    assert applied.failed == []
    # Once each at first and at last, and one of them after each wave to ask.
    assert sum(cluster.tried[name] for name in wanting) <= 30 + 11 + 30


def test_what_never_finds_room_fails_at_the_end_with_the_refusal(work: Work) -> None:
    cluster = Cluster({"wants": FULL})
    applied = carry_out(work, cluster, [action("wants"), action("other", 1)])
    assert cluster.done == ["other"]
    assert [entry.message for entry in applied.failed] == [FULL]
    assert told(work).settled[0].mark == "failed"


def test_a_failure_for_good_ends_what_waits_for_room_as_well(work: Work) -> None:
    cluster = Cluster({"wants": FULL, "wrong": "no"})
    applied = carry_out(work, cluster, [action("wants"), action("wrong"), action("later", 1)])
    assert {entry.object.name for entry in applied.failed} == {"wants", "wrong"}
    assert cluster.tried == {"wants": 1, "wrong": 1}


# ── answers that do not come ────────────────────────────────────────────────────────────────────────────────

HANGS = 'failed calling webhook "guard"'


def test_one_of_each_kind_that_gets_no_answer_asks_for_all(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COUNTING_PAUSE", 0.0)
    names = [f"silent-{number:02}" for number in range(30)]
    cluster = Cluster(dict.fromkeys(names, lambda here: "" if here.tried["silent-00"] > 3 else HANGS))
    actions = [*(action(name) for name in names), action("later", 1)]
    applied = carry_out(work, cluster, actions)
    assert applied.failed == []
    assert cluster.done == ["later", *names]
    assert cluster.tried["silent-00"] == 4
    assert {cluster.tried[name] for name in names[1:]} == {2}
    assert {manner for name, manner in cluster.manners if name == "silent-00"} == {Manner.USUAL, Manner.ASKING}


def test_what_gets_no_answer_in_time_fails_with_the_reason(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER_LIMIT", 0.0)
    cluster = Cluster({"a": HANGS, "b": HANGS})
    applied = carry_out(work, cluster, [action("a"), action("b"), action("c", 1)])
    assert [entry.message for entry in applied.failed] == [HANGS, HANGS]
    assert cluster.tried == {"a": 2, "b": 1, "c": 1}


def test_where_it_is_to_be_gone_on_the_others_of_a_kind_are_tried_all_the_same(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook can be meant for some of a kind only. If a whole batch gets no answer, no more are asked."""
    monkeypatch.setattr(module, "_ANSWER_LIMIT", 0.0)
    monkeypatch.setattr(module, "_BRIEF_BATCH", 4)
    asked = [f"{number:02}" for number in range(20)]

    def answer(name: str) -> Any:
        return lambda here: "" if name == "02" and (name, Manner.BRIEF) in here.manners else HANGS

    cluster = Cluster({name: answer(name) for name in asked})
    applied = carry_out(work, cluster, [action(name) for name in asked], keep_going=True)
    assert cluster.done == ["02"]
    assert len(applied.failed) == 19
    assert [name for name, manner in cluster.manners if manner is Manner.BRIEF] == asked[:8]


# ── answers that come too late ──────────────────────────────────────────────────────────────────────────────


def test_what_the_server_is_too_slow_for_is_done_with_less_beside_it_and_before_the_next_wave(work: Work) -> None:
    names = [f"large-{number:02}" for number in range(12)]

    def answer(here: Cluster) -> str:
        return "" if ("large-00", Manner.ALONE) in here.manners else SLOW

    cluster = Cluster(dict.fromkeys(names, answer))
    applied = carry_out(work, cluster, [*(action(name) for name in names), action("later", 1)])
    assert applied.failed == []
    assert cluster.done[0] == "large-00"
    assert cluster.done[-1] == "later"
    assert [name for name, manner in cluster.manners if manner is Manner.ALONE] == ["large-00"]
    assert {cluster.tried[name] for name in names} == {2}
    assert told(work).open == {}


class Busy(Cluster):
    """It manages two writes at once, but for a while, until `back` is done, none of large ones."""

    def __init__(self, back: str = "") -> None:
        super().__init__()
        self._back = back
        self._counting = threading.Lock()
        self._under_way = 0

    def perform(self, *words: Any) -> LedgerEntry:
        with self._counting:
            self._under_way += 1
            beside = self._under_way
        time.sleep(0.01)  # as long as others come in: more than two are too many for the first of them, too
        slow = max(beside, self._under_way) > 2
        away = words[2].object.name != self._back and self._back not in ("", *self.done)
        self._answers[words[2].object.name] = SLOW if slow else HANGS if away else ""
        entry = super().perform(*words)
        with self._counting:
            self._under_way -= 1
        return entry


def test_a_server_that_manages_two_writes_at_once_gets_no_more_in_the_end(work: Work) -> None:
    names = [f"large-{number:02}" for number in range(20)]
    cluster = Busy()
    applied = carry_out(work, cluster, [action(name) for name in names])
    assert applied.failed == []
    assert sorted(cluster.done) == names


def test_a_server_that_answers_again_at_the_end_is_not_given_all_at_once_then(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANSWER_LIMIT", 0.0)
    names = [f"large-{number:02}" for number in range(20)]
    cluster = Busy(back="later")
    applied = carry_out(work, cluster, [*(action(name) for name in names), action("later", 1)])
    assert applied.failed == []
    assert sorted(cluster.done) == [*names, "later"]


def test_what_is_too_slow_by_itself_waits_for_the_end_like_what_hangs(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANSWER_LIMIT", 0.0)

    def answer(here: Cluster) -> str:
        return HANGS if ("a", Manner.ALONE) in here.manners else SLOW

    cluster = Cluster({"a": answer, "b": answer})
    applied = carry_out(work, cluster, [action("a"), action("b"), action("later", 1), action("last", 2)])
    assert cluster.done == ["later", "last"]
    assert [name for name, manner in cluster.manners if manner is Manner.ALONE] == ["a"]
    assert len(applied.failed) == 2


# ── interruptions ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_done_before_is_not_done_again(work: Work) -> None:
    actions = [action(f"object-{number}") for number in range(6)]

    def away(_here: Cluster) -> str:
        raise ClusterUnreachable("It does not answer.")

    with pytest.raises(ClusterUnreachable):
        carry_out(work, Cluster({"object-3": away}), actions)
    known = told(work)
    assert set(known.settled) == {0, 1, 2, 4, 5}
    assert set(known.open) == {3}
    cluster = Cluster()
    applied = carry_out(work, cluster, actions)
    assert cluster.done == ["object-3"]
    assert len(applied.outcomes) == 6


def test_a_cancel_between_two_waves_leaves_a_true_ledger(work: Work) -> None:
    def cancel(_here: Cluster) -> str:
        work.lease.wanted = "cancel"  # type: ignore[misc]
        return ""

    cluster = Cluster({"0-a": cancel})
    with pytest.raises(Exception, match="cancelled"):
        carry_out(work, cluster, [action("0-a"), action("1-a", 1)])
    assert cluster.done == ["0-a"]
    assert (set(told(work).settled), told(work).open) == ({0}, {})


def test_a_worker_that_lost_its_lease_joins_what_runs_and_writes_no_outcome(work: Work) -> None:
    def lose(_here: Cluster) -> str:
        work.lease.lost = True  # type: ignore[attr-defined]
        return ""

    cluster = Cluster({"a": lose})
    with pytest.raises(LeaseLost):
        carry_out(work, cluster, [action("a"), action("b", 1)])
    assert cluster.done == ["a"]
    assert (told(work).settled, set(told(work).open)) == ({}, {0})


def test_phases_are_carried_out_apart(work: Work) -> None:
    actions = [action("a")]
    carry_out(work, Cluster(), actions)
    cluster = Cluster()
    carry_out(work, cluster, actions, phase="undo")
    assert cluster.done == ["a"]
