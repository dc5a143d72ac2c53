"""The executor: a plan's actions, wave by wave, in parallel within a wave, each with its intent written first.

    intents of batch n+1 and outcomes of batch n  ──►  one part of the ledger
    batch n runs while the intents of batch n+1 are being written: the cluster does not wait for the storage

It decides nothing: what to do stands in the plan, what was done already stands in the ledger.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from chalicelib.cluster import waiting
from chalicelib.domain.errors import MainstayError
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.domain.plan import Action, LedgerEntry, Verb
from chalicelib.engine.clusters import ClusterSession
from chalicelib.engine.ledger import Ledger, LedgerState
from chalicelib.engine.work import Work
from chalicelib.engine.writes import Writer
from chalicelib.planning import services

#: Actions whose intents are written at once. Large enough that the storage's latency does not matter, small enough
#: that a resumed operation has few objects to look at.
_BATCH = 256
#: How long a definition may take to be served, seconds.
_ESTABLISH_LIMIT = 60.0

_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")


@dataclass(frozen=True, slots=True)
class Numbered:
    """An action and its number in the plan."""

    number: int
    action: Action


@dataclass(slots=True)
class Applied:
    """What applying came to: outcomes by the action's number. `failed` are those that the cluster refused."""

    outcomes: dict[int, LedgerEntry] = field(default_factory=dict)

    @property
    def failed(self) -> list[LedgerEntry]:
        """The outcomes that are failures, in the order of the plan."""
        return [entry for _, entry in sorted(self.outcomes.items()) if entry.mark == "failed"]


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
        for _, wave in itertools.groupby(todo, key=lambda item: item.action.wave):
            items = list(wave)
            left = items
            while left:
                _wave(work, pool, left, phase, wanted, writer, ledger, applied, keep_going=keep_going, total=total)
                left = _worth_another_try(left, applied)
            if applied.failed and not keep_going:
                break
            _gate(session, work, items, applied)
    if not applied.failed or keep_going:
        done_before = [actions[number].object.key for number, entry in known.settled.items() if entry.mark == "done"]
        writer.adopt(wanted(done_before))
    ledger.flush()
    return applied


def _wave(
    work: Work,
    pool: ThreadPoolExecutor,
    wave: list[Numbered],
    phase: str,
    wanted: Callable[[Sequence[ObjectKey]], Iterable[tuple[ObjectKey, Body]]],
    writer: Writer,
    ledger: Ledger,
    applied: Applied,
    *,
    keep_going: bool,
    total: int,
) -> None:
    running: list[Future[LedgerEntry]] = []
    try:
        for batch in _batches(wave):
            work.pause()
            bodies = dict(wanted([item.action.object.key for item in batch if item.action.verb is not Verb.DELETE]))
            ledger.intend([_intent(item, phase) for item in batch])
            started = [
                pool.submit(writer.perform, item.number, phase, item.action, bodies.get(item.action.object.key))
                for item in batch
            ]
            finished, running = running, started
            _collect(finished, ledger, applied)
            work.report(len(applied.outcomes), total, "objects")
            if applied.failed and not keep_going:
                break
        finished, running = running, []
        _collect(finished, ledger, applied)
    except BaseException:
        # Join what runs before anything else is written: a frozen worker must not thaw in the middle of a request.
        for future in running:
            future.cancel()
        _collect([future for future in running if not future.cancelled()], ledger, applied, quiet=True)
        _flush_if_possible(ledger)
        raise


def _worth_another_try(tried: list[Numbered], applied: Applied) -> list[Numbered]:
    """Those that met an address or port which another of the wave may have given up meanwhile; they no longer count
    as failed. None once a try brought nothing, or if anything else failed."""
    taken = [item for item in tried if _was_taken(applied.outcomes.get(item.number))]
    if len(taken) in {0, len(tried)} or len(taken) < len(applied.failed):
        return []
    for item in taken:
        del applied.outcomes[item.number]
    return taken


def _was_taken(entry: LedgerEntry | None) -> bool:
    return entry is not None and entry.mark == "failed" and services.is_taken(entry.message)


def _collect(futures: list[Future[LedgerEntry]], ledger: Ledger, applied: Applied, *, quiet: bool = False) -> None:
    interrupted: BaseException | None = None
    for future in futures:
        try:
            entry = future.result()
        except MainstayError as error:
            interrupted = interrupted or error
            continue
        applied.outcomes[entry.action] = entry
        ledger.outcome([entry])
    if interrupted is not None and not quiet:
        raise interrupted


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


def _gate(session: ClusterSession, work: Work, wave: list[Numbered], applied: Applied) -> None:
    """After definitions were written: go on once they are served."""
    names = [
        item.action.object.name
        for item in wave
        if (item.action.object.group, item.action.object.kind) == _DEFINITION
        and item.action.verb in {Verb.CREATE, Verb.REPLACE}
        and applied.outcomes[item.number].mark == "done"
    ]
    for name in names:
        waiting.until_established(session.client, name, timeout=_ESTABLISH_LIMIT, between=work.pause)
    if names:
        session.rediscover()
