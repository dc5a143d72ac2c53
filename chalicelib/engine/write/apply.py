"""The executor: a plan's actions, wave by wave, in parallel within a wave, each with its intent written first.

    intents of batch n+1 and outcomes of batch n  ──►  one part of the ledger
    batch n runs while the intents of batch n+1 are being written: the cluster does not wait for the storage

It decides nothing: what to do stands in the plan, what was done already stands in the ledger.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from chalicelib.cluster import waiting
from chalicelib.domain.errors import Conflict, MainstayError
from chalicelib.domain.objects import DEFINITION, Body, ObjectKey
from chalicelib.domain.plan import Action, LedgerEntry, Verb
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.lane.work import Work
from chalicelib.engine.write.gates import Gate
from chalicelib.engine.write.ledger import Ledger, LedgerState
from chalicelib.engine.write.put_off import Numbered, PutOff
from chalicelib.engine.write.silence import Manner
from chalicelib.engine.write.writes import Writer

#: Actions whose intents are written at once. Large enough that the storage's latency does not matter, small enough
#: that a resumed operation has few objects to look at.
_BATCH = 256
#: How long a definition may take to be served, seconds.
_ESTABLISH_LIMIT = 60.0

#: How long the controller of a quota may take to count what was given up, and between two tries, seconds.
_COUNTING_LIMIT = 20.0
_COUNTING_PAUSE = 1.0
#: How long webhooks may take to answer again once everything else is done, seconds.
_ANSWER_LIMIT = 60.0
#: So many objects are tried one last time together; if none of them is answered, no more are.
_BRIEF_BATCH = 32


@dataclass(slots=True)
class Applied:
    """What applying came to: outcomes by the action's number. `failed` are those that the cluster refused."""

    outcomes: dict[int, LedgerEntry] = field(default_factory=dict)
    #: Numbers of the failures: they are asked for after each batch, and there may be very many outcomes.
    _failed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._failed.update(number for number, entry in self.outcomes.items() if entry.mark == "failed")

    def add(self, number: int, entry: LedgerEntry) -> None:
        """One more outcome."""
        self.outcomes[number] = entry
        if entry.mark == "failed":
            self._failed.add(number)

    def not_written(self) -> dict[ObjectKey, str]:
        """The objects that should have been written and were not, with the reason."""
        return {entry.object.key: entry.told or entry.message for entry in self.failed}

    @property
    def failed(self) -> list[LedgerEntry]:
        """The outcomes that are failures, in the order of the plan."""
        return [self.outcomes[number] for number in sorted(self._failed)]


def apply(
    work: Work,
    session: ClusterSession,
    actions: Sequence[Action],
    *,
    phase: str,
    wanted: Callable[[Sequence[ObjectKey]], Iterable[tuple[ObjectKey, Body]]],
    writer: Writer,
    ledger: Ledger,
    known: LedgerState,
    keep_going: bool,
    connections: int,
) -> Applied:
    """Carry out what the ledger does not know as done. Stops after the wave's running batch at the first failure,
    unless `keep_going`.

    What is refused because others still take up the room is tried again when they have given it up.

    `wanted(keys)` reads the content to write. Raises what interrupts the whole operation; the outcomes known by
    then are in the ledger.
    """
    applied = Applied(dict(known.settled))
    todo = [
        Numbered(number, action)
        for number, action in enumerate(actions)
        if action.verb.writes and number not in known.settled
    ]
    total = sum(action.verb.writes for action in actions)
    with ThreadPoolExecutor(connections, thread_name_prefix="apply") as pool:
        places = {item.action.object.key: item for item in todo}
        applying = _Applying(work, pool, phase, wanted, writer, ledger, applied, keep_going, total, places)
        if todo:  # who applied these definitions may not have lived, or had the time, to see them served
            _established(session, work, [Numbered(number, actions[number]) for number in known.settled], applied)
        gate = Gate(work, session, applied.not_written)
        for number, wave in itertools.groupby(todo, key=lambda item: item.action.wave):
            items = applying.let_through(list(wave), gate, f"{phase}-{number}")
            if applying.stops:
                break
            applying.carry_out(items)
            applying.try_again()
            if applying.stops:
                break
            _established(session, work, items, applied)
        applying.give_up_waiting()
    if not applied.failed or keep_going:
        done_before = [actions[number].object.key for number, entry in known.settled.items() if entry.mark == "done"]
        writer.adopt(wanted(done_before))
    ledger.flush()
    return applied


