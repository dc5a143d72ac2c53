"""The entry point: the commands, and what becomes of whatever goes wrong in one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import click

from chalicelib.cli.command import Group
from chalicelib.cli.commands.applications import app, status
from chalicelib.cli.commands.automatic import policy
from chalicelib.cli.commands.clusters import cluster
from chalicelib.cli.commands.documents import check, init
from chalicelib.cli.commands.notes import forget, note
from chalicelib.cli.commands.operations import cancel, operation, operations, result
from chalicelib.cli.commands.repository import repository
from chalicelib.cli.commands.request_keys import request_key
from chalicelib.cli.commands.requests import request
from chalicelib.cli.commands.restores import plan, restore, undo
from chalicelib.cli.commands.service import clusters, completion, serve, settings
from chalicelib.cli.commands.versions import backup, diff, show, versions
from chalicelib.cli.exits import MEANINGS, Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.session import Session

_SECTIONS = (
    ("Begin", (init, check, app)),
    ("Keep", (backup, versions, show, diff, note, forget, policy)),
    ("Put back", (plan, restore, undo, request, request_key)),
    ("Watch", (status, operations, operation, result, cancel)),
    ("The service", (serve, cluster, clusters, repository, settings, completion)),
)


class Root(Group):
    """`mainstay` itself: its help groups the commands as one meets them, and ends with the exit codes."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands by section."""
        for title, commands in _SECTIONS:
            with formatter.section(title):
                formatter.write_dl([(str(each.name).ljust(11), each.get_short_help_str(100)) for each in commands])

    def write_examples(self, formatter: click.HelpFormatter, program: str) -> None:
        """The examples, then what the exit codes mean."""
        super().write_examples(formatter, program)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)).rjust(3), meaning) for code, meaning in MEANINGS])


@click.group(
    cls=Root,
    then="""APP is a name or an id. VERSION is an id, a unique beginning of one, the name given at backup, `latest`
    or `previous`. Every command explains itself: `{program} restore --help`.""",
    examples=[
        ("The first ten minutes, with a server in another terminal ({program} serve)", "{program} init -n shop"),
        (
            "Register it, make a version, see what has changed since",
            "{program} app add shop.yaml\n{program} backup shop && {program} diff shop",
        ),
        ("See what going back would do, then go back", "{program} plan shop && {program} restore shop"),
    ],
)
@click.version_option(package_name="mainstay", prog_name="mainstay", message="%(prog)s %(version)s")
def cli() -> None:
    """Keep the applications on a Kubernetes cluster recoverable."""


for _, _commands in _SECTIONS:
    for _command in _commands:
        cli.add_command(_command)


def main() -> NoReturn:
    """Run the command of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A symbol that the terminal cannot show is better replaced than fatal.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:], Session(program=program_name(sys.argv[0]))))


def program_name(called: str) -> str:
    """How the user called it: kubectl runs `kubectl-mainstay` for `kubectl mainstay`."""
    name = Path(called).stem if called.endswith((".exe", ".py")) else Path(called).name
    return "kubectl mainstay" if name == "kubectl-mainstay" else "mainstay"


def run(args: Sequence[str], session: Session) -> int:
    """Run one command line; returns the exit code, with everything that goes wrong told on stderr."""
    try:
        ended = cli.main(
            args=list(args),
            prog_name=session.program,
            complete_var="_MAINSTAY_COMPLETE",
            standalone_mode=False,
            obj=session,
        )
    except BrokenPipeError:
        # The reader has seen enough (`… | head`); the interpreter would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except Exception as error:  # noqa: BLE001 - the last place where anything can be told
        failure = _failure(error)
        _tell(failure, session, args)
        return failure.exit_code
    except KeyboardInterrupt:
        _tell(_interrupted(), session, args)
        return Exit.INTERRUPTED
    return int(ended) if isinstance(ended, int) else Exit.OK


def _failure(error: Exception) -> Failure:
    from chalicelib.domain.errors import MainstayError

    match error:
        case Failure():
            return error
        case click.Abort():
            return _interrupted()
        case click.exceptions.NoArgsIsHelpError():
            return Failure(error.format_message(), code="help", exit_code=Exit.USAGE)
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "{program}"
            return Failure(
                error.format_message(), code="usage", exit_code=Exit.USAGE, hint=f"See how it is used: {where} --help"
            )
        case click.ClickException():
            return Failure(error.format_message(), code="usage", exit_code=Exit.USAGE)
        case MainstayError():
            return Failure.of_error(error)
    if os.environ.get("MAINSTAY_DEBUG"):
        raise error
    return Failure(
        f"Something went wrong in the command itself: {type(error).__name__}.",
        code="internal",
        exit_code=Exit.FAILED,
        hint="MAINSTAY_DEBUG=1 shows where. Please report it.",
    )


def _interrupted() -> Failure:
    return Failure("Interrupted.", code="interrupted", exit_code=Exit.INTERRUPTED)


#: The API names its own parameters; here these are options.
_OPTIONS = {"keepVersions=true": "--keep-versions", "force=true": "--force", "hold: false": "--no-hold"}


def _tell(failure: Failure, session: Session, args: Sequence[str]) -> None:
    if failure.code == "help":
        print(failure.message, file=session.err)
        return
    if session.output == "json" or _asks_for_json(args):
        print(json.dumps(failure.as_json(), indent=2), file=session.err)
        return
    from rich.text import Text

    from chalicelib.cli.rendering.words import printable

    console = session.screen.err
    if failure.exit_code is Exit.INTERRUPTED:
        # After the terminal's own `^C`. Nothing is wrong: it was asked for.
        console.print(Text(f"\n{printable(failure.message)}"))
    else:
        message = failure.message
        for parameter, option in _OPTIONS.items():
            message = message.replace(parameter, option)
        console.print(Text.assemble(("error: ", "bold red"), printable(message)))
    for problem in (failure.details.get("problems") or [])[:10]:
        if str(problem.get("message")).casefold() not in failure.message.casefold():
            console.print(f"  {printable(_problem(problem))}")
    for hint in failure.hint.splitlines():
        console.print(Text.assemble(("hint: ", "bold"), printable(session.named(hint))))
    if failure.request_id:
        console.print(Text(f"request: {failure.request_id}", style="dim"))


def _problem(problem: dict[str, object]) -> str:
    where = f"line {problem['line']}, column {problem.get('column')}: " if problem.get("line") else ""
    path = f"{problem['path']}: " if problem.get("path") else ""
    hint = f" ({problem['hint']})" if problem.get("hint") else ""
    return f"{where}{path}{problem.get('message', '')}{hint}"


def _asks_for_json(args: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, when it was too wrong to be parsed."""
    asked = {("-o", "json"), ("--output", "json")}
    return "--output=json" in args or "-ojson" in args or any(pair in asked for pair in pairwise(args))
