"""An API server that is away for a while, and one that has forgotten the past."""

from __future__ import annotations

import json
import threading
import urllib.request

from tests.harness.cluster import Cluster


class Outage:
    """Ends the API server as a crash would when it is called, and brings it back some seconds later."""

    def __init__(self, cluster: Cluster, seconds: float = 1.0) -> None:
        self._cluster = cluster
        self._back = threading.Timer(seconds, cluster.restart_apiserver)
        self.happened = False

    def __call__(self) -> None:
        self._cluster.kill_apiserver()
        self.happened = True
        self._back.start()

    def over(self) -> None:
        """Wait until it is back."""
        if self.happened:
            self._back.join()


def forget(cluster: Cluster) -> None:
    """Have the server forget every moment before now, as it does by itself after five minutes: what it knows by heart
    goes with a restart, and what etcd knows by compaction."""
    made = cluster.api.post("/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": "later-"}})
    cluster.kill_apiserver()
    cluster.restart_apiserver()
    body = json.dumps({"revision": made["metadata"]["resourceVersion"], "physical": True}).encode()
    url = f"http://127.0.0.1:{cluster.state.ports['etcd']}/v3/kv/compaction"
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
        assert answer.status == 200
