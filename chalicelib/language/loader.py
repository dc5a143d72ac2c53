"""Document text → `Document`.

A text is read (`text`), then its values are checked (`chalicelib.domain.document`), and everything that is wrong
is told at once, in the order of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from chalicelib.domain.document import API_VERSION, Document
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.domain.fields import quoted
from chalicelib.language.complaints import called, nearest, problems_of
from chalicelib.language.places import Path, Place, Places, show_path
from chalicelib.language.text import one_problem, parse

#: More problems than this are counted, not listed.
MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document, and where its parts stand in its text.

    `positions` maps a path such as `spec.state.objects[0].labels` to the line and column (from 1) of the
    field's name or of the list's item.
    """

    document: Document
    positions: Mapping[str, tuple[int, int]] = field(repr=False)


def load(text: str | bytes) -> Document:
    """The document written in `text` (YAML or JSON; bytes are UTF-8), or `Invalid` with every problem."""
    return read(text).document


def read(text: str | bytes) -> LoadedDocument:
    """As `load`, with the places of its parts."""
    parsed = parse(text)
    places = parsed.places
    problems = list(parsed.problems)
    values = parsed.value
    if not isinstance(values, dict):
        if problems:
            raise _invalid(problems)
        raise one_problem(_no_mapping(values, places))
    foreign = list(_another_kind(values, places))
    if foreign:
        raise _invalid([*problems, *foreign])
    problems.extend(_empty_fields(values, places))
    try:
        document = Document.model_validate(values, by_alias=True, by_name=False)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problems.extend(problems_of(errors[: MOST_PROBLEMS * 2], places))
        raise _invalid(problems, unseen=max(0, len(errors) - MOST_PROBLEMS * 2)) from None
    if problems:
        raise _invalid(problems)
    return LoadedDocument(document, {show_path(path): place for path, place in places.names.items()})


def _no_mapping(value: object, places: Places) -> Problem:
    if value is None:
        return Problem("", "The document is empty.", 1, 1, f"start with `apiVersion: {API_VERSION}`")
    line, column = places.of_value(())
    sentence = f"A document is a mapping (`name: value`), not {called(value)}."
    return Problem("", sentence, line, column, f"start with `apiVersion: {API_VERSION}`")


def _another_kind(values: dict[str, Any], places: Places) -> Iterator[Problem]:
    """Something else than an Application: its fields are not worth complaints of their own."""
    for name, known in (("apiVersion", API_VERSION), ("kind", "Application")):
        value = values.get(name, known)
        if isinstance(value, str) and value != known:
            message = f"`{known}` is needed here, not {quoted(value)}."
            yield Problem(name, message, *places.of_value((name,)), hint=nearest(value, [known]))


def _empty_fields(value: object, places: Places, path: Path = ()) -> Iterator[Problem]:
    """Fields with nothing after the colon. A patch may say null, and means it."""
    if value is None:
        place = places.of_name(path)
        yield Problem(show_path(path), "This is empty.", *place, hint="give it a value, or remove it")
    elif isinstance(value, dict):
        for name, member in value.items():
            if name not in {"mergePatch", "value"} or path[:1] != ("spec",) or "rewrite" not in path:
                yield from _empty_fields(member, places, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _empty_fields(item, places, (*path, number))


def _invalid(problems: Iterable[Problem], unseen: int = 0) -> Invalid:
    """All of them in the order of the text, and one for each path: the first said is the nearest to the cause."""
    by_path: dict[str, Problem] = {}
    for problem in problems:
        by_path.setdefault(problem.path or f"line {problem.line}", problem)
    ordered = sorted(by_path.values(), key=lambda problem: (problem.line or 0, problem.column or 0))
    shown = ordered[:MOST_PROBLEMS]
    more = len(ordered) - len(shown) + unseen
    if more:
        last = Place(shown[-1].line or 1, shown[-1].column or 1)
        shown.append(Problem("", f"There are {more} more problems after these.", *last))
    others = f" (and {len(ordered) - 1 + unseen} more)" if len(ordered) + unseen > 1 else ""
    return Invalid(f"This document cannot be used: {shown[0]}{others}", shown)
