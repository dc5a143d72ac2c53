"""`request` and `request-key`: restores that are asked for through the bucket, by whoever has a key."""

from __future__ import annotations

import json
import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chalicelib.cli.command import Group, command
from chalicelib.cli.commands.restores import MODES
from chalicelib.cli.exits import Exit
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.session import Session

if TYPE_CHECKING:
    from chalicelib.store.inbox import Inbox

#: How long an answer is waited for, and between two looks. Seconds.
_PATIENCE, _PAUSE = 120.0, 0.5


@click.group(
    "request-key",
    cls=Group,
    short_help="Keys that restore requests are signed with.",
    then="""Whoever has a key, and may put objects into the bucket, can have applications restored without an
    account, through `{program} request`: any, or those that the key was made for. A secret is shown once, and kept
    encrypted.""",
    examples=[
        ("A key for a pipeline, in a file", "{program} request-key add pipeline --app shop --out pipeline.key"),
        ("It is no longer to be trusted", "{program} request-key revoke key-01kb…"),
    ],
)
def request_key() -> None:
    """Keys that restore requests are signed with."""


@command(
    "add",
    short_help="Make a key.",
    then="""Without --app it is for every application, to wherever a request says. With --app it is for these alone,
    and restores them where they are, unless --elsewhere is given. With --out the key is written into a file that only
    you can read, and not shown.""",
    examples=[
        ("For one application", "{program} request-key add pipeline --app shop --out pipeline.key"),
        ("One that never deletes", "{program} request-key add night --app shop --mode merge --mode missing --out k"),
    ],
)
@click.argument("name", metavar="NAME")
@click.option("--app", "applications", multiple=True, metavar="APP", help="Only for this one; may be repeated.")
@click.option("--mode", "modes", multiple=True, type=click.Choice(MODES), help="Only in this one; may be repeated.")
@click.option("--elsewhere", is_flag=True, help="With --app: also into other namespaces and clusters.")
@click.option("--out", "file", metavar="FILE", help="Write the key here.")
def add(
    session: Session,
    *,
    name: str,
    applications: tuple[str, ...],
    modes: tuple[str, ...],
    elsewhere: bool,
    file: str | None,
) -> None:
    """Make a key. Its secret is shown this once."""
    body: Json = {"name": name, "applications": list(applications), "modes": list(modes), "elsewhere": elsewhere}
    handle = None if file is None else _new_file(file)  # first: a secret that cannot be kept is better not made
    try:
        made = session.gateway.add_request_key({member: value for member, value in body.items() if value})
    except Failure:
        if handle is not None and file is not None:
            os.close(handle)
            Path(file).unlink()
        raise
    if handle is not None:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"id": made["id"], "secret": made["secret"]}, stream)
        made = {each: value for each, value in made.items() if each != "secret"}

    def render() -> Any:
        yield f"{made['id']} for {made['name']}" + (f", in {file}." if file else "")
        yield f"It restores {_allowed(made)}."
        if "secret" in made:
            yield f"Secret, shown this once: {made['secret']}"

    session.screen.show(made, render, ids=[made["id"]])


@command(
    "list",
    short_help="All keys.",
    then="Revoked ones too, without their secrets.",
    examples=[("Their names, for a script", "{program} request-key list -o json | jq -r '.items[].name'")],
)
def list_(session: Session) -> None:
    """All keys, by age."""
    answer = session.gateway.request_keys()

    def render() -> Any:
        from chalicelib.cli.rendering.tables import Column, table
        from chalicelib.cli.rendering.words import age, printable

        if not answer["items"]:
            return ["There is no request key yet."]
        columns = [
            Column("NAME", give_way=True),
            Column("KEY"),
            Column("RESTORES", give_way=True),
            Column("AGE", right=True),
            Column("STATUS"),
        ]
        rows = [
            [
                printable(key["name"]),
                key["id"],
                _allowed(key),
                age(key["createdAt"], session.now),
                "revoked" if key.get("revokedAt") else "good",
            ]
            for key in answer["items"]
        ]
        return [table(columns, rows)]

    session.screen.show(answer, render, ids=(key["id"] for key in answer["items"]))


def _allowed(key: Json) -> str:
    """What a key may be used for, in words."""
    from chalicelib.cli.rendering.words import printable

    if key["applications"] is None:
        said = "any application"
    else:
        said = ", ".join(each["name"] or each["id"] for each in key["applications"])
    if key["modes"]:
        said += f" ({' or '.join(key['modes'])})"
    if key["applications"] is not None and key["elsewhere"]:
        said += ", also elsewhere"
    return printable(said)


@command(
    "revoke",
    short_help="Revoke a key.",
    then="Nothing is done any more that it signs, or has signed. What runs already goes on.",
    examples=[("Revoke one", "{program} request-key revoke key-01kb2222000000000000000002")],
)
@click.argument("key", metavar="KEY")
def revoke(session: Session, *, key: str) -> None:
    """Revoke a key, for good."""
    revoked = session.gateway.revoke_request_key(key)
    session.screen.show(revoked, lambda: [f"{revoked['id']} ({revoked['name']}) is revoked."], ids=[revoked["id"]])


