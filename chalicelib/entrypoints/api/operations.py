"""`/operation`: long pieces of work."""

from __future__ import annotations

from chalicelib.entrypoints.api.routing import Api, Call
from chalicelib.services.models.operations import OperationPage, OperationsQuery, OperationView, PlanView, ResultPage
from chalicelib.services.models.shapes import PageQuery

api = Api(__name__)


@api.route("/operation", query=OperationsQuery, answer=OperationPage)
def list_operations(call: Call[None, OperationsQuery]) -> OperationPage:
    """List operations of one application or of all, newest first."""
    return call.services.operations.list(call.asker, call.query)


@api.route("/operation/{id}", answer=OperationView)
def get_operation(call: Call[None, None], operation: str) -> OperationView:
    """Get an operation: its state, how far it is, and what came of it."""
    return call.services.operations.get(call.asker, operation)


@api.route("/operation/{id}", method="DELETE", answer=OperationView, statuses=(409,))
def cancel_operation(call: Call[None, None], operation: str) -> OperationView:
    """Cancel an operation. It stops at its next piece of work; 409 where it is too late."""
    return call.services.operations.cancel(call.asker, operation)


@api.route("/operation/{id}/plan", query=PageQuery, answer=PlanView, statuses=(409,))
def get_plan(call: Call[None, PageQuery], operation: str) -> PlanView:
    """Get the plan of a plan, a restore or an undo; 409 while it is not known yet."""
    return call.services.operations.plan(call.asker, operation, call.query)


@api.route("/operation/{id}/result", query=PageQuery, answer=ResultPage)
def get_result(call: Call[None, PageQuery], operation: str) -> ResultPage:
    """Get what became of each object, in the order of the plan."""
    return call.services.operations.result(call.asker, operation, call.query)


@api.route("/operation/{id}/undo", method="POST", answer=OperationView, starts_operation=True, statuses=(409,))
def undo_operation(call: Call[None, None], operation: str) -> OperationView:
    """Put back what a restore changed."""
    return call.services.operations.undo(call.asker, operation)
