"""What a node does to the machine outside its namespaces, and how that is undone.

Packages, a bridge, control groups, mount points and kernel settings. The first node remembers what the machine
was like and the last one to stop puts it back; callers hold the lock `node` around both.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.harness.cache import locked, say, write_whole
from tests.harness.errors import HarnessError

CNI = Path("/usr/lib/cni")
RUN = Path("/run/mainstay-tests")
# Places that containerd and kubelet cannot be told to leave alone. Each node sees a directory of its own there.
FIXED_PLACES = ("/var/lib/kubelet", "/var/lib/cni", "/run/containerd", "/run/mount", "/var/log/containers")
# Kernel settings that kubelet changes for the whole machine.
_SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)

_PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    str(CNI / "bridge"): "containernetworking-plugins",
    "unshare": "util-linux",
}


def prepare_machine() -> None:
    """Install the Debian packages of the tools that are missing; whatever is there already is used."""

    def missing() -> list[str]:
        return sorted({package for tool, package in _PACKAGES.items() if shutil.which(tool) is None})

    if not missing():
        return
    with locked("packages", seconds=600, waiting="another process installs packages; waiting for it"):
        packages = missing()
        if not packages:
            return
        say(f"installing {' '.join(packages)}")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        wait = ["-o", "DPkg::Lock::Timeout=120"]
        install = ["apt-get", *wait, "install", "--yes", "--no-install-recommends", "--no-remove", *packages]
        for command in (["apt-get", *wait, "update"], install):
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=quiet, check=False)
            if done.returncode:
                raise HarnessError(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        if missing():
            raise HarnessError(f"{' '.join(packages)} were installed, and still there is no {' '.join(missing())}")


def remember() -> None:
    """Keep what the first node changes, so that the last one to stop can put it back; make the mount points."""
    memory = RUN / "machine.json"
    if not memory.exists():
        missing = []
        for place in map(Path, FIXED_PLACES):
            missing += [str(path) for path in (place, *place.parents) if not path.exists()]
        settings = {name: value for name in _SETTINGS if (value := _setting(name)) is not None}
        write_whole(memory, json.dumps({"missing": missing, "settings": settings}))
    for name in FIXED_PLACES:
        Path(name).mkdir(parents=True, exist_ok=True)


def restore() -> None:
    """Put back what the first node changed, if this was the last one."""
    memory = RUN / "machine.json"
    if not memory.exists() or any(path.is_dir() for path in RUN.iterdir()):
        return
    was = json.loads(memory.read_text())
    for name, value in was["settings"].items():
        if _setting(name) != value:
            Path("/proc/sys", name).write_text(value)
    for place in sorted(was["missing"], key=len, reverse=True):
        if Path(place).is_dir() and not any(Path(place).iterdir()):
            Path(place).rmdir()
    shutil.rmtree(RUN)


def make_bridge(record: Path) -> str:
    """Claim a bridge, whose name goes into the file `record`, and the subnet that belongs to it; the subnet.

    The bridge gets its address here and not from the CNI plugin, which would also turn on forwarding for
    the whole machine: pods reach each other and this machine, and nothing else.
    """
    for number in range(1, 200):
        name, subnet = f"mainstay{number}", f"10.213.{number}"
        if subprocess.run(["ip", "link", "add", name, "type", "bridge"], capture_output=True, check=False).returncode:
            continue
        write_whole(record, name)
        for command in (f"ip address add {subnet}.1/24 dev {name}", f"ip link set {name} up"):
            subprocess.run(command.split(), check=True, timeout=10)
        return subnet
    raise HarnessError("could not make a network bridge (`ip link add`)")


def remove_bridge(record: Path) -> None:
    """Remove the bridge that was claimed there, if one was."""
    if record.exists():
        command = ["ip", "link", "delete", record.read_text()]
        subprocess.run(command, capture_output=True, check=False, timeout=30)
        record.unlink()


def make_cgroups(name: str) -> None:
    """A cgroup of its own: two kubelets in the same one would remove each other's pods as orphans."""
    for root in _cgroup_roots():
        group = root / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (group / file).exists() and not (group / file).read_text().strip():
                (group / file).write_text((root / file).read_text())


def remove_cgroups(name: str) -> None:
    deadline = time.monotonic() + 20
    for root in _cgroup_roots():
        while (root / name).exists():
            folders = [Path(folder) for folder, _, _ in os.walk(root / name, topdown=False)]
            try:
                for folder in folders:
                    folder.rmdir()
            except OSError as error:  # busy until the kernel has let go of the last dead process
                if time.monotonic() > deadline:
                    raise HarnessError(f"could not remove the cgroup {root / name}: {error}") from error
                time.sleep(0.05)


def _setting(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return None


def _cgroup_roots() -> Iterator[Path]:
    """Where the hierarchies of control groups are mounted: several with version 1, one with version 2."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            yield Path(place)
