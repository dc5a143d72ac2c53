"""YAML or JSON text → plain values and their places.

Only the part of YAML that JSON can say is read: no anchors and aliases (so no bombs), no tags but the core ones,
no duplicate keys, one document, text as keys. Unquoted words mean what YAML 1.2's core schema says they mean, so
`on`, `yes`, `12:30`, dates and `=` are text; so is `012`, which some readers take for ten.

Size, depth and number of values are bounded, and the first two are checked before any work is done for them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml import events

from chalicelib.domain.errors import Invalid, Problem
from chalicelib.language import syntax
from chalicelib.language.places import Path, Place, Places, show_path

#: The longest document, in bytes of UTF-8.
MOST_BYTES = 256 * 1024
#: How deep mappings and lists may lie in each other, and how many values there may be in all.
MOST_DEPTH = 32
MOST_VALUES = 20_000

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_CORE = "tag:yaml.org,2002:"
_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text says: its values, where they stand, and what is wrong although it could be read on."""

    value: Any
    places: Places
    problems: tuple[Problem, ...]


def parse(text: str | bytes) -> Parsed:
    """The text's values. `Invalid` if it cannot be read to its end."""
    readable = _readable(text)
    composer = _Composer(readable)
    try:
        value = composer.compose()
    except yaml.MarkedYAMLError as error:
        raise one_problem(syntax.explain(error, readable)) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # Such as an escape beyond Unicode ("\UFFFFFFFF"), which PyYAML passes to chr().
        place = composer.last
        raise one_problem(Problem("", "The text cannot be read from here on.", place.line, place.column)) from error
    return Parsed(value, composer.places, tuple(composer.problems))


def one_problem(problem: Problem) -> Invalid:
    """The error for a text that could not be read beyond one problem."""
    return Invalid(f"This document cannot be used: {problem}", [problem])


def _readable(text: str | bytes) -> str:
    """The text within its limits and without characters that have no business in it."""
    # Characters first: encoding a text that is far too long would be work already.
    length = len(text)
    if isinstance(text, str) and length <= MOST_BYTES:
        length = len(text.encode(errors="replace"))
    if length > MOST_BYTES:
        raise one_problem(Problem("", f"The text is too long: {MOST_BYTES // 1024} KiB is the most.", 1, 1))
    return _without_stray((text if isinstance(text, str) else _decoded(text)).removeprefix("\ufeff"))


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        place = syntax.place_at(before, len(before))
        raise one_problem(Problem("", "The text is not UTF-8.", *place, hint="save the file as UTF-8")) from error


def _without_stray(text: str) -> str:
    stray = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if stray is not None:
        code = f"U+{ord(stray.group()):04X}"
        problem = Problem(
            "",
            f"The text has a control character ({code}) here.",
            *syntax.place_at(text, stray.start()),
            hint="save the file as plain text in UTF-8",
        )
        raise one_problem(problem)
    if text.lstrip().startswith("{"):
        # JSON may be indented with tabs, YAML may not. Places stay the same.
        text = re.sub(r"(?m)^[ \t]+", lambda match: " " * len(match.group()), text)
    return text


