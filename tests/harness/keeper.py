"""A cluster that several test processes share: started by the first, ended some seconds after the last.

A keeper is a process of its own that starts the cluster and owns it; the tests only note that they use it. So
it does not matter which of pytest's processes came first or ends last, nor how they end: killed ones count as
gone.
"""

import json
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tests.harness.binaries import KUBERNETES
from tests.harness.cache import cache_root, locked, say, write_whole
from tests.harness.cluster import Cluster, Options, clusters_root, standing_clusters, sweep_abandoned
from tests.harness.errors import HarnessError
from tests.harness.processes import Identity, Program, wait_until

_START_SECONDS = 180.0
_IDLE_SECONDS = 5.0
_REPOSITORY = Path(__file__).parents[2]


def borrow(options: Options, name: str = "") -> Cluster:
    """A cluster of this kind to use until this process ends.

    It is one that `up` left running if there is a healthy one; else the shared one, which is started if need be.
    With a `name` it is the shared one of that name.
    """
    for standing in [] if name else standing_clusters():
        has = standing.state.options
        if (has.node, has.version) == (options.node, options.version or KUBERNETES) and standing.healthy(patience=10):
            return standing
    name = name or ("pytest-node" if options.node else "pytest-control")
    directory = clusters_root() / name
    cluster = Cluster(directory, options)
    cluster.prepare()  # here, so that a build reports to the person who waits
    with locked(f"cluster-{name}", seconds=_START_SECONDS + 60, waiting=f"another process starts {name!r}"):
        others = _users(name)
        write_whole(_users_root(name) / f"{os.getpid()}.json", json.dumps(Identity.own().dump()))
        sweep_abandoned()
        if (directory / "cluster.json").exists():
            cluster = Cluster.load(directory)
            if cluster.healthy(patience=30 if others else 0):
                return cluster
            if others:
                raise HarnessError(f"the shared cluster {name!r} is not healthy, and other processes use it")
            _keeper(name, options).stop(60)
            cluster.stop()
        keeper = _keeper(name, options)
        keeper.stop(60)  # one that is just ending the cluster it had
        keeper.start()
        wait_until(
            lambda: (directory / "cluster.json").exists() and Cluster.load(directory).state.complete,
            seconds=_START_SECONDS,
            what=f"the cluster {name!r}",
            programs=[keeper],
        )
    return Cluster.load(directory)


def keep(name: str, options: Options) -> None:
    """Own the cluster until nobody has used it for some seconds, or this process is asked to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    with ExitStack() as stack:
        stack.callback(_keeper(name, options).pid_file.unlink, missing_ok=True)
        stack.enter_context(Cluster(clusters_root() / name, options))
        last = time.monotonic()
        while True:
            time.sleep(0.5)
            if _users(name):
                last = time.monotonic()
            elif time.monotonic() - last > _IDLE_SECONDS:
                # Nobody may note their use between this last look and the end.
                with locked(f"cluster-{name}", seconds=600):
                    if not _users(name):
                        say(f"nobody uses {name!r} any more")
                        Cluster.load(clusters_root() / name).stop()
                        return


def forget(name: str) -> None:
    """Remove the notes about a shared cluster that is gone for good."""
    shutil.rmtree(_users_root(name), ignore_errors=True)
    (cache_root() / "locks" / f"cluster-{name}").unlink(missing_ok=True)


def _keeper(name: str, options: Options) -> Program:
    command = [sys.executable, "-m", "tests.harness.keeper", name, json.dumps(asdict(options))]
    environment = {"PYTHONPATH": str(_REPOSITORY)}
    return Program(f"keeper-{name}", command, cache_root() / "keepers", owned=False, environment=environment)


def _users_root(name: str) -> Path:
    return cache_root() / "keepers" / "users" / name


def _users(name: str) -> list[Identity]:
    """The living processes that use it; the notes of dead ones are removed."""
    found = []
    for note in _users_root(name).glob("*.json"):
        try:
            identity = Identity.load(json.loads(note.read_text()))
        except (OSError, ValueError, KeyError):
            continue
        if identity.alive:
            found.append(identity)
        else:
            note.unlink(missing_ok=True)
    return found


if __name__ == "__main__":
    keep(sys.argv[1], Options(**json.loads(sys.argv[2])))
