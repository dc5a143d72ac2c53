"""`request-key`: keys that restores are asked for with through the bucket."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from chalicelib.cli.command import Group, command
from chalicelib.cli.commands.restores import MODES
from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.session import Session


@click.group(
    "request-key",
    cls=Group,
    short_help="Keys that restore requests are signed with.",
    then="""Whoever has a key, and may put objects into the bucket, can have applications restored without an
    account, through `{program} request`: any, or those that the key was made for. A secret is shown once, and kept
    encrypted.""",
    examples=[
        ("A key for a pipeline, in a file", "{program} request-key add pipeline --app shop --out pipeline.key"),
        ("It is no longer to be trusted", "{program} request-key revoke key-01kb…"),
    ],
)
def request_key() -> None:
    """Keys that restore requests are signed with."""


@command(
    "add",
    short_help="Make a key.",
    then="""Without --app it is for every application, to wherever a request says. With --app it is for these alone,
    and restores them where they are, unless --elsewhere is given. With --out the key is written into a file that only
    you can read, and not shown.""",
    examples=[
        ("For one application", "{program} request-key add pipeline --app shop --out pipeline.key"),
        (
            "One that never deletes",
            "{program} request-key add night --app shop \\\n  --mode merge --mode missing --out k",
        ),
    ],
)
@click.argument("name", metavar="NAME")
@click.option("--app", "applications", multiple=True, metavar="APP", help="Only for this one; may be repeated.")
@click.option("--mode", "modes", multiple=True, type=click.Choice(MODES), help="Only in this one; may be repeated.")
@click.option("--elsewhere", is_flag=True, help="With --app: also into other namespaces and clusters.")
@click.option("--out", "file", metavar="FILE", help="Write the key here.")
def add(
    session: Session,
    *,
    name: str,
    applications: tuple[str, ...],
    modes: tuple[str, ...],
    elsewhere: bool,
    file: str | None,
) -> None:
    """Make a key. Its secret is shown this once."""
    body: Json = {"name": name, "applications": list(applications), "modes": list(modes), "elsewhere": elsewhere}
    handle = None if file is None else _new_file(file)  # first: a secret that cannot be kept is better not made
    try:
        made = session.gateway.add_request_key({member: value for member, value in body.items() if value})
    except Failure:
        if handle is not None and file is not None:
            os.close(handle)
            Path(file).unlink()
        raise
    if handle is not None:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"id": made["id"], "secret": made["secret"]}, stream)
        made = {each: value for each, value in made.items() if each != "secret"}

    def render() -> Any:
        yield f"{made['id']} for {made['name']}" + (f", in {file}." if file else "")
        yield f"It restores {_allowed(made)}."
        if "secret" in made:
            yield f"Secret, shown this once: {made['secret']}"

    session.screen.show(made, render, ids=[made["id"]])


@command(
    "list",
    short_help="All keys.",
    then="Revoked ones too, without their secrets.",
    examples=[("Their names, for a script", "{program} request-key list -o json | jq -r '.items[].name'")],
)
def list_(session: Session) -> None:
    """All keys, by age."""
    answer = session.gateway.request_keys()

    def render() -> Any:
        from chalicelib.cli.rendering.tables import Column, table
        from chalicelib.cli.rendering.words import age, printable

        if not answer["items"]:
            return ["There is no request key yet."]
        columns = [
            Column("NAME", give_way=True),
            Column("KEY"),
            Column("RESTORES", give_way=True),
            Column("AGE", right=True),
            Column("STATUS"),
        ]
        rows = [
            [
                printable(key["name"]),
                key["id"],
                _allowed(key),
                age(key["createdAt"], session.now),
                "revoked" if key.get("revokedAt") else "good",
            ]
            for key in answer["items"]
        ]
        return [table(columns, rows)]

    session.screen.show(answer, render, ids=(key["id"] for key in answer["items"]))


def _allowed(key: Json) -> str:
    """What a key may be used for, in words."""
    from chalicelib.cli.rendering.words import printable

    if key["applications"] is None:
        said = "any application"
    else:
        said = ", ".join(each["name"] or each["id"] for each in key["applications"])
    if key["modes"]:
        said += f" ({' or '.join(key['modes'])})"
    if key["applications"] is not None and key["elsewhere"]:
        said += ", also elsewhere"
    return printable(said)


@command(
    "revoke",
    short_help="Revoke a key.",
    then="Nothing is done any more that it signs, or has signed. What runs already goes on.",
    examples=[("Revoke one", "{program} request-key revoke key-01kb2222000000000000000002")],
)
@click.argument("key", metavar="KEY")
def revoke(session: Session, *, key: str) -> None:
    """Revoke a key, for good."""
    revoked = session.gateway.revoke_request_key(key)
    session.screen.show(revoked, lambda: [f"{revoked['id']} ({revoked['name']}) is revoked."], ids=[revoked["id"]])


def _new_file(file: str) -> int:
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failure(f"{file} cannot be made: {error.strerror}.", code="unwritable", exit_code=Exit.USAGE) from error


for each in (add, list_, revoke):
    request_key.add_command(each)
