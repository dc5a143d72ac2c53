"""What became of each object, from the plan, the ledger and the reading back; kept beside the operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.plan import Action, Difference, Identity, LedgerEntry, Plan, ResultRow, Verb
from chalicelib.engine.lane.work import Work
from chalicelib.engine.write.ledger import LedgerState, read_entries, state_of
from chalicelib.planning.plan.sayings import NOT_KEPT
from chalicelib.store.repository import Repository

_PART = 2000
_SOMEBODY_ELSES = "Somebody else made it since; it was left as it is."

#: Why a plan leaves out an object that was to be brought back: nobody knows how it is, or it is not as it should be.
#: What was agreed upon (a mode, protection) or decided by the version's own rules is no such reason.
_UNREAD = frozenset({"unread", "incomplete", "not-served"})
_LEFT = frozenset({"in-use", "other-scope", "refused"})


@dataclass(slots=True)
class Result:
    """What became of each object."""

    rows: list[ResultRow]
    #: What the cluster does not keep all of, which is told and is no failure.
    not_kept: frozenset[ObjectKey] = frozenset()

    @property
    def verified(self) -> dict[str, int]:
        """How many objects there are by what reading them back told."""
        return dict(Counter(row.verified for row in self.rows if row.verified))

    @property
    def as_asked(self) -> bool:
        """Whether everything was done and is as it was to be."""
        return all(
            row.outcome != "failed" and (row.verified in {"", "equal"} or row.object.key in self.not_kept)
            for row in self.rows
        )


def is_left_out(action: Action) -> bool:
    """Whether a plan leaves an object out that was to be brought back."""
    return action.verb is Verb.SKIP and action.reason in _UNREAD | _LEFT


class _ReadBack:
    """What a plan that was made afterwards says of each object: what it still wants differs."""

    def __init__(self, again: Plan) -> None:
        self.left = {action.object.key: action for action in again.actions if action.verb.writes}
        self._unread = {
            action.object.key for action in again.actions if action.verb is Verb.SKIP and action.reason in _UNREAD
        }
        self._left_so = {
            action.object.key for action in again.actions if action.verb is Verb.SKIP and action.reason in _LEFT
        }
        self.not_kept = {action.object.key: action for action in again.actions if action.reason == NOT_KEPT}
        self._gaps = again.gaps

    def says(self, key: ObjectKey) -> str:
        """`equal`, `differs`, `missing`, `present`, or `unknown` where it could not be read."""
        action = self.left.get(key)
        if action is not None:
            return {Verb.CREATE: "missing", Verb.DELETE: "present"}.get(action.verb, "differs")
        if key in self._left_so or key in self.not_kept:
            return "differs"
        if key in self._unread or any(gap.covers(key) for gap in self._gaps):
            return "unknown"
        return "equal"

    def differences(self, key: ObjectKey) -> tuple[Difference, ...]:
        """The fields that still differ."""
        action = self.left.get(key) or self.not_kept.get(key)
        return action.differences if action is not None else ()

    def told(self, key: ObjectKey, message: str) -> str:
        """`message`, and what the cluster does not keep."""
        action = self.not_kept.get(key)
        return message if action is None else f"{message} {action.message}".lstrip()


def of(work: Work, done: Plan, again: Plan) -> Result:
    """One row per action, each checked against a plan made afterwards."""
    state = state_of(read_entries(work.repository, work.operation.application, work.operation.id), "apply")
    back = _ReadBack(again)
    rows = []
    for number, action in enumerate(done.actions):
        row = _row(number, action, state)
        if action.verb.writes:
            key = action.object.key
            row = row.model_copy(
                update={
                    "verified": back.says(key),
                    "differences": back.differences(key),
                    "message": back.told(key, row.message),
                }
            )
        rows.append(row)
    planned = {action.object.key for action in done.actions}
    rows += [
        ResultRow(
            object=action.object,
            verb=Verb.KEEP,
            outcome="kept",
            reason="moved",
            message="It was changed by somebody else while the restore ran.",
            verified=back.says(key),
            differences=action.differences,
        )
        for key, action in back.left.items()
        if key not in planned
    ]
    return Result(rows, frozenset(back.not_kept))


def of_strangers(keys: Iterable[ObjectKey]) -> list[ResultRow]:
    """Rows of an undo for what the restore had created and somebody else has made anew since."""
    return [
        ResultRow(
            object=Identity.of(key), verb=Verb.KEEP, outcome="left", reason="somebody-elses", message=_SOMEBODY_ELSES
        )
        for key in sorted(keys)
    ]


def _row(number: int, action: Action, state: LedgerState) -> ResultRow:
    entry = state.settled.get(number)
    if not action.verb.writes:
        outcome = "skipped" if action.verb is Verb.SKIP else "kept"
    elif entry is None:
        outcome = "unknown" if number in state.open else "not-started"
    else:
        outcome = entry.mark
    return ResultRow(
        object=action.object,
        verb=action.verb,
        outcome=outcome,
        reason=action.reason,
        message=(entry.message if entry else "") or action.message,
        request=entry.request if entry else "",
        duration_ms=entry.duration_ms if entry else 0,
    )


def of_rollback(work: Work, again: Plan, strangers: frozenset[ObjectKey]) -> Result:
    """One row per object that the restore wrote or tried to: whether it is again as it was before.

    `strangers` stand where the restore had created something, and are somebody else's. What it tried to write and did
    not (`failed`) stays as it was, or as somebody else made it.
    """
    entries = read_entries(work.repository, work.operation.application, work.operation.id)
    applied = state_of(entries, "apply")
    undone = {entry.object.key: entry for entry in state_of(entries, "undo").settled.values()}
    back = _ReadBack(again)
    rows = []
    for _number, entry in sorted({**applied.open, **applied.settled}.items()):
        key = entry.object.key
        undo = undone.get(key)
        if entry.mark == "failed" and not entry.wrote:
            rows.append(_never_written(entry))
            continue
        said = back.says(key)
        outcome = "left" if key in strangers else {"equal": "undone", "unknown": "unknown"}.get(said, "undo-failed")
        message = _SOMEBODY_ELSES if key in strangers else ""
        rows.append(
            ResultRow(
                object=entry.object,
                verb=entry.verb,
                outcome=outcome,
                reason="rolled-back",
                message=_joined(" ", entry.message, undo.message if undo else "", message),
                request=_joined(", ", entry.request, undo.request if undo else ""),
                duration_ms=entry.duration_ms + (undo.duration_ms if undo else 0),
                verified="" if key in strangers else said,
                differences=back.differences(key),
            )
        )
    return Result(rows)


def _never_written(entry: LedgerEntry) -> ResultRow:
    """What the cluster refused, or somebody else had changed: there is nothing to undo, and nothing is said of it but
    why it failed."""
    return ResultRow(
        object=entry.object,
        verb=entry.verb,
        outcome="failed",
        reason="rolled-back",
        message=entry.message,
        request=entry.request,
        duration_ms=entry.duration_ms,
    )


def of_ledger(work: Work, done: Plan, *, undoing: bool) -> list[ResultRow]:
    """One row per action from the ledger alone, where nothing more could be read."""
    entries = read_entries(work.repository, work.operation.application, work.operation.id)
    state = state_of(entries, "apply")
    rows = [_row(number, action, state) for number, action in enumerate(done.actions)]
    if not undoing:
        return rows
    undo = state_of(entries, "undo")
    undone = {entry.object.key: entry for entry in (*undo.open.values(), *undo.settled.values())}
    return [
        _after_undo(row, state.settled.get(number), undone.get(row.object.key)) for number, row in enumerate(rows)
    ]


def _after_undo(row: ResultRow, applied: LedgerEntry | None, undo: LedgerEntry | None) -> ResultRow:
    never_written = applied is not None and applied.mark == "failed" and not applied.wrote
    if never_written or row.outcome not in {"done", "failed", "unknown"}:
        return row
    outcome = "not-undone"
    if undo is not None:
        outcome = {"done": "undone", "intent": "unknown"}.get(undo.mark, "undo-failed")
    message = _joined(" ", row.message, undo.message if undo else "")
    return row.model_copy(update={"outcome": outcome, "message": message})


def _joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)


def store(work: Work, rows: Iterable[ResultRow], name: str) -> None:
    """Keep the rows beside the operation's document, as the result that counts from now on.

    `name` is of the step that tells: parts are written once, and a restore that is undone tells twice.
    """
    lines = [row.model_dump_json(by_alias=True, exclude_defaults=True).encode() for row in rows]
    for number, start in enumerate(range(0, len(lines), _PART)):
        work.put_part(f"result-{name}", number, lines[start : start + _PART])
    work.note(resultFence=work.fence, resultName=f"result-{name}")


def read(
    repository: Repository, application: str, operation: str, offset: int = 0, limit: int = 1000
) -> list[ResultRow]:
    """Rows of an operation's result, in the order of its plan."""
    found = repository.operations.get(application, operation)
    fence = found.checkpoint.get("resultFence")
    if fence is None:
        return []
    name = str(found.checkpoint["resultName"])
    lines = repository.operations.read_lines(application, operation, name, fence=fence)
    return [ResultRow.model_validate_json(line) for line in islice(lines, offset, offset + limit)]
