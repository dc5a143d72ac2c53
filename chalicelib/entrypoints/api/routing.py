"""What every route shares: reading requests, who asks, the one error shape, and how Chalice is made to do it.

A handler is `handler(call, *path_values)`: it gets a `Call` and returns a model, or an `Answer` for another status.

Chalice's ways that are dealt with here, and nowhere else:

- Middleware never sees what a view raised (Chalice has made it a 500 by then), so `route` wraps the view itself.
- Path parameters come URL-encoded.
- A model's datetimes break outside the handler unless it is dumped as JSON in it.
- 405 and 415 are answered before any view is called, in Chalice's own shape: `one_shape` translates them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from chalice.app import Blueprint, Request, Response
from pydantic import BaseModel, ValidationError

from chalicelib import bootstrap
from chalicelib.domain.errors import Invalid, MainstayError, Malformed, Unauthenticated
from chalicelib.domain.problems import problems_of
from chalicelib.domain.traces import places
from chalicelib.services.access import Asker
from chalicelib.services.bundle import Services
from chalicelib.services.models.operations import OperationView

_log = logging.getLogger("mainstay.api")

#: Longest time that `Prefer: wait=N` is honoured for, seconds: API Gateway ends a request after 29.
LONGEST_WAIT = 15

#: Most bytes of a request's body.
LARGEST_BODY = 1024 * 1024

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?:$|[,;])")

Body = TypeVar("Body")
Query = TypeVar("Query")


class NoQuery(BaseModel, extra="forbid"):
    """The query of a route that takes none."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Body, Query]):
    """One request as a handler sees it: who asks, for what, and the services to ask for it."""

    services: Services
    asker: Asker
    body: Body
    query: Query
    request_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with another status than the route's, or with headers."""

    model: BaseModel | Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declared:
    """One route as it was declared: what `openapi` describes."""

    path: str
    method: str
    summary: str
    description: str
    body: type[BaseModel] | None
    query: type[BaseModel]
    answer: type[BaseModel] | None
    starts_operation: bool
    open: bool
    statuses: tuple[int, ...]


