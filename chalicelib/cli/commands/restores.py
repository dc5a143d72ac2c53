"""`plan`, `restore` and `undo`: seeing what will be done, doing it, and taking it back."""

from __future__ import annotations

from typing import Any

import click

from chalicelib.cli.agreement import agree
from chalicelib.cli.command import command
from chalicelib.cli.commands.destination import destination, elsewhere
from chalicelib.cli.commands.names import OPERATION, application_argument, version_argument
from chalicelib.cli.endings import conclude
from chalicelib.cli.exits import Exit, exit_of_operation
from chalicelib.cli.failure import Failure
from chalicelib.cli.following import follow
from chalicelib.cli.gateway import Json
from chalicelib.cli.naming import (
    find_application,
    find_operation,
    find_version,
    last_restore,
    newest_good,
    undone_by,
)
from chalicelib.cli.session import Session

MODES = ("exact", "merge", "missing")

_mode = click.option(
    "--mode",
    type=click.Choice(MODES),
    help="exact: also delete what the version lacks; merge: create and change; missing: create only. "
    "Default: the document's.",
)
_only = click.option(
    "--only",
    multiple=True,
    metavar="KIND/NAME",
    help="Only these objects, such as Deployment.apps/web or 'ConfigMap/*'; may be repeated.",
)
_consent = click.option(
    "--consent",
    multiple=True,
    metavar="KIND",
    help="Agree that objects of this protected kind are deleted or replaced; may be repeated.",
)
_shared = click.option(
    "--shared", is_flag=True, help="Also change what the version pulled in, which others may use, where it differs."
)
_all = click.option("--all", "everything", is_flag=True, help="Every object and field, at full length.")


@command(
    "plan",
    short_help="What a restore would do, without doing it.",
    then="""Nothing is changed. The plan is kept: apply exactly what you have read with `{program} restore APP
    --plan OPERATION`; if the cluster has moved since, that is refused. With --exit-code the exit code is 6 when
    there is something to do.""",
    examples=[
        ("Back to the newest good version", "{program} plan shop"),
        ("Back to a named one, deleting nothing", "{program} plan shop before-upgrade --mode merge"),
        ("Only one Deployment", "{program} plan shop latest --only Deployment.apps/web"),
        ("A copy beside the original", "{program} plan shop --namespace shop-copy"),
        ("Is the cluster as it should be? (for a script)", "{program} plan shop --exit-code -q"),
    ],
)
@application_argument()
@version_argument()
@_mode
@_only
@_consent
@_shared
@elsewhere
@_all
@click.option("--exit-code", is_flag=True, help="Exit with 6 if there is something to do.")
def plan(
    session: Session,
    *,
    application: str,
    version: str | None,
    mode: str | None,
    only: tuple[str, ...],
    consent: tuple[str, ...],
    shared: bool,
    namespace: tuple[str, ...],
    to_cluster: str | None,
    storage_class: tuple[str, ...],
    suspend: bool | None,
    everything: bool,
    exit_code: bool,
) -> Exit:
    """What a restore would do now: object by object, field by field. VERSION: the newest good one if left out."""
    there = destination(namespace, to_cluster, storage_class, suspend=suspend)
    found = find_application(session.gateway, application)
    target = _target(session, found, version)
    wishes = _body(mode=mode, only=only, consent=consent, shared=shared, **there)
    operation = _planned(session, target["id"], wishes)
    from chalicelib.cli.rendering.plans import writes

    made = session.gateway.plan(operation["id"])
    _show_plan(session, made, operation["id"], target, found["name"], everything=everything)
    blocked = bool(made.get("blockers"))
    if writes(made) and not blocked:
        session.screen.hint(
            session.named(f"Apply exactly this: {{program}} restore {found['name']} --plan {operation['id']}")
        )
    return Exit.DIFFERS if exit_code and (blocked or writes(made)) else Exit.OK


