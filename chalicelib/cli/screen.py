"""Where answers go: results to stdout, everything about them (progress, hints, questions) to stderr.

So `mainstay … --output json | jq` and `mainstay versions shop -q | head -1` always get clean data.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FORMS = ("table", "json", "yaml")

# A reader such as grep wants each row on one line.
_UNBOUNDED = 10_000


class Screen:
    """The two streams, and how they are written: as a table for people, as JSON or YAML for programs."""

    def __init__(self, *, form: str, quiet: bool, out: TextIO, err: TextIO) -> None:
        self.form = form
        self.quiet = quiet
        self._out = out
        self._err = err

    @cached_property
    def out(self) -> Console:
        """stdout."""
        # Without a terminal nothing wraps, unless somebody says how wide the reader is.
        return _console(self._out, int(os.environ.get("COLUMNS") or _UNBOUNDED))

    @cached_property
    def err(self) -> Console:
        """stderr."""
        return _console(self._err, _UNBOUNDED)

    @property
    def for_people(self) -> bool:
        """Whether a person reads the result."""
        return self.form == "table"

    @property
    def chatty(self) -> bool:
        """Whether progress and hints are welcome."""
        return self.for_people and not self.quiet

    @property
    def unicode(self) -> bool:
        """Whether stdout can carry more than ASCII."""
        return self.out.encoding.startswith("utf")

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to answer a question."""
        return sys.stdin.isatty() and self._err.isatty()

    def show(self, data: Any, render: Callable[[], Iterable[RenderableType]], ids: Iterable[str] = ()) -> None:
        """Show a result: as `render` draws it, or `data` as it is, or (quiet) only its ids."""
        if self.form == "json":
            text = json.dumps(data, indent=2, ensure_ascii=not self.unicode)
            print(text, file=self._out, flush=True)
        elif self.form == "yaml":
            print(_yaml(data, unicode=self.unicode), end="", file=self._out, flush=True)
        elif self.quiet:
            for name in ids:
                print(name, file=self._out, flush=True)
        else:
            for part in render():
                self._draw(part)

    def _draw(self, part: RenderableType) -> None:
        if self.out.is_terminal:
            self.out.print(part)
            return
        # Tables are padded to their width: in a file or a pipe that is only noise.
        with self.out.capture() as captured:
            self.out.print(part)
        for line in captured.get().splitlines():
            print(line.rstrip(), file=self._out)

    def say(self, text: str, style: str = "") -> None:
        """A sentence about a result: for people only, not when quiet."""
        if self.chatty:
            from rich.text import Text

            self.err.print(Text(text, style=style))

    def hint(self, text: str) -> None:
        """What one may want to do next. Never broken into lines: who copies half a command runs half a command."""
        if self.chatty:
            from rich.text import Text

            self.err.print(Text(text, style="dim"), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Something to know, even when programs read the result."""
        if not self.quiet:
            from rich.text import Text

            self.err.print(Text.assemble(("warning: ", "bold yellow"), text))

    def announce(self, text: str) -> None:
        """Something that must not be missed, whoever reads the result."""
        self.err.print(text)

    def agreed(self, question: str) -> bool:
        """Ask; anything but `y` or `yes` is no, and so is whatever was typed before the question was seen."""
        _forget_typed()
        self.err.print(f"{question} [y/N] ", end="", style="bold")
        self._err.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _forget_typed() -> None:
    try:
        import termios
    except ImportError:
        return  # not a POSIX terminal
    with suppress(OSError, ValueError, termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _console(stream: TextIO, width: int) -> Console:
    from rich.console import Console

    known = None if stream.isatty() else width
    return Console(file=stream, width=known, highlight=False, markup=False, emoji=False, legacy_windows=False)


def _yaml(data: Any, *, unicode: bool) -> str:
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=unicode, width=120, default_flow_style=False))
