"""Row 3: restoring everything into an emptied namespace, and what keeping field ownership costs.

A create gives every field to the manager that the request names, which is right for objects that one manager made by
plain writes (`kubectl create`, client-side apply, controllers). What one manager made by server-side apply is made by
one apply again. Objects of several managers take a second write, of `managedFields` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson

from bench.ground import Ground, Unexpected
from bench.objects import body, names
from bench.raw import Raw
from bench.rows import Goal, Pairs, Row, rate
from chalicelib.domain.operation import OperationKind

#: Names and what is posted.
Bodies = list[tuple[str, bytes]]


def rows(ground: Ground, objects: int, size: int, repeat: int) -> Iterator[Row]:
    """The three rows."""
    bodies = [(name, body(name, size)) for name in names(objects)]
    yield _row(ground, bodies, repeat, "3a", "created by one manager", Goal("least", 0.7), _created)
    yield _row(ground, bodies, repeat, "3b", "applied by one manager", Goal("least", 0.5), _applied)
    yield _row(ground, bodies, repeat, "3c", "of two managers", Goal("least", 0.5), _shared)


def _created(raw: Raw, path: str, bodies: Bodies) -> None:
    raw.create(path, (content for _, content in bodies), "bench")


def _applied(raw: Raw, path: str, bodies: Bodies) -> None:
    raw.apply(path, bodies, "bench")


def _shared(raw: Raw, path: str, bodies: Bodies) -> None:
    _created(raw, path, bodies)
    label = {"apiVersion": "v1", "kind": "Secret", "metadata": {"labels": {"seen": "yes"}}}
    raw.apply(path, ((name, orjson.dumps(label)) for name, _ in bodies), "other")


def _row(
    ground: Ground,
    bodies: Bodies,
    repeat: int,
    number: str,
    kind: str,
    goal: Goal,
    make: Callable[[Raw, str, Bodies], None],
) -> Row:
    namespace = f"restored-{number}"
    path = ground.namespace(namespace)
    make(ground.raw, path, bodies)
    application = ground.application(namespace)
    version = ground.mainstay.run(OperationKind.BACKUP, application).outcome["version"]
    pairs, writes = Pairs(), 0
    for turn in range(repeat):
        # Emptied first: what the server has to do after so many deletions must not meet one side alone.
        ground.raw.empty(path)
        limit = ground.raw.create(ground.namespace(f"limit-{number}-{turn}"), (content for _, content in bodies), "x")
        before = ground.raw.writes()
        restored = ground.mainstay.run(OperationKind.RESTORE, application, version=version)
        writes = ground.raw.writes() - before
        if restored.outcome["verified"] != {"equal": len(bodies)}:
            raise Unexpected(f"not everything was restored: {restored.outcome}")
        pairs.add(limit, restored.seconds)
    low, high = pairs.spread
    return Row(
        number,
        f"restore {len(bodies):,} objects, {kind}",
        f"{rate(len(bodies), pairs.limit)} (POST from 16 threads)",
        f"{rate(len(bodies), pairs.own)}",
        1 / pairs.times,
        goal,
        (1 / high, 1 / low),
        (f"{writes / len(bodies):.2f} writes for each object; {pairs.own:.1f} s against {pairs.limit:.1f} s",),
    )
