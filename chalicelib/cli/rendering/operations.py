"""Operations: their progress on a line, their list, one in full, and what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from chalicelib.cli.exits import ended
from chalicelib.cli.gateway import Json
from chalicelib.cli.rendering.marks import STATES, VERBS, Marks
from chalicelib.cli.rendering.objects import object_name, some_of
from chalicelib.cli.rendering.tables import Column, facts, table
from chalicelib.cli.rendering.words import age, counted, duration, printable, seconds_between, size, when

_LEFT = {"skipped", "left"}
_BAD_OUTCOMES = {"failed", "undo-failed", "not-started"}


#: How long an operation that runs may say nothing new before that is told, seconds.
_SAYS_NOTHING = 60.0


def progress_line(operation: Json, seconds: float, *, width: int, unchanged: float = 0.0) -> Text:
    """`restore · apply · 132/420 objects · 12 s · about 20 s left`; cut to `width` (0: whole).

    `unchanged`: for how many seconds it has been just so, to the moment when its worker last wrote (who waits for
    workloads does). A server whose storage is full or away cannot write down what keeps it from going on.
    """
    parts = [str(operation["kind"])]
    state = operation["state"]
    if state == "queued":
        ahead = operation.get("waitsFor")
        parts.append(f"waits for {ahead['kind']} {ahead['operation']}" if ahead else "waits in line")
    elif state == "rolling-back":
        parts.append("undoing what it did")
    step = operation.get("step")
    if step and state != "queued":
        parts.append(str(step))
    if done := _done(operation.get("progress") or {}):
        parts.append(done)
    parts.append(duration(seconds))
    estimate = operation.get("estimateSeconds")
    if estimate and state == "running" and estimate > seconds:
        left = max(round(estimate - seconds), 1)
        parts.append(f"about {f'{left} s' if left < 60 else duration(left)} left")
    trouble = operation.get("trouble")
    if trouble:
        parts.append(f"{_tried_again(operation)}: {printable(str(trouble.get('message', '')))}")
    elif state != "queued" and unchanged >= _SAYS_NOTHING:
        parts.append(f"no news for {duration(unchanged)} (the server's log may say why)")
    line = Text(" · ".join(parts), no_wrap=True)
    if width > 0:
        line.truncate(width, overflow="ellipsis")
    return line


def _tried_again(operation: Json) -> str:
    left = operation.get("triesLeft")
    if left is None:
        return "to be tried again"
    return f"to be tried again, at most {counted(left, 'time')}" if left else "that was the last try"


def _done(progress: Json) -> str:
    done, total, moved = progress.get("done", 0), progress.get("total", 0), progress.get("bytes", 0)
    text = f"{done:,}/{total:,}" if total else f"{done:,}" if done else ""
    if text and progress.get("unit"):
        text += f" {progress['unit']}"
    if moved:
        text += f"{', ' if text else ''}{size(moved)}"
    return text


def operations_table(
    items: Sequence[Json], names: dict[str, str], now: datetime, marks: Marks, *, several: bool
) -> Iterator[RenderableType]:
    """The newest first: what, in which state, when, how long, and what came of it."""
    columns = [
        Column("OPERATION"),
        Column("APP", give_way=True),
        Column("KIND"),
        Column("STATE"),
        Column("AGE", right=True),
        Column("TOOK", right=True, extra=True),
        Column("OUTCOME", give_way=True),
    ]
    rows = [
        [
            operation["id"],
            names.get(operation["application"], operation["application"]),
            operation["kind"],
            state_of(operation),
            age(operation.get("requestedAt"), now),
            duration(seconds_between(operation.get("startedAt"), operation.get("finishedAt"))),
            outcome_in_short(operation, marks),
        ]
        for operation in items
    ]
    if not several:
        del columns[1]
        for row in rows:
            del row[1]
    yield table(columns, rows)


def state_of(operation: Json) -> Text:
    """The state in its colour, with where it is while it runs."""
    state = str(operation["state"])
    text = Text(state, style=STATES.get(state, ""))
    if state == "running" and operation.get("cancelRequested"):
        text.append(" (cancelling)", "dim")
    return text


def outcome_in_short(operation: Json, marks: Marks) -> str:
    """What came of it in a few words; changes as marks, `+1 ~3 −1`, because a table is narrow."""
    error = operation.get("error") or operation.get("trouble")
    if error:
        return printable(str(error.get("message", "")))
    outcome = operation.get("outcome") or {}
    if not ended(operation):
        step = operation.get("step") or ""
        return " ".join(part for part in (step, _done(operation.get("progress") or {})) if part)
    if operation["kind"] == "backup":
        return str(outcome.get("version", ""))
    if operation["kind"] in {"restore", "undo", "plan"}:
        counts = outcome.get("counts") or {}
        changes = [
            f"{marks.of(look)}{counts[verb]:,}"
            for verb, look in VERBS.items()
            if verb in _WRITES and counts.get(verb)
        ]
        return " ".join(changes) or counts_in_words({}, done=operation["kind"] != "plan")
    return ""


_WRITES = ("create", "update", "replace", "delete")
_DONE_WORDS = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
    "keep": "kept",
    "skip": "skipped",
}


def counts_in_words(counts: Json, *, done: bool) -> str:
    """`2 created, 1 deleted` or `2 to create, 1 to delete`; `nothing to do` when nothing is written."""
    parts = [
        f"{counts[verb]:,} {_DONE_WORDS[verb] if done else look.summary}"
        for verb, look in VERBS.items()
        if verb in _WRITES and counts.get(verb)
    ]
    return ", ".join(parts) or ("nothing to do" if not done else "nothing changed")


def operation_page(operation: Json, application: str, now: datetime) -> Iterator[RenderableType]:
    """One operation in full."""
    error = operation.get("error")
    rows: list[tuple[str, str | Text]] = [
        ("Operation", operation["id"]),
        ("Kind", operation["kind"]),
        ("Application", application),
        ("State", state_of(operation)),
        ("Step", _step(operation)),
        ("Requested", f"{when(operation.get('requestedAt'), now)} by {operation.get('requestedBy') or 'unknown'}"),
        ("Took", _took(operation, now)),
        *_argument_rows(operation),
        *_outcome_rows(operation),
    ]
    if error:
        rows.append(("Error", Text(printable(str(error.get("message", ""))), style="red")))
        rows.append(("", printable(str(error.get("consequence") or ""))))
    if trouble := operation.get("trouble"):
        why = printable(str(trouble.get("message", "")))
        rows.append(("Trouble", Text(f"{why} ({_tried_again(operation)})", style="yellow")))
    yield facts(rows)


def _step(operation: Json) -> str:
    if ended(operation):
        return ""
    return " ".join(part for part in (operation.get("step") or "", _done(operation.get("progress") or {})) if part)


def _took(operation: Json, now: datetime) -> str:
    started = operation.get("startedAt")
    if not started:
        return ""
    spent = duration(seconds_between(started, operation.get("finishedAt") or now))
    turns = operation.get("turns") or 0
    # Each turn is taken up once, too; what is more than that was because a worker died, or made way.
    attempts = (operation.get("attempts") or 0) - turns
    said = [spent, f"in {turns + 1} turns" if turns else "", f"taken up {attempts} times" if attempts > 1 else ""]
    return ", ".join(filter(None, said))


def _argument_rows(operation: Json) -> Iterator[tuple[str, str]]:
    arguments = operation.get("arguments") or {}
    words = {"version": "Version", "mode": "Mode", "plan": "Plan", "restore": "Undoes", "name": "Name"}
    for member, title in words.items():
        if arguments.get(member):
            yield title, printable(str(arguments[member]))
    for member, title in {"only": "Only", "consent": "Consent"}.items():
        if arguments.get(member):
            yield title, printable(", ".join(map(str, arguments[member])))


def _outcome_rows(operation: Json) -> Iterator[tuple[str, str]]:
    outcome: dict[str, Any] = operation.get("outcome") or {}
    if operation["kind"] == "backup" and outcome.get("version"):
        yield "Made", outcome["version"]
        yield "Holds", backup_in_words(outcome)
    if outcome.get("counts") and operation["state"] not in {"failed", "cancelled"}:  # they are what was planned
        yield "Changed", counts_in_words(outcome["counts"], done=operation["kind"] != "plan")
    if outcome.get("verified"):
        yield "Read back", verified_in_words(outcome["verified"])
    if outcome.get("safetyVersion"):
        yield "Safety", f"{outcome['safetyVersion']} (the state before)"
    if outcome.get("undone"):
        yield "Undone", "yes: the cluster is as it was before"
    for sentence in outcome.get("warnings") or ():
        yield "Warning", printable(str(sentence))


def backup_in_words(outcome: Json) -> str:
    """`420 objects, 1.2 MiB, 3.4 KiB new`."""
    text = (
        f"{counted(outcome.get('objects') or 0, 'object')}, {size(outcome.get('plainBytes') or 0)}, "
        f"{size(outcome.get('addedBytes') or 0)} new"
    )
    gaps = outcome.get("gaps")
    count = len(gaps) if isinstance(gaps, list) else gaps or 0
    return f"{text}, {counted(count, 'part')} could not be read" if count else text


def verified_in_words(verified: Json) -> str:
    """`120 as wanted`, `119 as wanted, 1 differs`."""
    good = int(verified.get("equal") or 0)
    parts = [f"{good:,} as wanted"]
    parts += [
        f"{verified[name]:,} {words}"
        for name, words in (("differs", "differ"), ("missing", "missing"), ("present", "still present"))
        if verified.get(name)
    ]
    return ", ".join(parts)


def left_in_words(rows: Sequence[Json]) -> Iterator[str]:
    """A line for each reason why objects were left as they are: `1 protected: PersistentVolumeClaim shop/data-0`."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row.get("outcome") in _LEFT:
            reason = printable(str(row.get("reason") or "left")).replace("-", " ")
            by_reason.setdefault(reason, []).append(object_name(row["object"]))
    for reason, names in by_reason.items():
        yield f"{len(names):,} {reason}: {some_of(names)}"


