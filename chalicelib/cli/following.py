"""Waiting for an operation, with its progress on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from chalicelib.cli.exits import Exit, ended
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.screen import Screen
from chalicelib.cli.session import Session

_FIRST_PAUSE = 0.15
_LONGEST_PAUSE = 1.5
# A server that is restarted takes seconds; its operations go on afterwards.
_PATIENCE = 120.0
_SPARSE = 15.0


class Watcher(Protocol):
    """Shows how an operation gets on."""

    def see(self, operation: Json, seconds: float, unchanged: float) -> None:
        """The operation as it is `seconds` after the waiting began, and since how many of them it was just so."""

    def lost(self, failure: Failure) -> None:
        """The server does not answer; the waiting goes on."""


def follow(
    session: Session,
    operation: Json,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Json:
    """Wait until the operation has ended and return it as it is then.

    Ctrl-C ends the waiting, not the operation; so does a server that stays away for two minutes.
    """
    try:
        with session.gateway.attend(operation), _watcher(session.screen) as watcher:
            return _wait(session, operation, watcher, sleep, clock)
    except KeyboardInterrupt:
        if session.direct:
            # The work was stopped with the waiting; it may just have come to its end.
            operation = session.gateway.operation(operation["id"])
            if ended(operation):
                return operation
        raise _interrupted(session, operation) from None


def _wait(
    session: Session,
    operation: Json,
    watcher: Watcher,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Json:
    began = answered = changed = clock()
    pause = _FIRST_PAUSE
    while not ended(operation):
        watcher.see(operation, clock() - began, clock() - changed)
        sleep(pause)
        pause = min(pause * 1.3, _LONGEST_PAUSE)
        try:
            before, operation = operation, session.gateway.operation(operation["id"])
            answered = clock()
            changed = changed if operation == before else answered
        except Failure as failure:
            if failure.exit_code is not Exit.UNREACHABLE or clock() - answered > _PATIENCE:
                raise
            watcher.lost(failure)
    return operation


def _interrupted(session: Session, operation: Json) -> Failure:
    name = operation["id"]
    if session.direct:
        message = f"Stopped. {name} keeps what it has done, and waits for a worker."
        hint = f"Go on: {{program}} operation {name} --wait\nGive it up: {{program}} cancel {name}"
    else:
        message = f"{name} goes on without this terminal."
        hint = f"Follow it: {{program}} operation {name} --wait\nStop it: {{program}} cancel {name}"
    return Failure(message, code="interrupted", exit_code=Exit.INTERRUPTED, hint=hint)


@contextmanager
def _watcher(screen: Screen) -> Iterator[Watcher]:
    if (not screen.chatty and not screen.err.is_terminal) or screen.quiet:
        yield _Silent()
    elif screen.err.is_terminal and not screen.err.is_dumb_terminal:
        with screen.err.status("…", spinner="dots" if screen.unicode else "line") as status:
            yield _Live(screen, status.update)
    else:
        yield _Sparse(screen)


class _Silent:
    def see(self, operation: Json, seconds: float, unchanged: float) -> None:
        pass

    def lost(self, failure: Failure) -> None:
        pass


class _Live:
    """One line that is written over."""

    def __init__(self, screen: Screen, update: Callable[..., None]) -> None:
        self._screen = screen
        self._update = update

    def see(self, operation: Json, seconds: float, unchanged: float) -> None:
        from chalicelib.cli.rendering.operations import progress_line

        # The spinner and a column that must stay free, so that the line never wraps.
        self._update(progress_line(operation, seconds, width=self._screen.err.width - 4, unchanged=unchanged))

    def lost(self, failure: Failure) -> None:  # noqa: ARG002 - who waits needs no details
        self._update("the server does not answer; still trying (Ctrl-C to leave)")


class _Sparse:
    """For logs: a line when the step changes, and every 15 seconds."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown: tuple[str, str] | None = None
        self._at = 0.0

    def see(self, operation: Json, seconds: float, unchanged: float) -> None:
        from chalicelib.cli.rendering.operations import progress_line

        place = (operation["state"], operation.get("step") or "")
        if place != self._shown or seconds - self._at >= _SPARSE:
            self._shown, self._at = place, seconds
            self._screen.err.print(progress_line(operation, seconds, width=0, unchanged=unchanged))

    def lost(self, failure: Failure) -> None:
        if self._shown is not None:
            self._shown = None
            self._screen.err.print(f"{failure.message} Still trying.")
