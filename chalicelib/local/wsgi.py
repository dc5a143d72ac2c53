"""The Chalice app as a WSGI application, safe with threads.

Chalice's `LocalGateway` makes of an HTTP request what API Gateway would make of it. The app's `current_request` is
one attribute for the whole process, which is right in Lambda and fatal with threads: of concurrent requests most
would see another one's headers. So the app becomes a `LocalChalice`, whose current request is the thread's own.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import ForbiddenError, LocalChalice, LocalGateway, LocalGatewayException

from chalicelib.domain.errors import MainstayError, Malformed, NotFound
from chalicelib.entrypoints.api.routing import LARGEST_BODY, TooLarge, refusal

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

#: Bytes of a body that is too large which are read and thrown away before the connection is closed instead.
_MOST_DISCARDED = 16 * 1024 * 1024

_REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
    507: "Insufficient Storage",
}


class Threaded(LocalChalice):
    """The app with a current request for each thread."""


class Gateway:
    """The WSGI application. `body_read` is called once a request's body has arrived."""

    def __init__(self, app: Chalice, body_read: Callable[[Any], None] = lambda _socket: None) -> None:
        app.__class__ = Threaded
        self._gateway = LocalGateway(app, Config())
        self._body_read = body_read

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            response = self._handled(environ)
        except MainstayError as error:
            response = _refused(error)
        except ForbiddenError:
            # What API Gateway says of a path that no route has; ours says it like every other error.
            response = _refused(NotFound("There is no such route."))
        except LocalGatewayException as error:
            response = _refused(_Refused(error.CODE))
        body = response["body"] or b""
        content = body if isinstance(body, bytes) else body.encode()
        headers = {**response["headers"], "Content-Length": str(len(content))}
        if environ["REQUEST_METHOD"] == "HEAD":
            content = b""
        status = int(response["statusCode"])
        start_response(f"{status} {_REASONS.get(status, 'Status')}", [(name, str(headers[name])) for name in headers])
        return [content]

    def _handled(self, environ: Environ) -> dict[str, Any]:
        path = _path(environ)
        body = _body(environ)
        self._body_read(environ.get("gunicorn.socket"))
        response: dict[str, Any] = self._gateway.handle_request(
            environ["REQUEST_METHOD"], path, _headers(environ), body
        )
        return response


def _path(environ: Environ) -> str:
    """Path and query as they came, percent-encoded: Chalice decodes nothing, and our routing once."""
    raw = str(environ.get("RAW_URI") or environ.get("PATH_INFO") or "/")
    path, mark, query = raw.partition("?")
    if not path.startswith("/") or path.startswith("//"):
        raise NotFound("There is no such route.")
    # `;` and `#` mean nothing in our paths, but would to the URL parser behind.
    return path.replace(";", "%3B").replace("#", "%23") + mark + query.replace("#", "%23")


def _headers(environ: Environ) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    return headers


def _body(environ: Environ) -> bytes:
    declared = environ.get("CONTENT_LENGTH") or None
    source = environ["wsgi.input"]
    if declared is not None and int(declared) > LARGEST_BODY:
        _discard(source, int(declared))
        raise TooLarge()
    content: bytes = source.read(LARGEST_BODY + 1)
    if len(content) > LARGEST_BODY:
        _discard(source, _MOST_DISCARDED)
        raise TooLarge()
    if declared is not None and len(content) < int(declared):
        raise Malformed("The body ended before it was complete.")
    return content


def _discard(source: Any, size: int) -> None:
    """Read what is left of a body that is too large, so that its sender reads our answer and not a broken pipe."""
    left = min(size, _MOST_DISCARDED)
    while left > 0 and (piece := source.read(min(left, 64 * 1024))):
        left -= len(piece)


class _Refused(MainstayError):
    """What the local gateway refused before any view was called."""

    code = "refused"

    def __init__(self, status: int) -> None:
        super().__init__("The request was refused.")
        self.status = status  # type: ignore[misc]  # of this one error, not of the class


def _refused(error: MainstayError) -> dict[str, Any]:
    response = refusal(error, str(uuid.uuid4()))
    return {"statusCode": response.status_code, "headers": response.headers, "body": json.dumps(response.body)}
