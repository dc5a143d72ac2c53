"""The first process inside a node: it mounts what the node needs, starts containerd and kubelet, and reaps.

It runs as process 1 of a PID namespace and in a mount namespace of its own. When it ends the kernel ends
every process of the node, shims and containers included, and with the last of them go all its mounts and
network namespaces: there is nothing left to clean up by hand. It is run as a file and imports nothing of
the harness.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main(settings: Path) -> None:
    node = json.loads(settings.read_text())
    # New mounts must reach containers with mount propagation, but never the machine's own namespace
    # (which `unshare` has cut off already).
    _run("mount", "--make-rshared", "/")
    for target, source in node["binds"].items():
        Path(source).mkdir(parents=True, exist_ok=True)
        _run("mount", "--bind", source, target)
    programs = {_start(node["containerd"], node["logs"], "containerd"): "containerd"}
    _wait_for(Path(node["socket"]), seconds=30)
    programs[_start(node["kubelet"], node["logs"], "kubelet")] = "kubelet"
    while True:
        pid, status = os.wait()
        if pid in programs:
            sys.exit(f"{programs[pid]} ended with status {status}; its log is in {node['logs']}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=10)


def _start(command: list[str], logs: str, name: str) -> int:
    log = str(Path(logs) / f"{name}.log")
    return os.posix_spawnp(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsigdef=[signal.SIGPIPE],
    )


def _wait_for(path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            sys.exit(f"{path} did not appear within {seconds:.0f} s")
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
