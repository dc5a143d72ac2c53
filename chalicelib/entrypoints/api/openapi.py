"""OpenAPI 3.1 from the routes as they are declared and the models they read and answer."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from chalicelib.entrypoints.api.blueprints import BLUEPRINTS
from chalicelib.entrypoints.api.routing import LONGEST_WAIT, Declared, NoQuery
from chalicelib.services.models.errors import ErrorView
from chalicelib.settings import RELEASE

_ERRORS = {
    400: "It cannot be read: not JSON, or no identifier.",
    401: "No token, or one that is not valid.",
    403: "Known, but not allowed.",
    404: "No such thing, or none that the asker may see.",
    409: "Against the present state.",
    413: "The body is too large.",
    422: "Readable but wrong; `details.problems` has one entry for each place.",
    500: "Something went wrong that should not. `requestId` finds it in the log.",
    502: "The cluster's API server refused.",
    503: "The storage or the cluster does not answer. Asking again later may help.",
    505: "The cluster does not answer.",
    507: "The storage is full.",
}
_COMMON = (400, 401, 404, 413, 422, 500, 503)


@functools.cache
def description() -> bytes:
    """The description as JSON text."""
    return orjson.dumps(_document([declared for api in BLUEPRINTS for declared in api.declared]))


def _document(routes: list[Declared]) -> dict[str, Any]:
    bodies = {route.body for route in routes if route.body}
    answers = {route.answer for route in routes if route.answer} | {ErrorView}
    queries = {route.query for route in routes if route.query is not NoQuery}
    wanted: list[tuple[type[BaseModel], Any]] = []
    wanted += [(model, "validation") for model in sorted(bodies | queries, key=lambda model: model.__name__)]
    wanted += [(model, "serialization") for model in sorted(answers, key=lambda model: model.__name__)]
    references, schemas = models_json_schema(wanted, by_alias=True, ref_template="#/components/schemas/{model}")
    components = dict(schemas.get("$defs", {}))
    named = {(model.__name__, mode): reference for (model, mode), reference in references.items()}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, named, components)
    query_names = {named[model.__name__, "validation"]["$ref"].rpartition("/")[2] for model in queries}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mainstay",
            "version": RELEASE,
            "summary": "Application continuity for Kubernetes.",
            "description": (
                "Long work answers 202 with an operation to follow at its `Location`; with `Prefer: wait=N` "
                f"({LONGEST_WAIT} s at most) it is waited for. Lists are paged with `limit` and `next`."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in query_names},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Declared, named: dict[tuple[str, Any], Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', route.path).rstrip('_')}",
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *_query_parameters(route, named, components)],
        "responses": _responses(route, named),
    }
    if route.description:
        operation["description"] = route.description
    if route.starts_operation:
        operation["parameters"].append(
            {
                "name": "Prefer",
                "in": "header",
                "schema": {"type": "string"},
                "description": f"`wait=N`: wait N seconds ({LONGEST_WAIT} at most) for the operation to end.",
            }
        )
    if route.open:
        operation["security"] = []
    if route.body:
        schema = named[route.body.__name__, "validation"]
        operation["requestBody"] = {
            "required": any(field.is_required() for field in route.body.model_fields.values()),
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(
    route: Declared, named: dict[tuple[str, Any], Any], components: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    if route.query is NoQuery:
        return
    schema = components[named[route.query.__name__, "validation"]["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    for name, member in schema.get("properties", {}).items():
        parameter = {"name": name, "in": "query", "required": name in required, "schema": member}
        if member.get("description"):
            parameter["description"] = member["description"]
        yield parameter


def _responses(route: Declared, named: dict[tuple[str, Any], Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": route.summary}
    if route.answer:
        answer["content"] = {"application/json": {"schema": named[route.answer.__name__, "serialization"]}}
    responses = {"200": answer}
    if route.starts_operation:
        responses["200"] = {**answer, "description": "The operation has ended while it was waited for."}
        responses["202"] = {
            **answer,
            "description": "The operation goes on; follow it at `Location`.",
            "headers": {"Location": {"schema": {"type": "string"}}},
        }
    errors = (500,) if route.open else sorted({*_COMMON, *route.statuses})
    schema = named["ErrorView", "serialization"]
    for status in errors:
        responses[str(status)] = {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": schema}},
        }
    return responses