@command(
    "restore",
    short_help="Put a version back.",
    then="""The plan is shown and you are asked before anything changes (without a terminal --yes is needed). The
    state before is kept as a version of its own. If applying fails, or the application is worse afterwards,
    everything is undone unless --on-failure keep. Afterwards every object is read back. Take it all back with
    `{program} undo`.""",
    examples=[
        ("Back to the newest good version", "{program} restore shop"),
        ("Back to a named one", "{program} restore shop before-upgrade"),
        ("Exactly a plan that was read before", "{program} restore shop --plan op-01jd8xk3zq4v9m2n7c5t6r8w1y"),
        ("A copy beside the original", "{program} restore shop --namespace shop-copy"),
        ("To another cluster", "{program} restore shop --to-cluster standby \\\n  --storage-class fast=standard"),
        ("From a script", "{program} restore shop latest --yes"),
    ],
)
@application_argument()
@version_argument()
@_mode
@click.option("-y", "--yes", is_flag=True, help="Do not ask, and do not show a plan first.")
@click.option("--plan", "plan_id", metavar="OPERATION", type=OPERATION, help="Apply exactly this plan.")
@_only
@_consent
@_shared
@elsewhere
@click.option(
    "--on-failure", type=click.Choice(("rollback", "keep")), help="Undo everything, or keep what was done so far."
)
@click.option(
    "--safety",
    type=click.Choice(("required", "bestEffort", "none")),
    help="Whether the state before is kept as a version.",
)
@click.option("--wait/--no-wait", default=True, help="Wait until it is done (default).")
@_all
def restore(
    session: Session,
    *,
    application: str,
    version: str | None,
    mode: str | None,
    yes: bool,
    plan_id: str | None,
    only: tuple[str, ...],
    consent: tuple[str, ...],
    shared: bool,
    namespace: tuple[str, ...],
    to_cluster: str | None,
    storage_class: tuple[str, ...],
    suspend: bool | None,
    on_failure: str | None,
    safety: str | None,
    wait: bool,
    everything: bool,
) -> Exit:
    """Put a version back, after showing what that will do. VERSION: the newest good one if left out."""
    there = destination(namespace, to_cluster, storage_class, suspend=suspend)
    if plan_id and (version or mode or only or consent or shared or any(there.values()) or suspend is not None):
        raise click.UsageError(
            "A plan says already what is done and where: leave out VERSION, --mode, --only, --consent, --shared, "
            "--namespace, --to-cluster, --storage-class and --suspend."
        )
    if not yes and not session.screen.interactive:
        raise Failure.refused(
            "A restore changes the cluster, and there is no terminal to ask on.",
            "Look with `{program} plan`, then add --yes.",
            code="not-agreed",
        )
    gateway = session.gateway
    found = find_application(gateway, application)
    wishes = _body(mode=mode, only=only, consent=consent, shared=shared, **there)
    if plan_id:
        planned = find_operation(gateway, plan_id, found)
        target = {"id": planned["arguments"]["version"]}
    else:
        target = _target(session, found, version)
        planned = {} if yes else _planned(session, target["id"], wishes)
    if not yes:
        made = gateway.plan(planned["id"])
        _show_plan(session, made, planned["id"], target, found["name"], everything=everything, on_stderr=True)
        if not _may_be_applied(session, made, target, found):
            return Exit.OK
    how = _body(onFailure=on_failure, safety=safety)
    body = {"plan": planned["id"], **how} if planned else {**wishes, **how}
    return conclude(session, gateway.restore(target["id"], body), found["name"], wait=wait)


