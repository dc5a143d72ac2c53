"""What became of each object, from the plan, the ledger and the reading back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from chalicelib.domain.plan import Action, LedgerEntry, Plan, ResultRow, Verb
from chalicelib.engine.ledger import LedgerState, read_entries, state_of
from chalicelib.engine.work import Work

_PART = 2000


def of(work: Work, done: Plan, again: Plan, *, phase: str) -> tuple[list[ResultRow], dict[str, int]]:
    """One row per action, each checked against a plan made afterwards: what that still wants differs."""
    state = state_of(read_entries(work.repository, work.operation.application, work.operation.id), phase)
    left = {action.object.key: action for action in again.actions if action.verb.writes}
    rows = [_row(number, action, state, left.get(action.object.key)) for number, action in enumerate(done.actions)]
    planned = {action.object.key for action in done.actions}
    rows += [
        ResultRow(
            object=action.object,
            verb=Verb.KEEP,
            outcome="kept",
            reason="moved",
            message="It was changed by somebody else while the restore ran.",
            verified=_left_over(action),
            differences=action.differences,
        )
        for key, action in left.items()
        if key not in planned
    ]
    return rows, _count(rows)


def _row(number: int, action: Action, state: LedgerState, left: Action | None) -> ResultRow:
    entry = state.settled.get(number)
    if not action.verb.writes:
        outcome = "skipped" if action.verb is Verb.SKIP else "kept"
    elif entry is None:
        outcome = "unknown" if number in state.open else "not-started"
    else:
        outcome = entry.mark
    verified = "" if not action.verb.writes else ("equal" if left is None else _left_over(left))
    return ResultRow(
        object=action.object,
        verb=action.verb,
        outcome=outcome,
        reason=action.reason,
        message=(entry.message if entry else "") or action.message,
        request=entry.request if entry else "",
        duration_ms=entry.duration_ms if entry else 0,
        verified=verified,
        differences=left.differences if left else (),
    )


def _left_over(left: Action) -> str:
    return {Verb.CREATE: "missing", Verb.DELETE: "present"}.get(left.verb, "differs")


def of_rollback(work: Work, again: Plan) -> tuple[list[ResultRow], dict[str, int]]:
    """One row per object that the restore touched: whether it is again as it was before."""
    entries = read_entries(work.repository, work.operation.application, work.operation.id)
    applied = state_of(entries, "apply")
    undone: dict[object, LedgerEntry] = {
        entry.object.key: entry for entry in state_of(entries, "undo").settled.values()
    }
    left = {action.object.key: action for action in again.actions if action.verb.writes}
    rows = []
    for _number, entry in sorted({**applied.open, **applied.settled}.items()):
        key = entry.object.key
        back, still = undone.get(key), left.get(key)
        rows.append(
            ResultRow(
                object=entry.object,
                verb=entry.verb,
                outcome="undo-failed" if still else "undone",
                reason="rolled-back",
                message=" ".join(part for part in (entry.message, back.message if back else "") if part),
                request=", ".join(part for part in (entry.request, back.request if back else "") if part),
                duration_ms=entry.duration_ms + (back.duration_ms if back else 0),
                verified=_left_over(still) if still else "equal",
                differences=still.differences if still else (),
            )
        )
    return rows, _count(rows)


def of_ledger(work: Work, done: Plan) -> list[ResultRow]:
    """One row per action from the ledger alone, where nothing more could be read."""
    entries = read_entries(work.repository, work.operation.application, work.operation.id)
    state = state_of(entries, "apply")
    rows = [_row(number, action, state, None) for number, action in enumerate(done.actions)]
    return [row.model_copy(update={"verified": ""}) for row in rows]


def store(work: Work, rows: Iterable[ResultRow], name: str) -> None:
    """Keep the rows beside the operation's document, as the result that counts from now on.

    `name` is of the step that tells: parts are written once, and a restore that is undone tells twice.
    """
    lines = [row.model_dump_json(by_alias=True, exclude_defaults=True).encode() for row in rows]
    for number, start in enumerate(range(0, len(lines), _PART)):
        work.put_part(f"result-{name}", number, lines[start : start + _PART])
    work.note(resultFence=work.fence, resultName=f"result-{name}")


def _count(rows: Iterable[ResultRow]) -> dict[str, int]:
    return dict(Counter(row.verified for row in rows if row.verified))
