"""Making a version.

    capture ─► seal ─► retain ─► succeeded | partial

`capture` reads the selection and stores its content; what it stored and does not need again is left to sweep. If its
turn ends, what it has read is kept (see `keeping`), and the next turn reads what is missing. Its checkpoint is the
whole manifest, so `seal` needs nothing else, and may be done by another worker.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import orjson

from chalicelib.cluster.listing import items
from chalicelib.domain.errors import Cancelled, ClusterError, ClusterRefused, MainstayError, NotFound, SegmentsGone
from chalicelib.domain.ids import new_id
from chalicelib.domain.operation import State
from chalicelib.domain.version import (
    Gap,
    ImageSeen,
    KindSummary,
    Manifest,
    Note,
    ReadyWorkload,
    SegmentRef,
)
from chalicelib.engine.capture import closure, health, retention
from chalicelib.engine.capture.keeping import Keeper
from chalicelib.engine.capture.noting import Noting
from chalicelib.engine.capture.packing import Packed, PackingVisitor
from chalicelib.engine.capture.reading import Reading, read, requests_of
from chalicelib.engine.lane.sweeps import sweep_later
from chalicelib.engine.lane.work import Finish, Flow, Next, Work
from chalicelib.planning.selecting.selection import Selection
from chalicelib.store.segments import SegmentWriter

#: Times that one backup captures, where sweeps take what it counts on.
_MOST_CAPTURES = 3


def capture(work: Work) -> Next:
    """Read the selection, store its content, and draw the manifest up."""
    version, started = _begun(work)
    session = work.session
    writer = work.repository.segment_writer(work.application.id)
    selection = Selection(work.document.spec.state.objects)
    follows = work.document.spec.state.closure == "references"
    with ExitStack() as stack:
        visitor = stack.enter_context(PackingVisitor(writer))
        noting = Noting(visitor, selection, session.discovery.resources)
        keeper = stack.enter_context(
            Keeper(work, visitor, requests_of(session, selection), writer, noting if follows else None)
        )
        reading = read(
            session,
            selection,
            noting if follows else visitor,
            pause=work.pause,
            progress=keeper.report,
            so_far=keeper.so_far,
        )
        reading.gaps += _absent_namespaces(work, reading)
        followed = closure.Closure()
        if follows:
            followed = closure.pull(session, selection, noting.noted, reading, visitor, work.pause)
        captured = work.now()
        work.pause()
        # From here to the end it is a matter of moments, which would have to be spent again.
        packed = visitor.finish(reading.rows)
    document = writer.put("document", work.application.document.encode())
    more = {
        "pulled": tuple(followed.pulled),
        "unfollowed": tuple(followed.unfollowed),
        "withheld": tuple(followed.withheld),
    }
    manifest = draw_up(work, version, started, captured, reading, packed, document, writer, **more)
    seen = {"health": _health(work), "images": _images(work)}
    manifest = manifest.model_copy(update={**seen, "added_bytes": keeper.added_bytes})
    work.look()
    number = work.next_number("manifest")
    work.put_part("manifest", number, [orjson.dumps(manifest.model_dump(mode="json", by_alias=True))])
    return Next("seal", {"manifestFence": work.fence})


def _begun(work: Work) -> tuple[str, datetime]:
    """The version's id, and when the first turn of its capture began."""
    if "version" not in work.checkpoint:
        now = work.now()
        work.note(version=new_id("ver", now), captureBegan=now.isoformat())
    began = work.checkpoint.get("captureBegan")
    return work.checkpoint["version"], datetime.fromisoformat(began) if began else work.now()


def _absent_namespaces(work: Work, reading: Reading) -> list[Gap]:
    """Namespaces of the document that are not there: a list in such a one is empty, and no error.

    Raises `NotFound` if nothing at all was found: an empty version would look like a good one.
    """
    resource = work.session.discovery.resource_for("", "Namespace")
    names = work.document.spec.state.namespaces
    if resource is None:
        return []
    try:
        absent = [name for name in names if work.session.objects.get(resource, "", name) is None]
    except ClusterRefused:
        return []  # an account that may not see namespaces
    if absent and not reading.rows:
        raise NotFound(
            f"There is nothing to back up: the cluster has no namespace {' and no namespace '.join(absent)}."
        )
    return [
        Gap(group="", kind="*", namespace=name, status=404, message=f"The cluster has no namespace {name}.")
        for name in absent
    ]


def draw_up(
    work: Work,
    version: str,
    started: datetime,
    captured: datetime,
    reading: Reading,
    packed: Packed,
    document: SegmentRef,
    writer: SegmentWriter,
    **more: Any,
) -> Manifest:
    """The manifest of what was read and packed."""
    counts = reading.rows.counts()
    kinds = tuple(
        KindSummary(
            group=resource.group,
            version=resource.version,
            kind=resource.kind,
            plural=resource.plural,
            namespaced=resource.namespaced,
            has_status=resource.has_status,
            count=counts[key],
        )
        for key, resource in sorted(reading.resources.items())
        if counts[key]
    )
    return Manifest(
        application=work.application.id,
        version=version,
        application_name=work.application.name,
        cluster=work.destination.cluster or work.application.cluster,
        cluster_version=_cluster_version(work),
        cluster_uid=work.session.identity(),
        operation=work.operation.id,
        fence=work.fence,
        started_at=started,
        captured_at=captured,
        namespaces=tuple(work.document.spec.state.namespaces),
        kinds=kinds,
        gaps=tuple(reading.gaps),
        objects=len(reading.rows),
        plain_bytes=packed.plain_bytes,
        added_bytes=writer.added_bytes,
        document=document,
        index=packed.index,
        segments=packed.segments,
        **more,
    )


