"""Row 10: the same restore through time budgets such as Lambda's functions have, beside one without a budget."""

from __future__ import annotations

from bench.ground import Ground, Run, Unexpected
from bench.objects import body, names
from bench.rows import Goal, Pairs, Row
from chalicelib.domain.operation import OperationKind
from chalicelib.engine.lane.turns import TurnTerms

#: Seconds after which a restore in turns is given up here.
_PATIENCE = 1800.0


def row(ground: Ground, objects: int, turn: float) -> Row:
    """Restore everything into an emptied namespace, in one go and in turns of `turn` seconds."""
    namespace = "turned"
    path = ground.namespace(namespace)
    ground.raw.create(path, (body(name, 256) for name in names(objects)), "bench")
    application = ground.application(namespace)
    version = ground.mainstay.run(OperationKind.BACKUP, application).outcome["version"]
    turned = ground.mainstay.with_turns(TurnTerms(seconds=turn, most=10_000))
    pairs = Pairs()
    runs: list[Run] = []
    for mainstay in (ground.mainstay, turned):
        ground.raw.empty(path)
        run = mainstay.run(OperationKind.RESTORE, application, version=version, patience=_PATIENCE)
        if run.outcome["verified"] != {"equal": objects}:
            raise Unexpected(f"not everything was restored: {run.outcome}")
        runs.append(run)
    whole, parts = runs
    pairs.add(whole.seconds, parts.seconds)
    return Row(
        "10",
        f"restore {objects:,} objects in turns of {turn:g} s",
        f"{whole.seconds:.1f} s (one turn without an end)",
        f"{parts.seconds:.1f} s",
        pairs.times,
        Goal("most", 1.5, "times"),
        notes=(f"{parts.operation.turns + 1} turns; measured once",),
    )
