"""Rows 1, 2 and 4: backing up, backing up again, and restoring where nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

from bench.ground import Ground, Unexpected
from bench.objects import body, names
from bench.rows import Goal, Pairs, Row, seconds
from chalicelib.domain.operation import OperationKind

_NAMESPACE = "captured"


def rows(ground: Ground, objects: int, size: int, repeat: int) -> Iterator[Row]:
    """Make the objects, then measure. Yields each row as soon as it is known."""
    path = ground.namespace(_NAMESPACE)
    ground.raw.create(path, [body(name, size) for name in names(objects)], "bench")
    first, again, unchanged, writes = Pairs(), Pairs(), Pairs(), 0
    for turn in range(-1, repeat):
        # A new application has a key of its own, so nothing of it is in the repository: this is its first version.
        application = ground.application(_NAMESPACE, f"captured-{turn + 1}")
        limit = ground.raw.list([path])
        one = ground.mainstay.run(OperationKind.BACKUP, application)
        _check(one.outcome["objects"] == objects + 1, f"the version holds {one.outcome['objects']} objects")
        limit_again = ground.raw.list([path])
        other = ground.mainstay.run(OperationKind.BACKUP, application)
        _check(other.outcome["addedBytes"] == 0, f"an unchanged backup added {other.outcome['addedBytes']} bytes")
        limit_unchanged = ground.raw.list([path])
        took, wrote = _restore_nothing(ground, application, other.outcome["version"])
        if turn < 0:
            continue  # warms up: imports, connections, the server's own caches
        first.add(limit, one.seconds)
        again.add(limit_again, other.seconds)
        unchanged.add(limit_unchanged, took)
        writes = max(writes, wrote)
    count = f"{objects:,}"
    listing = "paged LIST of the Secrets"
    yield _row("1", f"back up {count} objects, first version", first, listing, Goal("most", 4, "times"))
    yield _row(
        "2",
        f"again, nothing changed ({count})",
        again,
        listing,
        Goal("most", 3, "times"),
        "no segment was uploaded (0 bytes added)",
    )
    yield _row(
        "4",
        f"plan + restore, nothing changed ({count})",
        unchanged,
        listing,
        Goal("most", 5, "times"),
        f"{writes} writes, by the API server's own count",
    )


def _restore_nothing(ground: Ground, application: str, version: str) -> tuple[float, int]:
    before = ground.raw.writes()
    plan = ground.mainstay.run(OperationKind.PLAN, application, version=version)
    restore = ground.mainstay.run(OperationKind.RESTORE, application, version=version)
    wrote = ground.raw.writes() - before
    _check(plan.outcome["empty"], f"a plan without anything changed wants {plan.outcome['counts']}")
    _check(wrote == 0, f"a restore without anything changed made {wrote} writes")
    return plan.seconds + restore.seconds, wrote


def _row(number: str, work: str, pairs: Pairs, listing: str, goal: Goal, *notes: str) -> Row:
    return Row(
        number,
        work,
        f"{seconds(pairs.limit)} ({listing})",
        seconds(pairs.own),
        pairs.times,
        goal,
        pairs.spread,
        notes,
    )


def _check(expected: bool, otherwise: str) -> None:  # noqa: FBT001
    if not expected:
        raise Unexpected(otherwise)
