"""`app autobackup` and `policy`: backups that are made by themselves."""

from __future__ import annotations

from typing import Any

import click

from chalicelib.cli.command import Group, command
from chalicelib.cli.commands.names import application_argument
from chalicelib.cli.gateway import Json
from chalicelib.cli.naming import find_application
from chalicelib.cli.session import Session

_NEVER = ("off", "never", "0")


@command(
    "autobackup",
    short_help="Have an application backed up by itself.",
    then="""INTERVAL is a duration such as 30m, 1h or 1d, a number of seconds (60 at least), or off. It is written
    into the application's document, whose comments and order stay; for times of day write `backup.cron` there.
    Nothing starts at once: the first backup is about one interval away.""",
    examples=[
        ("Once an hour", "{program} app autobackup shop 1h"),
        ("No more", "{program} app autobackup shop off"),
    ],
)
@application_argument()
@click.argument("interval", metavar="INTERVAL")
def autobackup(session: Session, *, application: str, interval: str) -> None:
    """Set how often an application is backed up by itself."""
    seconds = _seconds(interval)
    found = find_application(session.gateway, application)
    changed = session.gateway.autobackup(found["id"], seconds, {})
    following = session.gateway.status(found["id"], refresh=False).get("nextBackup")

    def render() -> Any:
        from chalicelib.cli.rendering.words import local_time

        if following:
            yield f"{changed['name']} is backed up every {interval}, next at {local_time(following)}."
        else:
            yield f"{changed['name']} is not backed up by itself."

    session.screen.show({**changed, "nextBackup": following}, render, ids=[changed["id"]])


@click.group(
    "policy",
    cls=Group,
    short_help="How applications are backed up that do not say it.",
    then="""The default is for applications whose documents say nothing about when they are backed up
    (`backup.every`, `backup.cron`), or about which versions stay (`backup.keep`).""",
    examples=[
        ("What holds now", "{program} policy show"),
        ("Once a day, keeping the last two weeks", "{program} policy set --every 1d --keep-last 14"),
    ],
)
def policy() -> None:
    """How applications are backed up that do not say it themselves."""


@command(
    "show",
    short_help="The default.",
    then="What an application's own document says goes before it.",
    examples=[("As JSON", "{program} policy show -o json")],
)
def show(session: Session) -> None:
    """The default of applications that say nothing."""
    _show(session, session.gateway.policy())


@command(
    "set",
    short_help="Change the default.",
    then="""What is not given stays. With --keep-last versions beyond these end at an application's next backup:
    never the last good one, and never one that is held.""",
    examples=[
        ("Every six hours", "{program} policy set --every 6h"),
        ("Nothing by itself, and all versions stay", "{program} policy set --every off --keep-all"),
    ],
)
@click.option("--every", metavar="INTERVAL", help="A duration such as 1h, or off.")
@click.option("--keep-last", type=click.IntRange(1, 100_000), metavar="N", help="The newest N versions stay.")
@click.option("--keep-all", is_flag=True, help="All versions stay.")
def set_(session: Session, *, every: str | None, keep_last: int | None, keep_all: bool) -> None:
    """Change the default of applications that say nothing."""
    if keep_last is not None and keep_all:
        raise click.UsageError("--keep-last and --keep-all exclude each other.")
    if every is None and keep_last is None and not keep_all:
        raise click.UsageError("Nothing to change: give --every, --keep-last or --keep-all.")
    body: Json = {}
    body["backup_regularity"] = session.gateway.policy()["backup_regularity"] if every is None else _seconds(every)
    if keep_last is not None or keep_all:
        body["keep"] = None if keep_all else {"last": keep_last}
    _show(session, session.gateway.change_policy(body))


def _show(session: Session, found: Json) -> None:
    def render() -> Any:
        from chalicelib.cli.rendering.tables import facts
        from chalicelib.cli.rendering.words import when

        yield facts(
            [
                ("Backups", _interval(found["backup_regularity"])),
                ("Versions", _kept(found.get("keep"))),
                ("Changed", f"{when(found['updatedAt'], session.now)} by {found['updatedBy']}")
                if found.get("updatedAt")
                else ("Changed", "never"),
            ]
        )

    session.screen.show(found, render, ids=[str(found["backup_regularity"])])


def _interval(seconds: int) -> str:
    from datetime import timedelta

    from chalicelib.domain.fields import show_duration

    return f"every {show_duration(timedelta(seconds=seconds))}" if seconds else "none by themselves"


def _kept(keep: Json | None) -> str:
    counts = {name: count for name, count in (keep or {}).items() if name != "lastGood" and count}
    if not counts:
        return "all stay"
    return ", ".join(f"{name} {count}" for name, count in counts.items()) + ", and the last good one"


def _seconds(interval: str) -> int:
    """Seconds of a duration, a number of seconds, or `off`."""
    from chalicelib.domain.errors import Invalid
    from chalicelib.domain.fields import parse_duration

    if interval in _NEVER:
        return 0
    if interval.isdecimal():
        return int(interval)
    try:
        return int(parse_duration(interval).total_seconds())
    except Invalid as error:
        raise click.UsageError(f"{error.message} To have none, write `off`.") from None


for each in (show, set_):
    policy.add_command(each)
