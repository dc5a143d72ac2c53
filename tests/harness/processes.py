"""Programs that die when asked and leave no orphans.

A process is known by its id *and* its start time (and the boot it belongs to), because ids are reused: a
signal is sent through a pidfd that was checked against all three, so it can never hit somebody else's
process. What belongs to this process (`owned`) is also killed by the kernel when this process dies.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.cache import write_whole
from tests.harness.errors import HarnessError

# PR_SET_PDEATHSIG fires when the *thread* that started the child ends. A test that restarts the API server
# from a timer's thread would lose it at once, so every child is started by this one thread, which lives
# as long as the process.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="harness-starter")
_children: set[int] = set()


@dataclass(frozen=True)
class Identity:
    """Which process, for certain: `started` in clock ticks after the boot named `boot`."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The process that has this id now, or None; a zombie is dead once its last thread is."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        state, *rest = stat[stat.rindex(")") + 2 :].split()
        if state in "ZX" and int(rest[16]) <= 1:
            return None
        return cls(pid, int(rest[18]), Path("/proc/sys/kernel/random/boot_id").read_text().strip())

    @classmethod
    def own(cls) -> "Identity":
        found = cls.of(os.getpid())
        if found is None:
            raise HarnessError("/proc does not show this process: the harness needs it")
        return found

    @property
    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to exactly this process; False if it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True

    def wait_gone(self, seconds: float) -> bool:
        """Wait until the process has ended; False if it is still there after `seconds`."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return True
        try:
            return not self.alive or bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)

    def dump(self) -> dict[str, object]:
        return {"pid": self.pid, "started": self.started, "boot": self.boot}

    @classmethod
    def load(cls, data: Mapping[str, object]) -> "Identity":
        return cls(int(str(data["pid"])), int(str(data["started"])), str(data["boot"]))


@dataclass
class Program:
    """One program: how it is started, where it logs, and (in a file, for other processes) which it is."""

    name: str
    command: Sequence[str | Path]
    directory: Path
    owned: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.directory / "logs" / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.directory / "run" / f"{self.name}.json"

    def identity(self) -> Identity | None:
        """The running process, or None."""
        try:
            identity = Identity.load(json.loads(self.pid_file.read_text()))
        except (OSError, ValueError, KeyError):
            return None
        _reap(identity.pid)
        return identity if identity.alive else None

    def start(self) -> None:
        """Start it in a session of its own, its output appended to its log."""
        if self.identity() is not None:
            raise HarnessError(f"{self.name} runs already")
        self.pid_file.unlink(missing_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [str(part) for part in self.command]
        if self.owned:
            command = [_required("setpriv"), "--pdeathsig", "KILL", "--", *command]
        _starter.submit(self._spawn, command).result()

    def _spawn(self, command: list[str]) -> None:
        # Not subprocess.Popen: its objects warn when they are dropped while the process runs, and these
        # processes are meant to outlive them. The zombie is reaped in `identity`.
        pid = os.posix_spawn(
            command[0],
            command,
            {**os.environ, **self.environment},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP],
        )
        _children.add(pid)
        identity = Identity.of(pid)
        if identity is not None:
            write_whole(self.pid_file, json.dumps(identity.dump()))

    def stop(self, seconds: float = 10.0) -> None:
        """Ask it to end, kill it if it has not after `seconds`, and forget it."""
        identity = self.identity()
        if identity is not None and identity.signal(signal.SIGTERM):
            identity.signal(signal.SIGCONT)
            if not identity.wait_gone(seconds):
                self.kill()
            _reap(identity.pid)
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it the way a crash would."""
        identity = self.identity()
        if identity is not None and identity.signal(signal.SIGKILL) and not identity.wait_gone(10):
            raise HarnessError(f"{self.name} (pid {identity.pid}) is still there 10 s after SIGKILL")
        if identity is not None:
            _reap(identity.pid)
        self.pid_file.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop it in its tracks: its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        identity = self.identity()
        if identity is None or not identity.signal(number):
            raise HarnessError(f"{self.name} does not run\n{self.tail()}")

    def tail(self, lines: int = 25) -> str:
        """The end of its log, with the log's name."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 200 * lines))
                text = file.read().decode(errors="replace")
        except OSError:
            return f"({self.name} wrote no log)"
        return f"--- end of {self.log}\n" + "\n".join(line[:400] for line in text.splitlines()[-lines:])


def wait_until(
    ready: Callable[[], object],
    *,
    seconds: float,
    what: str,
    programs: Sequence[Program] = (),
    pause: float = 0.05,
) -> None:
    """Call `ready` until it is true; `programs` must stay alive meanwhile.

    Errors: HarnessError with the tails of the programs' logs, as soon as one of them has ended or the time is up.
    """
    deadline = time.monotonic() + seconds
    why = ""
    while True:
        try:
            if ready():
                return
        except (OSError, HarnessError) as error:
            why = f" (last answer: {error})"
        dead = [program for program in programs if program.identity() is None]
        if dead:
            raise HarnessError(f"{dead[0].name} ended while waiting for {what}{why}\n{dead[0].tail()}")
        if time.monotonic() > deadline:
            tails = "\n".join(program.tail() for program in programs)
            raise HarnessError(f"waited {seconds:.0f} s for {what}{why}\n{tails}")
        time.sleep(pause)


def _reap(pid: int) -> None:
    if pid in _children:
        with contextlib.suppress(ChildProcessError):
            reaped, _ = os.waitpid(pid, os.WNOHANG)
            if reaped == 0:
                return
        _children.discard(pid)


def _required(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        raise HarnessError(f"{tool} is missing: install the package that has it (util-linux)")
    return found
