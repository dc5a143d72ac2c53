"""The safety version: everything a restore is about to change, sealed before the first write.

It is what undo puts back. It also is the last look before the first write: an object that is not as the plan saw it
stops the restore here, while nothing has been touched.
"""

from __future__ import annotations

import contextlib

from chalicelib.cluster.listing import Listing
from chalicelib.domain.errors import Conflict, SegmentsGone
from chalicelib.domain.ids import new_id
from chalicelib.domain.plan import Plan, Verb
from chalicelib.domain.version import Note
from chalicelib.engine.capture.live import read_objects
from chalicelib.engine.capture.packing import PackingVisitor
from chalicelib.engine.capture.reading import Reading
from chalicelib.engine.capture.rows import Row
from chalicelib.engine.lane.sweeps import sweep_later
from chalicelib.engine.lane.work import Work
from chalicelib.engine.operations.backup import draw_up
from chalicelib.engine.write.written import is_as_planned
from chalicelib.planning.bodies.normalise import digest, normalise
from chalicelib.planning.plan.sayings import moved

#: Times that one is made, where sweeps take what it counts on.
_MOST_TIMES = 3


def make(work: Work, plan: Plan) -> str:
    """Seal the live state of what `plan` will change; returns the version's id. `Conflict` if something moved."""
    for _ in range(_MOST_TIMES - 1):
        with contextlib.suppress(SegmentsGone):
            return _make(work, plan)
        give_up(work)
    return _make(work, plan)


def give_up(work: Work) -> None:
    """A safety version that is not to be: whatever a stalled worker still writes, it will not exist."""
    version = work.checkpoint.get("safetyDraft")
    if version is not None and not work.checkpoint.get("safetyVersion"):
        work.lease.check()
        work.repository.versions(work.application.id).end(version, "mainstay", "no safety version came of it")
        work.note(safetyDraft=None)
        sweep_later(work.repository, work.application.id)


def _make(work: Work, plan: Plan) -> str:
    version = work.checkpoint.get("safetyDraft")
    if version is None:
        version = new_id("ver", work.now())
        work.note(safetyDraft=version)
    application = work.application.id
    started = work.now()
    touched = {
        action.object.key: action
        for action in plan.actions
        if action.verb in {Verb.UPDATE, Verb.REPLACE, Verb.DELETE}
    }
    writer = work.repository.segment_writer(application)
    reading, others = Reading(), []
    bodies = sorted(read_objects(work.session, touched, work.pause), key=lambda found: found[0])
    with PackingVisitor(writer) as visitor:
        for key, resource, body in bodies:
            uid, resource_version = body["metadata"]["uid"], body["metadata"]["resourceVersion"]
            content = normalise(body, resource)
            hashed = digest(content)
            action = touched[key]
            if uid != action.live_uid or not is_as_planned(action, content, hashed):
                others.append(str(key))
                continue
            listing = Listing(resource, key.namespace)
            token = visitor.take(listing, key, content, hashed, b"")
            reading.rows.append(Row(key, hashed, uid, resource_version, None, token))
            reading.resources[(resource.group, resource.kind)] = resource
        others += [str(key) for key in touched.keys() - {key for key, _, _ in bodies}]
        if others:
            others.sort()
            raise Conflict(
                f"{moved(others)} between plan and apply. Nothing was changed; make a new plan.",
                details={"moved": others[:1000]},
            )
        packed = visitor.finish(reading.rows)
    document = writer.put("document", work.application.document.encode())
    manifest = draw_up(work, version, started, work.now(), reading, packed, document, writer, purpose="safety")
    with work.sealing():
        comment = f"What {work.operation.id} was about to change."
        work.repository.notes.update(
            application,
            version,
            lambda found: None if found.made_by else Note(version=version, comment=comment, made_by="mainstay"),
        )
        work.repository.versions(application).seal(manifest)
    return version
