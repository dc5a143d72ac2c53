"""What tells one cluster from all others, whatever it is called and by whatever way it is reached."""

from __future__ import annotations

from chalicelib.cluster.client import Client
from chalicelib.domain.errors import ClusterRefused


def identity(client: Client, *, deadline: float | None = None) -> str:
    """The uid of the namespace `kube-system`, which lives as long as the cluster does; empty if this account may not
    read it. A cluster that was made from a copy of another one's etcd has the same."""
    try:
        body = client.get_json("/api/v1/namespaces/kube-system", deadline=deadline)
    except ClusterRefused as error:
        if error.http_status not in {401, 403, 404}:
            raise  # it may be another cluster: not knowing for now is no reason to go on
        return ""
    return str((body.get("metadata") or {}).get("uid") or "")
