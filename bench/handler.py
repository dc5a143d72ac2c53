"""Row 7: one API call on a warm handler, as API Gateway makes it, less the time that the storage takes itself."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from statistics import median
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bench.ground import Ground, Unexpected
from bench.objects import body, names
from bench.rows import Goal, Row
from chalicelib import bootstrap
from chalicelib.domain.operation import OperationKind
from chalicelib.settings import Settings
from chalicelib.store.backends.directory import DirectoryBackend
from chalicelib.store.backends.s3 import S3Backend

_TOKEN = "of-a-service-that-ends-with-the-run"
_OBJECTS = 500
_WARMING, _CALLS = 5, 40


class StorageClock:
    """Seconds during which at least one request to the storage was under way: calls may nest and run in parallel."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()
        self._inside = 0
        self._since = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """While one request is under way."""
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self.seconds += time.perf_counter() - self._since

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While this is open, every request of every backend is timed."""
        kept = [(kind, name, getattr(kind, name)) for kind in (DirectoryBackend, S3Backend) for name in _REQUESTS]
        for kind, name, method in kept:
            setattr(kind, name, self._timed_pages(method) if name in _PAGED else self._timed(method))
        try:
            yield
        finally:
            for kind, name, method in kept:
                setattr(kind, name, method)

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.running():
                return method(*arguments, **named)

        return timed

    def _timed_pages(self, method: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        @wraps(method)
        def timed(*arguments: Any, **named: Any) -> Iterator[Any]:
            pages = method(*arguments, **named)
            while True:
                with self.running():
                    found = next(pages, self)
                if found is self:
                    return
                yield found

        return timed


_PAGED = ("list", "folders")
_REQUESTS = ("get", "create", "replace", "delete", "now", *_PAGED)


def row(ground: Ground) -> Row:
    """The slowest of the calls that people make most."""
    path = ground.namespace("called")
    ground.raw.create(path, [body(name, 256) for name in names(_OBJECTS)], "bench")
    application = ground.application("called")
    ran = ground.mainstay.run(OperationKind.BACKUP, application)
    version = ran.outcome["version"]
    calls = {
        "GET /app": ("GET", "/app", None),
        "GET /app/{id}": ("GET", f"/app/{application}", None),
        "GET /operation/{id}": ("GET", f"/operation/{ran.operation.id}", None),
        "GET /version/selectVersion": ("GET", f"/version/selectVersion?versionId={version}", None),
        "GET /version/getAllVersionsOfApp": ("GET", f"/version/getAllVersionsOfApp?appId={application}", None),
        "POST /app/backup": ("POST", "/app/backup", {"id": application}),
    }
    settings = Settings.read({"MAINSTAY_ADMIN_TOKEN": _TOKEN, "MAINSTAY_REPOSITORY": ground.address})
    logging.getLogger("chalicelib").setLevel(logging.ERROR)
    clock = StorageClock()
    with bootstrap.use(bootstrap.assemble(ground.mainstay.repository, settings)), clock.watching():
        found = {name: _measured(clock, _event(name, *call)) for name, call in calls.items()}
    slowest = max(found, key=lambda name: found[name][0])
    own = {name: own for name, (own, _) in found.items()}
    listed = ", ".join(f"{name} {own:.1f} ms beside {storage:.1f}" for name, (own, storage) in found.items())
    return Row(
        "7",
        f"API call on a warm handler: {slowest}",
        f"{found[slowest][1]:.1f} ms (the storage's own)",
        f"{found[slowest][0]:.1f} ms beside it",
        own[slowest],
        Goal("most", 10, "ms"),
        (min(own.values()), max(own.values())),
        (listed,),
    )


def _measured(clock: StorageClock, event: dict[str, Any]) -> tuple[float, float]:
    """Medians in ms: besides the storage, and in it."""
    from app import app

    samples: list[tuple[float, float]] = []
    for number in range(_WARMING + _CALLS):
        before, began = clock.seconds, time.perf_counter()
        answer = app(event, None)
        took, storage = time.perf_counter() - began, clock.seconds - before
        if answer["statusCode"] not in {200, 202}:
            raise Unexpected(f"{event['path']} answered {answer['statusCode']}: {answer['body']}")
        if number >= _WARMING:
            samples.append(((took - storage) * 1000, storage * 1000))
    return median(own for own, _ in samples), median(storage for _, storage in samples)


def _event(name: str, method: str, path: str, content: Any) -> dict[str, Any]:
    route, parts = name.partition(" ")[2], urlsplit(path)
    query: dict[str, list[str]] = {}
    for key, value in parse_qsl(parts.query):
        query.setdefault(key, []).append(value)
    return {
        "resource": route,
        "path": parts.path,
        "httpMethod": method,
        "headers": {"authorization": f"Bearer {_TOKEN}", "content-type": "application/json"},
        "multiValueHeaders": {},
        "queryStringParameters": {key: values[-1] for key, values in query.items()},
        "multiValueQueryStringParameters": query,
        "pathParameters": {"id": parts.path.rpartition("/")[2]} if "{id}" in route else {},
        "stageVariables": None,
        "requestContext": {"resourcePath": route, "httpMethod": method, "identity": {}, "requestId": "bench"},
        "body": None if content is None else json.dumps(content),
        "isBase64Encoded": False,
    }
