"""What a user types, resolved: names, prefixes and words such as `latest` become identifiers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Gateway, Json
from chalicelib.cli.session import Session

_IDENTIFIER = re.compile(r"(app|usr|ver|op|cl)-[0-7][0-9a-hjkmnp-tv-z]{25}")
# Short prefixes are refused: identifiers begin with the time, and those of one hour begin alike.
_LEAST_PREFIX = 4
# What is looked for is almost always among the newest; only if not, all are read.
_FEW = 30
_DONE = {"succeeded", "partial"}


def prefix_of(text: str) -> str:
    """`app`, `ver`, `op`, … when `text` is a whole identifier, else empty."""
    found = _IDENTIFIER.fullmatch(text.lower())
    return found.group(1) if found else ""


def find_application(gateway: Gateway, text: str) -> Json:
    """The application with this id or name."""
    if prefix_of(text) == "app":
        return gateway.application(text.lower())
    known = gateway.applications()["items"]
    for application in known:
        if application["name"] == text:
            return dict(application)
    raise Failure.not_found(
        f"There is no application {text!r}.",
        _nearest(text, (str(application["name"]) for application in known)),
    )


def find_version(gateway: Gateway, text: str, application: Json | None = None, *, listed: bool = False) -> Json:
    """The version that `text` means: an id, `latest`, `previous`, a name given at backup, or the beginning of an id.

    `APP@VERSION` says whose it is; without that `application` does, else all applications are looked through.
    `listed`: only as lists have it, which a damaged one is in as well.
    """
    if prefix_of(text) == "ver" and not listed:
        return gateway.version(text.lower())
    whose, at, which = text.rpartition("@")
    if at and whose:
        return find_version(gateway, which, find_application(gateway, whose), listed=listed)
    applications = [application] if application is not None else gateway.applications()["items"]
    if text in {"latest", "previous"}:
        return _by_age(gateway, text, applications)
    found = [
        version
        for each in applications
        for version in gateway.versions(each["id"], safety=True)["items"]
        if _answers_to(version, text)
    ]
    named = [version for version in found if version.get("name") == text]
    matches = named or found
    if len(matches) == 1:
        return dict(matches[0])
    if matches:
        owners = {version.get("application") for version in matches}
        raise _several(text, matches, whose_is_known=application is not None or len(owners) == 1)
    whom = f" of {application['name']}" if application is not None else ""
    raise Failure.not_found(
        f"There is no version {text!r}{whom}.",
        f"See them with: {{program}} versions {application['name'] if application is not None else 'APP'}",
    )


def newest_good(gateway: Gateway, application: Json) -> Json:
    """The newest complete version that a backup made."""
    versions: list[Any] = []
    for limit in (_FEW, None):
        versions = gateway.versions(application["id"], limit=limit)["items"]
        for version in versions:
            if version["state"] == "complete" and version["purpose"] == "backup":
                return dict(version)
    message = (
        f"Every version of {application['name']} is incomplete."
        if versions
        else f"{application['name']} has no version yet."
    )
    raise Failure.not_found(message, f"Make one: {{program}} backup {application['name']}")


def find_operation(gateway: Gateway, text: str, application: Json | None = None) -> Json:
    """The operation with this id, or with this unique prefix of one."""
    if prefix_of(text) == "op":
        return gateway.operation(text.lower())
    if len(text) >= _LEAST_PREFIX + 3 and text.startswith("op-"):
        known = gateway.operations(application["id"] if application else None)["items"]
        matches = [operation for operation in known if str(operation["id"]).startswith(text.lower())]
        if len(matches) == 1:
            return gateway.operation(matches[0]["id"])
        if matches:
            raise Failure.not_found(
                f"{text!r} is the beginning of {len(matches)} operations.", "Give more of the id."
            )
    raise Failure.not_found(f"There is no operation {text!r}.", "See them with: {program} operations")


def last_restore(gateway: Gateway, application: Json, say: Callable[[str], None]) -> Json:
    """The newest restore of an application that changed something and was not undone since, by itself or anybody.

    `say` is told which newer ones are passed over because they changed nothing.
    """
    from chalicelib.cli.rendering.operations import changed, left_changes

    passed_over: list[str] = []
    for limit in (_FEW, None):
        known = gateway.operations(application["id"], limit=limit)["items"]
        restores = [
            each for each in known if each["kind"] == "restore" and (each["state"] in _DONE or left_changes(each))
        ]
        passed_over = [str(each["id"]) for each in restores if not changed(each)]
        for operation in filter(changed, restores):
            by = undone_by(known, str(operation["id"]))
            if by is not None:
                raise Failure.not_found(
                    f"The newest restore of {application['name']} is undone already, by {by}.",
                    f"Take the undoing back: {{program}} undo {by}",
                )
            for newer in passed_over[: restores.index(operation)]:
                say(f"{newer} changed nothing: the restore before it is meant.")
            return dict(operation)
    what = "no restore changed anything" if passed_over else "it was not restored yet"
    raise Failure.not_found(
        f"Of {application['name']} there is nothing to undo: {what}.",
        f"See what was done: {{program}} operations {application['name']}",
    )


def undone_by(operations: Iterable[Json], restore: str) -> str | None:
    """The undo, among `operations` (newest first), that took this restore back and was not taken back itself."""
    known = list(operations)
    for each in known:
        if each["kind"] == "undo" and each["state"] in _DONE and each["arguments"].get("restore") == restore:
            found = str(each["id"])
            if undone_by(known, found) is None:
                return found
    return None


def application_name(session: Session, application: str) -> str:
    """What people call the application with this id: its name, or the id when it is gone or nobody looks."""
    if not session.screen.chatty:
        return application
    try:
        return str(session.gateway.application(application)["name"])
    except Failure as failure:
        if failure.code != "not-found":
            raise  # a deleted application has no name any more, but what it left can be looked at
        return application


def _by_age(gateway: Gateway, word: str, applications: list[Any]) -> Json:
    if len(applications) != 1:
        raise Failure.not_found(
            f"Whose {word} version? There are {len(applications)} applications.",
            f"Say it as APP@{word}.",
        )
    place = 0 if word == "latest" else 1
    name = applications[0]["name"]
    backups = [
        version
        for version in gateway.versions(applications[0]["id"])["items"]
        if version.get("purpose", "backup") == "backup"
    ]
    if len(backups) > place:
        return dict(backups[place])
    message = f"{name} has no version yet." if not backups else f"{name} has one version only."
    raise Failure.not_found(message, f"Make one: {{program}} backup {name}")


def _several(text: str, versions: list[Any], *, whose_is_known: bool) -> Failure:
    """Versions that answer to one name, told apart by their age."""
    from chalicelib.cli.rendering.words import ago

    now = datetime.now(UTC)
    ordered = sorted(versions, key=lambda version: str(version.get("capturedAt") or ""), reverse=True)
    told = ", ".join(f"{version['id']} {ago(version.get('capturedAt'), now)}" for version in ordered[:5])
    return Failure(
        f"{text!r} means {len(versions)} versions; newest first: {told}{', …' if len(versions) > 5 else ''}.",
        code="ambiguous",
        exit_code=Exit.NOT_FOUND,
        hint="Give the id." if whose_is_known else "Give the id, or say whose it is: APP@VERSION.",
    )


def _answers_to(version: Json, text: str) -> bool:
    if version.get("name") == text:
        return True
    wanted = text.lower().removeprefix("ver-")
    return len(wanted) >= _LEAST_PREFIX and str(version["id"]).removeprefix("ver-").startswith(wanted)


def _nearest(text: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = list(names)
    if not known:
        return "None is registered yet: {program} app add FILE"
    near = get_close_matches(text, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else "See them with: {program} app list"
