"""Registered clusters, and their credentials: encrypted, apart, bound to the cluster they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chalicelib.domain.application import ClusterRecord
from chalicelib.domain.errors import NotFound
from chalicelib.domain.version import Stored
from chalicelib.store import layout
from chalicelib.store.backend import Backend
from chalicelib.store.documents import Documents
from chalicelib.store.keys import Keyring


class Sealed(Stored):
    """A secret as the keyring sealed it."""

    sealed: dict[str, Any]


class Clusters:
    """The documents of clusters."""

    def __init__(self, control: Backend, keyring: Callable[[], Keyring]) -> None:
        self._control = control
        self._documents = Documents(control)
        self._keyring = keyring

    def create(self, cluster: ClusterRecord) -> ClusterRecord:
        """Write a new one. `Exists` if there is one with this id."""
        return self._documents.create(layout.cluster(cluster.id), cluster)

    def get(self, cluster: str) -> ClusterRecord:
        """One, or `NotFound`."""
        found = self._documents.read(layout.cluster(cluster), ClusterRecord)
        if found is None:
            raise NotFound(f"There is no cluster {cluster}.")
        return found.model

    def update(self, cluster: str, change: Callable[[ClusterRecord], ClusterRecord | None]) -> ClusterRecord:
        """Change one; see `Documents.update`."""
        return self._documents.update(layout.cluster(cluster), ClusterRecord, change)

    def list(self) -> Iterator[ClusterRecord]:
        """All that can be read, in the order of registration."""
        yield from self._documents.each((listed.key for listed in self._control.list(layout.CLUSTERS)), ClusterRecord)

    def names_of_one(self, cluster: str) -> frozenset[str]:
        """The ids under which a cluster is registered: its own, and those of others that are the same cluster."""
        records = list(self.list())
        mine = next((record for record in records if record.id == cluster), None)
        return frozenset({cluster, *(each.id for each in records if mine is not None and mine.is_one_with(each))})

    def delete(self, cluster: str) -> None:
        """Remove one and its credentials, these first."""
        self._documents.delete(layout.cluster_credentials(cluster))
        self._documents.delete(layout.cluster(cluster))

    def set_credentials(self, cluster: str, secret: bytes) -> None:
        """Keep the credentials of a cluster (a kubeconfig's text), in place of any before."""
        key = layout.cluster_credentials(cluster)
        sealed = Sealed(sealed=self._keyring().seal_secret(key, secret))
        self._documents.update(key, Sealed, lambda _: sealed, default=Sealed(sealed={}))

    def forget_credentials(self, cluster: str) -> None:
        """Remove the credentials of a cluster, if there are any."""
        self._documents.delete(layout.cluster_credentials(cluster))

    def credentials(self, cluster: str) -> bytes | None:
        """The credentials of a cluster, or `None`. Never to be shown."""
        key = layout.cluster_credentials(cluster)
        found = self._documents.read(key, Sealed)
        return self._keyring().open_secret(key, found.model.sealed) if found else None
