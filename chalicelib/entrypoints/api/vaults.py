"""What the repository holds, whether it is whole, and what it takes."""

from __future__ import annotations

from chalicelib.entrypoints.api.routing import Api, Call
from chalicelib.services.models.operations import OperationView
from chalicelib.services.models.shapes import PageQuery
from chalicelib.services.models.vaults import DamagePage, VaultPage, VaultSizeView, VerifyQuery

api = Api(__name__)


@api.route("/repository", query=PageQuery, answer=VaultPage)
def list_vaults(call: Call[None, PageQuery]) -> VaultPage:
    """List the applications that the repository holds something of, deleted ones too."""
    return call.services.vaults.list(call.asker, call.query)


@api.route("/app/stats/{id}", answer=VaultSizeView)
def get_statistics(call: Call[None, None], application: str) -> VaultSizeView:
    """Tell what an application's versions take. Manifests and one listing are read, nothing else.

    What takes longer than a request may is told in part: `complete` is false, `versions` has the newest.
    """
    return call.services.vaults.size(call.asker, application)


@api.route(
    "/app/verify/{id}", method="POST", query=VerifyQuery, answer=OperationView, starts_operation=True, statuses=(409,)
)
def verify_application(call: Call[None, VerifyQuery], application: str) -> OperationView:
    """Read everything that an application's versions need, and find what is damaged.

    It stands in no line: backups and restores go on meanwhile. Asked for while it is being done, the answer is that
    operation, or 409 if it does it in another way. If something is damaged the operation fails with the code
    `damaged`; `GET /operation/{id}/damages` names it. With `repair` what has another copy is mended, and the next
    backup stores the rest again.
    """
    return call.services.vaults.verify(call.asker, application, call.query)


@api.route("/operation/{id}/damages", query=PageQuery, answer=DamagePage, statuses=(409,))
def get_damages(call: Call[None, PageQuery], operation: str) -> DamagePage:
    """Get what a verification found damaged, with the versions and objects that it takes along; 409 until it ends."""
    return call.services.vaults.damages(call.asker, operation, call.query)
