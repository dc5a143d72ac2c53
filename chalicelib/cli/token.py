"""Where the token comes from. Never from an argument: those are seen by every process of the machine."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure


def find_token(url: str, token_file: str = "") -> str | None:
    """The token for `url`: of `--token-file`, of MAINSTAY_TOKEN, or of the runner on this machine, in this order.

    The runner's own token is given to this machine only, whatever the URL says.
    """
    if token_file:
        return _read(Path(token_file).expanduser())
    if token := os.environ.get("MAINSTAY_TOKEN", "").strip():
        return _one("MAINSTAY_TOKEN", token)
    if named := os.environ.get("MAINSTAY_TOKEN_FILE", "").strip():
        return _read(Path(named).expanduser())
    if is_loopback(url):
        runners = runner_token_file()
        return _read(runners) if runners.exists() else None
    return None


def token_source(url: str, token_file: str = "") -> str:
    """Where `find_token` takes it from, in words; never the token: `set`, `from FILE`, `not set`."""
    named = token_file or os.environ.get("MAINSTAY_TOKEN_FILE", "").strip()
    if not token_file and os.environ.get("MAINSTAY_TOKEN", "").strip():
        return "set"
    if named:
        return f"from {Path(named).expanduser()}"
    if is_loopback(url) and runner_token_file().exists():
        return f"from {runner_token_file()}"
    return "not set"


def is_loopback(url: str) -> bool:
    """Whether `url` leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # some other name: only its owner knows where it leads


def runner_token_file() -> Path:
    """Where the runner's first start leaves the administrator's token."""
    from platformdirs import user_data_path

    data = os.environ.get("MAINSTAY_DATA", "").strip()
    return (Path(data).expanduser() if data else user_data_path("mainstay")) / "token"


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
        loose = path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Failure(
            f"The token in {path} cannot be read: {reason}.",
            code="token-unreadable",
            exit_code=Exit.REFUSED,
            hint="Name a file that holds the token with --token-file, or set MAINSTAY_TOKEN.",
        ) from error
    if loose and os.name == "posix":
        print(f"warning: {path} can be read by others; mend it with: chmod 600 {path}", file=sys.stderr)
    return _one(str(path), text)


def _one(source: str, text: str) -> str:
    """The token. What is none is refused here, without it: in a header it would be an error that shows it."""
    if not text or any(not mark.isascii() or not mark.isprintable() or mark.isspace() for mark in text):
        raise Failure(
            f"{source} does not hold one token on one line.",
            code="token-unreadable",
            exit_code=Exit.REFUSED,
        )
    return text
