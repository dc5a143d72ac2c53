"""What pydantic finds wrong with a request, in sentences for people. What was sent is never repeated."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from chalicelib.domain.errors import Problem

_SENTENCES = {
    "missing": "it is required",
    "model_type": "it must be a JSON object",
    "model_attributes_type": "it must be a JSON object",
    "string_type": "it must be text",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "dict_type": "it must be a JSON object",
    "list_type": "it must be a list",
    "tuple_type": "it must be a list",
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """One problem for each place, in the order of the model's fields."""
    details = error.errors(include_url=False, include_input=False)
    return [_problem(row, model) for row in details[:50]]


def _problem(details: Any, model: type[BaseModel]) -> Problem:
    path = ".".join(str(part) for part in details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return Problem(path, "no such field", hint=_nearest(str(details["loc"][-1]), model, len(details["loc"])))
    if kind == "string_type" and model.__name__.endswith("Query"):
        return Problem(path, "it is given more than once")
    message = _SENTENCES.get(kind) or str(details["msg"]).removeprefix("Value error, ").rstrip(".")
    return Problem(path, message[:1].lower() + message[1:])


def _nearest(name: str, model: type[BaseModel], depth: int) -> str | None:
    if depth != 1:
        return None
    known = [field.alias or own for own, field in model.model_fields.items()]
    near = difflib.get_close_matches(name, known, 1, 0.7)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known are {', '.join(f'`{each}`' for each in known)}" if known else "this request takes none"
