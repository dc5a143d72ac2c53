"""Every blueprint of the API: what app.py registers and `openapi` describes."""

from __future__ import annotations

from chalicelib.entrypoints.api import service
from chalicelib.entrypoints.api.routing import Api

BLUEPRINTS: tuple[Api, ...] = (service.api,)
