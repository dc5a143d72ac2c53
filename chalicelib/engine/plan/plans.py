"""Plans as they are kept beside an operation: a head, then one line per action."""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.domain.errors import Conflict
from chalicelib.domain.plan import Action, Plan
from chalicelib.engine.lane.work import Work
from chalicelib.store.repository import Repository

#: Actions in one part.
_PART = 2000


def store_plan(work: Work, plan: Plan, name: str = "plan") -> None:
    """Keep a plan under the worker's fence. The checkpoint names the fence of the one that counts."""
    head = plan.model_copy(update={"actions": ()}).model_dump_json(by_alias=True, exclude_defaults=True).encode()
    work.put_part(name, 0, [head])
    for number, start in enumerate(range(0, len(plan.actions), _PART), start=1):
        actions = plan.actions[start : start + _PART]
        lines = [action.model_dump_json(by_alias=True, exclude_defaults=True).encode() for action in actions]
        work.put_part(name, number, lines)


def read_plan(repository: Repository, application: str, operation: str, name: str = "plan") -> Plan:
    """The plan of an operation, whole. Raises `Conflict` while there is none."""
    found = repository.operations.get(application, operation)
    fence = found.checkpoint.get("undoFence" if name == "undo-plan" else "planFence")
    if fence is None:
        raise Conflict(f"{operation} has no plan (yet): it is {found.state}.")
    lines = repository.operations.read_lines(application, operation, name, fence=fence)
    head = Plan.model_validate_json(next(lines))
    return head.model_copy(update={"actions": tuple(_actions(lines))})


def _actions(lines: Iterator[bytes]) -> Iterator[Action]:
    for line in lines:
        yield Action.model_validate_json(line)


def read_plan_of(work: Work, operation: str, name: str = "plan") -> Plan:
    """The plan of an operation of the application that is being worked on."""
    return read_plan(work.repository, work.operation.application, operation, name)
