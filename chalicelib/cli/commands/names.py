"""Arguments that name an application, a version or an operation, with completion from the running service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from chalicelib.cli.gateway import Gateway, Json
from chalicelib.cli.session import Session

_Items = Callable[[Gateway, click.Context], list[CompletionItem]]


class Name(click.ParamType[str]):
    """A name that the service can complete. Completion keeps silent when the service does not answer.

    Empty text is none: it is a script's variable that was not set, and to take it for "left out" would roll an
    application back that was to be looked at, or copied.
    """

    def __init__(self, name: str, items: _Items) -> None:
        self.name = name
        self._items = items

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it was typed."""
        text = str(value)
        if not text.strip():
            self.fail("it is empty. Is a variable not set?", param, ctx)
        return text

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - the signature is click's
        incomplete: str,
    ) -> list[CompletionItem]:
        """What begins with `incomplete`."""
        session = ctx.ensure_object(Session)
        try:
            known = self._items(_impatient(session), ctx)
        except Exception:  # noqa: BLE001 - a shell's prompt is no place for errors
            return []
        return [item for item in known if item.value.startswith(incomplete)]


def _impatient(session: Session) -> Gateway:
    from chalicelib.cli.http import HttpGateway
    from chalicelib.cli.token import find_token

    return HttpGateway(session.address, find_token(session.address, session.token_file), timeout=2.0, sleep=_give_up)


def _give_up(seconds: float) -> None:
    raise TimeoutError(seconds)


def _applications(gateway: Gateway, ctx: click.Context) -> list[CompletionItem]:  # noqa: ARG001 - one shape for all
    return [CompletionItem(item["name"], help=item.get("description")) for item in gateway.applications()["items"]]


def _versions(gateway: Gateway, ctx: click.Context) -> list[CompletionItem]:
    from chalicelib.cli.naming import find_application

    words = [CompletionItem("latest"), CompletionItem("previous")]
    whose = ctx.params.get("application") or ctx.params.get("subject")
    applications = [find_application(gateway, whose)] if whose else gateway.applications()["items"]
    for application in applications:
        for version in gateway.versions(application["id"], limit=50)["items"]:
            words.append(CompletionItem(version["id"], help=version.get("name") or application["name"]))
            if version.get("name"):
                words.append(CompletionItem(version["name"], help=version.get("capturedAt")))
    return words


def _operations(gateway: Gateway, ctx: click.Context) -> list[CompletionItem]:  # noqa: ARG001 - one shape for all
    found: list[Json] = gateway.operations(None, limit=50)["items"]
    return [CompletionItem(item["id"], help=f"{item['kind']}, {item['state']}") for item in found]


APPLICATION = Name("APP", _applications)
VERSION = Name("VERSION", _versions)
OPERATION = Name("OPERATION", _operations)
APPLICATION_OR_VERSION = Name(
    "APP_OR_VERSION", lambda gateway, ctx: _applications(gateway, ctx) + _versions(gateway, ctx)
)


def application_argument(*, required: bool = True) -> Callable[[Any], Any]:
    """APP: a name or an id."""
    return click.argument("application", metavar="APP" if required else "[APP]", type=APPLICATION, required=required)


def version_argument() -> Callable[[Any], Any]:
    """VERSION, which may be left out."""
    return click.argument("version", metavar="[VERSION]", type=VERSION, required=False)
