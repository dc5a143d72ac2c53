"""Workers in processes of their own, to be killed, stopped and woken.

They are forked from a process that has imported everything already, so that a worker is there in milliseconds.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chalicelib.domain.errors import MainstayError
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.lane.lease import LeaseTerms
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.store.backend import Backend
from chalicelib.store.backends.directory import DirectoryBackend
from chalicelib.store.backends.s3 import S3Access, S3Backend, S3Limits
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Passphrase
from tests.harness.errors import HarnessError
from tests.harness.processes import wait_until
from tests.support.moments import Moment, Watch, die, stop
from tests.support.pieces import Pieces

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.worker"])

#: Short, and still long enough that a busy machine does not lose one in the middle of every test.
TERMS = LeaseTerms(seconds=3.0, margin=1.5)
#: One request fits into the margin.
LIMITS = S3Limits(connect=0.3, read=0.9, total=5.0)
PASSPHRASE = "correct horse battery staple"


@dataclass(frozen=True)
class Storage:
    """Where a repository lies: a directory, or a bucket of an S3 server (perhaps behind a proxy)."""

    directory: str = ""
    bucket: str = ""
    access: S3Access = field(default_factory=S3Access)

    def backend(self) -> Backend:
        """A backend of its own."""
        if self.directory:
            return DirectoryBackend(Path(self.directory))
        return S3Backend(self.bucket, "shop", access=self.access, limits=LIMITS)


@dataclass(frozen=True)
class Order:
    """What a worker is to do: take work until there is none, or until its moment comes."""

    storage: Storage
    kubeconfig: str
    application: str
    log: str
    moment: Moment | None = None
    then: Literal["die", "stop"] = "die"
    terms: LeaseTerms = TERMS
    seconds: float = 150.0
    #: Pieces of work in one turn; without a number a turn has no end.
    pieces: int | None = None


def engine_of(
    repository: Repository, kubeconfig: str, watch: Watch, terms: LeaseTerms = TERMS, turns: TurnTerms | None = None
) -> Engine:
    """The product's engine, seen by a watch."""
    watched = watch.repository(repository)
    return Engine(watched, watch.clusters(watched, kubeconfig), watch.flows(), terms=terms, turns=turns)


def work(order: Order) -> None:
    """The worker's process."""
    logging.basicConfig(filename=order.log, level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    act = {"die": die, "stop": stop}[order.then]
    watch = Watch(*([(order.moment, act)] if order.moment else []))
    backend = order.storage.backend()
    repository = Repository.on(backend, backend, [Passphrase(PASSPHRASE)])
    engine = engine_of(repository, order.kubeconfig, watch, order.terms)
    end = time.monotonic() + order.seconds
    while time.monotonic() < end:
        try:
            engine.tick(Pieces(order.pieces) if order.pieces else None)
            lane = repository.lanes.read(order.application)
            if not engine.due() and (lane is None or not (lane.current or lane.pending)):
                return
        except MainstayError as error:
            logging.info("will try again: %s", error.message)
        time.sleep(0.05)


class Worker:
    """A worker's process, as the tests see it."""

    def __init__(self, order: Order) -> None:
        self._process = _context.Process(target=work, args=(order,), daemon=True)
        self._process.start()
        self._log = Path(order.log)

    def wait(self, seconds: float = 120.0) -> int:
        """Wait until it has ended; its exit code, or minus the number of the signal that ended it."""
        self._process.join(seconds)
        code = self._process.exitcode
        if code is None:
            raise HarnessError(f"the worker still runs after {seconds:.0f} s\n{self.log()}")
        return code

    def wait_killed(self, seconds: float = 120.0) -> None:
        """Wait until its moment has come and it is gone."""
        code = self.wait(seconds)
        if code != -signal.SIGKILL:
            raise HarnessError(f"the worker was to be killed, but ended with {code}\n{self.log()}")

    def wait_stopped(self, seconds: float = 120.0) -> None:
        """Wait until its moment has come and it stands still."""
        stat = Path(f"/proc/{self._process.pid}/stat")

        def stopped() -> bool:
            text = stat.read_text()
            return text[text.rindex(")") + 2] == "T"

        try:
            wait_until(stopped, seconds=seconds, what="the worker to stop")
        except HarnessError as error:
            raise HarnessError(f"{error}\n{self.log()}") from error

    def wake(self) -> None:
        """Let a stopped one go on."""
        os.kill(self._process.pid or 0, signal.SIGCONT)

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join(10)
        self._process.close()

    def log(self) -> str:
        """The end of what it logged."""
        text = self._log.read_text() if self._log.exists() else ""
        return "\n".join(text.splitlines()[-25:])
