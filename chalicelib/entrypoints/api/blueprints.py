"""Every blueprint of the API: what app.py registers and `openapi` describes."""

from __future__ import annotations

from chalicelib.entrypoints.api import (
    applications,
    clusters,
    documents,
    operations,
    request_keys,
    service,
    vaults,
    versions,
)
from chalicelib.entrypoints.api.routing import Api

BLUEPRINTS: tuple[Api, ...] = (
    service.api,
    applications.api,
    versions.api,
    operations.api,
    clusters.api,
    documents.api,
    request_keys.api,
    vaults.api,
)
