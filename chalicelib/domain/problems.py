"""What pydantic finds wrong with what somebody sent or set, in sentences for people.

The one place that knows pydantic's kinds of errors; documents have more to say of theirs (`language.complaints`).
What was given is never repeated here: it may be a secret in the wrong place.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from chalicelib.domain.errors import Problem

#: The most that is told at once.
_MOST = 50
#: What pydantic appends where the name of a member is wrong, and not its value.
_OF_A_NAME = "[key]"

_OBJECT, _LIST, _TEXT = "it must be a JSON object", "it must be a list", "it must be text"
_WHOLE, _NUMBER, _YES_OR_NO = "it must be a whole number", "it must be a number", "it must be true or false"
_MOMENT = "it must be a moment such as 2026-11-25T09:30:00Z"

_SENTENCES = {
    "missing": "it is required",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "string_type": _TEXT,
    "string_unicode": "it must be text in UTF-8",
    "bool_type": _YES_OR_NO,
    "bool_parsing": _YES_OR_NO,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "it has too many digits",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "it must be a number that is not infinite",
    "path_type": "it must be the path of a file",
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "timezone_aware": f"{_MOMENT}, with its time zone",
}

_BOUNDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda context: f"it must be more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"it must be at least {context['ge']:g}",
    "less_than": lambda context: f"it must be less than {context['lt']:g}",
    "less_than_equal": lambda context: f"it must be at most {context['le']:g}",
    "string_too_short": lambda context: f"it must have {_counted(context['min_length'], 'character')} at least",
    "string_too_long": lambda context: f"it must have {_counted(context['max_length'], 'character')} at most",
    "too_short": lambda context: f"it must have {_counted(context['min_length'], 'entry', 'entries')} at least",
    "too_long": lambda context: f"it must have {_counted(context['max_length'], 'entry', 'entries')} at most",
    "literal_error": lambda context: f"it must be {_options(context['expected'])}",
    "enum": lambda context: f"it must be {_options(context['expected'])}",
    # Our own: see `domain.fields`, `domain.forms` and `domain.document.part`.
    "written": lambda context: f"it must be {context['what']}",
    "sentence": lambda context: _phrase(str(context["sentence"])),
}


def problems_of(error: ValidationError, model: type[BaseModel], *, under: str = "") -> list[Problem]:
    """One problem for each place, in the order of the model's fields. `under` is where the model itself stands."""
    details = error.errors(include_url=False, include_input=False)
    return [_problem(row, model, under) for row in details[:_MOST]]


def sentence_of(details: ErrorDetails) -> str:
    """What is wrong, without an end: `it must be text`."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in _BOUNDS:
        return _BOUNDS[kind](context)
    if kind == "value_error":  # raised by a validator of ours
        return _phrase(str(context["error"]))
    return "it cannot be read as what belongs here"


def _problem(details: ErrorDetails, model: type[BaseModel], under: str) -> Problem:
    location = details["loc"]
    of_a_name = location[-1:] == (_OF_A_NAME,)
    parts = location[:-1] if of_a_name else location
    path = ".".join(str(part) for part in ((under, *parts) if under else parts))
    if details["type"] == "extra_forbidden":
        return Problem(path, "there is no such field", hint=_nearest(str(location[-1]), model, len(location)))
    if details["type"] == "string_type" and model.__name__.endswith("Query"):
        return Problem(path, "it is given more than once")
    told = sentence_of(details)
    return Problem(path, told.replace("it must", "its name must", 1) if of_a_name else told)


def _nearest(name: str, model: type[BaseModel], depth: int) -> str | None:
    if depth != 1:
        return None
    known = [field.alias or own for own, field in model.model_fields.items()]
    near = difflib.get_close_matches(name, known, 1, 0.7)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known are {', '.join(f'`{each}`' for each in known)}" if known else "this request takes none"


def _counted(count: int, one: str, more: str = "") -> str:
    return f"one {one}" if count == 1 else f"{count:,} {more or one + 's'}"


def _options(expected: str) -> str:
    return expected.replace("'", "`")


def _phrase(sentence: str) -> str:
    """A sentence as a part of another one. A word in backticks or capitals keeps its first letter."""
    kept = sentence.rstrip(".")
    return kept[:1].lower() + kept[1:] if kept[1:2].islower() or kept[1:2] == " " else kept
