"""Ending versions that no rule keeps any more: the last step of a backup.

    seal ─► retain ─► succeeded | partial

It runs in the lane, after the new version exists. Whatever goes wrong here, that version stays, and the next backup
tries again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC

from chalicelib.domain.document import Document
from chalicelib.domain.document.backup import Keep
from chalicelib.domain.errors import Conflict, Damaged, NotFound
from chalicelib.domain.operation import State
from chalicelib.engine.lane.needed import needed
from chalicelib.engine.lane.sweeps import sweep_later
from chalicelib.engine.lane.work import Finish, Work
from chalicelib.planning.retention import Candidate, Verdict, keep_of, verdicts
from chalicelib.store.repository import Repository

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """The rules that hold for an application, and what they say of each of its versions, newest first."""

    keep: Keep | None
    verdicts: Sequence[Verdict]

    def reasons(self, version: str) -> tuple[str, ...] | None:
        """Why a version stays; nothing if it goes; `None` if no rules hold."""
        return next((each.reasons for each in self.verdicts if each.version == version), None)


def judge(
    repository: Repository, application: str, document: Document, candidates: Sequence[Candidate] | None = None
) -> Judged:
    """What the rules say of the versions that are there now, or of `candidates`. Nothing is changed."""
    keep = keep_of(document, repository.policies.read())
    if keep is None:
        return Judged(None, ())
    if candidates is None:
        candidates = _candidates(repository, application)
    zone = document.spec.backup.zone if document.spec.backup is not None else UTC
    first = verdicts(candidates, keep, zone=zone)
    others: dict[str, list[str]] = {}
    for version, operations in needed(repository, application).items():
        others[version] = [f"{operation.id} needs it" for operation in operations]
    for verdict in first:
        # Notes are read only of those that would go.
        if not verdict.stays and repository.notes.get(application, verdict.version).hold:
            others.setdefault(verdict.version, []).append("it is held")
    return Judged(keep, verdicts(candidates, keep, zone=zone, needed=others))


def _candidates(repository: Repository, application: str) -> list[Candidate]:
    versions = repository.versions(application)

    def read(version: str) -> Candidate | None:
        try:
            manifest = versions.get(version)
        except (NotFound, Damaged):
            return None  # ended meanwhile; or nobody knows what it is, so no rule ends it or counts it
        if manifest.purpose != "backup":
            return None
        return Candidate(version, manifest.captured_at, manifest.complete)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mainstay-retention") as pool:
        return [found for found in pool.map(read, list(versions.list())) if found is not None]


def retain(work: Work) -> Finish:
    """End what no rule keeps, and end the operation as its version's completeness says."""
    repository, application = work.repository, work.application.id
    judged = judge(repository, application, work.document)
    gone = []
    for verdict in judged.verdicts:
        if verdict.stays:
            continue
        work.lease.check()
        try:
            repository.end_version(application, verdict.version, "mainstay", "no rule of `backup.keep` keeps it")
        except (Conflict, NotFound):
            continue  # it was held, or deleted, in between
        gone.append(verdict.version)
    if gone:
        sweep_later(repository, application)
    return ended(work, gone)


def ended(work: Work, gone: Sequence[str] = ()) -> Finish:
    """The end of a backup whose version was sealed."""
    sealed = work.checkpoint["sealed"]
    more = {"ended": list(gone)} if gone else {}
    return Finish(State(sealed["state"]), {**sealed["outcome"], **more})