@command(
    "undo",
    short_help="Take a restore back.",
    then="""What the restore changed becomes what it was before; what somebody changed since then is left alone and
    named. With an APP its newest restore that changed something is undone.""",
    examples=[
        ("The newest restore of shop", "{program} undo shop"),
        ("A certain one", "{program} undo op-01jd8xk3zq4v9m2n7c5t6r8w1y"),
    ],
)
@click.argument("subject", metavar="OPERATION|APP", type=OPERATION)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--wait/--no-wait", default=True, help="Wait until it is done (default).")
def undo(session: Session, *, subject: str, yes: bool, wait: bool) -> Exit:
    """Take a restore back: the cluster becomes what it was before."""
    gateway = session.gateway
    if subject.startswith("op-"):
        operation = find_operation(gateway, subject)
        name = str(gateway.application(operation["application"])["name"])
        if by := undone_by(gateway.operations(operation["application"], limit=100)["items"], operation["id"]):
            session.screen.say(f"{operation['id']} was undone already, by {by}: only what is left of it is put back.")
    else:
        found = find_application(gateway, subject)
        operation, name = last_restore(gateway, found, session.screen.say), str(found["name"])
    if not yes:
        from chalicelib.cli.rendering.operations import counts_in_words
        from chalicelib.cli.rendering.words import ago

        did = counts_in_words((operation.get("outcome") or {}).get("counts") or {}, done=True)
        when = ago(operation.get("requestedAt"), session.now)
        agree(session, f"Undo the restore of {name} of {when} ({did})?", yes=False)
    return conclude(session, gateway.undo(operation["id"]), name, wait=wait)


def _target(session: Session, application: Json, version: str | None) -> Json:
    if version:
        return find_version(session.gateway, version, application)
    return newest_good(session.gateway, application)


def _planned(session: Session, version: str, wishes: Json) -> Json:
    """The operation of a plan that was just made."""
    operation = follow(session, session.gateway.restore(version, {"dryRun": True, **wishes}))
    if operation["state"] == "succeeded":
        return operation
    error = operation.get("error") or {}
    raise Failure(
        str(error.get("message") or f"The plan was {operation['state']}."),
        code=str(error.get("code") or "failed"),
        exit_code=exit_of_operation(operation),
        details=error.get("details") or {},
    )


def _body(*, suspend: bool | None = None, **wishes: Any) -> Json:
    said = {name: list(given) if isinstance(given, tuple) else given for name, given in wishes.items() if given}
    return said if suspend is None else {**said, "suspend": suspend}


def _show_plan(
    session: Session,
    made: Json,
    operation: str,
    version: Json,
    application: str,
    *,
    everything: bool,
    on_stderr: bool = False,
) -> None:
    from rich.text import Text

    from chalicelib.cli.rendering.marks import Marks
    from chalicelib.cli.rendering.objects import object_name
    from chalicelib.cli.rendering.plans import Page, plan_lines
    from chalicelib.cli.rendering.restores import where
    from chalicelib.cli.rendering.words import ago, printable

    screen = session.screen
    console = screen.err if on_stderr else screen.out

    def render() -> Any:
        about = [version["name"]] if version.get("name") else []
        if version.get("capturedAt"):
            about.append(f"made {ago(version['capturedAt'], session.now)}")
        there = where(made.get("destination"))
        yield Text.assemble((f"{application} {'elsewhere' if there else 'back'} to ", "bold"), made["version"])
        if there:
            yield Text(printable(there))
        yield Text(printable(", ".join([*about, f"mode {made['mode']}"])), style="dim")
        yield Text()
        yield from plan_lines(made, Page(console.width, Marks(unicode=screen.unicode), everything))

    if on_stderr:
        # The restore's own answer goes to stdout; this is for whoever is asked.
        for part in render():
            console.print(part)
        return
    names = [f"{each['verb']} {object_name(each['object'])}" for each in made.get("actions") or []]
    screen.show({"operation": operation, **made}, render, ids=names)


def _may_be_applied(session: Session, made: Json, version: Json, application: Json) -> bool:
    """Ask whether to apply a plan; `False` when there is nothing to do."""
    from chalicelib.cli.rendering.plans import consequences, writes
    from chalicelib.cli.rendering.restores import where

    if made.get("blockers"):
        raise Failure.refused(
            "The plan cannot be applied as it is.",
            "What stands in the way is said above; another --mode or --only may go round it.",
            code="blocked",
        )
    if not writes(made):
        return False
    session.screen.err.print()
    for sentence in consequences(made):
        session.screen.err.print(sentence)
    there = where(made.get("destination"))
    agree(session, f"Restore {application['name']} to {version['id']}{f' ({there})' if there else ''}?", yes=False)
    return True
