"""Backups, deletions and sweeps at random, by processes that are stopped, woken late and killed.

A worker stops itself now and then between its lease's consent to a write and the write: exactly what a machine that
freezes does at the worst moment. The test wakes it when it likes, perhaps long after another has taken its work over.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from chalicelib.domain.application import Application
from chalicelib.domain.errors import Conflict, Damaged, MainstayError, NotFound
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.lane.sweeps import Sweeps, SweepTerms, sweep_later
from chalicelib.engine.lane.work import Finish, Flow
from chalicelib.engine.operations.flows import FLOWS
from chalicelib.store import layout
from chalicelib.store.backend import Backend, Guard
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Passphrase
from tests.support.synthetic import SYNTHETIC, differs
from tests.support.worker import PASSPHRASE, TERMS, Storage

_context = multiprocessing.get_context("forkserver")

#: No grace: a sweep takes everything that nothing needs at that moment. What saves the rest is the argument alone.
KEEPING = SweepTerms(timedelta(0), timedelta(days=90))
#: How often a worker stops before a write, by what it does to keys with what in them; and before any other.
_STOPS = {
    ("create", "/condemned/"): 0.3,
    ("delete", "/segments/"): 0.1,
    ("create", "/versions/"): 0.1,
    ("create", "/segments/"): 0.01,
}
_STOPS_ELSE = 0.004
#: Versions that are to end in the middle of it all.
_ENOUGH = 4
_DOCUMENT = """\
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: shop}
spec: {state: {objects: [{namespaces: [shop]}]}}
"""


class Freezing:
    """A backend whose process stops right before a write that the guard has allowed, where `freezes` says so of the
    write's name (`create`, `replace` or `delete`) and key."""

    def __init__(self, inner: Backend, freezes: Callable[[str, str], bool]) -> None:
        self._inner, self._freezes = inner, freezes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def guarded(self, guard: Guard) -> Freezing:
        return Freezing(self._inner.guarded(guard), self._freezes)

    def create(self, key: str, data: bytes) -> Any:
        return self._frozen("create", key).create(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> Any:
        return self._frozen("replace", key).replace(key, data, etag)

    def delete(self, key: str) -> None:
        self._frozen("delete", key).delete(key)

    def _frozen(self, write: str, key: str) -> Backend:
        inner = self._inner
        guard: Guard | None = getattr(inner, "_guard", None)

        def both() -> None:
            if guard is not None:
                guard()
            if self._freezes(write, key):
                # To this thread: sent to the process it may get a little further before all of it stands still.
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

        return inner.guarded(both)


def engine_on(repository: Repository) -> Engine:
    """The product's engine; what a backup captures is a function of its seed, and a restore does nothing."""
    at_once: dict[OperationKind, Flow] = {
        OperationKind.BACKUP: SYNTHETIC,
        OperationKind.RESTORE: Flow("one", {"one": lambda _: Finish(State.SUCCEEDED)}),
    }
    engine = Engine(repository, None, {**FLOWS, **at_once}, terms=TERMS)  # type: ignore[arg-type]
    Sweeps(repository, engine, KEEPING).attach()
    return engine


def at_random(seed: int, calm: Path) -> Callable[[str, str], bool]:
    """Freezes now and then, until there is a file `calm`."""
    choose = random.Random(seed)  # noqa: S311  # no secret

    def freezes(write: str, key: str) -> bool:
        chances = (chance for (this, part), chance in _STOPS.items() if this == write and part in key)
        likely = next(chances, _STOPS_ELSE)
        return choose.random() < likely and not calm.exists()

    return freezes


def first_time(write: str, part: str) -> Callable[[str, str], bool]:
    """Freezes once, at the first such write of a key that has `part` in it."""
    left = [True]

    def freezes(this: str, key: str) -> bool:
        return this == write and part in key and bool(left) and left.pop()

    return freezes


def work(storage: Storage, log: str, how: Callable[..., Callable[[str, str], bool]], *arguments: Any) -> None:
    """A worker's process: it does what is due until it is killed, and freezes as `how(*arguments)` says."""
    logging.basicConfig(filename=log, level=logging.WARNING, format="%(asctime)s %(process)d %(message)s")
    backend: Any = Freezing(storage.backend(), how(*arguments))
    engine = engine_on(Repository.on(backend, backend, [Passphrase(PASSPHRASE)]))
    while True:
        try:
            engine.tick()
        except MainstayError as error:
            logging.warning("will try again: %s", error.message)
        time.sleep(0.03)


def stands_still(process: Any) -> bool:
    """Whether a process was stopped and not woken."""
    text = Path(f"/proc/{process.pid}/stat").read_text()
    return text[text.rindex(")") + 2] == "T"


@dataclass
class Soak:
    """One application, its workers, and what is done to them. `done` counts what happened."""

    storage: Storage
    folder: Path
    seed: int
    workers: int = 3
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.choose = random.Random(self.seed)  # noqa: S311  # no secret
        self.calm = self.folder / "calm"
        backend = self.storage.backend()
        self.repository = Repository.initialise_on(backend, backend, [Passphrase(PASSPHRASE)]).repository
        now = self.repository.now()
        self.application = self.repository.applications.create(
            Application(
                id=new_id("app", now),
                name="shop",
                owner="somebody",
                cluster=new_id("cl", now),
                document=_DOCUMENT,
                created_at=now,
                updated_at=now,
            )
        ).id
        self.engine = engine_on(self.repository)
        self._processes = [self._spawn() for _ in range(self.workers)]
        self._wake_at: dict[int, float] = {}

    def _spawn(self) -> Any:
        self.done["workers"] += 1
        return self.spawn(at_random, self.choose.randrange(10**9), self.calm)

    def spawn(self, how: Callable[..., Callable[[str, str], bool]], *arguments: Any) -> Any:
        """A worker that freezes as it is told, beside the others."""
        log = str(self.folder / "workers.log")
        process = _context.Process(target=work, args=(self.storage, log, how, *arguments), daemon=True)
        process.start()
        return process

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────

    def run(self, seconds: float, also: Callable[[], object] = lambda: None) -> None:
        """Let things happen for so long, and (on a busy machine) until enough has happened to tell something. What is
        found wrong is raised."""
        what = {
            self.back_up: 18,
            self.end_one: 12,
            self.sweep: 8,
            self.restore: 4,
            self.read_one: 4,
            self.cancel_one: 6,
            self.stop_one: 2,
            self.kill_one: 1,
            also: 6,
        }
        began = time.monotonic()
        while time.monotonic() < began + seconds or (
            self.done["ended"] < _ENOUGH and time.monotonic() < began + seconds * 3
        ):
            self.wake()
            (act,) = self.choose.choices(list(what), list(what.values()))
            act()
            time.sleep(self.choose.uniform(0.02, 0.12))

    def back_up(self) -> None:
        """Of one of a few states, so that content goes and comes again."""
        if self._in_line() < 4:
            self.start(OperationKind.BACKUP, seed=self.choose.randrange(40))

    def sweep(self) -> None:
        """One more than those that endings bring."""
        self.start(OperationKind.SWEEP, **KEEPING.arguments())

    def restore(self) -> None:
        """It goes first: what runs is paused."""
        self.start(OperationKind.RESTORE)

    def cancel_one(self) -> None:
        """Ask what runs to stop: nobody then finishes what a frozen sweeper was about to do."""
        lane = self.repository.lanes.read(self.application)
        if lane is not None and lane.current is not None:
            with contextlib.suppress(Conflict, NotFound):
                self.engine.cancel(self.application, lane.current, "soak")
                self.done["asked to stop"] += 1

    def end_one(self) -> None:
        """End a version, if there are a few."""
        versions = list(self.repository.versions(self.application).list())
        if len(versions) > 1:
            self.repository.end_version(self.application, self.choose.choice(versions), "soak", "at random")
            sweep_later(self.repository, self.application)
            self.done["ended"] += 1

    def stop_one(self) -> None:
        """SIGSTOP, wherever it is."""
        os.kill(self.choose.choice(self._processes).pid, signal.SIGSTOP)

    def kill_one(self) -> None:
        """SIGKILL, and another instead."""
        number = self.choose.randrange(self.workers)
        self._processes[number].kill()
        self._processes[number].join(10)
        self._processes[number] = self._spawn()
        self.done["killed"] += 1

    def read_one(self) -> None:
        """Read a version that exists, whole, in the middle of all this."""
        versions = list(self.repository.versions(self.application).list())
        if versions:
            self.check(self.choose.choice(versions), settled=False)

    def wake(self, *, all_of_them: bool = False) -> None:
        """Wake those that have stopped, each after a while of its own: often when another has taken over long ago."""
        now = time.monotonic()
        for process in self._processes:
            if not stands_still(process):
                continue
            late = self.choose.choice((0.0, 0.5, 1.2, 2.0)) * TERMS.seconds
            if all_of_them or now >= self._wake_at.setdefault(process.pid, now + late):
                self._wake_at.pop(process.pid, None)
                os.kill(process.pid, signal.SIGCONT)
                self.done["woken"] += 1

    def settle(self, seconds: float = 180.0) -> None:
        """Nothing is stopped or killed any more: everything in line is done. Then the workers end."""
        self.calm.touch()
        end = time.monotonic() + seconds
        while self._in_line() or self._due():
            self.wake(all_of_them=True)
            if time.monotonic() > end:
                lane = self.repository.lanes.read(self.application)
                due = Counter(entry.reason for entry in self.engine.due())
                raise AssertionError(f"left after {seconds:.0f} s: {lane}, due {dict(due)}\n{self.log()}")
            time.sleep(0.1)
        self.close()

    def close(self) -> None:
        """End the workers, whatever they do."""
        for process in self._processes:
            process.kill()
            process.join(10)

    # ── what must be so ─────────────────────────────────────────────────────────────────────────────────

    def check(self, version: str, *, settled: bool = True) -> None:
        """A version that exists is byte for byte what was captured. While its backup seals it, it may still end."""
        versions = self.repository.versions(self.application)
        try:
            manifest = versions.get(version)
        except NotFound:
            return
        operation = self.repository.operations.get(self.application, manifest.operation)
        try:
            wrong = differs(self.repository, manifest, int(operation.arguments["seed"]))
        except Damaged as error:
            wrong = [error.message]
        self.done["read"] += 1
        if wrong and not settled and (not versions.exists(version) or not operation.state.ended):
            return  # ended meanwhile: what it had may go at once
        assert wrong == [], f"{version} of {operation.id} ({operation.state})\n{self.log()}"

    def check_all(self) -> None:
        """Every version is whole, and after one more sweep there is nothing that none needs."""
        existing = list(self.repository.versions(self.application).list())
        for version in existing:
            self.check(version)
        self.done["versions"] = len(existing)
        self.start(OperationKind.SWEEP, **KEEPING.arguments())
        self.engine.work(self.application)
        needed: set[str] = set()
        versions = self.repository.versions(self.application)
        for version in existing:
            needed |= versions.segments_of(version)
            self.check(version)
        held = {each.key.rpartition("/")[2] for each in self.repository.vault.list(layout.segments(self.application))}
        assert held == needed
        assert versions.survey().sealed.keys() == set(existing)
        for identifier in self.repository.operations.list(self.application):
            operation = self.repository.operations.get(self.application, identifier)
            self.done[f"{operation.kind} {operation.state}"] += 1
            if operation.kind is OperationKind.SWEEP:
                self.done["segments swept"] += int(operation.outcome.get("segments", 0))
            if int(operation.checkpoint.get("captures", 1)) > 1:
                self.done["captured again"] += 1

    def log(self) -> str:
        """The end of what the workers said."""
        path = self.folder / "workers.log"
        return "\n".join(path.read_text().splitlines()[-40:]) if path.exists() else ""

    def start(self, kind: OperationKind, **arguments: object) -> Operation | None:
        """Put an operation in line; `None` if it is refused."""
        now = self.repository.now()
        operation = Operation(
            id=new_id("op", now),
            kind=kind,
            application=self.application,
            arguments=arguments,
            requested_by="soak",
            requested_at=now,
        )
        try:
            return self.engine.start(operation)
        except Conflict:
            self.done["refused"] += 1
            return None

    def _in_line(self) -> int:
        lane = self.repository.lanes.read(self.application)
        return 0 if lane is None else len(lane.pending) + (lane.current is not None)

    def _due(self) -> bool:
        return bool(self.engine.due())
