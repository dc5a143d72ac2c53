"""`request`: a restore that is asked for through the bucket, by whoever has a key, with no server."""

from __future__ import annotations

import json
import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chalicelib.cli.command import command
from chalicelib.cli.commands.restores import MODES
from chalicelib.cli.exits import Exit, exit_of_operation
from chalicelib.cli.failure import Failure
from chalicelib.cli.gateway import Json
from chalicelib.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.store.inbox import Inbox

#: How long a first answer is waited for, and the end if nothing else is said. Seconds.
_PATIENCE, _LIMIT = 120.0, 3600.0
#: Between two looks, at first and at most.
_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


@command(
    "request",
    short_help="Ask for a restore through the bucket.",
    then="""Signs a request with the key in --key-file, and prints it: put it into the bucket as
    requests/ANYTHING.json within 15 minutes. The answer appears as responses/ANYTHING.json. With --put it is put
    into the repository that MAINSTAY_REPOSITORY (or MAINSTAY_CONTROL) names, and the answer is waited for: whether it
    is accepted. With --wait as well the end is waited for, and the exit code is that of the restore. No server is
    asked. APP is a name or an id, VERSION an id; the newest good one if left out.""",
    examples=[
        ("Sign, and copy it yourself", "{program} request shop --key-file pipeline.key --out restore.json"),
        ("Put it there", "MAINSTAY_REPOSITORY=s3://backups \\\n  {program} request shop --key-file k --put"),
        ("And wait for its end, ten minutes at most", "{program} request shop --key-file k --put --wait --limit 10m"),
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
@click.option("--wait", is_flag=True, help="With --put: wait until it has ended.")
@click.option("--limit", metavar="DURATION", help="With --wait: no longer than this (default 1h).")
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
    wait: bool,
    limit: str | None,
) -> Exit:
    """Sign a request to restore APP, for the bucket's inbox."""
    if put and file is not None:
        raise click.UsageError("--put and --out exclude each other.")
    if wait and not put:
        raise click.UsageError("--wait needs --put: without it nothing is asked for yet.")
    if limit is not None and not wait:
        raise click.UsageError("--limit needs --wait.")
    seconds = _LIMIT if limit is None else _seconds(limit)
    options: Json = {"mode": mode, "only": list(only), "consent": list(consent), "dryRun": dry_run}
    asked = _signed(key_file, application, version, {name: value for name, value in options.items() if value})
    text = json.dumps(asked, indent=2, ensure_ascii=False) + "\n"
    if put:
        return _put(session, text, seconds if wait else None)
    if file is None:
        session.out.write(text)
    else:
        Path(file).write_text(text, encoding="utf-8")
    return Exit.OK


def _signed(key_file: str, application: str, version: str | None, options: Json) -> Json:
    from chalicelib.domain.request import API_VERSION, KIND, NEWEST_GOOD, read, signed

    version = NEWEST_GOOD if version is None else _version(version, application)
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
        "version": version,
        "options": options,
        "key": identifier,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": secrets.token_hex(8),
    }
    asked = signed(body, secret)
    read(json.dumps(asked).encode())  # what would be refused for its form is not handed out
    return asked


def _version(text: str, application: str) -> str:
    """An id, or the words for the newest good one. All else has to be looked up, and there is no server to ask."""
    from chalicelib.cli.naming import prefix_of
    from chalicelib.domain.request import NEWEST_GOOD

    if text == NEWEST_GOOD:
        return text
    if prefix_of(text) == "ver":
        return text.lower()
    raise Failure(
        f"{text!r} is no version's id: a request names its version as `ver-…`, or is for the newest good one.",
        code="usage",
        exit_code=Exit.USAGE,
        hint=f"For the newest good one leave it out: {{program}} request {application} --key-file …\n"
        f"See the ids with: {{program}} versions {application}",
    )


def _seconds(limit: str) -> float:
    from chalicelib.domain.errors import Invalid
    from chalicelib.domain.fields import parse_duration

    try:
        return parse_duration(limit).total_seconds()
    except Invalid as error:
        raise click.UsageError(f"--limit: {error.message}") from None


def _put(session: Session, text: str, limit: float | None) -> Exit:
    """Put a request there and show its answer: the first, or with a `limit` (seconds) the one that tells the end."""
    from chalicelib import bootstrap
    from chalicelib.cli.rendering.words import duration
    from chalicelib.settings import Settings
    from chalicelib.store.address import backend_at
    from chalicelib.store.inbox import REQUESTS, Inbox

    settings = Settings.read(os.environ)
    control = backend_at(settings.control or bootstrap.address_of(settings))
    key = f"{REQUESTS}{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.json"
    control.create(key, text.encode())
    session.screen.say(f"Put at {control.describe()}/{key}.")
    inbox, place = Inbox(control), f"{control.describe()}/{key.replace(REQUESTS, 'responses/')}"
    try:
        answer = _awaited(inbox, key, _PATIENCE, lambda _answer: True)
        if answer is None:
            raise _unanswered(f"Nobody has answered within {_PATIENCE:g} seconds: is Mainstay running?", place)
        if limit is not None and not _has_ended(answer):
            session.screen.say(_sentence(answer))
            answer = _awaited(inbox, key, limit, _has_ended) or answer
            if not _has_ended(answer):
                told = f"The {answer['kind']} {answer['operation']} is {answer['state']} after {duration(limit)}."
                raise _unanswered(f"{told} It goes on.", place)
    except KeyboardInterrupt:
        told = "The request stays where it was put; what it began goes on."
        hint = f"The answer is at {place}."
        raise Failure(told, code="interrupted", exit_code=Exit.INTERRUPTED, hint=hint) from None
    session.screen.show(answer, lambda: [_sentence(answer)], ids=[str(answer.get("operation") or "")])
    if not answer["accepted"]:
        return Exit.REFUSED
    return exit_of_operation(answer) if limit is not None else Exit.OK


def _unanswered(message: str, place: str) -> Failure:
    hint = f"The answer will be at {place}."
    return Failure(message, code="unanswered", exit_code=Exit.UNREACHABLE, hint=hint)


def _has_ended(answer: Json) -> bool:
    return not answer["accepted"] or bool(answer.get("ended"))


def _awaited(inbox: Inbox, key: str, seconds: float, enough: Callable[[Json], bool]) -> Json | None:
    """The first answer that is `enough`, or how it is after so many seconds; `None` if there is none at all."""
    end, pause = time.monotonic() + seconds, _PAUSE
    while True:
        answer = inbox.answered(key)
        left = end - time.monotonic()
        if (answer is not None and enough(answer)) or left <= 0:
            return answer
        time.sleep(min(pause, left))
        pause = min(pause * 1.2, _LONGEST_PAUSE)


def _sentence(answer: Json) -> str:
    from chalicelib.cli.rendering.words import printable

    if not answer["accepted"]:
        return printable(f"Refused: {answer['error']['message']}")
    what = f"the {answer['kind']} {answer['operation']}"
    if not answer.get("ended"):
        return f"Accepted: {what} is {answer['state']}."
    why = f": {answer['error']['message']}" if answer.get("error") else "."
    return printable(f"{what[:1].upper()}{what[1:]} {_ENDINGS.get(answer['state'], answer['state'])}{why}")


_ENDINGS = {
    "succeeded": "succeeded",
    "partial": "is done in part",
    "failed": "failed",
    "cancelled": "was cancelled",
}
