"""Whether a restore to "another" cluster leads to the original's own, which is registered under a second name.

It is the cluster that counts, not what it is called. With other namespaces such a restore is a copy beside the
original; without, it is one in place, and that nobody is to find out afterwards: it is refused until somebody has
said that both names are meant to be one cluster (`ClusterRecord.same_as`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chalicelib.domain.application import ClusterRecord
from chalicelib.domain.errors import NotFound
from chalicelib.domain.version import Manifest
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.lane.destination import SAME, destination_of
from chalicelib.engine.lane.work import Work
from chalicelib.planning.elsewhere.destination import Destination
from chalicelib.store.repository import Repository


def recognise(work: Work) -> None:
    """Write down, once for an operation, whether the cluster that it names is the original's own (see
    `destination_of`)."""
    there, version = destination_of(work.repository, work.operation), work.operation.arguments.get("version")
    if there.cluster is not None and version and SAME not in work.checkpoint:
        manifest = work.repository.versions(work.application.id).get(version)
        work.note(**{SAME: _is_original(work.repository, work.session, manifest)})


def _is_original(repository: Repository, session: ClusterSession, manifest: Manifest) -> bool:
    """Whether the version was made on this cluster, or its application is on it."""
    own, here = _own(repository, manifest), session.identity()
    known = {manifest.cluster_uid, own.uid if own is not None else ""} - {""}
    if here and known:
        return here in known
    # Nobody may read what tells clusters apart: then the way to them has to.
    return own is not None and bool(own.server) and own.server == session.record.server


def _own(repository: Repository, manifest: Manifest) -> ClusterRecord | None:
    try:
        return repository.clusters.get(repository.applications.get(manifest.application).cluster)
    except NotFound:
        return None


def blockers(
    repository: Repository,
    session: ClusterSession,
    there: Destination,
    manifest: Manifest | None,
    into: Collection[str],
) -> Iterator[str]:
    """What keeps a restore to the original's own cluster from being begun, in sentences. `into` are the namespaces
    of what is restored, by the names that they have there."""
    if manifest is None or not there.same or manifest.purpose == "safety":
        return
    for name in sorted(set(there.names.values()) & set(manifest.namespaces) & set(into)):
        yield (
            f"{name} is a namespace of the version itself, and {session.record.name} is the cluster that it was made "
            "on: another one would be mixed into it. Choose another name."
        )
    own = _own(repository, manifest)
    if there.names or own is None or session.record.known_as_one_with(own):
        return
    if own.uid and own.uid != session.identity():
        return  # the application has moved to another cluster since: this one is not its own any more
    yield (
        f"{session.record.name} is the cluster that the application is on as {own.name}: the original itself would "
        "be restored. To do that leave `cluster` out; for a copy beside it give a namespace. If both names are meant "
        f"to be one cluster, say so once: `mainstay cluster add {session.record.name} --same-as {own.name}`."
    )


def warnings(session: ClusterSession, there: Destination, manifest: Manifest | None) -> Iterator[str]:
    """What to know about the cluster that it leads to, in sentences."""
    name = session.record.name
    if there.same and there.names:
        yield f"{name} is the cluster that the version was made on: this is a copy beside the original."
    elif there.same:
        yield f"{name} is the cluster that the version was made on: the original itself is restored."
    elif there.cluster is None and manifest is not None and manifest.cluster_uid:
        here = session.identity()
        if here and here != manifest.cluster_uid:
            yield (
                f"{name} is another cluster than it was when the version was made: addresses and volumes of the "
                "version may not be there."
            )
