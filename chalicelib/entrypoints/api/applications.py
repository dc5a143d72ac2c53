"""`/app`: applications."""

from __future__ import annotations

from chalicelib.entrypoints.api.routing import Api, Call
from chalicelib.services.models.applications import (
    ApplicationChange,
    ApplicationPage,
    ApplicationRegistration,
    ApplicationView,
    DeletionQuery,
    StatusQuery,
    StatusView,
    SweepQuery,
)
from chalicelib.services.models.automatic import AutobackupRequest
from chalicelib.services.models.operations import OperationView
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.versions import BackupRequest

api = Api(__name__)


@api.route("/app", method="POST", body=ApplicationRegistration, answer=ApplicationView, statuses=(409,))
def register_application(call: Call[ApplicationRegistration, None]) -> ApplicationView:
    """Register an application.

    Names are unique. Without a document one is written from what runs in `namespace`, which is read for 5 s at most.
    """
    return call.services.applications.register(call.asker, call.body)


@api.route("/app", query=PageQuery, answer=ApplicationPage)
def list_applications(call: Call[None, PageQuery]) -> ApplicationPage:
    """List the applications, in the order they were registered."""
    return call.services.applications.list(call.asker, call.query)


@api.route("/app/{id}", answer=ApplicationView)
def get_application(call: Call[None, None], application: str) -> ApplicationView:
    """Get an application with its document."""
    return call.services.applications.get(call.asker, application)


@api.route("/app/{id}", method="PUT", body=ApplicationChange, answer=ApplicationView, statuses=(409,))
def update_application(call: Call[ApplicationChange, None], application: str) -> ApplicationView:
    """Change name, description, document or status of an application."""
    return call.services.applications.update(call.asker, application, call.body)


@api.route(
    "/app/{id}", method="DELETE", query=DeletionQuery, answer=OperationView, starts_operation=True, statuses=(409,)
)
def delete_application(call: Call[None, DeletionQuery], application: str) -> OperationView:
    """Delete an application, and its versions unless `keepVersions` says to keep them.

    The versions' bytes go with a later sweep.
    """
    return call.services.applications.delete(call.asker, application, call.query)


@api.route("/app/autobackup/{id}/{timeInterval}", method="PUT", body=AutobackupRequest, answer=ApplicationView)
def set_autobackup(call: Call[AutobackupRequest, None], application: str, interval: str) -> ApplicationView:
    """Set how often an application is backed up by itself, in seconds; 0 stops it.

    It is written into the document, whose comments and order stay. Nothing is started at once.
    """
    return call.services.automatic.set_interval(call.asker, application, interval, call.body)


@api.route("/app/status/{id}", query=StatusQuery, answer=StatusView)
def get_status(call: Call[None, StatusQuery], application: str) -> StatusView:
    """Tell how an application is: in one word, its workloads' health, its versions, what is being done to it."""
    return call.services.applications.status(call.asker, application, call.query)


@api.route(
    "/app/backup", method="POST", body=BackupRequest, answer=OperationView, starts_operation=True, statuses=(409,)
)
def start_backup(call: Call[BackupRequest, None]) -> OperationView:
    """Start a backup of an application."""
    return call.services.versions.backup(call.asker, call.body)


@api.route("/app/sweep/{id}", method="POST", query=SweepQuery, answer=OperationView, starts_operation=True)
def sweep_application(call: Call[None, SweepQuery], application: str) -> OperationView:
    """Remove what no version needs any more. The service does so by itself; this is for when space is short."""
    return call.services.sweeping.sweep(call.asker, application, call.query)
