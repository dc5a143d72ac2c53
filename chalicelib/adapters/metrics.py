"""Metrics, written into the function's log as CloudWatch reads them there (embedded metric format).

Namespace `Mainstay`, dimension `service` = the stack (`POWERTOOLS_SERVICE_NAME`):

    OperationFailed      1 for each operation that failed; what the alarm of the deployment is on
    OperationEnded       1 for each; with dimensions `kind` and `state`; beside it its Objects, Seconds, …
    QueueSendFailed      1 for each message that could not be sent
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.operation import Operation, State

if TYPE_CHECKING:
    from aws_lambda_powertools.metrics import EphemeralMetrics

NAMESPACE = "Mainstay"


class Metrics:
    """Counts what happens. Each call writes at once: nothing is lost with an invocation that is cut off."""

    def count(self, name: str) -> None:
        """One more of something."""
        from aws_lambda_powertools.metrics import MetricUnit

        metrics = _metrics()
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()

    def operation_ended(self, operation: Operation) -> None:
        """An operation has ended, in this worker's hands."""
        from aws_lambda_powertools.metrics import MetricUnit

        metrics = _metrics()
        metrics.add_dimension(name="kind", value=operation.kind.value)
        metrics.add_dimension(name="state", value=operation.state.value)
        metrics.add_metric(name="OperationEnded", unit=MetricUnit.Count, value=1)
        metrics.add_metric(name="Turns", unit=MetricUnit.Count, value=operation.turns)
        objects, moved = _objects(operation), operation.outcome.get("addedBytes")
        if objects is not None:
            metrics.add_metric(name="Objects", unit=MetricUnit.Count, value=objects)
        if moved is not None:
            metrics.add_metric(name="BytesAdded", unit=MetricUnit.Bytes, value=moved)
        if operation.started_at is not None and operation.finished_at is not None:
            took = (operation.finished_at - operation.started_at).total_seconds()
            metrics.add_metric(name="Seconds", unit=MetricUnit.Seconds, value=took)
        metrics.add_metadata(key="operation", value=operation.id)
        metrics.flush_metrics()
        if operation.state is State.FAILED:
            self.count("OperationFailed")


def _metrics() -> EphemeralMetrics:
    # Here and not above: the API function has a use for it only where something goes wrong.
    from aws_lambda_powertools.metrics import EphemeralMetrics

    return EphemeralMetrics(namespace=NAMESPACE)


def _objects(operation: Operation) -> int | None:
    """Objects that a backup holds, or that a restore looked at."""
    counts = operation.outcome.get("counts")
    found = operation.outcome.get("objects")
    return found if found is not None else sum(counts.values()) if counts else None
