"""The first process inside a node: it mounts what the node needs, starts containerd and kubelet, and reaps.

It runs as process 1 of a PID namespace and in a mount namespace of its own. When it ends the kernel ends
every process of the node, shims and containers included, and with the last of them go all its mounts and
network namespaces: there is nothing left to clean up by hand. It is run as a file and imports nothing of
the harness.
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

_MS_BIND, _MS_REC, _MS_SHARED = 1 << 12, 1 << 14, 1 << 20


def main(settings: Path) -> None:
    node = json.loads(settings.read_text())
    # New mounts must reach containers with mount propagation, but never the machine's own namespace
    # (which `unshare` has cut off already).
    _mount(None, "/", _MS_REC | _MS_SHARED)
    for target, source in node["binds"].items():
        Path(source).mkdir(parents=True, exist_ok=True)
        _mount(source, target, _MS_BIND)
    programs = {_start(node["containerd"], node["logs"], "containerd"): "containerd"}
    _wait_for(Path(node["socket"]), seconds=30)
    programs[_start(node["kubelet"], node["logs"], "kubelet")] = "kubelet"
    while True:
        pid, status = os.wait()
        if pid in programs:
            sys.exit(f"{programs[pid]} ended with status {status}; its log is in {node['logs']}")


def _mount(source: str | None, target: str, flags: int) -> None:
    # Not the command of this name, which keeps notes of its own in /run/mount.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source and source.encode(), target.encode(), None, flags, None) != 0:
        number = ctypes.get_errno()
        sys.exit(f"cannot mount {source} on {target}: {os.strerror(number)}")


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
