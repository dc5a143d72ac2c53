"""What PyYAML's parser complains about, in words for someone who does not know YAML's grammar."""

from __future__ import annotations

import re

import yaml

from chalicelib.domain.errors import Problem
from chalicelib.language.places import Place

_Said = tuple[str, str]

# What PyYAML says (its `problem`, else its `context`) -> what we say, and how to mend it.
_EXPLANATIONS: tuple[tuple[re.Pattern[str], _Said], ...] = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (
            r"while scanning an alias",
            (
                "YAML takes a `*` at the start of a value for an alias.",
                'put a pattern that starts with `*` in quotes: "*"',
            ),
        ),
        (
            r"while scanning an anchor",
            ("YAML takes a `&` at the start of a value for an anchor.", "put it in quotes"),
        ),
        (
            r"undefined tag handle|while (scanning|parsing) a (tag|node)",
            ("YAML takes a `!` at the start of a value for a tag.", 'put it in quotes, such as "!canary"'),
        ),
        (
            r"found character '\\?(.)' that cannot start any token",
            (r"A value cannot start with the character \1 as it is.", "put the value in quotes"),
        ),
        (
            r"mapping values are not allowed",
            (
                "A `:` stands here where no field can begin.",
                "look at the indentation of this line and the one above; a text with `: ` in it must be in quotes",
            ),
        ),
        (
            r"could not find expected ':'",
            ("This is not a field: a `:` and a space are missing after its name.", "write `name: value`"),
        ),
        (r"expected <block end>, but found '([\]\}])'", (r"This \1 closes nothing.", "remove it, or open it before")),
        (
            r"expected <block end>",
            ("This does not fit the lines above.", "lines that belong together start in the same column"),
        ),
        (r"expected ',' or '\]'", ("A list in brackets lacks a comma or its closing `]` here.", "")),
        (r"expected ',' or '\}'", ("A mapping in braces lacks a comma or its closing `}` here.", "")),
        (
            r"found unknown escape character|expected escape sequence",
            (
                "This backslash is no escape that YAML knows in double quotes.",
                "single quotes take backslashes as they are",
            ),
        ),
        (
            r"unexpected end of stream|unexpected document separator",
            ("A text in quotes starts here and does not end.", "add the closing quote"),
        ),
        (
            r"sequence entries are not allowed",
            ("A `-` stands here where no list item can begin.", "start a new line"),
        ),
        (r"while scanning a directive|incompatible YAML|duplicate", ("This `%` line cannot be used.", "remove it")),
        (r"expected the node content", ("A value is missing here.", "")),
        (r"expected '<document start>'", ("The text goes on after the end of the document.", "")),
    )
)

# Complaints whose place of interest is where the thing began, not where the parser gave up.
_AT_ITS_START = re.compile(r"unexpected end of stream|unexpected document separator|could not find expected ':'")


def explain(error: yaml.MarkedYAMLError, text: str) -> Problem:
    """What is wrong with the text's syntax, and where."""
    said = f"{error.problem or ''}; {error.context or ''}"
    at_start = error.context_mark is not None and _AT_ITS_START.search(said)
    mark = error.context_mark if at_start else error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    tab = _tab_in_indentation(text, line)
    if tab is not None or "found character '\\t'" in said:
        column = tab if tab is not None else column
        return Problem("", "A tab stands here; YAML is indented with spaces.", line, column, "replace it by spaces")
    for pattern, (message, hint) in _EXPLANATIONS:
        match = pattern.search(said)
        if match is not None:
            began = _began(error, line)
            sentence = match.expand(message) if "\\1" in message else message
            return Problem("", sentence + began, line, column, hint or None)
    return Problem("", f"YAML cannot be read here: {error.problem or error.context}.", line, column)


def alias(name: str) -> _Said:
    """For `*name`."""
    return (
        f"YAML takes `*{name[:40]}` for an alias; anchors and aliases are not used here.",
        f'put a pattern that starts with `*` in quotes: "*{name[:40]}"',
    )


def anchor(name: str) -> _Said:
    """For `&name`."""
    return (
        f"YAML takes `&{name[:40]}` for an anchor; anchors and aliases are not used here.",
        "write the values out, or put a text that starts with `&` in quotes",
    )


def tag(name: str, value: str) -> _Said:
    """For `!name` or `!!name`, before a value."""
    shown = name.replace("tag:yaml.org,2002:", "!!")[:40]
    rest = f" {value[:40]}" if value and len(value.splitlines()) == 1 else ""
    return (
        f"YAML takes `{shown}` for a tag; tags are not used here.",
        f'put it in quotes if it is text: "{shown}{rest}"',
    )


def place_at(text: str, index: int) -> Place:
    """The place of a character, by its index."""
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    return Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _tab_in_indentation(text: str, line: int) -> int | None:
    lines = text.split("\n", line)
    if line > len(lines):
        return None
    indentation = re.match(r"[ \t]*", lines[line - 1])
    tab = indentation.group().find("\t") if indentation else -1
    return tab + 1 if tab >= 0 else None


def _began(error: yaml.MarkedYAMLError, line: int) -> str:
    """Where a list or mapping began that is not closed, if that was on another line."""
    if error.context_mark is None or not (error.context or "").startswith("while parsing a flow"):
        return ""
    began: int = error.context_mark.line + 1
    return f" It began in line {began}." if began != line else ""
