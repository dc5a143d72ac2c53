"""`backup`, `versions`, `show` and `diff`: making versions and looking at them."""

from __future__ import annotations

from typing import Any

import click

from chalicelib.cli.command import command
from chalicelib.cli.commands.names import APPLICATION, APPLICATION_OR_VERSION, VERSION, application_argument
from chalicelib.cli.endings import conclude
from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.naming import application_name, find_application, find_version, newest_good, prefix_of
from chalicelib.cli.session import Session


@command(
    "backup",
    short_help="Make a version of an application's state now.",
    then="""The application is not touched: its objects are read, and what the repository lacks of them is stored.
    If part of it cannot be read the version is partial (exit code 7) and says what is missing. Ctrl-C ends the
    waiting, not the backup.""",
    examples=[
        ("Before an upgrade", "{program} backup shop --name before-upgrade"),
        (
            "With words and labels",
            '{program} backup shop --comment "nightly" \\\n  --label stage=prod --label by=cron',
        ),
        ("Start it and go on", "{program} backup shop --no-wait"),
        ("The version's id in a script", "version=$({program} backup shop -q)"),
    ],
)
@application_argument()
@click.option("--name", metavar="NAME", help="A name by which the version can be called.")
@click.option("--comment", metavar="TEXT", help="Why it was made.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may be repeated.")
@click.option("--wait/--no-wait", default=True, help="Wait until it is done (default).")
def backup(
    session: Session, *, application: str, name: str | None, comment: str | None, labels: tuple[str, ...], wait: bool
) -> Exit:
    """Make a version of an application's state now."""
    body: Json = {"name": name, "comment": comment, "labels": _labels(labels) or None}
    found = find_application(session.gateway, application)
    given = {key: value for key, value in body.items() if value is not None}
    operation = session.gateway.backup({"id": found["id"], **given})
    return conclude(session, operation, found["name"], wait=wait)


