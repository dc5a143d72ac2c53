"""Sweeping an application: what no version needs is deleted.

    sweep ─► succeeded | partial (the storage refused a deletion)

It runs in the lane, so no backup uploads meanwhile; that nothing needed is lost does not rest on this (see
`docs/sweep.md`). In each turn it lists everything anew. What manifests name is kept from turn to turn, as a manifest
never changes; and what was condemned or deleted by then stays so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from functools import partial

import orjson

from chalicelib.domain.errors import Damaged, NotFound
from chalicelib.domain.ids import time_of
from chalicelib.domain.operation import OperationKind, State
from chalicelib.engine.lane.journal import Journal
from chalicelib.engine.lane.sweeps import begun, schedule
from chalicelib.engine.lane.work import Finish, Flow, Work
from chalicelib.store import layout
from chalicelib.store.sweeping import Found, Sweep, Swept


def sweep(work: Work) -> Finish:
    """Delete what is unneeded and old enough, and say when there will be more."""
    begun(work.repository, work.application.id)
    with Journal(work, "manifests") as journal:
        return _sweep(work, journal)


def _sweep(work: Work, journal: Journal) -> Finish:
    application, repository = work.application.id, work.repository
    grace = timedelta(seconds=float(work.operation.arguments.get("graceSeconds", 86400)))
    before = work.checkpoint.get("swept") or {}
    this = Sweep(repository, application, grace, memory=_Manifests(journal))

    def pause() -> None:
        """What is condemned or deleted is so for good: a turn that got to that got somewhere."""
        work.moved = work.moved or this.done != Swept()
        work.pause()

    def told(unit: str, done: int, total: int) -> None:
        """Each few hundred deletions are counted, whoever goes on."""
        work.report(done, total, unit)
        work.note(swept=_sum(before, this.done))

    this.pause = pause
    found = this.find(_relied_on(work))
    doomed = this.doomed(found)
    this.condemn(found, doomed, work.operation.id)
    doomed = this.spare_new(found, doomed)
    this.delete(doomed, partial(told, "segments"))
    this.tidy(found, partial(told, "versions"))
    operations = _forget_operations(work)
    journal.forget()  # before the application's key goes: nothing is to be kept under it any more
    gone = _is_gone(work, found)
    if gone:
        for operation in repository.operations.list(application):
            work.pause()
            if operation != work.operation.id:
                repository.operations.remove_parts(application, operation)
        this.remove_vault()
    young = [listed.modified for listed in found.unneeded() if listed.key.rpartition("/")[2] not in doomed]
    waiting = young + [found.survey.ended[version] for version in found.spared]
    if waiting:
        schedule(repository, application, min(waiting) + grace, grace)
    done = this.done
    outcome = {
        **_sum(before, done),
        "operations": operations,
        "waiting": len(young),
        "versionsWaiting": len(found.spared),
        "refused": done.refused,
        "vaultRemoved": gone and not done.refused,
    }
    if done.refused:
        warning = f"The storage refused {done.refused} deletions. The first time it said: {done.refusal}"
        return Finish(State.PARTIAL, {**outcome, "warnings": [warning]})
    return Finish(State.SUCCEEDED, outcome)


class _Manifests:
    """What manifests name, as lines `[version, [names]]` beside the operation."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def recall(self) -> Iterator[tuple[str, list[str]]]:
        for line in self._journal.earlier():
            version, names = orjson.loads(line)
            yield version, names

    def remember(self, version: str, names: Collection[str]) -> None:
        self._journal.add(orjson.dumps([version, sorted(names)]))

    def settle(self) -> None:
        self._journal.settle()


def _sum(before: Mapping[str, int], done: Swept) -> dict[str, int]:
    """What was deleted in earlier turns, and in this one."""
    return {
        "segments": before.get("segments", 0) + done.segments,
        "bytes": before.get("bytes", 0) + done.bytes,
        "versions": before.get("versions", 0) + done.manifests,
    }


def _relied_on(work: Work) -> set[str]:
    """The segments that operations in line have written down so far: so a paused backup need not upload them again.

    It is a kindness, and nothing rests on it: who seals looks whether everything is there.
    """
    repository, application = work.repository, work.application.id
    lane = repository.lanes.read(application)
    needed: set[str] = set()
    for waiting in lane.pending if lane else ():
        if waiting.kind is not OperationKind.BACKUP:
            continue
        try:
            for line in repository.operations.every_line(application, waiting.operation):
                needed |= layout.segment_names(line)
        except (Damaged, NotFound):
            continue
    return needed


def _forget_operations(work: Work) -> int:
    """Remove operations that ended long ago; how many. Of those that are younger only the names are looked at."""
    repository, application = work.repository, work.application.id
    before = work.now() - timedelta(seconds=float(work.operation.arguments.get("historySeconds", 90 * 86400)))
    removed = 0
    for identifier in reversed(repository.operations.list(application)):
        if time_of(identifier) >= before:
            break
        work.pause()
        operation = repository.operations.get(application, identifier)
        if operation.state.ended and operation.finished_at is not None and operation.finished_at < before:
            repository.operations.remove(application, identifier)
            work.moved = True
            removed += 1
    return removed


def _is_gone(work: Work, found: Found) -> bool:
    """Whether the application was deleted and nothing of it is to be kept, or was kept (`keepVersions`)."""
    return work.application.status == "deleted" and not found.survey.existing and not found.spared


SWEEP = Flow("sweep", {"sweep": sweep}, yields=True)
