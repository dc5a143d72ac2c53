"""Deleting an application: its versions end, its name becomes free, its document says that it is deleted.

    versions ─► release ─► succeeded

Segments are left to a sweep, which is asked for at the end. With `keepVersions` the versions stay, to be restored
from the vault's folder. A version that is held stops the deletion, whenever the hold was set.
"""

from __future__ import annotations

from chalicelib.domain.errors import Conflict
from chalicelib.domain.operation import State
from chalicelib.engine.lane.sweeps import sweep_later
from chalicelib.engine.lane.work import Finish, Flow, Next, Work


def end_versions(work: Work) -> Next:
    """End every version, the oldest first: an interrupted deletion leaves the newest ones.

    `Conflict` if one is held: before anything is ended, or (set while this runs) when its turn comes.
    """
    if not work.operation.arguments.get("keepVersions"):
        names = list(reversed(list(work.repository.versions(work.application.id).list())))
        for version in names:
            work.pause()
            if work.repository.notes.get(work.application.id, version).hold:
                raise _held(version, "Nothing was deleted.")
        for number, version in enumerate(names):
            work.pause()
            try:
                work.repository.end_version(
                    work.application.id, version, work.operation.requested_by, "the application was deleted"
                )
            except Conflict as error:
                raise _held(
                    version, f"{number} of {len(names)} versions, the oldest, are deleted, the others not."
                ) from error
            work.report(number + 1, len(names), "versions")
    return Next("release")


def _held(version: str, so_far: str) -> Conflict:
    return Conflict(
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
    sweep_later(work.repository, application.id)
    return Finish(State.SUCCEEDED)


DELETE = Flow("versions", {"versions": end_versions, "release": release})
