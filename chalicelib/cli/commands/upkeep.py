"""`repository verify`, `stats` and `sweep`: is everything there, what does it take, away with what is not needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from chalicelib.cli.command import command
from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.session import Session

if TYPE_CHECKING:
    from chalicelib.engine.verifying import Verified
    from chalicelib.store.repository import Repository
    from chalicelib.store.statistics import VaultSize

_APPLICATION = click.option("--app", "application", metavar="APP", help="Only this one: its name or id.")


@command(
    "verify",
    short_help="Read everything that versions need, and name what is damaged.",
    then="""Each manifest is authenticated, each segment decrypted and compared with its id, each object with its
    digest. Nothing is changed. What is damaged is told with the versions and objects that it takes along; then the
    exit code is 1. With --quick no segment is read: only whether each is there and as long as it was.

    --mark writes down what is damaged, and nothing else: from then on no backup counts on it, and the next one stores
    the content again.""",
    examples=[
        ("Everything, each month perhaps", "{program} repository verify"),
        ("Of one application, only what a listing shows", "{program} repository verify --app shop --quick"),
        ("Something was damaged: mend later backups", "{program} repository verify --app shop --mark"),
    ],
)
@_APPLICATION
@click.option("--quick", is_flag=True, help="Read manifests only, and compare sizes.")
@click.option("--mark", is_flag=True, help="Have the next backup store damaged content again.")
def verify(session: Session, *, application: str | None, quick: bool, mark: bool) -> Exit:
    """Read everything that versions need, and name what is damaged."""
    from chalicelib.engine import verifying

    repository = _repository()
    found = []
    for identifier in _applications(repository, application):
        name = _name(repository, identifier)
        verifier = verifying.Verifier(repository, identifier, _progress(session, name))
        found.append((name, verifier.look(quick=quick)))
    marked = sum(verifying.mark(repository, each) for _, each in found) if mark else 0
    damaged = sum(len(each.damages) for _, each in found)
    shown = [{"name": name, **_verified(each)} for name, each in found]

    def render() -> Any:
        from chalicelib.cli.rendering.upkeep import verified_lines

        yield from verified_lines(shown, quick=quick)

    answer = {"applications": shown, "damaged": damaged, "marked": marked}
    session.screen.show(answer, render, ids=[each.key for _, which in found for each in which.damages])
    if damaged and not mark:
        session.screen.hint(session.named("Have the next backup store it again: {program} repository verify --mark"))
    return Exit.FAILED if damaged else Exit.OK


def _verified(verified: Verified) -> dict[str, Any]:
    return {
        "id": verified.application,
        "versions": verified.versions,
        "segments": verified.segments,
        "bytes": verified.bytes,
        "objects": verified.objects,
        "affectedVersions": verified.affected,
        "damages": [
            {
                "key": damage.key,
                "message": damage.message,
                "versions": sorted(damage.versions),
                "objects": sorted(damage.objects),
            }
            for damage in verified.damages
        ],
    }


@command(
    "stats",
    short_help="What the repository holds and takes, by application or version.",
    then="""With --app each version: `stored` is what it refers to, `own` what no other version needs (and a sweep
    would free if it were deleted). `unneeded` is what a sweep removes when it is old enough.""",
    examples=[
        ("All applications", "{program} repository stats"),
        ("The versions of one", "{program} repository stats --app shop"),
        ("For a program", "{program} repository stats -o json"),
    ],
)
@_APPLICATION
def stats(session: Session, *, application: str | None) -> None:
    """What the repository holds and takes."""
    from chalicelib.store.statistics import measure

    repository = _repository()
    found = [
        _size(_name(repository, each), measure(repository, each)) for each in _applications(repository, application)
    ]
    answer = {"applications": found}

    def render() -> Any:
        from chalicelib.cli.rendering.upkeep import applications_table, versions_table

        yield applications_table(found)
        if application is not None and found[0]["versions"]:
            yield ""
            yield versions_table(found[0]["versions"])

    session.screen.show(answer, render, ids=[each["id"] for each in found])


def _size(name: str, size: VaultSize) -> dict[str, Any]:
    return {
        "name": name,
        "id": size.application,
        "segments": size.segments,
        "plainBytes": size.plain_bytes,
        "storedBytes": size.stored_bytes,
        "neededBytes": size.needed_bytes,
        "ratio": None if size.ratio is None else round(size.ratio, 2),
        "unneededSegments": size.unneeded_segments,
        "unneededBytes": size.unneeded_bytes,
        "condemnedSegments": size.condemned_segments,
        "versions": [
            {
                "id": each.version,
                "objects": each.objects,
                "plainBytes": each.plain_bytes,
                "storedBytes": each.stored_bytes,
                "ownBytes": each.unique_bytes,
            }
            for each in size.versions
        ],
    }


@command(
    "sweep",
    short_help="Remove what no version needs.",
    then="""The service does this by itself, a day after something was deleted (MAINSTAY_SWEEP_GRACE_HOURS). By hand
    it takes what is old enough now, or with --now everything that no version needs. It waits in line with the
    application's other operations, and a restore goes first. Deletions that the storage refuses, such as under a
    retention, are told; then the exit code is 7.""",
    examples=[
        ("All applications", "{program} repository sweep"),
        ("The storage is full", "{program} repository sweep --now"),
    ],
)
@_APPLICATION
@click.option("--now", "at_once", is_flag=True, help="Also what is younger than the time of grace.")
def sweep(session: Session, *, application: str | None, at_once: bool) -> Exit:
    """Remove what no version needs."""
    from chalicelib.cli.direct import open_direct

    gateway = open_direct(session.screen.announce)
    repository = _repository()
    ended = []
    for identifier in _applications(repository, application):
        name = _name(repository, identifier)
        session.screen.say(f"{name} …")
        ended.append({"name": name, **gateway.sweep(identifier, at_once=at_once)})
    answer = {"items": ended}

    def render() -> Any:
        from chalicelib.cli.rendering.upkeep import swept_lines

        yield from swept_lines(ended)

    session.screen.show(answer, render, ids=[each["id"] for each in ended])
    if any(each["state"] not in {"succeeded", "partial"} for each in ended):
        return Exit.FAILED
    return Exit.PARTIAL if any(each["state"] == "partial" for each in ended) else Exit.OK


def _repository() -> Repository:
    from chalicelib import bootstrap
    from chalicelib.settings import Settings

    return bootstrap.open_repository(Settings.read(os.environ))


def _applications(repository: Repository, wanted: str | None) -> list[str]:
    from chalicelib.engine.verifying import applications

    found = applications(repository)
    if wanted is None:
        return found
    chosen = [each for each in found if wanted in {each, _name(repository, each)}]
    if not chosen:
        raise Failure(
            f"There is nothing of an application {wanted!r} in the repository.",
            code="not-found",
            exit_code=Exit.NOT_FOUND,
        )
    return chosen


def _name(repository: Repository, application: str) -> str:
    from chalicelib.domain.errors import MainstayError

    try:
        return repository.applications.get(application).name
    except MainstayError:
        return application  # its folder was copied here, or its document is damaged


def _progress(session: Session, name: str) -> Callable[[int, int], None]:
    """Now and then how far it is."""
    import time

    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_EVERY:
            told = time.monotonic()
            session.screen.say(f"{name}: {done:,} of {total:,} segments", "dim")

    return tell


#: Seconds between two signs of life.
_TELL_EVERY = 2.0
