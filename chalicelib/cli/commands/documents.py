"""`init` and `check`: writing a document and finding what is wrong in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chalicelib.cli.command import command
from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.session import Session

if TYPE_CHECKING:
    from rich.text import Text

_MOST_TEXT = 2 * 1024 * 1024


@command(
    "init",
    short_help="Write a document from what runs in a namespace.",
    short_output=False,
    then="""The document is yours to change: it says what the state of the application is, and how it is put back.
    Nothing is registered or stored yet. Look at it, check it with `{program} check FILE`, then register it with
    `{program} app add FILE`.""",
    examples=[
        ("Write shop.yaml from what runs in the namespace shop", "{program} init -n shop"),
        ("See what would be written", "{program} init -n shop -o -"),
        ("Look, change nothing, register", "{program} init -n shop -o - | {program} app add -"),
    ],
)
@click.option("-n", "--namespace", required=True, metavar="NAMESPACE", help="The namespace to look at.")
@click.option("--name", metavar="NAME", help="Of the application. Default: the namespace's.")
@click.option("-o", "--file", "target", metavar="FILE", help="Where to write it; - is stdout. Default: NAME.yaml.")
@click.option("--cluster", metavar="NAME", help="The cluster, if more than one is registered.")
@click.option("--force", is_flag=True, help="Write over a file that exists.")
def init(
    session: Session, *, namespace: str, name: str | None, target: str | None, cluster: str | None, force: bool
) -> None:
    """Write a document, with comments that explain it, from what runs in a namespace."""
    path = None if target == "-" else Path(target or f"{name or namespace}.yaml")
    if path is not None and path.exists() and not force:
        raise Failure.refused(f"{path} exists already.", "Write over it with --force, or elsewhere with -o FILE.")
    wishes = {"namespace": namespace, "name": name, "cluster": cluster}
    text = str(session.gateway.draft({key: given for key, given in wishes.items() if given})["document"])
    if path is None:
        session.out.write(text)
        return
    _write(path, text)
    session.screen.show({"file": str(path), "document": text}, lambda: [f"Wrote {path}."], ids=[str(path)])
    session.screen.hint(session.named(f"Next: read it, then {{program}} check {path} and {{program}} app add {path}"))


@command(
    "check",
    short_help="Find what is wrong in a document.",
    then="""Needs no server and stores nothing. Every problem is shown with its line and column, and how to mend it.
    The exit code is 0 when there is none and 1 otherwise.""",
    examples=[
        ("Check before registering", "{program} check shop.yaml"),
        ("In a pre-commit hook or a pipeline", "{program} check --quiet shop.yaml"),
        ("What an editor reads", "{program} check shop.yaml -o json"),
    ],
)
@click.argument("file", metavar="FILE")
def check(session: Session, *, file: str) -> Exit:
    """Find what is wrong in a document. FILE may be - for stdin."""
    text = read_text(file)
    where = "stdin" if file == "-" else file
    name, problems = examine(text)
    answer = {"valid": not problems, "name": name, "problems": problems}
    if problems and session.screen.for_people:
        session.screen.quiet = False  # problems are what was asked for
    session.screen.show(answer, lambda: _report(where, text, problems), ids=[])
    return Exit.FAILED if problems else Exit.OK


def examine(text: str) -> tuple[str | None, list[Json]]:
    """The name in a document, and each problem as the API shows it: none when it can be registered."""
    from chalicelib.domain.errors import Invalid
    from chalicelib.language.support import accept

    try:
        return accept(text).document.metadata.name, []
    except Invalid as error:
        return None, [problem.as_json() for problem in error.problems]


def read_text(file: str) -> str:
    """The text of a file, or of stdin (`-`)."""
    try:
        if file == "-":
            content = sys.stdin.buffer.read(_MOST_TEXT + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(_MOST_TEXT + 1)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.", code="unreadable", exit_code=Exit.USAGE) from error
    if len(content) > _MOST_TEXT:
        raise Failure(f"{file} is larger than 2 MiB: no document is.", code="unreadable", exit_code=Exit.FAILED)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{file} is not text in UTF-8 (byte {error.start})."
        raise Failure(message, code="unreadable", exit_code=Exit.FAILED) from error


def _report(name: str, text: str, problems: list[Json]) -> list[Text | str]:
    from chalicelib.cli.rendering.problems import problem_lines
    from chalicelib.cli.rendering.words import counted
    from chalicelib.language.text import MOST_BYTES

    if not problems:
        return [f"{name} is fine."]
    # Of what is too long as a whole no line tells more than another.
    shown = "" if len(text) > MOST_BYTES or len(text.encode()) > MOST_BYTES else text
    return [*problem_lines(name, shown, problems), "", f"{counted(len(problems), 'problem')} in {name}."]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise Failure(message, code="unwritable", exit_code=Exit.FAILED) from error
