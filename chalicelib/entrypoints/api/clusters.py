"""`/kubernetes`: clusters. The names of the routes are the contract's."""

from __future__ import annotations

from chalicelib.entrypoints.api.routing import Api, Call
from chalicelib.services.models.automatic import PolicyRequest, PolicyView
from chalicelib.services.models.clusters import (
    ClusterPage,
    ClusterQuery,
    ClusterSettings,
    ClusterStatusView,
    ClusterView,
)
from chalicelib.services.models.shapes import Gone, PageQuery

api = Api(__name__)


@api.route("/kubernetes/checkKubernetesStatus", query=ClusterQuery, answer=ClusterStatusView, statuses=(505,))
def check_kubernetes_status(call: Call[None, ClusterQuery]) -> ClusterStatusView:
    """Tell how a cluster is, within 5 s: 404 if none is configured, 505 if it does not answer."""
    return call.services.clusters.status(call.asker, call.query)


@api.route(
    "/kubernetes/setKubernetesSettings", method="PUT", body=ClusterSettings, answer=ClusterView, statuses=(409,)
)
def set_kubernetes_settings(call: Call[ClusterSettings, None]) -> ClusterView:
    """Set how to work with a cluster, or register one. Credentials are tried before they are stored; 409 if they
    lead to a cluster that has a name already, or to another one than before."""
    return call.services.clusters.configure(call.asker, call.body)


@api.route("/kubernetes/changeBackupPolicies", method="PUT", body=PolicyRequest, answer=PolicyView)
def change_backup_policies(call: Call[PolicyRequest, None]) -> PolicyView:
    """Set how often applications are backed up whose documents do not say it, and which of their versions stay."""
    return call.services.automatic.change_policy(call.asker, call.body)


@api.route("/kubernetes/backupPolicies", answer=PolicyView)
def get_backup_policies(call: Call[None, None]) -> PolicyView:
    """Tell the default of applications whose documents say nothing about their backups."""
    return call.services.automatic.policy(call.asker)


@api.route("/kubernetes/clusters", query=PageQuery, answer=ClusterPage)
def list_clusters(call: Call[None, PageQuery]) -> ClusterPage:
    """List the registered clusters by name, without secrets."""
    return call.services.clusters.list(call.asker, call.query)


@api.route("/kubernetes/clusters/{id}", method="DELETE", answer=Gone, statuses=(409,))
def delete_cluster(call: Call[None, None], cluster: str) -> Gone:
    """Forget a cluster and its credentials; 409 while applications are on it."""
    return call.services.clusters.delete(call.asker, cluster)
