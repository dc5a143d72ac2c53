"""`repository verify`, `stats` and `sweep`: is everything there, what does it take, away with what is not needed.

Each asks the server where one is named, and else works on the repository itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from chalicelib.cli.command import command
from chalicelib.cli.commands.names import APPLICATION
from chalicelib.cli.exits import Exit, exit_of_operation
from chalicelib.cli.failure import Failure
from chalicelib.cli.following import follow
from chalicelib.cli.gateway import Json
from chalicelib.cli.naming import prefix_of
from chalicelib.cli.session import Session

if TYPE_CHECKING:
    from chalicelib.store.repository import Repository

_APPLICATION = click.option(
    "--app", "application", metavar="APP", type=APPLICATION, help="Only this one: its name or id."
)


@command(
    "verify",
    short_help="Read everything that versions need, and name what is damaged.",
    then="""Each manifest is authenticated, each segment decrypted and compared with its id, each object with its
    digest. Nothing is changed. What is damaged is told with the versions and objects that it takes along; then the
    exit code is 1. With --quick no segment is read: only whether each is there and as long as it was.

    --repair writes over damaged content what another copy of it has, which makes every version that needs it whole.
    Where there is no other copy it sees to it that the next backup stores the content again; after that backup,
    --repair mends the older versions too.""",
    examples=[
        ("Everything, each month perhaps", "{program} repository verify"),
        ("Of one application, only what a listing shows", "{program} repository verify --app shop --quick"),
        ("Something was damaged", "{program} repository verify --app shop --repair"),
        (
            "There was no other copy of it: make one, and mend",
            "{program} backup shop\n{program} repository verify --app shop --repair",
        ),
    ],
)
@_APPLICATION
@click.option("--quick", is_flag=True, help="Read manifests only, and compare sizes.")
@click.option("--repair", is_flag=True, help="Mend what can be, and have the next backup store the rest again.")
def verify(session: Session, *, application: str | None, quick: bool, repair: bool) -> Exit:
    """Read everything that versions need, and name what is damaged."""
    look = _verified_there if session.asks_server else _verified_here
    shown = look(session, application, quick=quick, repair=repair)
    damages = [damage for each in shown for damage in each["damages"]]
    left = [damage for damage in damages if damage["repair"] != "mended"]

    def render() -> Any:
        from chalicelib.cli.rendering.upkeep import verified_lines

        yield from verified_lines(shown, quick=quick)

    repairs = [damage["repair"] for damage in damages]
    answer = {
        "applications": shown,
        "damaged": len(damages),
        "mended": repairs.count("mended"),
        "condemned": repairs.count("condemned"),
    }
    session.screen.show(answer, render, ids=[damage["key"] for damage in damages])
    for each in shown:
        if any(damage["repair"] == "condemned" for damage in each["damages"]):
            session.screen.hint(session.named(f"Store it again: {{program}} backup {each['name']}"))
            session.screen.hint(
                session.named(f"Then mend: {{program}} repository verify --app {each['name']} --repair")
            )
    if left and not repair:
        session.screen.hint(session.named("Mend it, or have it stored again: {program} repository verify --repair"))
    ended = [exit_of_operation({"state": "failed", **each}) for each in shown if "error" in each]
    return Exit.FAILED if left else ended[0] if ended else Exit.OK


def _verified_there(session: Session, application: str | None, *, quick: bool, repair: bool) -> list[Json]:
    """Each application, verified by the server: as operations, one after the other."""
    gateway, shown = session.gateway, []
    for vault in _vaults(gateway.vaults()["items"], application):
        session.screen.say(f"{vault['name']} …")
        operation = follow(session, gateway.verify(vault["id"], quick=quick, repair=repair))
        found: Json = {"name": vault["name"], "id": vault["id"], "operation": operation["id"], "damages": []}
        if operation["outcome"]:  # it came to its end, whatever it found
            found |= {member: operation["outcome"][member] for member in _COUNTED}
            found["damages"] = _put_together(gateway.damages(operation["id"])["items"])
            found["affectedVersions"] = _affected(found["damages"])
        else:
            found["error"] = operation["error"]
        shown.append(found)
    return shown


_COUNTED = ("versions", "segments", "bytes", "objects")


def _put_together(rows: Sequence[Json]) -> list[Json]:
    """Of one damage there may be several rows."""
    damages: dict[str, Json] = {}
    for row in rows:
        known = damages.setdefault(row["key"], {**row, "versions": [], "objects": []})
        known["versions"] += row["versions"]
        known["objects"] += row["objects"]
    return list(damages.values())


def _affected(damages: Sequence[Json]) -> list[str]:
    return sorted({version for each in damages if each["repair"] != "mended" for version in each["versions"]})


def _verified_here(session: Session, application: str | None, *, quick: bool, repair: bool) -> list[Json]:
    """Each application, by this very process; nothing is written that is not asked for."""
    from chalicelib.engine.operations import mending
    from chalicelib.engine.operations.verifying import Verifier

    repository, shown = _repository(), []
    for vault in _vaults(_vaults_here(repository), application):
        verifier = Verifier(repository, vault["id"], _progress(session, vault["name"]))
        verified = verifier.look(quick=quick)
        if repair:
            mending.repair(repository, verifier, verified)
        damages = [
            {
                "key": damage.key,
                "message": damage.message,
                "repair": damage.repair,
                "versions": sorted(damage.versions),
                "objects": sorted(damage.objects),
            }
            for damage in verified.damages
        ]
        counted = {name: given for name, given in asdict(verified).items() if name in _COUNTED}
        shown.append({**vault, **counted, "damages": damages, "affectedVersions": verified.affected})
    return shown


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
    from chalicelib.cli.rendering.upkeep import unread

    found = _sizes_there(session, application) if session.asks_server else _sizes_here(application)
    answer = {"applications": found}

    def render() -> Any:
        from chalicelib.cli.rendering.upkeep import applications_table, versions_table

        yield applications_table(found)
        if application is not None and found[0]["versions"]:
            yield ""
            yield versions_table(found[0]["versions"])

    session.screen.show(answer, render, ids=[each["id"] for each in found])
    for each in found:
        if not each["complete"]:
            session.screen.warn(unread(each))
            session.screen.hint(
                session.named(
                    "{program} repository verify names what is damaged; {program} forget VERSION deletes it."
                    if each["damaged"]
                    else "With MAINSTAY_REPOSITORY: {program} repository stats reads all of it."
                )
            )


def _sizes_there(session: Session, application: str | None) -> list[Json]:
    gateway = session.gateway
    if application is not None and prefix_of(application) == "app":
        return [gateway.vault_size(application.lower())]
    return [gateway.vault_size(vault["id"]) for vault in _vaults(gateway.vaults()["items"], application)]


def _sizes_here(application: str | None) -> list[Json]:
    from chalicelib.services.vaults import size_view
    from chalicelib.store.statistics import measure

    repository = _repository()
    found = [
        size_view(vault["name"], measure(repository, vault["id"]))
        for vault in _vaults(_vaults_here(repository), application)
    ]
    return [each.model_dump(mode="json", by_alias=True) for each in found]


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
    session.direct = not session.asks_server
    gateway, swept = session.gateway, []
    for vault in _vaults(gateway.vaults()["items"], application):
        session.screen.say(f"{vault['name']} …")
        operation = follow(session, gateway.sweep(vault["id"], at_once=at_once))
        swept.append({"name": vault["name"], **operation})
    answer = {"items": swept}

    def render() -> Any:
        from chalicelib.cli.rendering.upkeep import swept_lines

        yield from swept_lines(swept)

    session.screen.show(answer, render, ids=[each["id"] for each in swept])
    if any(each["state"] not in {"succeeded", "partial"} for each in swept):
        return Exit.FAILED
    return Exit.PARTIAL if any(each["state"] == "partial" for each in swept) else Exit.OK


def _repository() -> Repository:
    from chalicelib import bootstrap
    from chalicelib.local.first_start import found

    return bootstrap.open_repository(found(os.environ))


def _vaults_here(repository: Repository) -> list[Json]:
    from chalicelib.engine.operations.verifying import applications

    return [{"name": _name(repository, each), "id": each} for each in applications(repository)]


def _vaults(known: Sequence[Json], wanted: str | None) -> list[Json]:
    chosen = [each for each in known if wanted is None or wanted in {each["id"], each["name"]}]
    if wanted is not None and not chosen:
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