def _cluster_version(work: Work) -> str:
    return str(work.session.client.get_json("/version").get("gitVersion", ""))


def _health(work: Work) -> tuple[ReadyWorkload, ...]:
    """What is ready now: a later restore waits for these. A cluster that does not tell makes no version worse."""
    try:
        observed = health.observe(work, checks=False)
    except ClusterError:
        return ()
    return tuple(
        ReadyWorkload(
            group="",
            kind=each.kind,
            namespace=each.namespace,
            name=each.name,
            ready=each.healthy,
            message=each.message,
        )
        for each in observed.workloads
    )


def _images(work: Work) -> tuple[ImageSeen, ...]:
    """The images that run in the selection's namespaces, with the digests their nodes report."""
    resource = work.session.discovery.resource_for("", "Pod")
    seen: Counter[tuple[str, str | None]] = Counter()
    if resource is None:
        return ()
    try:
        for namespace in work.document.spec.state.namespaces:
            for pod in items(work.session.client, resource, namespace):
                for status in pod.get("status", {}).get("containerStatuses") or ():
                    digest = str(status.get("imageID") or "").rpartition("@")[2]
                    seen[(str(status.get("image", "")), digest if digest.startswith("sha256:") else None)] += 1
    except ClusterError:
        return ()
    return tuple(
        ImageSeen(image=image, digest=digest, containers=count)
        for (image, digest), count in sorted(seen.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    )


def seal(work: Work) -> Next:
    """Make the version exist. From here a cancel comes too late."""
    application = work.application.id
    lines = work.repository.operations.read_lines(
        application, work.operation.id, "manifest", fence=work.checkpoint["manifestFence"]
    )
    *_, drawn_up = lines  # one that could not be sealed may lie before it
    manifest = Manifest.model_validate_json(drawn_up)
    work.enter_sealing()
    arguments = work.operation.arguments
    work.repository.notes.update(
        application,
        manifest.version,
        # Another worker may have sealed it and died: what people said of it since (a hold!) is theirs.
        lambda found: (
            None
            if found.made_by
            else Note(
                version=manifest.version,
                name=arguments.get("name") or "",
                comment=arguments.get("comment") or "",
                labels=arguments.get("labels") or {},
                made_by=work.operation.requested_by,
            )
        ),
    )
    try:
        work.repository.versions(application).seal(manifest)
    except SegmentsGone as error:
        return _capture_again(work, manifest.version, error)
    work.repository.applications.set_current(application, manifest.version, work.now())
    outcome = {
        "version": manifest.version,
        "objects": manifest.objects,
        "plainBytes": manifest.plain_bytes,
        "addedBytes": manifest.added_bytes,
        "gaps": [gap.model_dump(mode="json", by_alias=True) for gap in manifest.gaps],
        **_pulled_in(manifest),
    }
    state = State.SUCCEEDED if manifest.complete and not manifest.unfollowed else State.PARTIAL
    return Next("retain", {"sealed": {"state": state.value, "outcome": outcome}})


def _capture_again(work: Work, version: str, error: SegmentsGone) -> Next:
    """A sweep took what this counted on: store it anew, as another version. It is rare, so a few times are enough."""
    times = int(work.checkpoint.get("captures", 1))
    if times >= _MOST_CAPTURES:
        raise error
    work.leave_sealing()
    work.repository.versions(work.application.id).end(version, "mainstay", f"it was not sealed: {error.code}")
    now = work.now()
    return Next("capture", {"version": new_id("ver", now), "captureBegan": now.isoformat(), "captures": times + 1})


def _pulled_in(manifest: Manifest) -> dict[str, Any]:
    """For the outcome: how much was pulled in, and what could not or may not be followed."""
    unfollowed = [gap.model_dump(mode="json", by_alias=True) for gap in manifest.unfollowed]
    told = {"pulled": len(manifest.pulled), "unfollowed": unfollowed, "withheld": len(manifest.withheld)}
    return {name: value for name, value in told.items() if value}


def failed(work: Work, error: MainstayError) -> Finish:
    """Give the version up: from now on it cannot come to exist, whatever a stalled worker still writes. One that
    was sealed stays: only what older ones it replaces was not settled."""
    if "sealed" in work.checkpoint:
        return retention.ended(work)
    version = work.checkpoint.get("version")
    if version is not None:
        work.lease.check()
        work.repository.versions(work.application.id).end(
            version, "mainstay", f"the backup did not succeed: {error.code}"
        )
        sweep_later(work.repository, work.application.id)
    return Finish(State.CANCELLED if isinstance(error, Cancelled) else State.FAILED)


BACKUP = Flow("capture", {"capture": capture, "seal": seal, "retain": retention.retain}, failed, yields=True)