@command(
    "request",
    short_help="Ask for a restore through the bucket.",
    then="""Signs a request with the key in --key-file, and prints it: put it into the bucket as
    requests/ANYTHING.json within 15 minutes. The answer appears as responses/ANYTHING.json. With --put it is put
    into the repository that MAINSTAY_REPOSITORY (or MAINSTAY_CONTROL) names, and the answer is waited for. No server
    is asked. APP is a name or an id, VERSION an id; the newest good one if left out.""",
    examples=[
        ("Sign, and copy it yourself", "{program} request shop --key-file pipeline.key --out restore.json"),
        ("Put it there and wait", "MAINSTAY_REPOSITORY=s3://backups {program} request shop --key-file k --put"),
    ],
)
@click.argument("application", metavar="APP")
@click.argument("version", metavar="[VERSION]", required=False)
@click.option("--key-file", metavar="FILE", required=True, help="As `request-key add --out` wrote it.")
@click.option("--mode", type=click.Choice(MODES), help="Default: the document's.")
@click.option("--only", multiple=True, metavar="KIND/NAME", help="Only these objects; may be repeated.")
@click.option("--consent", multiple=True, metavar="KIND", help="Agree to lose objects of this kind; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Only plan.")
@click.option("--out", "file", metavar="FILE", help="Write the request here instead of printing it.")
@click.option("--put", is_flag=True, help="Put it into the repository, and wait for the answer.")
def request(
    session: Session,
    *,
    application: str,
    version: str | None,
    key_file: str,
    mode: str | None,
    only: tuple[str, ...],
    consent: tuple[str, ...],
    dry_run: bool,
    file: str | None,
    put: bool,
) -> Exit:
    """Sign a request to restore APP, for the bucket's inbox."""
    if put and file is not None:
        raise click.UsageError("--put and --out exclude each other.")
    options: Json = {"mode": mode, "only": list(only), "consent": list(consent), "dryRun": dry_run}
    asked = _signed(key_file, application, version, {name: value for name, value in options.items() if value})
    text = json.dumps(asked, indent=2, ensure_ascii=False) + "\n"
    if put:
        return _put(session, text)
    if file is None:
        session.out.write(text)
    else:
        Path(file).write_text(text, encoding="utf-8")
    return Exit.OK


def _signed(key_file: str, application: str, version: str | None, options: Json) -> Json:
    from chalicelib.domain.request import API_VERSION, KIND, NEWEST_GOOD, signed

    try:
        key = json.loads(Path(key_file).read_text(encoding="utf-8"))
        identifier, secret = str(key["id"]), str(key["secret"])
    except OSError as error:
        raise Failure(
            f"{key_file} cannot be read: {error.strerror}.", code="unreadable", exit_code=Exit.USAGE
        ) from error
    except (ValueError, KeyError, TypeError):
        raise Failure(f"{key_file} is no request key.", code="unreadable", exit_code=Exit.USAGE) from None
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "application": application,
        "version": version or NEWEST_GOOD,
        "options": options,
        "key": identifier,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": secrets.token_hex(8),
    }
    return signed(body, secret)


def _put(session: Session, text: str) -> Exit:
    from chalicelib import bootstrap
    from chalicelib.settings import Settings
    from chalicelib.store.address import backend_at
    from chalicelib.store.inbox import REQUESTS, Inbox

    settings = Settings.read(os.environ)
    control = backend_at(settings.control or bootstrap.address_of(settings))
    key = f"{REQUESTS}{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.json"
    control.create(key, text.encode())
    session.screen.say(f"Put at {control.describe()}/{key}.")
    answer = _awaited(Inbox(control), key)
    if answer is None:
        raise Failure(
            f"Nobody has answered within {_PATIENCE:g} seconds: is Mainstay running?",
            code="unanswered",
            exit_code=Exit.UNREACHABLE,
            hint=f"The answer will be at {key.replace(REQUESTS, 'responses/')}.",
        )
    session.screen.show(answer, lambda: [_sentence(answer)], ids=[str(answer.get("operation") or "")])
    return Exit.OK if answer["accepted"] else Exit.REFUSED


def _awaited(inbox: Inbox, key: str) -> Json | None:
    end = time.monotonic() + _PATIENCE
    while (answer := inbox.answered(key)) is None and time.monotonic() < end:
        time.sleep(_PAUSE)
    return answer


def _sentence(answer: Json) -> str:
    if answer["accepted"]:
        return f"Accepted: the {answer['kind']} {answer['operation']} is {answer['state']}."
    return f"Refused: {answer['error']['message']}"


def _new_file(file: str) -> int:
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Failure(f"{file} cannot be made: {error.strerror}.", code="unwritable", exit_code=Exit.USAGE) from error


for each in (add, list_, revoke):
    request_key.add_command(each)
