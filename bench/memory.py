"""Row 5: peak memory of a worker that backs up many objects, in a process of its own.

The base is the same backup of an empty selection. The peak is the kernel's (`VmHWM`), set back once the repository's
key is unwrapped: stretching a passphrase takes 32 MB for a moment, which would hide what the objects take.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from bench.ground import Ground, Mainstay, Unexpected
from bench.objects import body, names
from bench.rows import Goal, Row
from chalicelib.domain.operation import OperationKind

_DATA_BYTES = 64


def rows(ground: Ground, objects: int, repeat: int) -> list[Row]:
    """Peak in all, and bytes for each object beyond the base."""
    ground.namespace("empty")
    path = ground.namespace("many")
    ground.raw.create(path, (body(name, _DATA_BYTES) for name in names(objects)), "bench")
    nothing, many = ground.application("empty"), ground.application("many")
    base = median(_peak(ground, nothing, 1) for _ in range(repeat))
    peaks = [_peak(ground, many, objects + 1) for _ in range(repeat)]
    per_object = [(peak - base) / objects for peak in peaks]
    count = f"{objects:,} objects"
    return [
        Row(
            "5a",
            f"peak memory, {count}",
            f"{base / 1e6:.0f} MB (empty selection)",
            f"{median(peaks) / 1e6:.0f} MB",
            median(peaks) / 1e6,
            Goal("most", 300, "MB"),
            (min(peaks) / 1e6, max(peaks) / 1e6),
        ),
        Row(
            "5b",
            f"memory beyond the base, {count}",
            "–",
            f"{median(per_object):.0f} bytes each",
            median(per_object),
            Goal("most", 400, "bytes"),
            (min(per_object), max(per_object)),
        ),
    ]


def _peak(ground: Ground, application: str, expected: int) -> float:
    command = [sys.executable, "-m", "bench.memory", ground.address, ground.kubeconfig, application]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unexpected(f"the worker ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    told = json.loads(done.stdout)
    if told["objects"] != expected:
        raise Unexpected(f"the version holds {told['objects']} objects, not {expected}")
    return float(told["peak"])


def _worker(address: str, kubeconfig: str, application: str) -> None:
    mainstay = Mainstay.open(address, kubeconfig)
    _ = mainstay.repository.keyring
    Path("/proc/self/clear_refs").write_text("5")
    made = mainstay.run(OperationKind.BACKUP, application)
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"peak": peak, "objects": made.outcome["objects"]}))


if __name__ == "__main__":
    _worker(*sys.argv[1:])
