"""Deleting an application: its versions end, its name becomes free, its document says that it is deleted.

    versions ─► release ─► succeeded

Segments are left to sweep. With `keepVersions` the versions stay, and can be restored from the vault's folder. A
version that is held stops the deletion, whenever the hold was set: nobody has looked since the request was made.
"""

from __future__ import annotations

from chalicelib.domain.errors import Conflict
from chalicelib.domain.operation import State
from chalicelib.engine.work import Finish, Flow, Next, Work


def end_versions(work: Work) -> Next:
    """End every version, the oldest first: an interrupted deletion leaves the newest ones.

    `Conflict` if one is held: before anything is ended, or (set while this runs) when its turn comes.
    """
    if not work.operation.arguments.get("keepVersions"):
        versions = work.repository.versions(work.application.id)
        names = list(reversed(list(versions.list())))
        for version in names:
            work.pause()
            _refuse_held(work, version, "Nothing was deleted.")
        for number, version in enumerate(names):
            work.pause()
            _refuse_held(
                work, version, f"{number} of {len(names)} versions, the oldest, are deleted, the others not."
            )
            versions.end(version, work.operation.requested_by, "the application was deleted")
            work.report(number + 1, len(names), "versions")
    return Next("release")


def _refuse_held(work: Work, version: str, so_far: str) -> None:
    if work.repository.notes.get(work.application.id, version).hold:
        raise Conflict(
            f"{version} is held: let it go first, or keep the versions (`keepVersions=true`). {so_far} "
            "The application stays registered."
        )


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
