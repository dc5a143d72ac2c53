"""What of the language this release does not carry out yet.

A document may say it, it is checked in full, and then it is refused when it is registered: nothing that a user
asks for is silently ignored. The table shrinks as the features land.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from chalicelib.domain.document import Document, Spec
from chalicelib.domain.errors import Invalid, Problem
from chalicelib.language.loader import LoadedDocument, read
from chalicelib.language.places import Path, show_path


@dataclass(frozen=True, slots=True)
class Later:
    """A section that comes later: whether a document uses it, and what would not happen."""

    path: str
    used: Callable[[Spec], bool]
    missing: str
    mend: str = "remove it for now"


LATER: tuple[Later, ...] = (
    Later("spec.state.dumps", lambda spec: bool(spec.state.dumps), "no dump would be made or loaded"),
    Later("spec.state.volumes", lambda spec: bool(spec.state.volumes), "contents of volumes would not be kept"),
    Later(
        "spec.state.images",
        lambda spec: spec.state.images != "none",
        "images would be neither pinned nor kept",
        "write `images: none`",
    ),
    Later(
        "spec.state.hooks",
        lambda spec: bool(spec.state.hooks.before or spec.state.hooks.after),
        "no command would run around a backup",
    ),
    Later(
        "spec.backup.keep.lastGood",
        lambda spec: bool(spec.backup and spec.backup.keep and not spec.backup.keep.last_good),
        "the last good version always stays",
    ),
    Later(
        "spec.backup.quota",
        lambda spec: bool(spec.backup and spec.backup.quota is not None),
        "nobody would look how much room versions take",
    ),
    Later(
        "spec.backup.alert",
        lambda spec: bool(spec.backup and spec.backup.alert),
        "no alarm would be raised",
    ),
    Later(
        "spec.backup.notify",
        lambda spec: bool(spec.backup and spec.backup.notify),
        "nobody would be told",
    ),
    Later("spec.drill", lambda spec: spec.drill is not None, "no test restore would ever run"),
)


def unsupported(document: Document, positions: Mapping[str, tuple[int, int]] | None = None) -> list[Problem]:
    """One problem for each section the document uses and this release does not carry out; in the order of the
    text if `positions` (of a `LoadedDocument`) is given."""
    found: list[Problem] = []
    for later in LATER:
        if later.used(document.spec):
            line, column = (positions or {}).get(later.path, (None, None))
            sentence = f"This is understood but not carried out by this release: {later.missing}."
            found.append(Problem(later.path, sentence, line, column, later.mend))
    return sorted(found, key=lambda problem: problem.line or 0)


def _in_vain(loaded: LoadedDocument) -> Iterator[Problem]:
    """What rewrites say of metadata that is never restored.

    It is no error of the language: versions whose documents say so can be read and restored by other rules.
    """
    for number, rewrite in enumerate(loaded.document.spec.restore.rewrite):
        at: Path = ("spec", "restore", "rewrite", number)
        for below, name in rewrite.in_vain():
            path = show_path((*at, *below))
            line, column = loaded.positions.get(path) or loaded.positions.get(show_path(at)) or (None, None)
            sentence = f"A rewrite cannot change `metadata.{name}`: it is no part of what is restored."
            yield Problem(path, sentence, line, column, "remove it")


def accept(text: str | bytes) -> LoadedDocument:
    """The document in `text`, all of which this release carries out; else `Invalid` with every problem."""
    loaded = read(text)
    problems = [*unsupported(loaded.document, loaded.positions), *_in_vain(loaded)]
    problems.sort(key=lambda problem: problem.line or 0)
    if problems:
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise Invalid(f"This document cannot be used: {problems[0]}{others}", problems)
    return loaded
