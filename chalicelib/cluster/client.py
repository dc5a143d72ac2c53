"""The one client of an API server: bounded retries for what can be repeated, and never for what cannot.

A read is repeated while that can help. A write is repeated only when the server surely did not execute it: 429, or
no connection. Everything else leaves its outcome unknown, and only who wrote can tell by reading what became of it.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from chalicelib.cluster.credentials import Connection
from chalicelib.cluster.readiness import wait_until_ready
from chalicelib.cluster.refusals import (
    outcome_unknown,
    refused,
    retry_after,
    subject,
    unauthorised,
    webhook_failed,
)
from chalicelib.cluster.transport import Response, Transport, TransportFailure, now
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable

__all__ = ["Client", "Response", "now", "outcome_unknown"]

READS = frozenset({"GET", "HEAD"})

#: Seconds one request may take, and seconds all tries of it may take together (an API server restarts in less).
READ_SECONDS = 30.0
#: A webhook may take 30 s. Only after that does the server say which one it was.
DRY_RUN_SECONDS = 35.0
WRITE_SECONDS = 15.0
PATIENCE_SECONDS = 45.0

#: Tries while the server answers 5xx: a 500 is mostly a lasting fault (a broken webhook), 502 to 504 pass.
_TRIES = {500: 3}
_TRIES_OTHERWISE = 6

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 3.0


class _Call(NamedTuple):
    """One request as the caller meant it."""

    verb: str
    path: str
    target: str
    body: bytes | None
    headers: list[tuple[str, str]]
    repeatable: bool
    guarded: bool
    timeout: float
    end: float


class Client:
    """Requests to one API server. Safe with threads; `guarded` makes another one on the same connections.

    `before_write` is called right before every write goes out, each try anew, and stops it by raising: that is
    where an operation checks its lease and its deadline. Dry runs write nothing and are not asked about.

    `gzip` has the server compress large answers: worth it over a network, on loopback it costs 1.4 times the time.
    """

    def __init__(
        self,
        connection: Connection,
        connections: int = 16,
        *,
        timeout: float | None = None,
        patience: float = PATIENCE_SECONDS,
        before_write: Callable[[], None] | None = None,
        write_seconds: float = WRITE_SECONDS,
        gzip: bool = False,
        transport: Transport | None = None,
        clock: Callable[[], float] = now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self.transport = transport or Transport(connection, connections)
        self.patience = patience
        self.clock = clock
        self._timeout = timeout
        self._before_write = before_write
        #: How long one write may take.
        self.write_seconds = write_seconds
        self._gzip = gzip
        self._sleep = sleep

    def guarded(self, before_write: Callable[[], None], write_seconds: float = WRITE_SECONDS) -> Client:
        """The same client (and connections) with another guard: one for each operation.

        A write that the guard has allowed is over, or given up by client and server, `write_seconds` later.
        """
        return Client(
            self.connection,
            timeout=self._timeout,
            patience=self.patience,
            before_write=before_write,
            write_seconds=write_seconds,
            gzip=self._gzip,
            transport=self.transport,
            clock=self.clock,
            sleep=self._sleep,
        )

    def request(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout: float | None = None,
        deadline: float | None = None,
        repeatable: bool | None = None,
    ) -> Response:
        """The answer below 300 to one request, after retries.

        `timeout` bounds one try, `deadline` (a point on `now()`) all of them; without one it is `patience` seconds.
        `repeatable` tells of a POST that changes nothing (an access review).
        Raises `ClusterRefused` for an answer, `ClusterUnreachable` for none. After a write `outcome_unknown(error)`
        tells whether it may have been done.
        """
        call = self._call(
            verb,
            path,
            query=query,
            body=body,
            types=(content_type, accept),
            timeout=timeout,
            deadline=deadline,
            repeatable=repeatable,
        )
        tries = 0
        fresh = believed = False
        while True:
            tries += 1
            asked_at = self.clock()
            problem: TransportFailure | Response
            try:
                problem = answer = self._send(call, fresh=fresh)
            except TransportFailure as failure:
                problem = failure
                self.transport.standing.doubt()
            else:
                if answer.status < 300:
                    return answer
                if answer.status == 401 and not fresh and self.connection.token is not None:
                    # Nothing was executed; the token may have been renewed in its file meanwhile.
                    fresh = True
                    continue
                if not believed and unauthorised(answer) and not self.transport.standing.confirmed(asked_at):
                    # Nothing was executed; a server that is just starting does not know its roles yet.
                    believed = True
                    self.wait_until_ready(call.end)
                    continue
            pause = _pause(problem, tries, repeatable=call.repeatable)
            if pause is None or self.clock() + pause >= call.end:
                raise self._error(call, problem, tries)
            self._sleep(pause)

    def get_json(
        self,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        accept: str = "application/json",
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Any:
        """The decoded answer to a GET."""
        return self.request("GET", path, query=query, accept=accept, timeout=timeout, deadline=deadline).json()

    def wait_until_ready(self, deadline: float | None = None) -> None:
        """Return once the API server has finished starting, or if that cannot be told (see `readiness`)."""
        end = deadline if deadline is not None else self.clock() + self.patience

        def probe() -> int:
            try:
                timeout = max(min(READ_SECONDS, end - self.clock()), 0.1)
                answer = self.transport.send("GET", "/readyz", body=None, headers=self.headers(), timeout=timeout)
            except TransportFailure:
                return 0
            return answer.status

        wait_until_ready(self.transport.standing, probe, end=end, clock=self.clock, sleep=self._sleep)

    def guard(self) -> None:
        """Ask `before_write`; for writes that do not go through `request`, such as an exec."""
        if self._before_write is not None:
            self._before_write()

    def headers(self, *, fresh: bool = False) -> list[tuple[str, str]]:
        """Who asks: the headers of every request. A name can stand there more than once (`Impersonate-Group`)."""
        headers = [("User-Agent", _user_agent()), *self.connection.impersonation]
        authorization = self.connection.authorization(fresh=fresh)
        if authorization is not None:
            headers.append(("Authorization", authorization))
        return headers

    def unreachable(
        self, verb: str, path: str, reason: str, *, outcome: str = "", tries: int = 1
    ) -> ClusterUnreachable:
        """The error for no answer. `outcome` of a write: `unknown` (it may have been done) or `not-sent`."""
        often = f" ({tries} tries)" if tries > 1 else ""
        after = " Whether it was done is unknown." if outcome == "unknown" else ""
        details = {"request": f"{verb} {path}", "server": self.connection.server}
        return ClusterUnreachable(
            f"{verb} {subject(path)}: no usable answer from {self._where()}: {reason}{often}.{after}",
            details=details | ({"outcome": outcome} if outcome else {}),
        )

    def close(self) -> None:
        """Close the idle connections."""
        self.transport.close()

    def _call(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None,
        body: bytes | Mapping[str, Any] | None,
        types: tuple[str, str],
        timeout: float | None,
        deadline: float | None,
        repeatable: bool | None,
    ) -> _Call:
        content_type, accept = types
        parameters = dict(query or {})
        dry_run = parameters.get("dryRun") == "All"
        can_repeat = (verb in READS or dry_run) if repeatable is None else repeatable
        usual = DRY_RUN_SECONDS if dry_run else READ_SECONDS if can_repeat else self.write_seconds
        limit = timeout or self._timeout or usual
        if not can_repeat:
            limit = min(limit, self.write_seconds)
        if verb not in READS:
            # The server gives up too: what this client no longer waits for must not be done later.
            parameters.setdefault("timeout", f"{int(limit)}s" if limit >= 1 else f"{limit:.3f}s")
        headers = [("Accept", accept)]
        if self._gzip:
            headers.append(("Accept-Encoding", "gzip"))
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        if content is not None:
            headers.append(("Content-Type", content_type))
        target = f"{path}?{urlencode(parameters)}" if parameters else path
        end = deadline if deadline is not None else self.clock() + self.patience
        return _Call(verb, path, target, content, headers, can_repeat, not can_repeat, limit, end)

    def _send(self, call: _Call, *, fresh: bool) -> Response:
        if not self.transport.acquire(call.end - self.clock()):
            raise TransportFailure("all connections were busy", sent=False)
        try:
            if call.guarded:
                self.guard()
            timeout = min(call.timeout, call.end - self.clock())
            if timeout <= 0:
                raise TransportFailure("the time for it was over", sent=False)
            headers = self.headers(fresh=fresh) + call.headers
            return self.transport.send(call.verb, call.target, body=call.body, headers=headers, timeout=timeout)
        finally:
            self.transport.release()

    def _error(
        self, call: _Call, problem: TransportFailure | Response, tries: int
    ) -> ClusterRefused | ClusterUnreachable:
        if isinstance(problem, TransportFailure):
            outcome = "" if call.repeatable else "unknown" if problem.sent else "not-sent"
            return self.unreachable(call.verb, call.path, problem.reason, outcome=outcome, tries=tries)
        if problem.status in {502, 503, 504} and not call.repeatable:
            reason = f"it answered {problem.status}"
            return self.unreachable(call.verb, call.path, reason, outcome="unknown", tries=tries)
        error = refused(problem, call.verb, call.path)
        if call.repeatable:
            error.details.pop("outcome", None)
        return error

    def _where(self) -> str:
        return f"{self.connection.server} ({self.connection.source})"


def _pause(problem: TransportFailure | Response, tries: int, *, repeatable: bool) -> float | None:
    """Seconds until the next try, `None` if there is none."""
    growing: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(tries - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter
    if isinstance(problem, TransportFailure):
        again = not problem.lasting and (repeatable or not problem.sent)
        return growing if again else None
    if problem.status == 429:
        return max(retry_after(problem) or 0.0, growing)
    if webhook_failed(problem):
        return None  # it has had its time, which can be long; to ask at once again would take as much
    if problem.status >= 500 and repeatable and tries < _TRIES.get(problem.status, _TRIES_OTHERWISE):
        return max(retry_after(problem) or 0.0, growing)
    return None


@functools.cache
def _user_agent() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"mainstay/{version('mainstay')}"
    except PackageNotFoundError:  # in Lambda the code is a folder, not an installed package
        return "mainstay"
