"""Verifying an application's vault: an operation that takes no lane, as nothing of the application is changed.

    look ─► tell ─► succeeded | failed (`damaged`: its outcome counts, its damages name what is)

It goes on where an earlier turn stopped, so a vault of any size is read in turns of any length. With `repair` what is
damaged is mended, or condemned so that the next backup stores it again: see `mending`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, zip_longest
from typing import Any

import orjson
from pydantic import Field

from chalicelib.domain.errors import Cancelled, Conflict, Damaged, MainstayError, NotFound
from chalicelib.domain.operation import Operation, State
from chalicelib.domain.version import Stored
from chalicelib.engine.lane.journal import Journal
from chalicelib.engine.lane.work import Finish, Flow, Next, Work
from chalicelib.engine.operations.findings import CONDEMNED, MENDED, Damage
from chalicelib.engine.operations.mending import repair
from chalicelib.engine.operations.verifying import Verified, Verifier
from chalicelib.store import layout
from chalicelib.store.documents import Documents
from chalicelib.store.repository import Repository

#: How long whoever claims may take to start what they claimed for.
_BEING_STARTED = timedelta(seconds=60)

_JOURNAL = "looked"
_PART = "damages"
#: Versions and objects on one line: what an answer has of a damage at a time.
_ON_A_LINE = 100
#: Lines in one part.
_LINES = 500
#: Versions that the outcome names.
_NAMED = 50


class Verification(Stored):
    """Which operation verifies an application, or did last, and since when."""

    schema_: int = Field(default=1, alias="schema")
    operation: str = ""
    since: datetime | None = None


def claim(repository: Repository, operation: Operation) -> str:
    """The id of the operation that is to verify an application: this one's, unless another has not ended. It stands
    in no line, so what is asked for twice at once is told apart here. Whoever claims starts it then."""
    application = operation.application

    def change(found: Verification, now: datetime) -> Verification | None:
        if found.since is not None and _goes_on(repository, application, found.operation, now - found.since):
            return None
        return Verification(operation=operation.id, since=now)

    documents = Documents(repository.control)
    key = layout.verification(application)
    return documents.update_at(key, Verification, change, default=Verification()).operation


def _goes_on(repository: Repository, application: str, operation: str, age: timedelta) -> bool:
    try:
        return not repository.operations.get(application, operation).state.ended
    except NotFound:
        return age < _BEING_STARTED  # or who claimed it died before it was written down


def look(work: Work) -> Next:
    """Read everything that was not read yet, and repair it if asked to."""
    arguments, application = work.operation.arguments, work.operation.application

    def progress(done: int, total: int) -> None:
        work.report(done, total, "segments")

    with Journal(work, _JOURNAL) as journal:
        verifier = Verifier(work.repository, application, progress, book=journal, pause=work.pause)
        verified = verifier.look(quick=bool(arguments.get("quick")))
        if arguments.get("repair"):
            repair(work.repository, verifier, verified, work.pause)
    _keep(work, verified)
    left = [damage.key for damage in verified.left]
    known = {"damagesFence": work.fence, "found": _outcome(verified), "left": len(left), "first": left[:1]}
    return Next("tell", known)


def tell(work: Work) -> Finish:
    """Say what came of it. `Damaged` if something is, and stays so."""
    known = work.checkpoint
    work.repository.operations.remove_parts(work.operation.application, work.operation.id, _JOURNAL)
    if known["left"]:
        raise _found(known["left"], known["first"][0], known["found"]["affected"])
    return Finish(State.SUCCEEDED, known["found"])


def _outcome(verified: Verified) -> dict[str, Any]:
    repairs = [damage.repair for damage in verified.damages]
    return {
        "versions": verified.versions,
        "segments": verified.segments,
        "bytes": verified.bytes,
        "objects": verified.objects,
        "damaged": len(verified.damages),
        "mended": repairs.count(MENDED),
        "condemned": repairs.count(CONDEMNED),
        "affected": len(verified.affected),
        "affectedVersions": verified.affected[:_NAMED],
    }


def _found(left: int, first: str, affected: int) -> Damaged:
    what = f"`{first}` is damaged" if left == 1 else f"`{first}` and {left - 1:,} more are damaged"
    whom = "1 version is affected" if affected == 1 else f"{affected:,} versions are affected"
    return Damaged(f"{what}: {whom}.", details={"key": first})


def _ended(work: Work, error: MainstayError) -> Finish:
    state = State.CANCELLED if isinstance(error, Cancelled) else State.FAILED
    return Finish(state, work.checkpoint.get("found") or {})


VERIFY = Flow("look", {"look": look, "tell": tell}, _ended, takes_lane=False)


# ── what is damaged, kept ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DamageRow:
    """A part of what there is to say of one damage: so many versions and objects of it."""

    key: str
    message: str
    repair: str
    versions: tuple[str, ...]
    objects: tuple[str, ...]


def rows_of(damage: Damage) -> Iterator[DamageRow]:
    """One row, or several where there is much to say."""
    versions, objects = sorted(damage.versions), sorted(damage.objects)
    for some, others in zip_longest(_few(versions), _few(objects), fillvalue=()):
        yield DamageRow(damage.key, damage.message, damage.repair, tuple(some), tuple(others))


def _few(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, max(len(names), 1), _ON_A_LINE):
        yield names[start : start + _ON_A_LINE]


def _keep(work: Work, verified: Verified) -> None:
    """Under the worker's fence; the checkpoint names the fence of those that count."""
    rows = [orjson.dumps(row) for damage in verified.damages for row in rows_of(damage)]
    for number, start in enumerate(range(0, len(rows), _LINES)):
        work.put_part(_PART, number, rows[start : start + _LINES])


def read_damages(repository: Repository, application: str, operation: str, start: int, limit: int) -> list[DamageRow]:
    """`limit` rows from number `start` on. `Conflict` while it is not known what is damaged."""
    found = repository.operations.get(application, operation)
    fence = found.checkpoint.get("damagesFence")
    if fence is None:
        raise Conflict(f"What is damaged is not known (yet): {operation} is {found.state}.")
    lines = repository.operations.read_lines(application, operation, _PART, fence=int(fence))
    return [_row(line) for line in islice(lines, start, start + limit)]


def _row(line: bytes) -> DamageRow:
    told = orjson.loads(line)
    return DamageRow(**{**told, "versions": tuple(told["versions"]), "objects": tuple(told["objects"])})
