"""`/version`: versions of applications. The names of the routes are the contract's."""

from __future__ import annotations

from chalicelib.entrypoints.api.routing import Api, Call
from chalicelib.services.models.comparing import CompareQuery, ComparisonView
from chalicelib.services.models.operations import OperationView
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.versions import (
    VersionChange,
    VersionDeletionQuery,
    VersionDetail,
    VersionEnded,
    VersionPage,
    VersionQuery,
    VersionsQuery,
    VersionView,
)

api = Api(__name__)


@api.route(
    "/version/restoreVersion",
    method="PUT",
    query=VersionQuery,
    body=RestoreRequest,
    answer=OperationView,
    starts_operation=True,
    statuses=(409,),
)
def restore_version(call: Call[RestoreRequest, VersionQuery]) -> OperationView:
    """Restore a version, or with `dryRun` plan it, or with `plan` do exactly what a plan shows."""
    return call.services.versions.restore(call.asker, call.query, call.body)


@api.route("/version/selectVersion", query=VersionQuery, answer=VersionDetail)
def select_version(call: Call[None, VersionQuery]) -> VersionDetail:
    """Tell everything about one version."""
    return call.services.versions.get(call.asker, call.query)


@api.route(
    "/version/deleteVersion", method="DELETE", query=VersionDeletionQuery, answer=VersionEnded, statuses=(409,)
)
def delete_version(call: Call[None, VersionDeletionQuery]) -> VersionEnded:
    """Delete a version.

    It ends at once; its bytes go with a later sweep.
    Refused with 409 while it is held or needed by an operation, or if it is the last good one and `force` is not
    said.
    """
    return call.services.versions.delete(call.asker, call.query)


@api.route("/version/updateVersion", method="PUT", query=VersionQuery, body=VersionChange, answer=VersionView)
def update_version(call: Call[VersionChange, VersionQuery]) -> VersionView:
    """Change name, comment, labels or hold of a version."""
    return call.services.versions.update(call.asker, call.query, call.body)


@api.route("/version/getAllVersionsOfApp", query=VersionsQuery, answer=VersionPage)
def list_versions(call: Call[None, VersionsQuery]) -> VersionPage:
    """List the versions of an application, newest first."""
    return call.services.versions.list(call.asker, call.query)


@api.route("/version/compare", query=CompareQuery, answer=ComparisonView, statuses=(502,))
def compare_versions(call: Call[None, CompareQuery]) -> ComparisonView:
    """Tell what differs between a version and another, or what runs now (`to=live`)."""
    return call.services.versions.compare(call.asker, call.query)
