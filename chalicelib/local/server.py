"""gunicorn as the runner uses it: one process that answers and works, watched over by its parent.

The parent listens, and starts the process anew if it dies; what it was working on goes on when its lease has ended.
SIGTERM and SIGINT (also from a terminal, which sends it to both) mean the same: no new requests, no new work, what
runs stops at its next piece of work, and within `GRACE` seconds everything is gone.
"""

from __future__ import annotations

import json
import logging
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

from chalicelib.local.logs import Formatter
from chalicelib.settings import Settings

#: Seconds from the signal to the end, at most.
GRACE = 25

#: Seconds a client may take to send one request, headers and body.
SENDING = 20.0


class Runner(Protocol):
    """What runs beside the HTTP server in the same process."""

    def wsgi(self, body_read: Callable[[Any], None]) -> Any: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, seconds: float) -> bool: ...


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn around one `Runner`, on a socket (its file descriptor) that listens already."""

    def __init__(self, settings: Settings, listener: int, runner: Runner) -> None:
        self._settings = settings
        self._listener = listener
        self.runner = runner
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn while it is made."""
        values = {
            "bind": [f"fd://{self._listener}"],
            "workers": 1,
            "worker_class": Worker,
            "threads": self._settings.threads,
            "worker_connections": max(1000, self._settings.threads * 4),
            "timeout": 120,
            "graceful_timeout": GRACE,
            "keepalive": 30,
            "backlog": 512,
            "accesslog": "-",
            # The request line as it came: it cannot hold a line break, which a decoded path could.
            "access_log_format": '%(t)s %(h)s "%(r)s" %(s)s %(B)sB %(M)sms %({x-request-id}o)s',
            "logger_class": Log,
            "loglevel": "warning",
            "control_socket_disable": True,
            "limit_request_line": 8190,
            "proc_name": "mainstay",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The WSGI application, made in the worker's process."""
        return self.runner.wsgi(Worker.deadlines.lift)

    def run(self) -> None:
        """Serve until a signal ends it."""
        Watch(self).run()


class Log(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own log, in the form of ours: it would print what an unexpected error says."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn, once in each process."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(Formatter())


class Watch(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """The parent. An interrupt from the keyboard ends it as gently as SIGTERM."""

    def handle_int(self) -> None:
        """SIGINT."""
        raise StopIteration


class Deadlines:
    """Connections whose request must have arrived by a certain time: slow senders must not hold every thread.

    A thread that reads cannot be interrupted, but its socket can be shut down: the read then ends.
    """

    def __init__(self, seconds: float = SENDING) -> None:
        self._seconds = seconds
        self._ends: dict[int, tuple[float, socket.socket]] = {}
        self._lock = threading.Lock()

    def put(self, connection: socket.socket) -> None:
        """The request on this connection must have arrived in time from now."""
        with self._lock:
            self._ends[id(connection)] = (time.monotonic() + self._seconds, connection)

    def lift(self, connection: Any) -> None:
        """It has arrived, or the connection is closed."""
        with self._lock:
            self._ends.pop(id(connection), None)

    def enforce(self) -> None:
        """Shut down what is late."""
        now = time.monotonic()
        with self._lock:
            late = [connection for end, connection in self._ends.values() if end < now]
            self._ends = {key: value for key, value in self._ends.items() if value[0] >= now}
        for connection in late:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed meanwhile


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """The process that answers and works."""

    deadlines = Deadlines()
    #: When the parent kills what is still there.
    _ends = float("inf")

    def init_signals(self) -> None:
        """As gunicorn's, but an interrupt from the keyboard is no reason to drop anything."""
        super().init_signals()
        signal.signal(signal.SIGINT, self.handle_exit)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: HTTP and the workers at the same time."""
        self._ends = min(self._ends, time.monotonic() + GRACE)
        self.app.runner.stop()
        super().handle_exit(sig, frame)

    def run(self) -> None:
        """Answer and work until told to stop."""
        runner: Runner = self.app.runner
        runner.start()
        super().run()
        runner.stop()
        if not runner.join(max(0.1, min(GRACE, self._ends - time.monotonic()) - 2)):
            logging.getLogger("mainstay").warning("some work did not stop in time; it is resumed at the next start")

    def notify(self) -> None:
        """gunicorn calls this every second from the main loop."""
        super().notify()
        self.deadlines.enforce()

    def handle(self, conn: Any) -> Any:
        """One request, in a thread of its own."""
        self.deadlines.put(conn.sock)
        try:
            return super().handle(conn)
        finally:
            self.deadlines.lift(conn.sock)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """What cannot be read as HTTP, in the API's one error shape."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status, reason = 400, "Bad Request"
        if isinstance(exc, LimitRequestLine):
            status, reason = 414, "URI Too Long"
        elif isinstance(exc, LimitRequestHeaders):
            status, reason = 431, "Request Header Fields Too Large"
        request_id = str(uuid.uuid4())
        error = {"code": "malformed", "message": f"{reason}.", "details": {}, "requestId": request_id}
        body = json.dumps({"error": error})
        answer = (
            f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        try:
            client.sendall(answer.encode("latin-1"))
        except OSError:
            self.log.debug("The client went away.")
