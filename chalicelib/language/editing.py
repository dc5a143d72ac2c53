"""Changing single fields in a document's text, and nothing else: comments, order and style stay as they are.

Only what stands between the field's name and the end of its value is written anew. A new field goes behind the
commented lines of its neighbour, which are told by their indentation, and has the line ends of the rest. Afterwards
the text is read again: if it does not say exactly what it should, it is refused rather than stored.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from chalicelib.domain.errors import Invalid
from chalicelib.language.text import parse

Fields = tuple[str, ...]

#: A line of nothing but a comment: what stands before it, and what stands between its mark and its words.
_COMMENT = re.compile(r"([ \t]*)#([ \t]*)")


def set_field(text: str, path: Fields, value: Any, *, after: str = "") -> str:
    """`text` with `value` (what JSON can say) at `path`. A new field comes behind its neighbour `after`, else last.

    `Invalid` if the text is written in a way that does not allow it.
    """
    wanted = copy.deepcopy(parse(text).value)
    inner = wanted
    for name in path[:-1]:
        if inner.get(name) is None:  # also where its name alone is there
            inner[name] = {}
        inner = inner[name]
    inner[path[-1]] = value
    mapping, depth = _nearest(text, path[:-1])
    for name in reversed(path[depth + 1 :]):
        value = {name: value}
    return _checked(_set(text, mapping, path[depth], value, after), wanted)


def remove_field(text: str, path: Fields) -> str:
    """`text` without the field at `path`, and without the fields around it that are empty then."""
    wanted = copy.deepcopy(parse(text).value)
    around = [wanted]
    for name in path[:-1]:
        if around[-1].get(name) is None:
            return text
        around.append(around[-1][name])
    if path[-1] not in around[-1]:
        return text
    while len(path) > 1 and len(around[-1]) == 1:
        path, around = path[:-1], around[:-1]
    del around[-1][path[-1]]
    mapping, _ = _nearest(text, path[:-1])
    return _checked(_removed(text, mapping, path[-1]), wanted)


def _checked(text: str, wanted: Any) -> str:
    try:
        says = parse(text).value
    except Invalid:
        says = None
    if says != wanted:
        raise Invalid("This text is written in a way that cannot be changed in place: send a new document.")
    return text


def _nearest(text: str, path: Fields) -> tuple[MappingNode, int]:
    """The mapping at `path`, or the innermost one around it that is there, and how far along the path it is."""
    # As the loader reads it: JSON may be indented with tabs. Nothing moves.
    plain = re.sub(r"(?m)^[ \t]+", lambda found: " " * len(found.group()), text) if _is_json(text) else text
    node: Any = yaml.compose(plain, Loader=yaml.SafeLoader)
    for depth, name in enumerate(path):
        found = _member(node, name)
        if found is None or not isinstance(found[1], MappingNode):
            return node, depth
        node = found[1]
    return node, len(path)


def _is_json(text: str) -> bool:
    return text.removeprefix("\ufeff").lstrip().startswith("{")


def _member(mapping: MappingNode, name: str) -> tuple[Node, Node] | None:
    return next((pair for pair in mapping.value if pair[0].value == name), None)


def _set(text: str, mapping: MappingNode, name: str, value: Any, after: str) -> str:
    found = _member(mapping, name)
    if found is not None:
        start, end = found[1].start_mark.index, _end(text, found[1])
        if isinstance(found[1], MappingNode) and not found[1].flow_style and isinstance(value, dict) and value:
            return text[:start] + _block(text, value, found[1].start_mark.column).lstrip() + text[end:]
        gap = "" if start and text[start - 1] in " \t\n" else " "
        return text[:start] + gap + _flow(value, quoted=_is_json(text)) + text[end:]
    if mapping.flow_style:
        written = _flow({name: value}, quoted=_is_json(text))[1:-1]
        if not mapping.value:
            start = mapping.start_mark.index + 1
            return text[:start] + written + text[start:]
        end = _end(text, mapping.value[-1][1])
        return f"{text[:end]}, {written}{text[end:]}"
    before = _member(mapping, after) or mapping.value[-1]
    column = mapping.value[0][0].start_mark.column
    end = _comments_end(text, _line_end(text, _end(text, before[1])), column)
    return f"{text[:end]}{_line_break(text)}{_block(text, {name: value}, column)}{text[end:]}"


def _removed(text: str, mapping: MappingNode, name: str) -> str:
    number = next(number for number, pair in enumerate(mapping.value) if pair[0].value == name)
    key, value = mapping.value[number]
    if not mapping.flow_style:
        start = text.rfind("\n", 0, key.start_mark.index) + 1
        end = _line_end(text, _end(text, value))
        if end == len(text):  # the last line has no end, and so has the one that is the last then
            return text[:start].removesuffix("\n").removesuffix("\r")
        return text[:start] + text[end:].removeprefix("\r").removeprefix("\n")
    if number + 1 < len(mapping.value):
        return text[: key.start_mark.index] + text[mapping.value[number + 1][0].start_mark.index :]
    start = _end(text, mapping.value[number - 1][1]) if number else key.start_mark.index
    return text[:start] + text[_end(text, value) :]


def _end(text: str, node: Node) -> int:
    """Where a value ends, without what follows it: blank lines and comments are nobody's."""
    end = int(node.end_mark.index)
    if isinstance(node, ScalarNode):
        if node.style not in {"|", ">"}:
            return end
        header = text[node.start_mark.index : _line_end(text, node.start_mark.index)].partition("#")[0]
        # One with `+` has the blank lines behind it, too.
        return len(text[:end].removesuffix("\n")) if "+" in header else len(text[:end].rstrip())
    if isinstance(node, CollectionNode) and node.flow_style:
        return end
    last = node.value[-1]
    return _end(text, last[1] if isinstance(last, tuple) else last)


def _comments_end(text: str, end: int, column: int) -> int:
    """Where the commented lines end that belong to an entry at `column` whose last line ends at `end`: those that are
    further in, also behind blank lines. One whose mark was put at the line's begin counts as far in as its words."""
    at = end
    while at < len(text):
        start = text.index("\n", at) + 1
        at = _line_end(text, start)
        comment = _COMMENT.match(text, start, at)
        if comment is not None:
            inward = comment[1] or comment[2] if column else comment[1]
            if len(inward) <= column:
                break
            end = at
        elif text[start:at].strip():
            break
    return end


def _line_end(text: str, index: int) -> int:
    """Where the line ends that `index` is in: before its line break."""
    found = text.find("\n", index)
    if found < 0:
        return len(text)
    return found - 1 if found > 0 and text[found - 1] == "\r" else found


def _line_break(text: str) -> str:
    """What ends the lines of a text: all of them have the same, or it does not matter."""
    found = text.find("\n")
    return "\r\n" if found > 0 and text[found - 1] == "\r" else "\n"


def _flow(value: Any, *, quoted: bool) -> str:
    """On one line."""
    if quoted:
        return json.dumps(value, ensure_ascii=False)
    written = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return written.removesuffix("...\n").strip()


def _block(text: str, value: dict[str, Any], column: int) -> str:
    """On lines of its own, which end as those of `text` do; without the last one's end."""
    written = yaml.safe_dump(value, default_flow_style=False, sort_keys=False, allow_unicode=True, width=10**6)
    return _line_break(text).join(" " * column + line for line in written.rstrip("\n").split("\n"))
