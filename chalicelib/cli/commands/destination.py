"""Options that say where to restore to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from chalicelib.cli.gateway import Json

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "-n",
        "--namespace",
        "namespace",
        multiple=True,
        metavar="NEW | OLD=NEW",
        help="Into another namespace; the original stays as it is. For several, OLD=NEW and repeated.",
    ),
    click.option("--to-cluster", metavar="CLUSTER", help="To another registered cluster, by its name or id."),
    click.option(
        "--storage-class",
        multiple=True,
        metavar="OLD=NEW",
        help="Claims of this storage class get another one; may be repeated.",
    ),
    click.option(
        "--suspend/--no-suspend",
        default=None,
        help="Whether CronJobs, Jobs and what deploys by itself wait there. Default: the document's, else "
        "beside the original; what deploys, wherever a namespace has another name.",
    ),
)


def elsewhere(command: _Command) -> _Command:
    """The command with the options `namespace`, `to_cluster`, `storage_class` and `suspend`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def destination(
    namespace: tuple[str, ...], to_cluster: str | None, storage_class: tuple[str, ...], *, suspend: bool | None
) -> Json:
    """What the options say, as members of a request. `UsageError` for a value of another form."""
    for option, values in (("--namespace", namespace), ("--to-cluster", () if to_cluster is None else (to_cluster,))):
        if any(not each.strip() for each in values):
            # To take it for "left out" would restore the original.
            raise click.UsageError(f"{option} is empty. Is a variable not set?")
    single = [each for each in namespace if "=" not in each]
    if single and len(namespace) > 1:
        raise click.UsageError("With several namespaces, say of each --namespace OLD=NEW.")
    return {
        "namespace": single[0] if single else None,
        "namespaces": {} if single else _pairs("--namespace", namespace),
        "cluster": to_cluster,
        "storageClasses": _pairs("--storage-class", storage_class),
        "suspend": suspend,
    }


def _pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in given:
        old, equals, new = each.partition("=")
        if not (old and equals and new):
            raise click.UsageError(f"{option} {each}: OLD=NEW is needed.")
        if pairs.setdefault(old, new) != new:
            raise click.UsageError(f"{option}: {old} is there twice.")
    return pairs
