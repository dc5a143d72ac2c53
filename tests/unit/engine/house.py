"""An engine on a repository in memory, with a clock that stands still until a test moves it, and steps of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.domain.application import Application, ClusterRecord
from chalicelib.domain.errors import LeaseLost
from chalicelib.domain.ids import new_id
from chalicelib.domain.message import WorkMessage
from chalicelib.domain.operation import Operation, OperationKind, State
from chalicelib.engine.lane.budget import Budget
from chalicelib.engine.lane.engine import Engine
from chalicelib.engine.lane.turns import TurnTerms
from chalicelib.engine.lane.work import Finish, Flow, Next, Work
from chalicelib.store.backends.memory import MemoryBackend
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Wrapping

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DOCUMENT = """\
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: shop}
spec:
  state:
    objects:
      - namespaces: [shop]
"""


class Killed(BaseException):
    """A worker is gone in the middle of a step: nothing that runs afterwards is told."""


class Unlocked:
    """A wrapper that locks nothing: stretching a passphrase takes a tenth of a second."""

    name = "unlocked"

    def wrap(self, key: bytes) -> Wrapping:
        return {"wrapper": self.name, "key": key.hex()}

    def unwrap(self, wrapping: Wrapping) -> bytes:
        return bytes.fromhex(wrapping["key"])


class Clock:
    """The storage's clock."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


Script = Callable[[Work], Next | Finish | None]


@dataclass
class House:
    """One application and its engine. `happened` is what the steps did, as `kind.step`, in order."""

    repository: Repository
    clock: Clock
    application: str
    happened: list[str] = field(default_factory=list)
    nudged: list[str] = field(default_factory=list)
    #: The same as messages, and operations that have ended.
    called: list[WorkMessage] = field(default_factory=list)
    ended: list[Operation] = field(default_factory=list)
    #: What a step does beside going on, by `kind.step`; it may raise, or answer where to go on.
    scripts: dict[str, Script] = field(default_factory=dict)
    terms: TurnTerms = TurnTerms()  # noqa: RUF009  # frozen
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = self.another()

    def another(self) -> Engine:
        """An engine in another process, so to speak."""
        return Engine(
            self.repository,
            _NoClusters(),  # type: ignore[arg-type]
            self.flows(),
            turns=self.terms,
            nudge=self._nudge,
            ended=self.ended.append,
        )

    def _nudge(self, application: str, operation: str, entry: str) -> None:
        self.nudged.append(operation)
        self.called.append(WorkMessage(application=application, operation=operation or None, entry=entry or None))

    def flows(self) -> Mapping[OperationKind, Flow]:
        """The product's kinds with steps that only say that they were done."""
        steps = dict.fromkeys(("one", "two", "three", "back"), self._step)
        return {
            OperationKind.BACKUP: Flow("one", steps, yields=True),
            OperationKind.RESTORE: Flow("one", steps, self._undo),
            OperationKind.UNDO: Flow("one", steps),
            OperationKind.DELETE: Flow("one", steps),
            OperationKind.PLAN: Flow("one", steps, takes_lane=False, patient=False),
        }

    def _step(self, work: Work) -> Next | Finish:
        step = work.operation.step
        name = f"{work.operation.kind}.{step}"
        self.happened.append(name)
        if name in self.scripts:
            outcome = self.scripts[name](work)
            if outcome is not None:
                return outcome
        following = {"one": "two", "two": "three"}.get(step)
        if following is None:
            return Finish(State.SUCCEEDED, {"steps": step})
        return Next(following, {step: "done"})

    def _undo(self, work: Work, _error: Exception) -> Next | Finish:
        if work.undoing:
            return Finish(State.FAILED)
        work.save(state=State.ROLLING_BACK)
        work.undoing = True
        return Next("back")

    # ── what tests do ───────────────────────────────────────────────────────────────────────────────────

    def start(self, kind: str, engine: Engine | None = None, **arguments: Any) -> Operation:
        """Put an operation in line."""
        operation = Operation(
            id=new_id("op", self.clock.time),
            kind=OperationKind(kind),
            application=self.application,
            arguments=arguments,
            requested_by="somebody",
            requested_at=self.clock.time,
        )
        return (engine or self.engine).start(operation)

    def get(self, operation: Operation) -> Operation:
        """As it is now."""
        return self.repository.operations.get(self.application, operation.id)

    def tick(self, *, later: float = 0, budget: Budget | None = None) -> None:
        """Let time pass, then do what is due."""
        self.clock.advance(later)
        self.engine.tick(budget)

    def run_until_idle(self, turns: int = 20) -> None:
        """Do what is due until nothing is, whatever time that takes."""
        for _ in range(turns):
            self.engine.tick()
            if not list(self.repository.wake.due(self.clock.time + timedelta(days=1))):
                return
            self.clock.advance(31)

    def die(self, later: float = 31) -> None:
        """A worker takes what is due and is killed at it; then its lease runs out."""
        try:
            self.engine.tick()
        except Killed:
            self.clock.advance(later)
            return
        raise AssertionError("nobody died")

    def later(self) -> list[str]:
        """Reasons of everything that stands in the wake index."""
        return [entry.reason for entry in self.repository.wake.due(self.clock.time + timedelta(days=1))]


class _NoClusters:
    def connect(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("these steps know no cluster")


def house() -> House:
    """A fresh one."""
    clock = Clock()
    backend = MemoryBackend(clock)
    repository = Repository.initialise_on(backend, backend, [Unlocked()]).repository
    record = ClusterRecord(id=new_id("cl", NOON), name="here", source="kubeconfig", created_at=NOON, updated_at=NOON)
    repository.clusters.create(record)
    application = Application(
        id=new_id("app", NOON),
        name="shop",
        owner="somebody",
        cluster=record.id,
        document=DOCUMENT,
        created_at=NOON,
        updated_at=NOON,
    )
    repository.applications.create(application)
    return House(repository, clock, application.id)


@dataclass
class Lease:
    """A lease that a test holds in its hand."""

    fence: int = 1
    wanted: str = ""
    lost: bool = False

    def check(self) -> None:
        if self.lost:
            raise LeaseLost("It is another's now.")


def working(home: House, lease: Lease | None = None, budget: Budget | None = None, **changes: Any) -> Work:
    """Work on a restore that a worker has just taken up."""
    operation = home.start("restore")
    lane = home.repository.lanes.take(home.application, "me", 30)
    assert lane is not None
    stored = home.repository.operations.update(
        home.application, operation.id, lambda found: found.model_copy(update=changes)
    )
    return Work(
        repository=home.repository,
        application=home.repository.applications.get(home.application),
        operation=stored,
        lease=lease or Lease(lane.fence),
        budget=budget or Budget(),
        connect=lambda _: _NoClusters().connect(),
        holder="me",
    )