class Api(Blueprint):
    """A blueprint whose routes read pydantic models and answer the one error shape."""

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name)
        self.declared: list[Declared] = []

    def route(  # type: ignore[override]  # our routes say more than Chalice's: models, and who may ask
        self,
        path: str,
        *,
        method: str = "GET",
        body: type[BaseModel] | None = None,
        query: type[BaseModel] = NoQuery,
        answer: type[BaseModel] | None = None,
        starts_operation: bool = False,
        open_to_all: bool = False,
        statuses: tuple[int, ...] = (),
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a route. `statuses` are those of errors that are the route's own, beside the common ones."""

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            summary, _, description = (handler.__doc__ or "").strip().partition("\n")
            declared = Declared(
                path=path,
                method=method,
                summary=summary.rstrip("."),
                description=re.sub(r"\s+", " ", description).strip(),
                body=body,
                query=query,
                answer=answer,
                starts_operation=starts_operation,
                open=open_to_all,
                statuses=statuses,
            )
            self.declared.append(declared)

            # Chalice names the view in its packaging by `__name__` and passes path parameters by keyword.
            @functools.wraps(handler)
            def view(**values: str) -> Response:
                return _answered(self.current_request, declared, handler, list(values.values()))

            Blueprint.route(self, path, methods=[method])(view)
            return handler

        return register


def _answered(request: Request, declared: Declared, handler: Callable[..., Any], values: list[str]) -> Response:
    request_id = _request_id(request)
    try:
        response = _handled(request, declared, handler, values, request_id)
    except MainstayError as error:
        response = refusal(error, request_id)
        if response.status_code >= 500:
            said = error.public().message
            _log.warning("%s %s: %s: %s [%s]", declared.method, declared.path, error.code, said, request_id)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the asker gets the one shape and the log the trace
        # No `str(error)`: an unexpected error's words may repeat what was sent. The trace carries code lines only.
        _log.error(
            "%s %s: unexpected %s [%s]\n%s",
            declared.method,
            declared.path,
            type(error).__name__,
            request_id,
            places(error),
        )
        response = refusal(MainstayError("Something went wrong here that should not. The log has more."), request_id)
    response.headers["X-Request-Id"] = request_id
    return response


def _handled(
    request: Request, declared: Declared, handler: Callable[..., Any], values: list[str], request_id: str
) -> Response:
    if declared.open:
        # An open route needs no services, and works while the settings are still wrong.
        return _response(handler(*(_decoded(value) for value in values)), 200)
    services = _services()
    asker = services.access.identify(_bearer(request))
    call: Call[Any, Any] = Call(
        services=services,
        asker=asker,
        body=None if declared.body is None else _body(request, declared.body),
        query=_query(request, declared.query),
        request_id=request_id,
    )
    answered = handler(call, *(_decoded(value) for value in values))
    if declared.starts_operation and isinstance(answered, OperationView):
        return _followed(call, answered, _wait_asked(request))
    return _response(answered, 200)


def _followed(call: Call[Any, Any], operation: OperationView, wait: int) -> Response:
    """202 and where to follow the operation; after `Prefer: wait=N` 200 with the finished one, if it has finished."""
    headers = {"Location": f"/operation/{operation.id}"}
    if wait:
        headers["Preference-Applied"] = f"wait={wait}"
        operation = call.services.operations.wait(call.asker, operation.id, wait)
    return _response(Answer(operation, 200 if operation.ended else 202, headers), 200)


def _response(answered: Any, status: int) -> Response:
    if isinstance(answered, Response):
        return answered
    if not isinstance(answered, Answer):
        answered = Answer(answered, status)
    model = answered.model
    # A string body is sent as it is: Chalice's own JSON would not know datetimes.
    body: Any = model.model_dump_json(by_alias=True) if isinstance(model, BaseModel) else dict(model)
    return Response(body, {**_HEADERS, **answered.headers}, answered.status)


def refusal(error: MainstayError, request_id: str, headers: Mapping[str, str | list[str]] | None = None) -> Response:
    """The answer to a request that failed with `error`: the one error shape of the API."""
    body = {"error": {**error.public().as_json(), "requestId": request_id}}
    more = {"WWW-Authenticate": 'Bearer realm="mainstay"'} if isinstance(error, Unauthenticated) else {}
    if error.status in {429, 503}:
        more["Retry-After"] = "5"
    return Response(body, {**_HEADERS, **more, "X-Request-Id": request_id, **(headers or {})}, error.status)


_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def one_shape(request: Any, get_response: Callable[[Any], Response]) -> Response:
    """Middleware: what Chalice refuses on its own (405, 415), in the API's one error shape."""
    response = get_response(request)
    body = response.body
    if isinstance(body, dict) and "Code" in body and "Message" in body:
        message = str(body["Message"])
        if response.status_code == 415:
            message = f"{message}. Send JSON, and say so: `Content-Type: application/json`"
        error = _OfChalice(message, str(body["Code"]), response.status_code)
        return refusal(error, _request_id(request), dict(response.headers))
    return response


class _OfChalice(MainstayError):
    """What Chalice found wrong before a handler was called."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(f"{message.rstrip('.')}.")
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", code.removesuffix("Error")).lower()
        self.code = words  # type: ignore[misc]  # of this one error, not of the class
        self.status = status  # type: ignore[misc]


def _request_id(request: Any) -> str:
    given = (getattr(request, "context", None) or {}).get("requestId")
    return str(given or getattr(request.lambda_context, "aws_request_id", None) or uuid.uuid4())


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _wait_asked(request: Request) -> int:
    match = _WAIT.search(request.headers.get("prefer", "").lower())
    return min(int(match.group(1)), LONGEST_WAIT) if match else 0


def _decoded(value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise Malformed("The path is not UTF-8 text.") from None


def _body(request: Request, model: type[BaseModel]) -> BaseModel:
    raw = request.raw_body or b""
    if len(raw) > LARGEST_BODY:
        raise TooLarge()
    _refuse_repeated(raw)
    try:
        return model.model_validate_json(raw if raw.strip() else b"{}", strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            reason = str(first.get("ctx", {}).get("error", "it ends too early"))
            raise Malformed(f"The body is not JSON: {reason}.") from None
        problems = problems_of(error, model)
        raise Invalid(f"The body is not as it must be: {problems[0]}.", problems) from None


def _refuse_repeated(raw: str | bytes) -> None:
    """`Malformed` if an object in the body has a key more than once: readers differ in which one they believe."""
    # What is no JSON, or nested too deeply, is refused in words of its own afterwards. Numbers stay text: none is
    # too long to be looked at.
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(raw, object_pairs_hook=_each_once, parse_int=str, parse_float=str)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Malformed(f"The body has the key {key[:60]!r} more than once in one object.")
        found[key] = value
    return found


def _query(request: Request, model: type[BaseModel]) -> BaseModel:
    given: dict[str, Any] = {}
    parameters = request.query_params
    for name in parameters or ():
        values = parameters.getlist(name)  # type: ignore[union-attr]
        given[name] = values if len(values) > 1 else values[0]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = problems_of(error, model)
        raise Invalid(f"The query is not as it must be: {problems[0]}.", problems) from None


def _services() -> Services:
    """The services. Why there are none is for the log: whoever asks has not shown a token yet."""
    try:
        return bootstrap.services()
    except MainstayError as error:
        _log.error("the service cannot work: %s", error.message)
        raise NotReady() from error


class NotReady(MainstayError):
    """The service's own settings or storage do not let it work."""

    code = "not-ready"
    status = 503

    def __init__(self) -> None:
        super().__init__("The service cannot work as it is set up. Its log says why.")


class TooLarge(Malformed):
    """The body is larger than any request needs."""

    code = "too-large"
    status = 413

    def __init__(self) -> None:
        super().__init__(f"The body is larger than {LARGEST_BODY} bytes.")
