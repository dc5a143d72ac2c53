"""The runner's log, on stderr: what happened, where, and of which type; never an unexpected error's own words.

Such words can repeat what was sent or read (pydantic's quote their input). So wherever a record carries an exception,
and wherever a thread dies of one, the log has its type and its places.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import TextIO

from chalicelib.domain.traces import places, story

_log = logging.getLogger("mainstay")

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Of what a record carries beside its message.
_ABOUT = ("application", "operation")
_TIME = "%Y-%m-%dT%H:%M:%S%z"

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Formatter(logging.Formatter):
    """One line for each record; below it, of an exception, its type and places, and of those it came from."""

    def __init__(self) -> None:
        super().__init__(_LINE, _TIME)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """With what it is about: the identifiers that JSON logs have as fields."""
        about = [str(record.__dict__[name]) for name in _ABOUT if record.__dict__.get(name)]
        said = super().formatMessage(record)
        return f"{said} [{', '.join(about)}]" if about else said

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802  # logging's name
        """In place of a traceback with its words."""
        return story(ei[1]) if ei[1] is not None else ""


def configure(err: TextIO) -> None:
    """Log to `err`: warnings of everybody, and what we ourselves find worth telling."""
    handler = logging.StreamHandler(err)
    handler.setFormatter(Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("mainstay").setLevel(logging.INFO)
    logging.getLogger("chalicelib").setLevel(logging.INFO)
    threading.excepthook = _thread_died


def _thread_died(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit):
        return
    name = ended.thread.name if ended.thread else "a thread"
    _log.error("%s ended by an unexpected %s\n%s", name, ended.exc_type.__name__, places(ended.exc_value))
