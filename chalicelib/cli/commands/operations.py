"""`operations`, `operation`, `result` and `cancel`: what is being done, and what was."""

from __future__ import annotations

from typing import Any

import click

from chalicelib.cli.command import command
from chalicelib.cli.commands.names import OPERATION, application_argument
from chalicelib.cli.endings import conclude
from chalicelib.cli.exits import Exit, ended, exit_of_operation
from chalicelib.cli.failure import Failure
from chalicelib.cli.naming import application_name, find_application, find_operation
from chalicelib.cli.session import Session


@command(
    "operations",
    short_help="What is being done, and what was done, newest first.",
    then="""A backup, a plan, a restore, an undo or a deletion is an operation. One application has at most one at
    work; others stand in line, restores first.""",
    examples=[
        ("Of all applications", "{program} operations"),
        ("Of one", "{program} operations shop"),
        ("What runs now", "{program} operations --running"),
    ],
)
@application_argument(required=False)
@click.option("--running", is_flag=True, help="Only those that have not ended.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
def operations(session: Session, *, application: str | None, running: bool, limit: int) -> None:
    """What is being done, and what was done, newest first."""
    found = find_application(session.gateway, application) if application else None
    answer = session.gateway.operations(
        found["id"] if found else None, limit=limit, running=True if running else None
    )
    items = answer["items"]

    def render() -> Any:
        from chalicelib.cli.rendering.marks import Marks
        from chalicelib.cli.rendering.operations import operations_table

        if not items:
            return ["Nothing runs." if running else "Nothing was done yet."]
        names = {} if found else {each["id"]: each["name"] for each in session.gateway.applications()["items"]}
        marks = Marks(unicode=session.screen.unicode)
        return operations_table(items, names, session.now, marks, several=found is None)

    session.screen.show(answer, render, ids=(each["id"] for each in items))


@command(
    "operation",
    short_help="One operation in full, or follow it.",
    then="""With --wait the progress is shown until it ends, and the exit code says how: 0 succeeded, 7 partial, 1
    failed or cancelled.""",
    examples=[
        ("How far it is", "{program} operation op-01jd8xk3zq4v9m2n7c5t6r8w1y"),
        ("Follow it to its end", "{program} operation op-01jd8xk3zq4v9m2n7c5t6r8w1y --wait"),
    ],
)
@click.argument("operation", metavar="OPERATION", type=OPERATION)
@click.option("--wait", is_flag=True, help="Wait until it has ended.")
def operation(session: Session, *, operation: str, wait: bool) -> Exit:
    """One operation in full; with --wait follow it to its end."""
    return show_operation(session, operation, wait=wait)


@command(
    "result",
    short_help="What became of each object.",
    then="""One row for each object that was touched: what was done, whether it worked, and how it was when it was
    read back afterwards. Failures come first.""",
    examples=[
        ("All of it", "{program} result op-01jd8xk3zq4v9m2n7c5t6r8w1y --all"),
        ("Only what went wrong", "{program} result op-01jd8xk3zq4v9m2n7c5t6r8w1y --failed"),
    ],
)
@click.argument("operation", metavar="OPERATION", type=OPERATION)
@click.option("--failed", is_flag=True, help="Only what went wrong.")
@click.option("--all", "everything", is_flag=True, help="Every object.")
def result(session: Session, *, operation: str, failed: bool, everything: bool) -> None:
    """What became of each object in a restore or an undo."""
    from chalicelib.cli.rendering.objects import object_name
    from chalicelib.cli.rendering.operations import went_wrong

    found = find_operation(session.gateway, operation)
    answer = session.gateway.result(found["id"])
    rows = [row for row in answer["items"] if went_wrong(row) or not failed]

    def render() -> Any:
        from chalicelib.cli.rendering.marks import Marks
        from chalicelib.cli.rendering.operations import result_table

        if not rows:
            return ["Nothing went wrong." if failed and answer["items"] else "No object was touched."]
        return result_table(rows, marks=Marks(unicode=session.screen.unicode), everything=everything)

    session.screen.show(
        {"items": rows}, render, ids=(f"{row['outcome']} {object_name(row['object'])}" for row in rows)
    )


@command(
    "cancel",
    short_help="Stop an operation.",
    then="""One that waits in line ends at once; one that runs stops at its next piece of work. A cancelled backup
    leaves no version; a cancelled restore undoes what it has changed. Too late (exit code 4) once a version is
    being sealed.""",
    examples=[("Stop a backup", "{program} cancel op-01jd8xk3zq4v9m2n7c5t6r8w1y")],
)
@click.argument("operation", metavar="OPERATION", type=OPERATION)
@click.option("--wait/--no-wait", default=False, help="Wait until it has stopped.")
def cancel(session: Session, *, operation: str, wait: bool) -> Exit:
    """Stop an operation."""
    found = find_operation(session.gateway, operation)
    stopped = session.gateway.cancel(found["id"])
    if wait and not ended(stopped):
        from chalicelib.cli.following import follow

        stopped = follow(session, stopped)
    session.screen.show(stopped, list, ids=[stopped["id"]])
    if stopped["state"] == "cancelled":
        session.screen.say(f"{stopped['id']} is cancelled.")
    elif ended(stopped):
        raise Failure.refused(f"{stopped['id']} was too far to be stopped: it {stopped['state']}.")
    else:
        session.screen.say(f"{stopped['id']} will stop at its next piece of work.")
        session.screen.hint(session.named(f"See when: {{program}} operation {stopped['id']} --wait"))
    return Exit.OK


def show_operation(session: Session, text: str, *, wait: bool) -> Exit:
    """Show an operation as it is, or follow it and tell how it ended."""
    found = find_operation(session.gateway, text)
    name = application_name(session, found["application"])
    if wait and not ended(found):
        return conclude(session, found, name, wait=True)

    def render() -> Any:
        from chalicelib.cli.rendering.operations import operation_page

        return operation_page(found, name, session.now)

    session.screen.show(found, render, ids=[f"{found['id']} {found['state']}"])
    for hint in _hints(found):
        session.screen.hint(session.named(hint))
    return exit_of_operation(found) if wait else Exit.OK


def _hints(operation: dict[str, Any]) -> list[str]:
    if not ended(operation):
        return [f"Follow it: {{program}} operation {operation['id']} --wait"]
    if operation["kind"] in {"restore", "undo"}:
        return [f"Object by object: {{program}} result {operation['id']}"]
    return []