def changed(operation: Json) -> bool:
    """Whether a restore or an undo wrote anything, as far as its counts tell."""
    counts = (operation.get("outcome") or {}).get("counts")
    return counts is None or any(counts.get(verb) for verb in _WRITES)


def left_changes(operation: Json) -> bool:
    """Whether a restore that did not succeed may have left some of what it wrote."""
    return operation["state"] in {"failed", "cancelled"} and (operation.get("outcome") or {}).get("undone") is False


def result_table(rows: Sequence[Json], *, marks: Marks, everything: bool, most: int = 60) -> Iterator[RenderableType]:
    """One row for each object: failures first, then in the order of execution. Bounded unless `everything`."""
    ordered = sorted(rows, key=lambda row: 0 if went_wrong(row) else 1)
    shown = ordered if everything else ordered[:most]
    yield table(
        [
            Column(""),
            Column("OBJECT", wraps=True),
            Column("OUTCOME"),
            Column("READ BACK"),
            Column("TOOK", right=True, extra=True),
            Column("WHY", give_way=True, wraps=True),
        ],
        [_result_row(row, marks) for row in shown],
    )
    if len(shown) < len(rows):
        yield Text(
            f"{marks.ellipsis} {counted(len(rows) - len(shown), 'more object')}; see them with --all", style="dim"
        )


def went_wrong(row: Json) -> bool:
    """Whether something to look at became of an object."""
    return row.get("outcome") in _BAD_OUTCOMES or row.get("verified") in {"differs", "missing", "present"}


def _result_row(row: Json, marks: Marks) -> list[str | Text]:
    look = VERBS.get(str(row.get("verb")), VERBS["skip"])
    outcome, verified = str(row.get("outcome", "")), str(row.get("verified") or "")
    took = row.get("durationMs") or 0
    return [
        Text(marks.of(look), style=look.style),
        object_name(row["object"]),
        Text(outcome, style=STATES.get(outcome, "")),
        Text(verified or "-", style=STATES.get(verified, "dim")),
        f"{took:,} ms" if took else "-",
        printable(str(row.get("message") or row.get("reason") or "")),
    ]
