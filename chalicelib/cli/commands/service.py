"""`clusters`, `serve`, `settings` and `completion`: the service itself and its surroundings."""

from __future__ import annotations

import os
from typing import Any

import click

from chalicelib.cli.command import command
from chalicelib.cli.exits import Exit
from chalicelib.cli.session import Session

SHELLS = ("bash", "zsh", "fish")


@command(
    "clusters",
    short_help="The clusters that are known, or how one is.",
    then="""With a NAME the cluster is asked now, five seconds at most: whether it answers, its version, and which
    permissions are missing. The exit code is 5 if it does not answer.""",
    examples=[("Which there are", "{program} clusters"), ("How one is", "{program} clusters production")],
)
@click.argument("name", metavar="[NAME]", required=False)
def clusters(session: Session, *, name: str | None) -> Exit:
    """The clusters that are known, or how one is now."""
    if name is None:
        _list(session)
        return Exit.OK
    answer = session.gateway.cluster_status(name)

    def render() -> Any:
        from chalicelib.cli.rendering.applications import cluster_page

        return cluster_page(answer)

    session.screen.show(answer, render, ids=["reachable" if answer.get("reachable") else "unreachable"])
    return Exit.OK if answer.get("reachable") else Exit.UNREACHABLE


def _list(session: Session) -> None:
    answer = session.gateway.clusters()

    def render() -> Any:
        from chalicelib.cli.rendering.applications import clusters_table

        return clusters_table(answer["items"], session.now) if answer["items"] else ["No cluster is known."]

    session.screen.show(answer, render, ids=(each["name"] for each in answer["items"]))
    if not answer["items"]:
        session.screen.hint(session.named("Register one: {program} cluster add NAME --kubeconfig FILE"))
        session.screen.hint(
            session.named("Or have the server's kubeconfig become `default`: {program} init -n NAMESPACE")
        )


@command(
    "serve",
    short_help="Run Mainstay on this machine.",
    then="""Serves the API and works on operations until it is stopped with Ctrl-C or SIGTERM; stopped in the middle
    of one, it goes on with it at the next start. With no settings at all the first start makes a repository in your
    data directory, uses the kubeconfig it finds, and shows the recovery key once: keep it.""",
    examples=[
        ("With nothing configured", "{program} serve"),
        (
            "Elsewhere",
            "MAINSTAY_LISTEN=127.0.0.1:9000 MAINSTAY_REPOSITORY=file:///srv/mainstay \\\n  {program} serve",
        ),
    ],
)
def serve(session: Session) -> Exit:
    """Run Mainstay on this machine: the API, and a worker."""
    from chalicelib.local.runner import serve as run

    run(os.environ, session.out, session.err)
    return Exit.OK


@command(
    "settings",
    short_help="The settings in force here, without secrets.",
    then="""These are the settings of this environment, as `{program} serve` and --direct would use them; a server
    that runs elsewhere has its own.""",
    examples=[("As a table", "{program} settings"), ("For a program", "{program} settings -o json")],
)
def settings(session: Session) -> None:
    """The settings in force here, without secrets."""
    from chalicelib.cli.token import runner_token_file, token_source
    from chalicelib.settings import Settings

    here = {"MAINSTAY_URL": session.address, "MAINSTAY_TOKEN": token_source(session.address, session.token_file)}
    answer = {**Settings.read(os.environ).shown(), **here}

    def render() -> Any:
        from chalicelib.cli.rendering.tables import facts

        return [facts([(name, str(given) if given not in {None, ""} else "-") for name, given in answer.items()])]

    session.screen.show(answer, render, ids=(f"{name}={given}" for name, given in answer.items()))
    if not answer["MAINSTAY_REPOSITORY"]:
        session.screen.hint(f"Without MAINSTAY_REPOSITORY everything is kept in {runner_token_file().parent}.")


@command(
    "completion",
    short_help="A script that lets your shell complete commands and names.",
    then="""It completes commands and options, and asks the service for the names of applications, versions and
    operations.""",
    examples=[
        ("bash: in ~/.bashrc", 'eval "$(mainstay completion bash)"'),
        ("zsh: in ~/.zshrc", 'eval "$(mainstay completion zsh)"'),
        ("fish", "mainstay completion fish > ~/.config/fish/completions/mainstay.fish"),
    ],
)
@click.argument("shell", metavar="SHELL", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, session: Session, shell: str) -> None:
    """A script that lets your shell complete commands and names. SHELL is bash, zsh or fish."""
    from click.shell_completion import get_completion_class

    source = get_completion_class(shell)
    assert source is not None  # noqa: S101  # the choice holds only what click knows
    script = source(ctx.find_root().command, {}, "mainstay", "_MAINSTAY_COMPLETE").source()
    print(script, file=session.out)
