"""What runs in a namespace, seen as a backup would see it, for the document that is written for it.

What the first version will hold is what is told: the same lists, the same rules about what is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from chalicelib.cluster.listing import Listing
from chalicelib.domain.document import Scope
from chalicelib.domain.errors import ClusterUnreachable
from chalicelib.domain.objects import Body, ObjectKey
from chalicelib.engine.capture.reading import read
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.language.writer import Observed, Workload
from chalicelib.planning.selecting.selection import Selection

_WORKLOADS = ("StatefulSet", "Deployment", "DaemonSet")


class _Bodies:
    """Keeps of each object what a document speaks of."""

    keeps_raw = False

    def __init__(self) -> None:
        self._of: dict[Listing, dict[ObjectKey, str]] = {}

    def take(self, listing: Listing, key: ObjectKey, content: Body, digest: bytes, raw: bytes) -> int:  # noqa: ARG002
        self._of.setdefault(listing, {})[key] = _labels(content) if key.kind in _WORKLOADS else ""
        return 0

    def misses(self, key: ObjectKey) -> bool:  # noqa: ARG002
        return False

    def restart(self, listing: Listing) -> None:
        self._of.pop(listing, None)

    def labels(self, key: ObjectKey) -> str:
        """By which labels a workload finds its pods."""
        return next((found[key] for found in self._of.values() if key in found), "")


def observe(session: ClusterSession, namespace: str, in_time: Callable[[], bool]) -> Observed:
    """Everything in a namespace that a version of it would hold; kinds that may not be read are left out.

    `ClusterUnreachable` when it is no longer `in_time`: whoever asked has gone.
    """

    def pause() -> None:
        if not in_time():
            raise ClusterUnreachable("The namespace was not read in time.")

    bodies = _Bodies()
    reading = read(session, Selection((Scope(namespaces=(namespace,)),)), bodies, pause=pause)
    keys = [row.key for row in reading.rows]
    return Observed(
        counts=dict(Counter(key.kind for key in keys)),
        claims=tuple(sorted(key.name for key in keys if key.kind == "PersistentVolumeClaim")),
        custom_kinds=tuple(sorted({f"{key.kind}.{key.group}" for key in keys if _is_custom(key.group)})),
        workloads=tuple(_workloads(keys, bodies)),
    )


def _is_custom(group: str) -> bool:
    return "." in group and not group.endswith(".k8s.io")


def _workloads(keys: list[ObjectKey], bodies: _Bodies) -> Iterable[Workload]:
    for kind in _WORKLOADS:
        for key in keys:
            if (key.group, key.kind) == ("apps", kind):
                yield Workload(kind, key.name, bodies.labels(key))


def _labels(body: Body) -> str:
    labels = ((body.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
