"""`note` and `forget`: what people say about a version, and giving one up."""

from __future__ import annotations

from typing import Any

import click

from chalicelib.cli.agreement import agree
from chalicelib.cli.command import command
from chalicelib.cli.commands.names import APPLICATION, VERSION
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.naming import application_name, find_application, find_version
from chalicelib.cli.session import Session

_whose = click.option("--app", "application", metavar="APP", type=APPLICATION, help="Whose version it is.")


@command(
    "note",
    short_help="Name a version, comment on it, label it, or hold it.",
    then="""What a version holds never changes; what is said about it may. A held version is never deleted, by
    nobody and by no policy, until it is let go with --no-hold.""",
    examples=[
        ("Give the newest version a name", "{program} note shop@latest --name before-upgrade"),
        ("Keep it whatever happens", "{program} note shop@before-upgrade --hold"),
        ("Set one label and take another away", "{program} note shop@latest --label stage=prod --label draft-"),
    ],
)
@click.argument("version", metavar="VERSION", type=VERSION)
@_whose
@click.option("--name", metavar="NAME", help="A name by which it can be called; '' takes it away.")
@click.option("--comment", metavar="TEXT", help="A comment; '' takes it away.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Set a label; KEY- takes it away.")
@click.option("--hold/--no-hold", default=None, help="Whether it is kept whatever happens.")
def note(
    session: Session,
    *,
    version: str,
    application: str | None,
    name: str | None,
    comment: str | None,
    labels: tuple[str, ...],
    hold: bool | None,
) -> None:
    """Name a version, comment on it, label it, or hold it."""
    found = _find(session, version, application)
    wishes: Json = {"name": name, "comment": comment, "hold": hold}
    if labels:
        wishes["labels"] = _changed_labels(found.get("labels") or {}, labels)
    body = {member: given for member, given in wishes.items() if given is not None}
    if not body:
        raise click.UsageError("Nothing to change: give --name, --comment, --label, --hold or --no-hold.")
    changed = session.gateway.change_version(found["id"], body)

    def render() -> Any:
        from chalicelib.cli.rendering.versions import versions_table

        return versions_table([changed], session.now)

    session.screen.show(changed, render, ids=[changed["id"]])


@command(
    "forget",
    short_help="Delete one version.",
    then="""The version can no longer be restored from this moment on. Refused while it is held or an operation
    needs it, and for the last good one unless --force is given.""",
    examples=[
        ("One that is not needed any more", "{program} forget shop@previous"),
        ("Without being asked", "{program} forget ver-01jd8xk3zq4v9m2n7c5t6r8w1y --yes"),
    ],
)
@click.argument("version", metavar="VERSION", type=VERSION)
@_whose
@click.option("--force", is_flag=True, help="Even if it is the last good one.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def forget(session: Session, *, version: str, application: str | None, force: bool, yes: bool) -> None:
    """Delete one version."""
    found = _find_to_forget(session, version, application)
    if found.get("hold"):
        raise Failure.refused(f"{found['id']} is held.", f"Let it go first: {{program}} note {found['id']} --no-hold")
    if not yes:
        from chalicelib.cli.rendering.words import ago

        name = f" ({found['name']})" if found.get("name") else ""
        whose = application_name(session, found["application"])
        made = ago(found.get("capturedAt"), session.now)
        agree(session, f"Delete {found['id']}{name} of {whose}, made {made}?", yes=False)
    gone = session.gateway.delete_version(found["id"], force=force)
    session.screen.show(gone, lambda: [f"{found['id']} is deleted."], ids=[found["id"]])


def _find(session: Session, version: str, application: str | None, *, listed: bool = False) -> Json:
    owner = find_application(session.gateway, application) if application else None
    return find_version(session.gateway, version, owner, listed=listed)


def _find_to_forget(session: Session, version: str, application: str | None) -> Json:
    """One that cannot be read as well: to delete it is the way out."""
    try:
        return _find(session, version, application)
    except Failure as failure:
        if failure.code != "damaged":
            raise
        return _find(session, version, application, listed=True)


def _changed_labels(labels: Json, changes: tuple[str, ...]) -> Json:
    changed = dict(labels)
    for change in changes:
        key, equals, value = change.partition("=")
        if key and equals:
            changed[key] = value
        elif change.endswith("-") and len(change) > 1:
            changed.pop(change[:-1], None)
        else:
            raise click.UsageError(f"{change!r} is not a label: write KEY=VALUE to set one, KEY- to take it away.")
    return changed
