"""`/requestKey`: keys for signed restore requests. Requests themselves come through the bucket."""

from __future__ import annotations

from chalicelib.entrypoints.api.routing import Api, Call
from chalicelib.services.models.request_keys import RequestKeyMade, RequestKeyPage, RequestKeyRequest, RequestKeyView

api = Api(__name__)


@api.route("/requestKey", method="POST", body=RequestKeyRequest, answer=RequestKeyMade, statuses=(403,))
def add_request_key(call: Call[RequestKeyRequest, None]) -> RequestKeyMade:
    """Make a key that restore requests are signed with. Its secret is told this once."""
    return call.services.request_keys.add(call.asker, call.body)


@api.route("/requestKey", answer=RequestKeyPage, statuses=(403,))
def list_request_keys(call: Call[None, None]) -> RequestKeyPage:
    """List the keys that restore requests are signed with, without their secrets."""
    return call.services.request_keys.list(call.asker)


@api.route("/requestKey/{id}", method="DELETE", answer=RequestKeyView, statuses=(403,))
def revoke_request_key(call: Call[None, None], key: str) -> RequestKeyView:
    """Revoke a key: nothing is done any more that it signs, or has signed."""
    return call.services.request_keys.revoke(call.asker, key)
