"""How an operation ends on the screen: a sentence, what to do next, and the exit code."""

from __future__ import annotations

from chalicelib.cli.exits import Exit, ended, exit_of_operation
from chalicelib.cli.failure import Failure
from chalicelib.cli.following import follow
from chalicelib.cli.gateway import Json
from chalicelib.cli.rendering.words import duration, printable, seconds_between
from chalicelib.cli.session import Session

#: A plan may warn of more than a screen takes: the page of the operation has them all.
_MOST_WARNINGS = 20
_STYLES = {"succeeded": "bold green", "partial": "bold yellow", "failed": "bold red", "cancelled": "bold"}


def conclude(session: Session, operation: Json, application: str, *, wait: bool) -> Exit:
    """Wait for an operation if asked to, show it, and say what comes next."""
    if wait and not ended(operation):
        operation = follow(session, operation)
    session.screen.show(operation, list, ids=[_what_it_made(operation)])
    if not ended(operation):
        session.screen.say(f"{operation['id']}: {operation['kind']} of {application} is {operation['state']}.")
        session.screen.hint(session.named(f"Follow it: {{program}} operation {operation['id']} --wait"))
        return Exit.OK
    if session.screen.for_people:
        _tell(session, operation, application)
    return exit_of_operation(operation)


def _tell(session: Session, operation: Json, application: str) -> None:
    from rich.text import Text

    screen = session.screen
    state = str(operation["state"])
    took = seconds_between(operation.get("startedAt"), operation.get("finishedAt"))
    # The clock of a storage may know whole seconds only.
    spent = "" if took is None else f" in {duration(took)}" if took else " in less than a second"
    if state in {"failed", "cancelled"}:
        # An ending that is not wanted is told even to who wants quiet.
        head = (
            f"The {operation['kind']} of {application} {'failed' if state == 'failed' else 'was cancelled'}{spent}."
        )
        screen.err.print(Text(head, style=_STYLES[state]))
        error = operation.get("error") or {}
        for sentence in (error.get("message"), error.get("consequence")):
            if sentence:
                screen.err.print(Text(f"  {printable(str(sentence))}"))
    elif not screen.quiet:
        for line in _good_news(operation, application, spent):
            screen.out.print(line)
        for line in _left(session, operation):
            screen.out.print(line)
    if operation["kind"] in {"restore", "undo"}:
        warnings = (operation.get("outcome") or {}).get("warnings") or []
        for sentence in warnings[:_MOST_WARNINGS]:
            screen.warn(printable(str(sentence)))
        if more := len(warnings[_MOST_WARNINGS:]):
            screen.warn(session.named(f"And {more} more: {{program}} operation {operation['id']}"))
    for hint in _next(operation, application):
        screen.hint(session.named(hint))


def _good_news(operation: Json, application: str, spent: str) -> list[object]:
    from rich.text import Text

    from chalicelib.cli.rendering.objects import gap_in_words
    from chalicelib.cli.rendering.operations import backup_in_words, counts_in_words, verified_in_words
    from chalicelib.cli.rendering.restores import where

    outcome = operation.get("outcome") or {}
    style = _STYLES[str(operation["state"])]
    lines: list[object] = []
    if operation["kind"] == "backup":
        part = "An incomplete version" if operation["state"] == "partial" else "Version"
        lines.append(
            Text.assemble((f"{part} {outcome.get('version', '')}", style), f" of {application} made{spent}.")
        )
        lines.append(f"  {backup_in_words(outcome)}")
        lines += [f"  not read: {gap_in_words(gap)}" for gap in _listed(outcome.get("gaps"))]
    elif operation["kind"] in {"restore", "undo"}:
        verb = "restored" if operation["kind"] == "restore" else "put back to what it was before"
        there = where(operation.get("arguments"))
        place = f" ({printable(there)})" if there else ""
        lines.append(Text.assemble((f"{application} {verb}", style), f"{place}{spent}."))
        lines.append(f"  {counts_in_words(outcome.get('counts') or {}, done=True)}")
        if outcome.get("verified"):
            lines.append(f"  read back: {verified_in_words(outcome['verified'])}")
    elif operation["kind"] == "delete":
        lines.append(Text.assemble((f"{application} is deleted", style), f"{spent}."))
    else:
        lines.append(Text.assemble((f"The {operation['kind']} of {application} is done", style), f"{spent}."))
    return lines


def _left(session: Session, operation: Json) -> list[object]:
    """What a restore or an undo did not touch though it is not as wanted, and why."""
    from chalicelib.cli.rendering.operations import left_in_words

    skipped = ((operation.get("outcome") or {}).get("counts") or {}).get("skip")
    if operation["kind"] != "undo" and not (operation["kind"] == "restore" and skipped):
        return []
    try:
        rows = session.gateway.result(operation["id"])["items"]
    except Failure:
        # It is done, and that is what the exit code tells; the number is known in any case.
        return [f"  left as they are: {skipped:,}"] if skipped else []
    return [f"  left as it is, {words}" for words in left_in_words(rows)]


def _listed(gaps: object) -> list[Json]:
    return gaps[:5] if isinstance(gaps, list) else []


def _next(operation: Json, application: str) -> list[str]:
    kind, state = operation["kind"], operation["state"]
    if kind == "backup":
        version = (operation.get("outcome") or {}).get("version")
        return [f"See it: {{program}} show {version}"] if version else []
    if kind == "restore" and state in {"succeeded", "partial"}:
        from chalicelib.cli.rendering.operations import changed

        back = [f"Take it back: {{program}} undo {operation['id']}"] if changed(operation) else []
        return [f"Object by object: {{program}} result {operation['id']}", *back]
    if kind in {"restore", "undo"} and operation.get("startedAt"):
        from chalicelib.cli.rendering.operations import left_changes
        from chalicelib.cli.rendering.restores import planned_again

        stale = (operation.get("error") or {}).get("code") == "conflict"
        hints = []
        if stale:
            again = planned_again(operation.get("arguments") or {}, application)
            hints.append(f"See what has changed: {{program}} {again}")
        if kind == "restore" and left_changes(operation):
            hints.append(f"Take back what it left: {{program}} undo {operation['id']}")
        return [*hints, f"Object by object: {{program}} result {operation['id']}"]
    return []


def _what_it_made(operation: Json) -> str:
    return str((operation.get("outcome") or {}).get("version") or operation["id"])
