"""Deleting an application: its versions end, its name becomes free, its document says that it is deleted.

    versions ─► release ─► succeeded

Segments are left to sweep. With `keepVersions` the versions stay, and can be restored from the vault's folder.
"""

from __future__ import annotations

from chalicelib.domain.operation import State
from chalicelib.engine.work import Finish, Flow, Next, Work


def end_versions(work: Work) -> Next:
    """End every version, the oldest first: an interrupted deletion leaves the newest ones."""
    if not work.operation.arguments.get("keepVersions"):
        versions = work.repository.versions(work.application.id)
        names = list(versions.list())
        for number, version in enumerate(reversed(names), start=1):
            work.pause()
            versions.end(version, work.operation.requested_by, "the application was deleted")
            work.report(number, len(names), "versions")
    return Next("release")


def release(work: Work) -> Finish:
    """Free the name and close the application's document."""
    application = work.application
    work.repository.names.free("applications", application.name, application.id)
    at = work.now()
    work.repository.applications.update(
        application.id, lambda found: found.model_copy(update={"status": "deleted", "updated_at": at})
    )
    return Finish(State.SUCCEEDED)


DELETE = Flow("versions", {"versions": end_versions, "release": release})