@dataclass(slots=True)
class _Applying:
    """Actions on their way."""

    work: Work
    pool: ThreadPoolExecutor
    phase: str
    wanted: Callable[[Sequence[ObjectKey]], Iterable[tuple[ObjectKey, Body]]]
    writer: Writer
    ledger: Ledger
    applied: Applied
    keep_going: bool
    total: int
    #: What is to be done, by the object.
    places: dict[ObjectKey, Numbered]
    put_off: PutOff = field(default_factory=PutOff)

    @property
    def stops(self) -> bool:
        """Whether something failed for good, and that is an end."""
        return bool(self.applied.failed) and not self.keep_going

    def let_through(self, items: list[Numbered], gate: Gate, wave: str) -> list[Numbered]:
        """Wait for what the actions of a wave need to be ready; those whose need was not met have failed."""
        if any(item.action.awaits for item in items):
            self.ledger.flush()  # it may take long, and end in the middle
        refused = gate.before(wave, (item.action for item in items))
        self.work.warn(gate.told)
        gate.told.clear()
        for item in items:
            why = refused.get(item.action.object.key)
            if why is not None:
                failed = {"mark": "failed", "message": why, "told": why, "error": Conflict(why).as_json()}
                entry = _intent(item, self.phase).model_copy(update=failed)
                self.applied.add(item.number, entry)
                self.ledger.outcome([entry])
        return [item for item in items if item.action.object.key not in refused]

    def carry_out(self, items: list[Numbered], manner: Manner = Manner.USUAL) -> None:
        """Do these, in parallel and in batches."""
        running: list[tuple[Numbered, Future[LedgerEntry]]] = []
        try:
            for batch in _batches(items):
                self.work.pause()
                keys = [item.action.object.key for item in batch if item.action.verb is not Verb.DELETE]
                bodies = dict(self.wanted(keys))
                self.ledger.intend([entry for item in batch for entry in self._intents(item)])
                started = [(item, self._submit(item, bodies.get(item.action.object.key), manner)) for item in batch]
                finished, running = running, started
                self._collect(finished)
                self.work.report(len(self.applied.outcomes), self.total, "objects")
                if self.stops:
                    break
            finished, running = running, []
            self._collect(finished)
        except BaseException:
            # Join what runs before anything else is written: a frozen worker must not thaw in the middle of a
            # request.
            for _, future in running:
                future.cancel()
            self._collect([each for each in running if not each[1].cancelled()], quiet=True)
            _flush_if_possible(self.ledger)
            raise

    def _intents(self, item: Numbered) -> Iterator[LedgerEntry]:
        """Its own, and those of what is to be detached from it: that is written to as well."""
        yield _intent(item, self.phase)
        for each in item.action.dependents:
            dependent = self.places.get(each.key)
            if dependent is not None and dependent.number not in self.applied.outcomes:
                yield _intent(dependent, self.phase)

    def _submit(self, item: Numbered, body: Body | None, manner: Manner) -> Future[LedgerEntry]:
        return self.pool.submit(self.writer.perform, item.number, self.phase, item.action, body, manner)

    def _collect(self, futures: list[tuple[Numbered, Future[LedgerEntry]]], *, quiet: bool = False) -> None:
        interrupted: BaseException | None = None
        for item, future in futures:
            try:
                entry = future.result()
            except MainstayError as error:
                interrupted = interrupted or error
                continue
            if self.put_off.take(item, entry):
                continue
            self.applied.add(entry.action, entry)
            self.ledger.outcome([entry])
        if interrupted is not None and not quiet:
            raise interrupted

    def try_again(self) -> None:
        """Try what waits for room: one of them, and the others if that one found it. And what the server was too slow
        for: it has less to do now.

        A webhook that does not answer takes its time to, so it is asked again at the end only.
        """
        while self.put_off.for_room and not self.stops:
            first, *others = self.put_off.for_room
            self.carry_out([first])
            if first in self.put_off:
                break
            self.carry_out(others)
        for group in self.put_off.too_slow:
            self._try_slowly(group)

    def _try_slowly(self, group: list[Numbered]) -> None:
        """One by itself, then twice as many at once each time, as long as all are answered in time."""
        many = 1
        while group and not self.stops:
            some = group[:many]
            self.carry_out(some, Manner.ALONE if len(some) == 1 else Manner.USUAL)
            left = [item for item in some if item in self.put_off]
            if left and len(some) == 1:
                return
            group = left + group[many:]
            many = max(many // 2, 1) if left else min(many * 2, _BATCH)

    def give_up_waiting(self) -> None:
        """Nobody gives up anything more: the last tries of each, then it is a failure.

        What was given up is free only when a controller has counted it, which can take seconds. A webhook answers
        again when the pods behind it run, if this very plan has brought them back.
        """
        freed = any(entry.verb in {Verb.DELETE, Verb.REPLACE} for entry in self.applied.outcomes.values())
        wait = f"{self.phase}-room"
        if self.put_off.for_answers:
            self.work.elapsed(wait, _ANSWER_LIMIT)  # asking takes most of it
        while self.put_off and not self.stops:
            self._ask_again()
            limit = _COUNTING_LIMIT if freed else 0.0
            if self.put_off.for_answers:
                limit = max(limit, _ANSWER_LIMIT)
            if not self.put_off or self.work.elapsed(wait, limit) >= limit:
                break
            self.ledger.flush()
            self.work.pause()
            time.sleep(_COUNTING_PAUSE)
        if self.keep_going:
            self._try_briefly()
        for number, entry in self.put_off.give_up():
            self.applied.add(number, entry)
            self.ledger.outcome([entry])

    def _ask_again(self) -> None:
        """Try what waits for room, and one of each kind that waits for an answer; the others of that kind if it had
        one: not all at once, which may be what the server was too slow for."""
        groups = self.put_off.for_answers
        self.carry_out([*self.put_off.for_room, *(group[0] for group in groups)], Manner.ASKING)
        for first, *others in groups:
            if first not in self.put_off:
                self._try_slowly(others)

    def _try_briefly(self) -> None:
        """A webhook can be meant for some objects of a kind only: the others are to be done all the same."""
        for group in self.put_off.for_answers:
            for start in range(0, len(group), _BRIEF_BATCH):
                some = group[start : start + _BRIEF_BATCH]
                self.carry_out(some, Manner.BRIEF)
                if all(item in self.put_off for item in some):
                    break


def _flush_if_possible(ledger: Ledger) -> None:
    try:
        ledger.flush()
    except MainstayError:
        return  # the open intents say that these may have happened; who resumes asks the objects


def _intent(item: Numbered, phase: str) -> LedgerEntry:
    action = item.action
    return LedgerEntry(
        action=item.number,
        phase=phase,
        mark="intent",
        verb=action.verb,
        object=action.object,
        uid_before=action.live_uid,
    )


def _batches(wave: list[Numbered]) -> Iterator[list[Numbered]]:
    for start in range(0, len(wave), _BATCH):
        yield wave[start : start + _BATCH]


def _established(session: ClusterSession, work: Work, wave: list[Numbered], applied: Applied) -> None:
    """After definitions were written: go on once they are served."""
    written = [
        item.action
        for item in wave
        if (item.action.object.group, item.action.object.kind) == DEFINITION
        and item.action.verb in {Verb.CREATE, Verb.REPLACE}
        and item.number in applied.outcomes
        and applied.outcomes[item.number].mark == "done"
    ]
    for action in written:
        name = action.object.name
        waiting.until_established(session.client, name, timeout=_ESTABLISH_LIMIT, between=work.pause)
    if written:
        session.rediscover()
    # What a server tells of its kinds follows a little later: until then it tells of the definition before.
    for action in written:
        if action.verb is Verb.REPLACE:
            look = partial(_other_scope, session, action.object.key)
            what = f"the kind of {action.object.name} to be served anew"
            waiting.until(look, what, timeout=_ESTABLISH_LIMIT, between=work.pause)


def _other_scope(session: ClusterSession, key: ObjectKey) -> str:
    """Whether the kind of a definition is still told of with the scope that it had; `""` if not."""
    resource = session.discovery.resource_for(*key[:2])
    body = session.objects.get(resource, "", key.name) if resource is not None else None
    if body is None:
        return ""
    spec = body["spec"]
    found = session.discovery.resource_for(spec["group"], spec["names"]["kind"])
    if found is None or found.namespaced == (spec["scope"] == "Namespaced"):
        return ""
    session.rediscover()
    return "it is told of with another scope"
