"""How a command looks and behaves on the command line: the options every command takes, and its help.

Every command takes the options of `SHARED` before or after its name. Help is plain text with a fixed order:
usage, what it does, what happens next, arguments and options, examples. Examples are written without the
program's name, because the same command is also `kubectl mainstay`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from chalicelib.cli.session import FORMS, Session

Example = tuple[str, str]
Function = TypeVar("Function", bound=Callable[..., Any])


def _note(ctx: click.Context, param: click.Parameter, given: Any) -> None:
    """Keep a shared option: the later one (after the command's name) wins."""
    source = ctx.get_parameter_source(param.name or "")
    if source is not None and source.name == "COMMANDLINE":
        setattr(ctx.ensure_object(Session), str(param.name), given)


def _shared(*, short_output: bool) -> list[click.Option]:
    output = ["-o", "--output"] if short_output else ["--output"]
    options = [
        click.Option(
            [*output, "output"],
            type=click.Choice(FORMS),
            metavar="FORM",
            help="table (for people), json (the API's) or yaml.",
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="Only the answer: no progress, no hints, bare ids."),
        click.Option(["--url"], metavar="URL", help="Where Mainstay is; else MAINSTAY_URL, else this machine."),
        click.Option(
            ["--token-file"],
            metavar="FILE",
            help="Holds the token; else MAINSTAY_TOKEN, else the runner's.",
        ),
        click.Option(["--direct"], is_flag=True, help="Work with no server running: for when all is down."),
    ]
    for option in options:
        option.callback = _note
        option.expose_value = False
        option.is_eager = True
    return options


class Help:
    """What help has beside click's own: what happens next, and examples."""

    def __init__(
        self, *args: Any, examples: Sequence[Example] = (), then: str = "", short_output: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.then = then
        self.shared = _shared(short_output=short_output)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, the shared ones, and `--help`."""
        own: list[click.Parameter] = super().get_params(ctx)  # type: ignore[misc]
        return [*own[:-1], *self.shared, *own[-1:]]

    def write_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options in one section, the shared ones in another."""
        records = [
            (param in self.shared or param is self.get_help_option(ctx), record)  # type: ignore[attr-defined]
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None
        ]
        for shared, title in ((False, "Options"), (True, "Options of every command")):
            rows = [record for is_shared, record in records if is_shared is shared]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def write_then(self, formatter: click.HelpFormatter, program: str) -> None:
        """What happens, and what to do next: paragraph by paragraph, and no option is broken at a hyphen in it."""
        with formatter.indentation():
            indent = " " * formatter.current_indent
            for paragraph in self.then.split("\n\n") if self.then else ():
                lines = textwrap.fill(
                    " ".join(in_the_name_of(program, paragraph).split()),
                    width=formatter.width,
                    initial_indent=indent,
                    subsequent_indent=indent,
                    break_on_hyphens=False,
                )
                formatter.write(f"\n{lines}\n")

    def write_examples(self, formatter: click.HelpFormatter, program: str) -> None:
        """Each example with a line that says what it is for."""
        if not self.examples:
            return
        with formatter.section("Examples"):
            for number, (purpose, line) in enumerate(self.examples):
                if number:
                    formatter.write("\n")
                text = in_the_name_of(program, f"# {purpose}\n{line}\n")
                formatter.write(textwrap.indent(text, " " * formatter.current_indent))


class Command(Help, click.Command):
    """One command."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, what it does and what happens, options, examples."""
        program = ctx.find_root().info_name or "mainstay"
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.write_then(formatter, program)
        self.write_options(ctx, formatter)
        self.write_examples(formatter, program)


class Group(Help, click.Group):
    """A command of commands."""

    command_class = Command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, what it is, its commands, options, examples."""
        program = ctx.find_root().info_name or "mainstay"
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.write_then(formatter, program)
        self.format_commands(ctx, formatter)
        self.write_options(ctx, formatter)
        self.write_examples(formatter, program)


Group.group_class = Group

pass_session = click.make_pass_decorator(Session, ensure=True)


def in_the_name_of(program: str, text: str) -> str:
    """`text` with `{program}` as the name the user typed."""
    return text.replace("{program}", program)


def command(name: str, **kwargs: Any) -> Callable[[Function], Command]:
    """A command whose function gets the `Session` first; its result is the exit code (`None`: 0)."""

    def decorate(function: Function) -> Command:
        return click.command(name, cls=Command, **kwargs)(pass_session(function))

    return decorate
