"""What a Lambda logs: JSON with the ids of the invocation, metrics, and nobody's secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.unit.entrypoints.in_lambda import OP


def logged(case: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.unit.entrypoints.in_lambda", case]
    environment = {**os.environ, "AWS_LAMBDA_FUNCTION_NAME": "work", "POWERTOOLS_SERVICE_NAME": "mainstay-dev"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment)
    assert "words of a Secret" not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def metric(line: dict[str, Any]) -> tuple[str, set[str], dict[str, str]]:
    """Namespace, names and dimensions, as CloudWatch takes them."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    dimensions = {name: line[name] for name in directive["Dimensions"][0]}
    return directive["Namespace"], {each["Name"] for each in directive["Metrics"]}, dimensions


def test_a_record_is_json_with_the_ids_of_invocation_message_and_operation() -> None:
    first, second = logged("well")
    assert (first["level"], first["message"], first["name"]) == (
        "INFO",
        "back in line",
        "chalicelib.engine.lane.running",
    )
    assert first["service"] == "mainstay-dev"
    assert first["function_request_id"] == "request-7"
    assert first["correlation_id"] == "m-1"
    assert first["operation"] == OP
    assert (first["cold_start"], second["cold_start"]) == (True, False)


def test_an_unexpected_error_is_told_by_type_and_place_and_never_in_its_own_words() -> None:
    told = logged("fails")
    assert [line["message"].partition(" at ")[0] for line in told] == [
        "back in line",
        "retrying",
        "message m-1 of mainstay-dev-work met an unexpected ValueError, it comes again,",
    ]
    assert told[1]["exception_name"] == "ValueError"
    assert "in_lambda.py" in told[1]["exception"]


def test_what_ended_is_counted_by_kind_and_state_and_failures_by_the_stack_alone() -> None:
    succeeded, failed, alarm, unsent = logged("metrics")
    backup = {"service": "mainstay-dev", "kind": "backup"}
    names = {"OperationEnded", "Turns", "Seconds"}
    assert metric(succeeded) == ("Mainstay", names | {"Objects", "BytesAdded"}, {**backup, "state": "succeeded"})
    assert metric(failed) == ("Mainstay", names, {**backup, "state": "failed"})
    assert metric(alarm) == ("Mainstay", {"OperationFailed"}, {"service": "mainstay-dev"})
    assert metric(unsent) == ("Mainstay", {"QueueSendFailed"}, {"service": "mainstay-dev"})
    assert (succeeded["Objects"], succeeded["BytesAdded"], succeeded["Seconds"]) == ([31], [4096], [90])
    assert succeeded["operation"] == OP