class _Composer:
    """Makes values of the parser's events. Recursion is bounded by `MOST_DEPTH`."""

    def __init__(self, text: str) -> None:
        self.places = Places()
        self.problems: list[Problem] = []
        self.last = Place(1, 1)
        self._count = 0
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)

    def compose(self) -> Any:
        value = None
        documents = 0
        for event in self._events:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(_place(event), "A second document starts here.", "one file holds one document")
                value = self._node(self._next(), ())
        return value

    def _next(self) -> Any:
        event = next(self._events)
        self.last = _place(event)
        return event

    def _node(self, event: Any, path: Path) -> Any:
        place = _place(event)
        self._count += 1
        if self._count > MOST_VALUES:
            self._stop(place, f"The document has more than {MOST_VALUES} values.")
        if len(path) > MOST_DEPTH:
            self._stop(place, f"More than {MOST_DEPTH} levels lie in each other here.")
        self.places.values.setdefault(path, place)
        if isinstance(event, events.AliasEvent):
            self._say(path, place, *syntax.alias(str(event.anchor)))
            return None
        if event.anchor is not None:
            self._say(path, place, *syntax.anchor(event.anchor))
        if isinstance(event, events.ScalarEvent):
            return self._scalar(event, path, place)
        self._check_tag(event, path, place)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), events.SequenceEndEvent):
            at = (*path, len(items))
            self.places.names.setdefault(at, _place(event))
            items.append(self._node(event, at))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(event := self._next(), events.MappingEndEvent):
            place = _place(event)
            key = self._key(event, path)
            at = (*path, key if key is not None else "?")
            first = self.places.names.setdefault(at, place)
            value = self._node(self._next(), at)
            if key is None:
                continue
            if key in members:
                self._say(at, place, f"This is there twice: first in line {first.line}.", "keep one of them")
                continue
            members[key] = value
        return members

    def _key(self, event: Any, path: Path) -> str | None:
        """A field's name, or `None` after saying that it is none."""
        place = _place(event)
        before = len(self.problems)
        # Kept out of the places: `?` is no field.
        key = self._node(event, (*path, "?"))
        if isinstance(key, str):
            return key
        if len(self.problems) == before:
            written = self.places.sources.get((*path, "?"))
            hint = f'write "{written}"' if written else None
            self._say(path, place, "The name of a field must be text.", hint)
        self.places.values.pop((*path, "?"), None)
        self.places.sources.pop((*path, "?"), None)
        return None

    def _scalar(self, event: Any, path: Path, place: Place) -> Any:
        text = event.value
        if event.implicit[0] and event.tag is None:
            self.places.sources.setdefault(path, text[:80])
            return self._plain(text, path, place)
        if event.tag is not None:
            return self._tagged(event, path, place)
        return self._text(text, path, place)

    def _plain(self, text: str, path: Path, place: Place) -> Any:
        """What a scalar without quotes means in YAML 1.2's core schema."""
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
            return text[0] in "tT"
        if _INTEGER.fullmatch(text) or _OTHER_BASE.fullmatch(text):
            # JSON readers keep whole numbers in 64 bits.
            number = int(text, 0 if text[:2] in {"0o", "0x"} else 10) if len(text) <= 20 else 1 << 64
            if abs(number) >= 1 << 63:
                self._say(path, place, "This number is too large.", "put it in quotes if it is meant as text")
                return None
            return number
        if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
            real = float(text) if _FLOAT.fullmatch(text) else math.inf
            if not math.isfinite(real):
                self._say(path, place, "This number cannot be kept.", "put it in quotes if it is meant as text")
                return None
            return real
        return self._text(text, path, place)

    def _text(self, text: str, path: Path, place: Place) -> str | None:
        """Text, in which JSON's pairs of `\\uD83D\\uDE00` become the one character they stand for."""
        if not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._say(path, place, "This text has half a character in it (a lone surrogate).")
            return None

    def _tagged(self, event: Any, path: Path, place: Place) -> Any:
        name = event.tag.removeprefix(_CORE)
        if event.tag == f"{_CORE}str":
            return self._text(event.value, path, place)
        if event.tag != name and name in _TYPES:
            value = self._plain(event.value, path, place)
            if type(value) in _TYPES[name]:
                return value
        self._say(path, place, *syntax.tag(event.tag, event.value))
        return None

    def _check_tag(self, event: Any, path: Path, place: Place) -> None:
        expected = "seq" if isinstance(event, events.SequenceStartEvent) else "map"
        if event.tag not in {None, f"{_CORE}{expected}"}:
            self._say(path, place, *syntax.tag(event.tag, ""))

    def _say(self, path: Path, place: Place, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(show_path(path), message, place.line, place.column, hint))

    @staticmethod
    def _stop(place: Place, message: str, hint: str | None = None) -> None:
        raise one_problem(Problem("", message, place.line, place.column, hint))


def _place(event: Any) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1)
