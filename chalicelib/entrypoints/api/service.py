"""The service itself: whether it answers, and the description of its API. Open to all."""

from __future__ import annotations

from chalice.app import Response

from chalicelib.entrypoints.api.routing import Api
from chalicelib.services.models.service import Alive
from chalicelib.settings import RELEASE

api = Api(__name__)


@api.route("/health", answer=Alive, open_to_all=True)
def health() -> Alive:
    """Tell whether the service answers.

    It looks at nothing else: a storage or a cluster that is away must not get a healthy server restarted.
    """
    return Alive(release=RELEASE)


@api.route("/openapi.json", open_to_all=True)
def openapi() -> Response:
    """Describe this API in OpenAPI 3.1."""
    from chalicelib.entrypoints.api.openapi import description

    return Response(description().decode(), {"Content-Type": "application/json", "Cache-Control": "max-age=300"})
