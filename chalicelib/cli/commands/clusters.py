"""`cluster …`: register a cluster, change how it is worked with, forget it."""

from __future__ import annotations

from typing import Any

import click

from chalicelib.cli.agreement import agree
from chalicelib.cli.command import Group, command
from chalicelib.cli.commands.documents import read_text
from chalicelib.cli.gateway import Json
from chalicelib.cli.session import Session


@click.group(
    "cluster",
    cls=Group,
    short_help="Register clusters, and forget them.",
    then="""A cluster is tried before anything is stored. What opens it is kept encrypted, and never shown again.
    `{program} clusters` lists them, and says how one is.""",
    examples=[
        (
            "By a kubeconfig",
            "kubectl config view --raw --flatten --minify |\n  {program} cluster add dev --kubeconfig -",
        ),
        (
            "At AWS, with the role that Mainstay runs as",
            "{program} cluster add prod --eks shop --region eu-central-1",
        ),
    ],
)
def cluster() -> None:
    """Register clusters, and forget them."""


@command(
    "add",
    short_help="Register a cluster, or change its credentials.",
    then="""With --eks no credentials are stored: tokens are made with the role that Mainstay runs as, or with
    --role-arn, and renewed as they end. That role needs access to the cluster (an access entry). Where the cluster is
    comes from AWS.

    Registered once more, by the same name and region at AWS, a cluster keeps its role and its proxy unless others are
    given; '' takes them away.

    Two names for one cluster are refused, unless that is meant (--same-as): a restore to "another" cluster would be
    one of the original. So is another cluster behind a name that is known, unless it took that one's place (--moved),
    and nothing is at work there. Both can be said alone, of a cluster that is registered.""",
    examples=[
        (
            "By a kubeconfig",
            "kubectl config view --raw --flatten --minify |\n  {program} cluster add dev --kubeconfig -",
        ),
        ("At AWS", "{program} cluster add prod --eks shop --region eu-central-1"),
        (
            "In another account of AWS",
            (
                "{program} cluster add eu --eks shop --region eu-west-1 \\\n"
                "  --role-arn arn:aws:iam::111122223333:role/m"
            ),
        ),
        (
            "Through a proxy (a kubeconfig names its own: `proxy-url`)",
            "{program} cluster add prod --eks shop --region eu-central-1 \\\n  --proxy http://proxy.internal:3128",
        ),
    ],
)
@click.argument("name", metavar="NAME")
@click.option("--kubeconfig", metavar="FILE", help="Carries everything inline; `-` reads stdin.")
@click.option("--context", metavar="NAME", help="Of the kubeconfig; default: its current one.")
@click.option("--eks", metavar="NAME", help="The cluster's name at AWS.")
@click.option("--region", metavar="REGION", help="With --eks: where it is.")
@click.option("--role-arn", metavar="ARN", help="With --eks: the role to ask it with; '': Mainstay's own.")
@click.option("--proxy", metavar="URL", help="With --eks: an HTTP proxy to its API server; '': none.")
@click.option("--same-as", metavar="NAME", help="It is the cluster that is registered as NAME, and that is meant.")
@click.option("--moved", is_flag=True, help="The name stands for another cluster than before from now on.")
@click.option("--connections", metavar="N", type=click.IntRange(1, 64), help="Most connections at once.")
def add(
    session: Session,
    *,
    name: str,
    kubeconfig: str | None,
    context: str | None,
    eks: str | None,
    region: str | None,
    role_arn: str | None,
    proxy: str | None,
    same_as: str | None,
    moved: bool,
    connections: int | None,
) -> None:
    """Register a cluster, or change its credentials."""
    if (kubeconfig is not None and eks is not None) or not (kubeconfig or eks or same_as or moved):
        raise click.UsageError("Give either --kubeconfig or --eks.")
    if (eks is None) != (region is None):
        raise click.UsageError("--eks and --region come together.")
    for option, given in (("--role-arn", role_arn), ("--proxy", proxy)):
        if given is not None and eks is None:
            raise click.UsageError(f"{option} goes with --eks.")
    body: Json = {"name": name, "context": context, "connections": connections, "sameAs": same_as}
    if moved:
        body["moved"] = True
    if kubeconfig is not None:
        body["kubeconfig"] = read_text(kubeconfig)
    elif eks is not None:
        at_aws = {"name": eks, "region": region, "roleArn": role_arn, "proxy": proxy}
        body["eks"] = {member: given for member, given in at_aws.items() if given is not None}
    answer = session.gateway.configure_cluster({key: given for key, given in body.items() if given is not None})

    def render() -> Any:
        from chalicelib.cli.rendering.applications import clusters_table

        return clusters_table([answer], session.now)

    session.screen.show(answer, render, ids=[answer["name"]])
    session.screen.hint(session.named(f"How it is: {{program}} clusters {answer['name']}"))


@command(
    "remove",
    short_help="Forget a cluster and its credentials.",
    then="Nothing in the cluster changes. Refused while applications are on it, or something is restored to it.",
    examples=[("Without being asked", "{program} cluster remove dev --yes")],
)
@click.argument("name", metavar="NAME")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def remove(session: Session, *, name: str, yes: bool) -> None:
    """Forget a cluster and its credentials."""
    agree(session, f"Forget the cluster {name} and its credentials?", yes=yes)
    answer = session.gateway.remove_cluster(name)
    session.screen.show(answer, lambda: [f"The cluster {name} is forgotten."], ids=[str(answer.get("id", name))])


for _command in (add, remove):
    cluster.add_command(_command)
