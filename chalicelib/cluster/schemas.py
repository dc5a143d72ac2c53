"""The OpenAPI v3 documents of an API server, one for each group and version; each is read once."""

from __future__ import annotations

import threading
from typing import Any

from chalicelib.cluster.client import Client
from chalicelib.domain.errors import ClusterRefused

_INDEX = "/openapi/v3"


class OpenApi:
    """What one API server publishes about the fields it knows. Safe to share between threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._index: dict[str, Any] | None = None
        self._documents: dict[str, dict[str, Any]] = {}

    def document(self, api_version: str) -> dict[str, Any]:
        """The document of a group and version (`v1`, `apps/v1`); empty where the server has or shows none."""
        name = f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
        with self._lock:
            if name not in self._documents:
                self._documents[name] = self._read(name)
            return self._documents[name]

    def _read(self, name: str) -> dict[str, Any]:
        try:
            if self._index is None:
                self._index = dict(self._client.get_json(_INDEX).get("paths") or {})
            # The address there has a hash, for caches between; it can be asked for without.
            return dict(self._client.get_json(f"{_INDEX}/{name}")) if name in self._index else {}
        except ClusterRefused:
            return {}  # not served by this one, or hidden from this account
