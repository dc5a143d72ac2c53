"""Label selectors, as Kubernetes writes and understands them.

The whole syntax of the API's `labelSelector` parameter is here but for its numeric comparisons: `key=value`,
`key==value`, `key!=value`, `key in (a, b)`, `key notin (a, b)`, `key` (has it), `!key` (has it not), joined
by commas that mean "and".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.errors import Invalid

_EXAMPLES = 'such as "app=web", "tier in (front, back)", "app=web,!canary"'

# A key is `name` or `prefix/name`; names and values are 63 characters at most, prefixes are DNS names.
_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY = re.compile(rf"(?:(?=.{{1,253}}/){_DNS}/)?{_WORD}")
_VALUE = re.compile(rf"(?:{_WORD})?")

_TOKEN = re.compile(r"\s*(?:(?P<mark>==|!=|[=!(),])|(?P<word>[^\s=!(),]+))")


class Operator(StrEnum):
    """How a requirement looks at its key."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one key. `values` is empty for `EXISTS` and `ABSENT`."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it. As in Kubernetes, `!=` and `notin` are met by a missing key."""
        match self.operator:
            case Operator.EXISTS:
                return self.key in labels
            case Operator.ABSENT:
                return self.key not in labels
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.ABSENT:
                return f"!{self.key}"
        if len(self.values) == 1:
            sign = "=" if self.operator is Operator.IN else "!="
            return f"{self.key}{sign}{self.values[0]}"
        return f"{self.key} {self.operator} ({','.join(self.values)})"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of requirements. `str()` gives the text the API server takes as `labelSelector`."""

    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """The selector written in `text`; `Invalid` with a sentence if it is none (an empty text is none)."""
        return cls(tuple(_Reader(text).requirements()))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(requirement.met_by(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


class _Reader:
    """Reads one selector from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = [match.group("mark") or match.group("word") for match in _TOKEN.finditer(text)]
        if not self._tokens:
            raise Invalid(f"A label selector cannot be empty: write one {_EXAMPLES}.")
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found = [self._requirement()]
        while self._peek() is not None:
            if self._take() != ",":
                raise self._unexpected("a comma between two conditions")
            found.append(self._requirement())
        return found

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._key(), Operator.ABSENT)
        key = self._key()
        match self._peek():
            case None | ",":
                return Requirement(key, Operator.EXISTS)
            case "=" | "==":
                self._take()
                return Requirement(key, Operator.IN, (self._value(),))
            case "!=":
                self._take()
                return Requirement(key, Operator.NOT_IN, (self._value(),))
            case "in" | "notin":
                operator = Operator(self._take())
                return Requirement(key, operator, self._values(operator))
        self._take()
        raise self._unexpected("`=`, `!=`, `in`, `notin` or a comma after the key")

    def _key(self) -> str:
        token = self._take()
        if _KEY.fullmatch(token) is None:
            raise self._unexpected("the key of a label")
        return token

    def _value(self) -> str:
        if self._peek() in {None, ","}:
            return ""
        return self._checked(self._take())

    def _values(self, operator: Operator) -> tuple[str, ...]:
        if self._take() != "(":
            raise self._unexpected(f"`(` after `{operator}`")
        values: dict[str, None] = {}
        while True:
            token = self._take()
            if token in {",", ")"}:
                raise self._unexpected("a value")
            values[self._checked(token)] = None
            closing = self._take()
            if closing == ")":
                return tuple(values)
            if closing != ",":
                raise self._unexpected("a comma or `)`")

    def _checked(self, value: str) -> str:
        if _VALUE.fullmatch(value) is None:
            raise Invalid(
                f"`{value[:80]}` cannot be the value of a label: at most 63 letters, digits, `-`, `_` and `.`, "
                "with a letter or digit at both ends."
            )
        return value

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token or ""

    def _unexpected(self, wanted: str) -> Invalid:
        token = self._tokens[self._at - 1] if self._at <= len(self._tokens) else ""
        found = f"`{token[:80]}` stands there" if token else "the text ends"
        return Invalid(f"Not a label selector: {found} where {wanted} belongs; write one {_EXAMPLES}.")
