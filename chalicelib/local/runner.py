"""`mainstay serve`: everything on one machine, in one command."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from chalicelib import bootstrap
from chalicelib.domain.errors import MainstayError
from chalicelib.local import logs
from chalicelib.local.first_start import Prepared, prepare
from chalicelib.local.inbox import Inbox
from chalicelib.local.pump import Pump
from chalicelib.local.queues import Sources
from chalicelib.services.bundle import Services
from chalicelib.settings import Settings, unknown_names

#: Variables of the name's form that are read elsewhere: by the command line, and by tests.
_ELSEWHERE = ("MAINSTAY_TOKEN_FILE", "MAINSTAY_DEBUG")


class Taken(MainstayError):
    """The runner cannot listen where it should."""

    code = "cannot-listen"


def serve(environment: Mapping[str, str] = os.environ, out: TextIO | None = None, err: TextIO | None = None) -> None:
    """Serve until a signal ends it. What is wrong is raised as a `MainstayError`: a sentence, not a trace."""
    out, err = out or sys.stdout, err or sys.stderr
    for sentence in unknown_names(environment, _ELSEWHERE):
        print(f"warning: {sentence}", file=err)
    # Listening comes first: where it cannot listen, nothing is made.
    listener = listen(Settings.read(environment).listen)
    try:
        prepared = prepare(environment)
        os.environ.update(prepared.environment)
        recovery_key = bootstrap.make_repository(prepared.settings)
        _greet(prepared, listener, recovery_key, out)
        logs.configure(err)
    except BaseException:
        listener.close()
        raise
    _run(prepared.settings, listener.detach())


def listen(address: str) -> socket.socket:
    """A socket that listens at `host:port`; `Taken` says why if it cannot."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Taken(f"MAINSTAY_LISTEN={address}: {host} is no address of this machine ({error.strerror}).") from error
    try:
        # After a restart old connections may linger; another listener is still refused.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Taken(
                f"Port {port} on {host} is taken: another Mainstay or another program listens there. "
                f"Stop it, or choose another with MAINSTAY_LISTEN={host}:{int(port) + 1}."
            ) from error
        raise Taken(
            f"Mainstay cannot listen on {address}: {error.strerror}. Choose another MAINSTAY_LISTEN."
        ) from error
    return listener


class AppRunner:
    """The app and the pump in one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._services: Services | None = None
        #: Looks for signed requests, where no queue tells of them.
        self._inbox: Inbox | None = None
        self._pump: Pump | Sources | None = None

    def wsgi(self, body_read: Callable[[Any], None]) -> Any:
        """The WSGI application."""
        from app import app
        from chalicelib.local.wsgi import Gateway

        return Gateway(app, body_read)

    def start(self) -> None:
        """Begin to work. Called in the process that works, after the fork."""
        self._services = bootstrap.services()
        self._pump = self._sources() if self._services.queued else self._own_pump(self._services)
        self._pump.start()
        if self._settings.request_queue_url is None:
            self._inbox = Inbox(self._services.requests).start()

    def _own_pump(self, services: Services) -> Pump:
        """Without a queue: what is due is found in the wake index, and done here."""
        from chalicelib.engine.lane.budget import Budget

        pump = Pump(services.engine, Budget(), workers=self._settings.workers)
        services.engine.nudge = pump.nudge
        return pump

    def _sources(self) -> Sources:
        """With a queue: its messages and a schedule call the app's own handlers, as in Lambda."""
        from app import app
        from chalicelib.local.queues import sources_of

        return sources_of(app, self._settings)

    def stop(self) -> None:
        """Take nothing new. Called from a signal's handler: it only sets flags."""
        if self._inbox is not None:
            self._inbox.stop()
        if self._pump is not None:
            self._pump.stop()
        if self._services is not None:
            self._services.operations.stop_waiting()

    def join(self, seconds: float) -> bool:
        """Wait for what runs to stop."""
        end = time.monotonic() + seconds
        worked = self._pump is None or self._pump.join(seconds)
        return worked and (self._inbox is None or self._inbox.join(max(0.0, end - time.monotonic())))


def _run(settings: Settings, listener: int) -> None:
    from chalicelib.local.server import Server

    try:
        Server(settings, listener, AppRunner(settings)).run()
    except SystemExit as ending:  # gunicorn's parent ends with this, also when all went well
        if ending.code:
            raise MainstayError(f"The server ended with status {ending.code}.") from ending


def _greet(prepared: Prepared, listener: socket.socket, recovery_key: str | None, out: TextIO) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    lines = [f"Mainstay listens on {url}", f"  repository   {prepared.settings.repository}"]
    if prepared.token_file is not None:
        lines.append(f"  token        {prepared.token_file}")
    if prepared.settings.passphrase_file is not None:
        lines.append(f"  passphrase   {prepared.settings.passphrase_file}")
    if prepared.settings.kms_key is not None:
        lines.append(f"  KMS key      {prepared.settings.kms_key}")
    lines.append(f"  API          {url}/openapi.json, docs/api.md")
    if prepared.made:
        lines.append(f"  made now     {', '.join(str(path) for path in prepared.made)}")
    if recovery_key is not None:
        lines += [
            "",
            "  Recovery key (shown this once; write it down and keep it away from this machine):",
            "",
            f"      {recovery_key}",
            "",
            f"  {when_it_is_needed(prepared.settings)}",
        ]
    print("\n".join(lines), file=out, flush=True)


def when_it_is_needed(settings: Settings) -> str:
    """What the recovery key is for, beside what is set here."""
    passphrase = settings.passphrase is not None or settings.passphrase_file is not None
    if settings.kms_key is None:
        return "It opens the repository when the passphrase is lost."
    if passphrase:
        return "It opens the repository when passphrase and KMS key are lost."
    return "It opens the repository without AWS: when the KMS key is lost or cannot be used."
