"""What can be said about a deployment before minutes go into its package: its stage, and its parameters.

Run with a stage it checks that: Chalice packages one that its configuration lacks as well, and every function of
it would get the rights of the API.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
#: Functions at once that AWS leaves to all in every account.
_NEVER_SET_ASIDE = 10


class DeploymentError(Exception):
    """Something cannot be deployed, or was not; the message says why, and what to do."""


def check_stage(stage: str, root: Path = ROOT) -> None:
    """`DeploymentError` with the stages there are, if Chalice's configuration lacks this one."""
    stages = json.loads((root / ".chalice" / "config.json").read_text("utf-8"))["stages"]
    if stage not in stages:
        raise DeploymentError(
            f"There is no stage {stage!r}: .chalice/config.json has {', '.join(sorted(stages))}. Take one of these, "
            "or write yours down there as they are, with the policy of each function."
        )


def parameters_of(root: Path = ROOT) -> dict[str, dict[str, Any]]:
    """The template's parameters, by name."""
    template = yaml.safe_load((root / "infra" / "template.yaml").read_text("utf-8"))
    found: dict[str, dict[str, Any]] = template["Parameters"]
    return found


def pairs(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE …` as parameters."""
    found = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise DeploymentError(f"{pair!r} is not NAME=VALUE.")
        found[name] = value
    return found


def check_parameters(given: Mapping[str, str], known: Mapping[str, Mapping[str, Any]]) -> None:
    """`DeploymentError` for a parameter that the template does not have, or a value that it does not take."""
    for name, value in given.items():
        if name not in known:
            raise DeploymentError(f"The template has no parameter {name}; it has: {', '.join(sorted(known))}.")
        wrong = _mistake(value, known[name])
        if wrong:
            # Without the value: a proxy's may have a password in it, which is why it will not do.
            raise DeploymentError(f"The value of {name} will not do: {wrong}. ({known[name]['Description']})")


def check_concurrency(
    given: Mapping[str, str], known: Mapping[str, Mapping[str, Any]], limit: int, unreserved: int
) -> None:
    """`DeploymentError` if a new stack would set more functions aside than AWS lets this account.

    `limit`: how many it may run at once; `unreserved`: how many of them are not set aside yet.
    """
    wanted = {name: given.get(name, str(known[name]["Default"])) for name in ("ReserveWorkers", "WorkerConcurrency")}
    if wanted["ReserveWorkers"] == "yes" and unreserved - int(wanted["WorkerConcurrency"]) < _NEVER_SET_ASIDE:
        raise DeploymentError(
            f"This account may run {limit} functions at once, {unreserved} of them are not set aside, and AWS lets "
            f"nobody set aside the last {_NEVER_SET_ASIDE}: {wanted['WorkerConcurrency']} for workers are too many. "
            "With PARAMETERS='ReserveWorkers=no WorkerConcurrency=5' it does without; Service Quotas (Lambda, "
            "Concurrent executions) raises the limit."
        )


def _mistake(value: str, rule: Mapping[str, Any]) -> str:
    allowed = [str(each) for each in rule.get("AllowedValues", ())]
    if allowed and value not in allowed:
        return f"one of {', '.join(allowed)} is wanted"
    if not re.fullmatch(rule.get("AllowedPattern", ".*"), value):
        return f"it has to have the form {rule['AllowedPattern']}"
    if rule["Type"] == "Number":
        if not value.isdecimal():
            return "a whole number is wanted"
        least, most = rule.get("MinValue", 0), rule.get("MaxValue", int(value))
        if not least <= int(value) <= most:
            return f"it has to be from {least} to {most}"
    return ""


def main(arguments: Sequence[str]) -> int:
    """Check a stage; 1 with a sentence if there is none of that name."""
    if len(arguments) != 1:
        print("usage: checks.py STAGE", file=sys.stderr)
        return 2
    try:
        check_stage(arguments[0])
    except DeploymentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
