"""Pods on a control plane without a node: somebody says that they are ready."""

from __future__ import annotations

import threading
from types import TracebackType

from tests.harness.api import Api
from tests.harness.errors import ApiError

_READY = {
    "status": {
        "phase": "Running",
        "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "ContainersReady", "status": "True"},
        ],
    }
}


class SaysReady:
    """While the context lasts, every pod of a namespace with some label becomes ready; what became so is kept."""

    def __init__(self, api: Api, namespace: str, label: str, *, after: float = 0.0) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._label = label
        self._after = after
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> SaysReady:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.2):
            for pod in self._api.get(f"{self._path}?labelSelector={self._label}")["items"]:
                if pod.get("status", {}).get("phase") == "Running" or self._stopped.wait(self._after):
                    continue
                try:
                    self._api.patch(f"{self._path}/{pod['metadata']['name']}/status", _READY)
                except ApiError as error:
                    if error.status not in {404, 409}:
                        raise
