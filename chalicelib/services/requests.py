"""Signed restore requests: objects that somebody puts into the bucket, and what is answered.

    requests/x.json ── read ── signed? ── seen before? ── in time? ── restore ──► responses/x.json
                        │        │                                        └─ wake entry: how it ended, later
                        └────────┴── refused, with the reason

A request's operation has an id that comes from the signed text: however often it is told of, and under however many
names it lies there, it is done once. Whoever has no key learns nothing but that.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chalicelib.domain.errors import ClusterError, Damaged, Invalid, MainstayError, Malformed, NotFound, RequestError
from chalicelib.domain.ids import derived_id, parse_id
from chalicelib.domain.operation import Operation
from chalicelib.domain.problems import problems_of
from chalicelib.domain.request import LARGEST, NEWEST_GOOD, RestoreAsked, read
from chalicelib.domain.request_key import RequestKey
from chalicelib.services import naming
from chalicelib.services.access import Asker
from chalicelib.services.living import living
from chalicelib.services.models.restores import RestoreRequest
from chalicelib.services.models.versions import VersionQuery
from chalicelib.services.operations import Origin
from chalicelib.services.state import newest_good

if TYPE_CHECKING:
    from chalicelib.engine.lane.engine import Engine
    from chalicelib.services.versions import Versions
    from chalicelib.store.repository import Repository
    from chalicelib.store.wake import Entry

_log = logging.getLogger(__name__)

#: The reason in the wake index: write down how a request's operation ended.
FOLLOW = "answer"

#: How old a request may be, and how far ahead of the storage's clock its signer's may be.
OLDEST = timedelta(minutes=15)
AHEAD = timedelta(minutes=5)

#: Seconds between two looks at a request's operation: at first, and at most.
_FIRST_LOOK, _LAST_LOOK = 2, 60

#: How requests are called, and how much of a name is logged that nobody can be answered under.
_ENDING, _SHOWN = ".json", 200


class NotSigned(RequestError):
    """Not signed, or not with a key that is known here: it is not said which."""

    code = "not-signed"
    status = 403


class Revoked(RequestError):
    """Signed with a key that was revoked."""

    code = "revoked"
    status = 403


class OutsideScope(RequestError):
    """Signed with a key that is for something else."""

    code = "outside-scope"
    status = 403


class Expired(RequestError):
    """Signed too long ago, or by a clock that is ahead."""

    code = "expired"


class Replayed(RequestError):
    """The same request was done already, under another name."""

    code = "replayed"
    status = 409


class Requests:
    """The inbox of a repository."""

    def __init__(self, repository: Repository, engine: Engine, versions: Versions) -> None:
        self._repository = repository
        self._versions = versions
        engine.reasons[FOLLOW] = self._follow

    def waiting(self) -> Sequence[tuple[str, datetime]]:
        """What was put there and is not answered, and when it was put."""
        return [(listed.key, listed.modified) for listed in self._repository.inbox.waiting()]

    def key_of(self, object_key: str) -> str | None:
        """The key here of an object's key in the bucket; `None` if it is not in this repository's inbox."""
        address = self._repository.control.describe()
        prefix = address.partition("://")[2].partition("/")[2] if address.startswith("s3://") else ""
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        if not object_key.startswith(folder):
            return None
        key = object_key.removeprefix(folder)
        return key if self._repository.inbox.holds(key) else None

    def answer_object(self, object_key: str) -> None:
        """`answer` by an object's key in the bucket; what is not in this repository's inbox is passed over."""
        key = self.key_of(object_key)
        if key is not None:
            self.answer(key)

    def answer(self, key: str) -> None:
        """Do what the request at `key` asks for, if it is to be done, and answer it. Storage that fails is raised: it
        is tried again."""
        inbox = self._repository.inbox
        try:
            data = inbox.read(key)
        except Malformed:
            _log.warning("neither read nor answered, as no answer can have its name: %a", key[:_SHOWN])
            return
        if data is None:
            return  # it was taken away again
        try:
            _refuse_name(key)
            operation = self._carried_out(key, read(data))
        except (RequestError, ClusterError, Damaged) as error:  # none of which passes by itself
            self._refuse(key, data if len(data) <= LARGEST else None, error)
            return
        inbox.answer(key, _accepted(key, _sha256(data), operation))

    def _carried_out(self, key: str, asked: RestoreAsked) -> Operation:
        """The operation that does what is asked: started now, or by an earlier look at this request."""
        signer = self._signer(asked)
        identifier = derived_id("op", asked.time, asked.digest)
        known = self._known(identifier)
        if known is None:
            if signer.revoked_at is not None:
                raise Revoked("The key of this request was revoked.")
            self._refuse_untimely(asked)
            known = self._started(key, asked, signer, identifier)
        elif not known.state.ended and self._repository.inbox.answered(key) is None:
            # Who started it died before the answer; until it is told again, who follows may have given up.
            self._look_later(known.application, identifier, key, _FIRST_LOOK)
        if known.arguments.get("request", {}).get("object") != key:
            other = known.arguments.get("request", {}).get("object")
            raise Replayed(f"This very request was done already: {known.id} is for `{other}`.")
        return known

    def _signer(self, asked: RestoreAsked) -> RequestKey:
        """The key it is signed with. `NotSigned` says the same of everything that is not."""
        try:
            key = self._repository.request_keys.get(parse_id(asked.key, "key"))
            secret = self._repository.request_keys.secret(key)
        except (NotFound, Malformed):
            asked.is_signed_with("nobody's key")  # takes as long as with a key
            key = None
        if key is None or not asked.is_signed_with(secret):
            raise NotSigned("This request is not signed with a key that is known here.")
        return key

    def _known(self, identifier: str) -> Operation | None:
        try:
            return self._repository.operations.find(identifier)
        except NotFound:
            return None

    def _refuse_untimely(self, asked: RestoreAsked) -> None:
        now = self._repository.now()
        if now - asked.time > OLDEST:
            minutes = int(OLDEST.total_seconds() // 60)
            raise Expired(
                f"The request is of {asked.time:%Y-%m-%d %H:%M:%S} UTC, and it is {now:%H:%M:%S} now: after "
                f"{minutes} minutes it is not done any more. Sign a new one."
            )
        if asked.time - now > AHEAD:
            raise Expired(f"The request is of {asked.time:%H:%M:%S} UTC, and it is {now:%H:%M:%S}: set that clock.")

    def _started(self, key: str, asked: RestoreAsked, signer: RequestKey, identifier: str) -> Operation:
        application = self._application(asked.application, signer)
        request = _options(asked)
        self._refuse_outside(signer, application, request)
        version = self._version(application, asked.version, signer)
        origin = Origin(identifier, {"object": key, "key": signer.id})
        asker = Asker(f"request key {signer.name}", "admin")
        # First what sees to it that the end is told, whoever dies in between.
        self._look_later(application, identifier, key, _FIRST_LOOK)
        started = self._versions.restore(asker, VersionQuery(version_id=version), request, origin)
        return self._repository.operations.get(application, started.id)

    def _application(self, named: str, signer: RequestKey) -> str:
        """The application that is meant. Of others than its own, a key learns not even whether they exist."""
        found = naming.application_id(self._repository, named)
        if not signer.scope.covers(found):
            raise OutsideScope(f"The key of this request is not for {named[:100]!r}.")
        application = living(self._repository, found)
        if application is None:
            raise NotFound(f"There is no application {named[:100]!r}.")
        return application.id

    def _refuse_outside(self, signer: RequestKey, application: str, request: RestoreRequest) -> None:
        """A saved plan that is to be applied decides what the request itself would say."""
        arguments = request.model_dump(exclude_defaults=True)
        planned = self._known(request.plan) if request.plan is not None else None
        if planned is not None and planned.application == application:
            arguments |= planned.arguments
        why = signer.scope.refusal(arguments)
        if why is not None:
            raise OutsideScope(f"The key of this request does not allow this: {why}.")

    def _version(self, application: str, wanted: str, signer: RequestKey) -> str:
        if wanted == NEWEST_GOOD:
            good = newest_good(self._versions.all(application))
            if good is None:
                raise NotFound("The application has no good version.")
            return good.id
        if self._repository.locations.find(parse_id(wanted, "ver")) != application:
            raise NotFound(f"{wanted} is no version of this application.")
        purpose = self._repository.versions(application).get(wanted).purpose
        if purpose != "backup" and not signer.scope.elsewhere:
            # It goes back to where it was made, and that may be where a restore elsewhere led.
            raise OutsideScope("The key of this request does not allow this: it restores only what a backup made.")
        return wanted

    # ── answers ─────────────────────────────────────────────────────────────────────────────────────────

    def _refuse(self, key: str, data: bytes | None, error: MainstayError) -> None:
        _log.warning("%a was refused: %s", key, error.code, extra={"request": key})
        told = error.public()
        self._repository.inbox.answer(
            key,
            {
                "request": key,
                "sha256": None if data is None else _sha256(data),
                "accepted": False,
                "error": {"code": told.code, "message": told.message},
            },
        )

    def _look_later(self, application: str, operation: str, key: str, seconds: int) -> None:
        at = self._repository.now() + timedelta(seconds=seconds)
        # Not under the member `operation`: whoever works for the lane looks for that.
        self._repository.wake.add(at, application, FOLLOW, {"started": operation, "request": key, "seconds": seconds})

    def _follow(self, entry: Entry) -> None:
        """Write down how the request's operation is now, and look again while it has not ended.

        Where there is no operation or no answer yet, somebody is just writing it, or the request was refused after
        all: that is looked at a few times.
        """
        identifier, key = str(entry.payload.get("started")), str(entry.payload.get("request"))
        seconds = min(_LAST_LOOK, int(entry.payload.get("seconds", _FIRST_LOOK)) * 2)
        operation = self._known(identifier)
        if operation is not None and operation.arguments.get("request", {}).get("object") != key:
            return  # the request is a copy
        known = self._repository.inbox.answered(key)
        if operation is None or known is None:
            if seconds < _LAST_LOOK:
                self._look_later(entry.application, identifier, key, seconds)
            return
        if known.get("operation") == identifier:
            self._repository.inbox.answer(key, _accepted(key, known.get("sha256"), operation))
        if not operation.state.ended:
            self._look_later(entry.application, identifier, key, seconds)


def _refuse_name(key: str) -> None:
    if not key.endswith(_ENDING):
        # Not carried out all the same: it may be half of a file that is still being copied.
        raise Malformed(f"The name of a request ends in `{_ENDING}`: put it there again as `{key}{_ENDING}`.")


def _options(asked: RestoreAsked) -> RestoreRequest:
    try:
        return RestoreRequest.model_validate(dict(asked.options), strict=True)
    except ValidationError as error:
        problems = problems_of(error, RestoreRequest, under="options")
        raise Invalid(f"The request cannot be done: {problems[0]}.", problems) from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _accepted(key: str, sha256: str | None, operation: Operation) -> dict[str, Any]:
    error = operation.error
    return {
        "request": key,
        "sha256": sha256,
        "accepted": True,
        "operation": operation.id,
        "kind": operation.kind.value,
        "application": operation.application,
        "version": operation.arguments.get("version"),
        "state": operation.state.value,
        "ended": operation.state.ended,
        "error": None if error is None else {"code": error.code, "message": error.message},
    }
