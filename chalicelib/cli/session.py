"""What one run of the command knows: how it was called, where it works, and how it answers."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from chalicelib.cli.screen import FORMS, Screen

if TYPE_CHECKING:
    from chalicelib.cli.gateway import Gateway

__all__ = ["DEFAULT_URL", "FORMS", "Session"]

DEFAULT_URL = "http://127.0.0.1:8700"


@dataclass
class Session:
    """Filled by the options of every command; the gateway and the screen are made when first needed."""

    program: str = "mainstay"
    output: str = "table"
    quiet: bool = False
    url: str = ""
    token_file: str = ""
    direct: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    @cached_property
    def screen(self) -> Screen:
        """Where answers go."""
        return Screen(form=self.output, quiet=self.quiet, out=self.out, err=self.err)

    @cached_property
    def address(self) -> str:
        """The service's URL, without a slash at its end."""
        return (self.url or os.environ.get("MAINSTAY_URL") or DEFAULT_URL).rstrip("/")

    @property
    def asks_server(self) -> bool:
        """Whether a command that needs no server asks one all the same: it was named, or nothing else was."""
        named = bool(self.url or os.environ.get("MAINSTAY_URL"))
        return not self.direct and (named or not os.environ.get("MAINSTAY_REPOSITORY"))

    @cached_property
    def gateway(self) -> Gateway:
        """The service: over HTTP, or in this process with `--direct`."""
        if self.direct:
            from chalicelib.cli.direct import open_direct

            return open_direct(self.screen.announce)
        from chalicelib.cli.http import HttpGateway
        from chalicelib.cli.token import find_token, is_loopback

        token = find_token(self.address, self.token_file)
        if token and self.address.startswith("http://") and not is_loopback(self.address):
            self.screen.warn(f"The token travels to {self.address} unencrypted: use https where you can.")
        return HttpGateway(self.address, token)

    def named(self, text: str) -> str:
        """`text` with `{program}` as the user called it, and with `--direct` where they use it."""
        return text.replace("{program}", f"{self.program} --direct" if self.direct else self.program)

    @property
    def now(self) -> datetime:
        """The present time, for ages."""
        return datetime.now(UTC)
