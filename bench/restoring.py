"""Row 3: restoring everything into an emptied namespace, with and without field ownership to put back.

A create gives every field to the manager that the request names. For objects that one manager made by plain writes
that is their ownership already: one request each. Objects of server-side apply (or of several managers) take a second
request, a patch of `managedFields`: what it costs is the difference of the two rows.
"""

from __future__ import annotations

from bench.ground import Ground, Unexpected
from bench.objects import body, names
from bench.rows import Goal, Pairs, Row, rate
from chalicelib.domain.operation import OperationKind


def rows(ground: Ground, objects: int, size: int, repeat: int) -> list[Row]:
    """Both rows."""
    bodies = [(name, body(name, size)) for name in names(objects)]
    return [
        _row(ground, bodies, repeat, "3a", "created by one manager", Goal("least", 0.7), applied=False),
        _row(ground, bodies, repeat, "3b", "applied: ownership patched", Goal("least", 0.5), applied=True),
    ]


def _row(
    ground: Ground, bodies: list[tuple[str, bytes]], repeat: int, number: str, kind: str, goal: Goal, *, applied: bool
) -> Row:
    namespace = f"restored-{number}"
    path = ground.namespace(namespace)
    if applied:
        ground.raw.apply(path, bodies, "bench")
    else:
        ground.raw.create(path, (content for _, content in bodies), "bench")
    application = ground.application(namespace)
    version = ground.mainstay.run(OperationKind.BACKUP, application).outcome["version"]
    pairs, writes = Pairs(), 0
    for turn in range(repeat):
        limit = ground.raw.create(ground.namespace(f"limit-{number}-{turn}"), (content for _, content in bodies), "x")
        ground.raw.empty(path)
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
