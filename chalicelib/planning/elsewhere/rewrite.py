"""`restore.rewrite` of the document: patches to objects on their way back.

Which objects a rule means is told by what they are in the version (its namespace too, where they are restored into
another one); what it changes is the object as it would be restored. What an object is called is not changed so, nor
what one incarnation of it has; and what comes of it has to be an object that the cluster can read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from chalicelib.domain.document.restore import Match, PatchOperation, Rewrite
from chalicelib.domain.objects import INCARNATION, Body, ObjectKey, key_of
from chalicelib.domain.patterns import name_matches
from chalicelib.planning.elsewhere.shapes import broken

_EMPTY = ("labels", "annotations", "finalizers", "ownerReferences")
#: What is told of the values of one object that do not fit.
_MOST_TOLD = 3
#: Bytes of an object as JSON: no API server takes more in a request.
_MOST_BYTES = 3 * 1024 * 1024


@dataclass(slots=True)
class Rewrites:
    """The rules, and what came of them so far."""

    rules: tuple[Rewrite, ...]
    #: The plural of each kind, for rules that name it so.
    plurals: Mapping[tuple[str, str], str] = field(default_factory=dict)
    #: What of an object its cluster would not read, in words: no rule may bring that about.
    misfits: Callable[[Body], Iterable[str]] = lambda _body: ()
    #: Sentences about what could not be rewritten, in the order found.
    problems: list[str] = field(default_factory=list)
    _met: set[int] = field(default_factory=set)

    def concern(self, key: ObjectKey) -> bool:
        """Whether a rule may mean an object, by its name in the version: only its content can tell of labels."""
        return any(self._fits(rule.match, key) for rule in self.rules)

    def apply(self, was: ObjectKey, labels: dict[str, str], body: Body) -> Body:
        """`body` with the patches of every rule that means the object `was` of the version, one after the other.

        A rule that fails leaves it as it was before that rule, and is told.
        """
        for number, rule in enumerate(self.rules):
            wanted = rule.match.labels
            if not self._fits(rule.match, was) or (wanted is not None and not wanted.matches(labels)):
                continue
            self._met.add(number)
            try:
                patched = _patched(body, rule)
                _same_object(body, patched)
                self._can_be_read(body, patched)
            except _Failed as error:
                problem = f"Rewrite {number + 1} of the document does not fit {was}: {error}"
                if problem not in self.problems:
                    self.problems.append(problem)
                continue
            body = _tidy(patched, body)
        return body

    @property
    def unmet(self) -> Iterable[str]:
        """A sentence for each rule that meant nothing of what the version holds."""
        for number, rule in enumerate(self.rules):
            if number not in self._met:
                yield f"Rewrite {number + 1} of the document ({_called(rule.match)}) means no object of the version."

    def _can_be_read(self, was: Body, now: Body) -> None:
        """What comes of a rule has the shape of an object of its kind; what was odd before it is not its fault."""
        found = list(broken(was, now)) or [each for each in self.misfits(now) if each not in set(self.misfits(was))]
        if found:
            more = f" (and {len(found) - _MOST_TOLD} more)" if len(found) > _MOST_TOLD else ""
            raise _Failed(f"{'; '.join(found[:_MOST_TOLD])}{more}.")

    def _fits(self, match: Match, key: ObjectKey) -> bool:
        plural = self.plurals.get(key[:2], "")
        return (
            (match.kind is None or match.kind.matches(key.group, key.kind, plural))
            and (match.name is None or name_matches(match.name, key.name))
            and (match.namespace is None or match.namespace == key.namespace)
        )


class _Failed(Exception):  # it never leaves this module
    """A patch does not fit, with the reason."""


def _patched(body: Body, rule: Rewrite) -> Body:
    if rule.merge_patch is not None:
        merged: Body = merge(body, rule.merge_patch)
        return merged
    return _json_patched(body, rule.json_patch or ())


def merge(target: Any, patch: Any) -> Any:
    """`patch` laid over `target` as RFC 7386 says; `null` takes a member away. Shares what it does not change."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def _json_patched(body: Body, operations: Sequence[PatchOperation]) -> Body:
    from jsonpatch import JsonPatch, JsonPatchException
    from jsonpointer import JsonPointerException

    patch = [
        {
            "op": operation.op,
            "path": operation.path,
            **({"from": operation.from_} if operation.op in {"move", "copy"} else {}),
            **({"value": operation.value} if operation.op in {"add", "replace", "test"} else {}),
        }
        for operation in operations
    ]
    for number, operation in enumerate(patch, start=1):
        try:
            body = JsonPatch([operation]).apply(body)
            # Each `copy` can double what is there: a few dozen would fill any memory.
            too_large = len(orjson.dumps(body)) > _MOST_BYTES
        except (JsonPatchException, JsonPointerException, TypeError, ValueError, RecursionError) as error:
            # What the library says can have values of the object in it.
            raise _Failed(f"{_numbered(number, operation)} cannot be done.") from error
        if too_large:
            raise _Failed(f"{_numbered(number, operation)} makes more of it than an API server takes.")
    return body


def _numbered(number: int, operation: Mapping[str, Any]) -> str:
    return f"operation {number} (`{operation['op']}` at `{operation['path']}`)"


def _same_object(was: Body, now: Body) -> None:
    if not isinstance(now, dict) or not isinstance(now.get("metadata"), dict) or key_of(was) != key_of(now):
        raise _Failed("a rewrite cannot change what an object is called.")
    if was.get("apiVersion") != now.get("apiVersion"):
        raise _Failed("a rewrite cannot change the `apiVersion`.")
    # Most of this a document is refused for; the value may also come from elsewhere in the object.
    for name in INCARNATION:
        if name in now["metadata"]:
            raise _Failed(f"a rewrite cannot change `metadata.{name}`: it is no part of what is restored.")


def _tidy(body: Body, was: Body) -> Body:
    """Without empty members of the metadata: the server keeps none. Who owns which fields is no rule's to say."""
    metadata = {name: value for name, value in body["metadata"].items() if value or name not in _EMPTY}
    metadata.pop("managedFields", None)
    if "managedFields" in was["metadata"]:
        metadata["managedFields"] = was["metadata"]["managedFields"]
    return {**body, "metadata": metadata}


def _called(match: Match) -> str:
    said = {"kind": match.kind, "name": match.name, "namespace": match.namespace, "labels": match.labels}
    return ", ".join(f"{name} {value}" for name, value in said.items() if value is not None)