@command(
    "versions",
    short_help="The versions of an application, newest first.",
    then="""With --all those come too that are marked `before restore`: a restore made them of what it was about to
    change, and `{program} undo` uses them.""",
    examples=[
        ("The newest twenty", "{program} versions shop"),
        ("Every version there is, ids only", "{program} versions shop --all -q"),
        ("Those with a label", "{program} versions shop --label stage=prod"),
    ],
)
@application_argument()
@click.option(
    "--label", "labels", multiple=True, metavar="SELECTOR", help="Such as stage=prod or !draft; may be repeated."
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option("--all", "everything", is_flag=True, help="All of them, those made before restores too.")
def versions(session: Session, *, application: str, labels: tuple[str, ...], limit: int, everything: bool) -> None:
    """The versions of an application, newest first."""
    found = find_application(session.gateway, application)
    bound = None if everything else limit
    label = ",".join(labels) or None
    answer = session.gateway.versions(found["id"], limit=bound and bound + 1, label=label, safety=everything)
    items = answer["items"][:bound]

    def render() -> Any:
        from chalicelib.cli.rendering.versions import versions_table

        return versions_table(items, session.now) if items else [f"{found['name']} has no such version."]

    session.screen.show({"items": items}, render, ids=(item["id"] for item in items))
    if len(items) < len(answer["items"]):
        session.screen.hint("There are more: --all or --limit.")
    if not items and not labels:
        session.screen.hint(session.named(f"Make one: {{program}} backup {found['name']}"))


@command(
    "show",
    short_help="One version, operation or application in full.",
    then="""A version can be called by its id, by a unique beginning of it, by the name it was given, or as
    APP@latest and APP@previous.""",
    examples=[
        ("The newest version of shop", "{program} show shop@latest"),
        ("By the name given at backup", "{program} show shop@before-upgrade"),
        ("An operation", "{program} show op-01jd8xk3zq4v9m2n7c5t6r8w1y"),
    ],
)
@click.argument("subject", metavar="VERSION", type=VERSION)
@click.option("--app", "application", metavar="APP", type=APPLICATION, help="Whose version it is.")
@click.option("--all", "everything", is_flag=True, help="Every kind and image.")
def show(session: Session, *, subject: str, application: str | None, everything: bool) -> Exit | None:
    """One version in full: what it holds, what it lacks, what ran. Also an operation or an application by its id."""
    if prefix_of(subject) == "op" or subject.startswith("op-"):
        from chalicelib.cli.commands.operations import show_operation

        return show_operation(session, subject, wait=False)
    if prefix_of(subject) == "app":
        from chalicelib.cli.commands.applications import show_application

        show_application(session, subject)
        return None
    owner = find_application(session.gateway, application) if application else None
    version = session.gateway.version(find_version(session.gateway, subject, owner)["id"])
    name = application_name(session, version["application"])

    def render() -> Any:
        from chalicelib.cli.rendering.marks import Marks
        from chalicelib.cli.rendering.versions import version_page

        return version_page(version, name, session.now, Marks(unicode=session.screen.unicode), everything=everything)

    session.screen.show(version, render, ids=[version["id"]])
    session.screen.hint(session.named(f"What a restore would do: {{program}} plan {name} {version['id']}"))
    return None


@command(
    "diff",
    short_help="What differs between a version and the cluster, or another version.",
    then="""Nothing is changed. From the first to the second: `+` is only in the second, `−` only in the first.
    Values of Secrets are never shown. With --exit-code the exit code is 6 if anything differs.""",
    examples=[
        ("What changed since the newest version", "{program} diff shop"),
        ("Since the one before an upgrade", "{program} diff shop before-upgrade"),
        ("Between two versions", "{program} diff shop previous latest"),
        ("Has anything drifted? (for a script)", "{program} diff shop --exit-code -q"),
    ],
)
@click.argument("subject", metavar="APP_OR_VERSION", type=APPLICATION_OR_VERSION)
@click.argument("others", metavar="[VERSION|live]...", nargs=-1, type=VERSION)
@click.option("--all", "everything", is_flag=True, help="Every object and field, at full length.")
@click.option("--exit-code", is_flag=True, help="Exit with 6 if anything differs.")
def diff(session: Session, *, subject: str, others: tuple[str, ...], everything: bool, exit_code: bool) -> Exit:
    """What differs: a version and the cluster as it is (`live`), or two versions."""
    from_, to = _sides(session, subject, others)
    answer = session.gateway.compare(from_["id"], to)
    changes = answer.get("changes") or []

    def render() -> Any:
        from rich.text import Text

        from chalicelib.cli.rendering.marks import Marks
        from chalicelib.cli.rendering.plans import Page, comparison_lines

        marks = Marks(unicode=session.screen.unicode)
        yield Text.assemble(("From ", "bold"), from_["id"], (" to ", "bold"), "the cluster" if to == "live" else to)
        yield Text()
        yield from comparison_lines(answer, Page(session.screen.out.width, marks, everything))

    session.screen.show(answer, render, ids=_names(changes))
    return Exit.DIFFERS if changes and exit_code else Exit.OK


def _sides(session: Session, subject: str, others: tuple[str, ...]) -> tuple[Json, str]:
    gateway = session.gateway
    if prefix_of(subject) == "ver" or "@" in subject:
        first, rest = find_version(gateway, subject), list(others)
        owner = {"id": first["application"], "name": "that application"}
    else:
        try:
            owner = find_application(gateway, subject)
        except Failure as failure:
            if failure.code != "not-found":
                raise
            return _sides_of_loose_version(session, subject, others, failure)
        rest = list(others)
        first = (
            find_version(gateway, rest.pop(0), owner) if rest and rest[0] != "live" else newest_good(gateway, owner)
        )
    return first, _second(session, rest, owner)


def _sides_of_loose_version(
    session: Session, subject: str, others: tuple[str, ...], no_application: Failure
) -> tuple[Json, str]:
    """The first word is no application: perhaps a version's name or the beginning of its id."""
    try:
        first = find_version(session.gateway, subject)
    except Failure as failure:
        raise (no_application if failure.code == "not-found" else failure) from None
    return first, _second(session, list(others), {"id": first["application"], "name": "that application"})


def _second(session: Session, rest: list[str], owner: Json) -> str:
    if len(rest) > 1:
        raise click.UsageError("Too many versions: two are compared.")
    if not rest or rest[0] == "live":
        return "live"
    return str(find_version(session.gateway, rest[0], owner)["id"])


def _names(changes: list[Json]) -> list[str]:
    from chalicelib.cli.rendering.objects import object_name

    return [f"{each['change']} {object_name(each['object'])}" for each in changes]


def _labels(given: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{pair!r} is not a label: write it as KEY=VALUE.")
        labels[key] = value
    return labels
