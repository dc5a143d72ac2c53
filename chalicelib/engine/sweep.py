"""Sweeping an application: what no version needs is deleted.

    sweep ─► succeeded | partial (the storage refused a deletion)

It runs in the lane, so no backup uploads meanwhile; that nothing needed is lost does not rest on this (see
`docs/sweep.md`). Begun again by another worker it looks at everything anew: what it has deleted by then is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from chalicelib.domain.errors import Damaged, NotFound
from chalicelib.domain.ids import time_of
from chalicelib.domain.operation import OperationKind, State
from chalicelib.engine.sweeps import begun, schedule
from chalicelib.engine.work import Finish, Flow, Work
from chalicelib.store import layout
from chalicelib.store.sweeping import Found, Sweep, Swept


def sweep(work: Work) -> Finish:
    """Delete what is unneeded and old enough, and say when there will be more."""
    application = work.application.id
    begun(work.repository, application)
    grace = timedelta(seconds=float(work.operation.arguments.get("graceSeconds", 86400)))
    this = Sweep(work.repository, application, grace, work.pause)
    found = this.find(_relied_on(work))
    doomed = this.doomed(found)
    this.condemn(found, doomed, work.operation.id)
    doomed = this.spare_new(found, doomed)
    before = work.checkpoint.get("swept") or {}

    def told(done: int, total: int) -> None:
        """Each few hundred deletions bring it further, whoever goes on."""
        work.report(done, total, "segments")
        work.note(swept=_sum(before, this.done))

    this.delete(doomed, told)
    this.tidy(found)
    operations = _forget_operations(work)
    gone = _is_gone(work, found)
    if gone:
        for operation in work.repository.operations.list(application):
            work.pause()
            if operation != work.operation.id:
                work.repository.operations.remove_parts(application, operation)
        this.remove_vault()
    young = [listed.modified for listed in found.unneeded() if listed.key.rpartition("/")[2] not in doomed]
    waiting = young + [found.survey.ended[version] for version in found.spared]
    if waiting:
        schedule(work.repository, application, min(waiting) + grace, grace)
    done = this.done
    outcome = {
        **_sum(before, done),
        "versions": done.manifests,
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


def _sum(before: Mapping[str, int], done: Swept) -> dict[str, int]:
    """What was deleted in earlier turns, and in this one."""
    return {
        "segments": before.get("segments", 0) + done.segments,
        "bytes": before.get("bytes", 0) + done.bytes,
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
            removed += 1
    return removed


def _is_gone(work: Work, found: Found) -> bool:
    """Whether the application was deleted and nothing of it is to be kept, or was kept (`keepVersions`)."""
    return work.application.status == "deleted" and not found.survey.existing and not found.spared


SWEEP = Flow("sweep", {"sweep": sweep}, yields=True)
