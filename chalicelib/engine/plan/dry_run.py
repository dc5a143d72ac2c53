"""Asking the server by dry run whether updates are possible, and what they would come to; and where one is not, what
it would make of the object today."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from chalicelib.cluster.client import now
from chalicelib.domain.errors import ClusterRefused, ClusterUnreachable
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.domain.plan import Verb
from chalicelib.engine.lane.clusters import ClusterSession
from chalicelib.engine.write import silence
from chalicelib.engine.write.beside import as_itself, beside
from chalicelib.engine.write.owners import Owners
from chalicelib.engine.write.silence import Silence, Write
from chalicelib.planning.bodies import creation, ownership
from chalicelib.planning.bodies.context import PlanContext
from chalicelib.planning.bodies.immutable import Refusal, understand
from chalicelib.planning.bodies.normalise import copy_of, digest, normalise
from chalicelib.planning.plan.draft import Question

#: Dry runs under way at once.
_QUESTIONS_AT_ONCE = 16
#: Times a question is asked whose object is written to by a controller just then.
_MOST_LOOKS = 5
_NOT_ASKED = Refusal("", "", "cannot-tell")


class LiveObjects(Protocol):
    """What is known of the live objects."""

    session: ClusterSession

    def raw(self, key: ObjectKey) -> Body | None:
        """An object as the server shows it."""


class DryRun:
    """Asks for the planner. Where a kind gets no answer in time, the others of it are not asked about: a webhook that
    hangs takes up to 30 s for each. `about` are the only objects that are asked about, if it is given."""

    def __init__(self, live: LiveObjects, context: PlanContext, about: Collection[ObjectKey] | None = None) -> None:
        self._live = live
        self._context = context
        self._about = about
        self._session = live.session
        self._owners = Owners(live.session)
        self._silence = Silence()

    def __call__(self, questions: Sequence[Question]) -> Iterator[Body | Refusal | None]:
        """The answers, in the order of the questions."""
        with ThreadPoolExecutor(_QUESTIONS_AT_ONCE, thread_name_prefix="dry-run") as pool:
            yield from pool.map(self._ask, questions)

    def _ask(self, question: Question) -> Body | Refusal | None:
        key = question.action.object.key
        if self._about is not None and key not in self._about:
            return _NOT_ASKED
        return self._ask_anew(question) if question.action.verb is Verb.REPLACE else self._ask_update(question)

    def _ask_anew(self, question: Question) -> Body | Refusal | None:
        """What would be made of it: under another name, as its own is taken."""
        key = question.action.object.key
        resource = self._session.discovery.resource_for(key.group, key.kind)
        if resource is None:
            return None
        body = beside(question.target, self._owners, self._context)
        manager = ownership.best_manager(question.target)
        try:
            create = partial(self._session.objects.create, body, manager, resource=resource, dry_run=True)
            made = self._send(Write("CREATE", resource, key, None), create)
        except ClusterRefused as refusal:
            return understand(refusal.http_status, refusal.message, refusal.causes)
        return as_itself(made, key, resource)

    def _ask_update(self, question: Question) -> Body | Refusal | None:
        key = question.action.object.key
        raw, resource = self._live.raw(key), self._session.discovery.resource_for(key.group, key.kind)
        manager = ownership.best_manager(question.target, raw)
        for _ in range(_MOST_LOOKS):
            if raw is None or resource is None:
                return None
            body, _said = self._owners.resolve(creation.for_update(question.target, raw, resource))
            try:
                update = partial(self._session.objects.replace, body, manager, resource=resource, dry_run=True)
                return normalise(self._send(Write("UPDATE", resource, key, None), update), resource)
            except ClusterRefused as refusal:
                if refusal.reason != "Conflict":
                    return understand(refusal.http_status, refusal.message, refusal.causes)
            # Something was written since it was read. Mostly a status, and then the question stands.
            raw = self._get(resource, key)
            if raw is not None and digest(normalise(copy_of(raw), resource)).hex() != question.action.live_digest:
                return None  # it moved just now: applying looks again
        return None

    def _send(self, write: Write, send: Callable[[], Body]) -> Body:
        known = self._silence.of(write)
        if known is not None:
            raise known
        began = now()
        try:
            return send()
        except ClusterRefused as refusal:
            if silence.unanswered(refusal) and now() - began > silence.SLOW_SECONDS:
                self._silence.begins(write, refusal)
            raise
        except ClusterUnreachable as error:
            self._get(write.resource, write.key)  # raises if the whole server is away
            mute = silence.mute(write)
            self._silence.begins(write, mute)
            raise mute from error

    def _get(self, resource: Resource, key: ObjectKey) -> Body | None:
        return self._session.objects.get(resource, key.namespace, key.name)
