"""`repository …`: what is done to the repository itself, by whoever holds what opens it; or by a server that does."""

from __future__ import annotations

import os
from typing import Any

import click

from chalicelib.cli.command import Group, command
from chalicelib.cli.commands.upkeep import stats, sweep, verify
from chalicelib.cli.session import Session


@click.group(
    "repository",
    cls=Group,
    short_help="Make the repository, say what opens it, verify it, and sweep it.",
    then="""These commands work on the repository that MAINSTAY_REPOSITORY names, with what opens it:
    MAINSTAY_PASSPHRASE_FILE (a file with the passphrase, or with the recovery key), MAINSTAY_KMS_KEY, or both. They
    need no server.

    Where one is named (--url, MAINSTAY_URL), or no repository is, verify, stats and sweep ask the server instead.
    With --direct they do not: without MAINSTAY_REPOSITORY they then work on the repository that `{program} serve`
    made in your data directory, and so does rewrap, always.""",
    examples=[
        (
            "In a bucket, opened by a KMS key",
            "MAINSTAY_REPOSITORY=s3://backups MAINSTAY_KMS_KEY=alias/mainstay-dev \\\n  {program} repository init",
        ),
        ("Let a KMS key open it too", "MAINSTAY_KMS_KEY=alias/mainstay-dev {program} repository rewrap"),
    ],
)
def repository() -> None:
    """Make the repository, say what opens it, verify it, and sweep it."""


@command(
    "init",
    short_help="Make the repository, and show its recovery key once.",
    then="""Tries first whether the storage keeps the promises that the repository rests on. Where there is a
    repository already, nothing changes. The recovery key opens everything, without AWS and without a passphrase:
    write it down and keep it elsewhere.""",
    examples=[
        (
            "In a bucket",
            "MAINSTAY_REPOSITORY=s3://backups MAINSTAY_KMS_KEY=alias/backups \\\n  {program} repository init",
        )
    ],
)
def init(session: Session) -> None:
    """Make the repository, and show its recovery key once."""
    from chalicelib import bootstrap
    from chalicelib.settings import Settings

    settings = Settings.read(os.environ)
    address = bootstrap.address_of(settings)
    recovery_key = bootstrap.make_repository(settings)
    answer = {"repository": address, "made": recovery_key is not None}
    if recovery_key is not None:
        session.screen.announce(
            f"Recovery key, shown this once (write it down and keep it away from here): {recovery_key}"
        )

    def render() -> Any:
        yield f"A repository was made at {address}." if recovery_key else f"There is a repository at {address}."

    session.screen.show(answer, render, ids=[address])


@command(
    "rewrap",
    short_help="Let what is set here open the repository too.",
    then="""Whatever is set and does not open the repository yet (a KMS key, another passphrase) will from now on;
    one of those that are set must open it already. What opened it before goes on to do so: nothing is taken away,
    and nothing else is written anew. Stopped in the middle, it is simply called again.""",
    examples=[
        (
            "A KMS key beside the passphrase",
            "MAINSTAY_PASSPHRASE_FILE=passphrase MAINSTAY_KMS_KEY=alias/backups \\\n  {program} repository rewrap",
        ),
        ("The recovery key was lost", "{program} repository rewrap --new-recovery-key"),
    ],
)
@click.option("--new-recovery-key", is_flag=True, help="Make one more recovery key, and show it once.")
def rewrap(session: Session, *, new_recovery_key: bool) -> None:
    """Let what is set here open the repository too."""
    from chalicelib import bootstrap
    from chalicelib.local.first_start import found

    done, recovery_key = bootstrap.rewrap_root_key(found(os.environ), new_recovery_key=new_recovery_key)
    if recovery_key is not None:
        session.screen.announce(
            f"Recovery key, shown this once (write it down and keep it away from here): {recovery_key}"
        )
    answer = {
        "rootKeyFile": done.number,
        "added": list(done.added),
        "applications": done.applications,
        "leftAsTheyAre": list(done.foreign),
    }

    def render() -> Any:
        added = " and ".join(done.added)
        yield f"It opens with {added} too." if added else "Everything that is set opens it already."
        if done.applications:
            yield f"The key files of {done.applications} applications were written anew."

    session.screen.show(answer, render, ids=done.added)
    for application in done.foreign:
        session.screen.warn(f"{application}: nothing that is set opens its key; it was left as it is.")


for _command in (init, rewrap, verify, stats, sweep):
    repository.add_command(_command)
