"""What the models complain about, in words for the user and with the places in the text."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from chalicelib.domain.document import Document
from chalicelib.domain.errors import Problem
from chalicelib.domain.fields import quoted
from chalicelib.domain.problems import sentence_of
from chalicelib.language.places import Path, Places, show_path

_Said = tuple[str, str | None]


def problems_of(errors: Iterable[ErrorDetails], places: Places) -> Iterator[Problem]:
    """One problem for each of pydantic's errors."""
    for error in errors:
        # Pydantic counts only the entries that are right; those that are wrong speak for themselves.
        if error["type"] == "too_short" and len(error["input"]) >= error.get("ctx", {}).get("min_length", 0):
            continue
        yield _problem(error, places)


def nearest(word: str, known: Sequence[str]) -> str | None:
    """ "did you mean …" for a word that is not known, if one of the known words is near."""
    # A long word is no misspelling, and comparing it is slow.
    if len(word) > 40:
        return None
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return f"did you mean `{by_lower[found[0]]}`?" if found else None


def names_of(model: type[BaseModel]) -> list[str]:
    """The names of a model's fields, as documents write them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def model_at(path: Path) -> type[BaseModel] | None:
    """The model of the part of a document at `path`, if there is one."""
    found: type[BaseModel] | None = Document
    for step in path:
        if isinstance(step, int):
            continue
        annotation = found and next(
            (field.annotation for name, field in found.model_fields.items() if (field.alias or name) == step), None
        )
        found = next(_models_in(annotation), None)
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    if get_origin(annotation) is Literal:
        return
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _sections(model: type[BaseModel] = Document, at: str = "") -> Iterator[tuple[str, str]]:
    """Every field of the language as (section, name), those near the top first."""
    below: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        yield at, field.alias or name
        shown = f"{at}.{field.alias or name}" if at else field.alias or name
        below.extend((found, shown) for found in _models_in(field.annotation))
    for found, shown in below:
        yield from _sections(found, shown)


def _problem(error: ErrorDetails, places: Places) -> Problem:
    context = error.get("ctx", {})
    path: Path = (*error["loc"], *context.get("at", ()))
    kind = error["type"]
    place = places.of_name(path) if kind == "extra_forbidden" else places.of_value(path)
    if kind == "missing":
        place = places.of_name(path[:-1])
    message, hint = _sentence(kind, path, error["input"], context, places)
    return Problem(show_path(path), message or f"{_upper(sentence_of(error))}.", place.line, place.column, hint)


def _sentence(kind: str, path: Path, value: object, context: dict[str, Any], places: Places) -> _Said:
    if kind == "sentence":
        return context["sentence"], context.get("hint")
    if kind == "extra_forbidden":
        return _unknown_field(path)
    if kind == "missing":
        return _missing(path)
    if kind == "literal_error":
        return _unknown_value(path, value)
    if kind == "written":
        return f"{_upper(context['what'])} is needed here, not {called(value)}.", _as_text(
            path, value, places, context
        )
    if kind in _NEEDED:
        return f"{_NEEDED[kind]} is needed here, not {called(value)}.", _as_needed(kind, value)
    if kind in _BOUNDS:
        return _BOUNDS[kind](context), None
    return "", None


_NEEDED = {
    "model_type": "A mapping (`name: value`)",
    "model_attributes_type": "A mapping (`name: value`)",
    "dict_type": "A mapping (`name: value`)",
    "tuple_type": "A list",
    "int_type": "A whole number",
    "int_from_float": "A whole number",
    "bool_type": "`true` or `false`",
}

_BOUNDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than_equal": lambda context: f"This must be at least {context['ge']}.",
    "less_than_equal": lambda context: f"This must be at most {context['le']}.",
    "too_short": lambda context: f"This list needs at least {_items(context['min_length'])}.",
    "too_long": lambda context: f"This list can have at most {_items(context['max_length'])}.",
}


def _items(count: int) -> str:
    return "one entry" if count == 1 else f"{count} entries"


def called(value: object) -> str:
    """What a value is, in the user's words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}" if value else "an empty text"
        case list() | tuple():
            return "a list"
    return "a mapping"


def _unknown_field(path: Path) -> _Said:
    name = str(path[-1])
    around = model_at(path[:-1])
    known = names_of(around) if around else []
    hint = nearest(name, known)
    if hint is None or name not in hint:
        elsewhere = next((section for section, field in _sections() if field == name and section), None)
        hint = hint or (elsewhere and f"it belongs under `{elsewhere}`")
    return f"There is no field {quoted(name)} here.", hint or f"known here: {', '.join(known)}"


def _missing(path: Path) -> _Said:
    model = model_at(path[:-1])
    options: tuple[Any, ...] = ()
    if model is not None:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        options = get_args(fields[str(path[-1])].annotation) if str(path[-1]) in fields else ()
    hint = f"add `{path[-1]}: {options[0]}`" if len(options) == 1 and isinstance(options[0], str) else None
    return f"The field `{path[-1]}` is missing.", hint


def _unknown_value(path: Path, value: object) -> _Said:
    model = model_at(path[:-1])
    options: list[str] = []
    if model is not None:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        options = [str(option) for option in get_args(fields[str(path[-1])].annotation)]
    listed = ", ".join(f"`{option}`" for option in options)
    listed = f"one of {listed}" if len(options) > 1 else listed
    hint = nearest(value, options) if isinstance(value, str) else None
    return f"{_upper(listed)} is needed here, not {called(value)}.", hint


def _as_text(path: Path, value: object, places: Places, context: dict[str, Any]) -> str | None:
    """How to write as text what YAML read as something else."""
    if isinstance(value, dict) and len(value) <= 4 and all(isinstance(member, str) for member in value.values()):
        # Such as `labels: {app: web}`, which is how manifests write it.
        pairs = ",".join(f"{name}={member}" for name, member in value.items())
        return f'write "{pairs}"' if "selector" in context["what"] and 0 < len(pairs) <= 80 else None
    if not isinstance(value, bool | int | float):
        return None
    written = places.sources.get(path, str(value))
    if context.get("unit"):
        return f"a unit is missing; write one such as `{written}{context['unit']}`"
    return f'put it in quotes: "{written}"'


def _as_needed(kind: str, value: object) -> str | None:
    if kind == "tuple_type" and isinstance(value, str) and len(value) <= 40:
        return f"write [{value}]"
    if kind == "tuple_type" and isinstance(value, dict):
        return "start each entry with `- `"
    if kind == "int_type" and isinstance(value, str) and value.isdigit():
        return f"write {int(value[:20])} without quotes"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in {"yes", "on", "no", "off", "y", "n"}:
        return f"write {'true' if value.lower() in {'yes', 'on', 'y'} else 'false'}"
    return None


def _upper(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
