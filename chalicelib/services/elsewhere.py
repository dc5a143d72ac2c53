"""What a request says about where to restore to, as an operation's arguments."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from chalicelib.domain.version import Manifest
from chalicelib.planning.selecting.capture_rules import CLUSTER_NAMESPACES
from chalicelib.services.access import Asker
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.refusals import invalid

if TYPE_CHECKING:
    from chalicelib.services.clusters import RegisteredClusters
    from chalicelib.store.repository import Repository


class Elsewhere:
    """Reads and checks the destination of requests."""

    def __init__(self, repository: Repository, clusters: RegisteredClusters) -> None:
        self._repository = repository
        self._clusters = clusters

    def arguments(self, asker: Asker, manifest: Manifest, request: RestoreRequest) -> dict[str, Any]:
        """`cluster`, `namespaces`, `storageClasses` and `suspend`, each only if it is not where the application is
        or as the document says; `Invalid` if they make no sense for this version."""
        own = self._repository.applications.get(manifest.application).cluster
        cluster = self._clusters.find(asker, request.cluster).id if request.cluster else None
        if manifest.purpose == "safety":
            if request.namespace or request.namespaces or cluster not in {None, manifest.cluster}:
                field = "cluster" if request.cluster else "namespace" if request.namespace else "namespaces"
                raise invalid(field, "a safety version goes back to where it was made", "leave it out")
            cluster = manifest.cluster
        if cluster == own:
            cluster = None
        names = self._names(manifest, request)
        for old, new in names.items():
            if new in manifest.namespaces and (new not in names or not self._is_far(manifest, cluster)):
                told = f"{new} is a namespace of the version itself, and {old} would be mixed into it"
                raise invalid("namespaces", told, "choose another name")
        classes = {old: new for old, new in request.storage_classes.items() if old != new}
        found = {"cluster": cluster, "namespaces": names, "storageClasses": classes}
        there = {name: value for name, value in found.items() if value}
        return there if request.suspend is None else {**there, "suspend": request.suspend}

    def _is_far(self, manifest: Manifest, cluster: str | None) -> bool:
        """Whether it is another cluster than the version's, as far as that is known before anybody looks."""
        here = self._repository.clusters.get(cluster).uid if cluster is not None else manifest.cluster_uid
        return cluster is not None and not (here and here == manifest.cluster_uid)

    def _names(self, manifest: Manifest, request: RestoreRequest) -> dict[str, str]:
        names = dict(request.namespaces)
        if request.namespace is not None:
            if names:
                raise invalid("namespace", "`namespaces` says it already", "leave one of the two out")
            if len(manifest.namespaces) != 1:
                told = f"the version holds {len(manifest.namespaces)} namespaces, and it is not clear which is meant"
                raise invalid("namespace", told, "say `namespaces`, each with its new name")
            names = {manifest.namespaces[0]: request.namespace}
        unknown = sorted(names.keys() - set(manifest.namespaces))
        if unknown:
            held = ", ".join(manifest.namespaces) or "none"
            raise invalid(
                "namespaces", f"{unknown[0]} is no namespace of the version, which holds {held}", "correct it"
            )
        owned = sorted(CLUSTER_NAMESPACES & {new for old, new in names.items() if old != new})
        if owned:
            raise invalid(
                "namespaces",
                f"{owned[0]} is the cluster's own, and nothing is restored into it",
                "choose another one",
            )
        twice = [name for name, times in Counter(names.values()).items() if times > 1]
        if twice:
            raise invalid(
                "namespaces", f"two namespaces cannot both become {twice[0]}", "give each a name of its own"
            )
        return {old: new for old, new in names.items() if old != new}
