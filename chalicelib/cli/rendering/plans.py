"""Plans and comparisons, as a good diff tool shows them: grouped, marked, aligned, bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from chalicelib.cli.gateway import Json
from chalicelib.cli.rendering.differences import difference_lines
from chalicelib.cli.rendering.marks import CHANGES, VERBS, Look, Marks
from chalicelib.cli.rendering.objects import gap_in_words, kind_of, object_name, some_of
from chalicelib.cli.rendering.words import counted, printable

_MOST_OBJECTS = 25
_MOST_GAPS = 8
# Reasons that the group's title or the differences say already.
_PLAIN_REASONS = {"missing", "differs", "extra"}
_CONSEQUENCES = (
    ("delete", "deletes", "red"),
    ("replace", "deletes and makes anew", "magenta"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """How much is shown, and where."""

    width: int
    marks: Marks
    everything: bool = False


def plan_lines(plan: Json, page: Page) -> Iterator[Text]:
    """A plan: one group for each verb, what will be felt, what to know, and a line that sums it up."""
    actions = plan.get("actions") or []
    for verb, look in VERBS.items():
        group = [action for action in actions if action["verb"] == verb]
        if group:
            yield _title(look, len(group))
            for action in group if page.everything else group[:_MOST_OBJECTS]:
                yield from _action(action, look, page)
            yield from _more(len(group), page)
            yield Text()
    yield from _notes(plan, page)
    yield plan_summary(plan, page)


def plan_summary(plan: Json, page: Page) -> Text:
    """`Plan: 2 to create · 1 to delete · 120 unchanged`, on a second line what does not fit on the first."""
    counts: dict[str, int] = plan.get("counts") or {}
    listed = {verb: sum(action["verb"] == verb for action in plan.get("actions") or []) for verb in VERBS}
    parts = []
    for verb, look in VERBS.items():
        # Objects that simply stay are counted in `keep`, but not listed.
        number = listed[verb] if verb == "keep" else max(listed[verb], counts.get(verb, 0))
        if number:
            parts.append(Text(f"{number:,} {look.summary}", style=look.style))
    unchanged = max(counts.get("keep", 0) - listed["keep"], 0)
    if unchanged:
        parts.append(Text(f"{unchanged:,} unchanged", style="dim"))
    if writes(plan):
        return _joined(Text("Plan: ", style="bold"), parts, page)
    left = [object_name(action["object"]) for action in plan.get("actions") or [] if action["verb"] == "skip"]
    if left:
        differ = "object differs and is" if len(left) == 1 else "objects differ and are"
        line = Text("Nothing that it may do", style="bold yellow")
        line.append(f"; {len(left):,} {differ} left: {page.marks.safe(some_of(left))}.", style="")
        if unchanged:
            line.append(f" {unchanged:,} unchanged", style="dim")
        return line
    if plan.get("blockers"):  # what stands in the way was not compared, or not as it is to be
        return _joined(Text("Nothing else differs.", style="bold yellow").append(" "), parts, page)
    head = Text("Nothing to do: the cluster is as the version has it.", style="bold green")
    return _joined(head.append(" "), parts, page)


def _joined(line: Text, parts: Sequence[Text], page: Page) -> Text:
    hanging = "      "
    start = 0
    whole = line.copy()
    for number, part in enumerate(parts):
        if number:
            whole.append(page.marks.dot, style="")
        if len(whole) - start + len(part) > page.width:
            whole.append(f"\n{hanging}")
            start = len(whole) - len(hanging)
        whole.append_text(part)
    return whole


def writes(plan: Json) -> bool:
    """Whether a plan changes the cluster at all."""
    return any(action["verb"] not in {"keep", "skip"} for action in plan.get("actions") or [])


def consequences(plan: Json) -> Iterator[Text]:
    """What cannot be overlooked before agreeing: which objects are deleted or replaced."""
    for verb, words, style in _CONSEQUENCES:
        names = [object_name(action["object"]) for action in plan.get("actions") or [] if action["verb"] == verb]
        if names:
            number = counted(len(names), "object")
            yield Text.assemble("It ", (f"{words} {number}", f"bold {style}"), f": {some_of(names)}.")


def comparison_lines(comparison: Json, page: Page) -> Iterator[Text]:
    """What differs between two states: one group for each kind of change, and a line that sums it up."""
    changes: Sequence[Json] = comparison.get("changes") or []
    counts: dict[str, int] = comparison.get("counts") or {}
    summary = Text()
    for change, look in CHANGES.items():
        group = [entry for entry in changes if entry["change"] == change]
        if not group:
            continue
        summary.append(page.marks.dot if summary else "")
        summary.append(f"{max(len(group), counts.get(change, 0)):,} {look.summary}", style=look.style)
        yield _title(look, len(group))
        for entry in group if page.everything else group[:_MOST_OBJECTS]:
            yield _object_line(entry["object"], look, page, "")
            fields = [{**field, "live": field.get("from"), "wanted": field.get("to")} for field in entry["fields"]]
            yield from difference_lines(fields, width=page.width, marks=page.marks, everything=page.everything)
        yield from _more(len(group), page)
        yield Text()
    if not summary:
        summary = Text("No difference", style="bold green")
    same = counts.get("same", counts.get("unchanged", 0))
    if same:
        summary.append(f"{page.marks.dot}{same:,} unchanged", style="dim")
    yield from _gaps(comparison.get("gaps") or [], page)
    if comparison.get("truncated"):
        yield Text("There are more differences than an answer can carry; these are the first.", style="yellow")
    yield summary


def _title(look: Look, count: int) -> Text:
    return Text.assemble((look.title, f"bold {look.style}"), (f" {count:,}", "dim"))


def _object_line(identity: Json, look: Look, page: Page, why: str) -> Text:
    line = Text.assemble(
        "  ", (page.marks.of(look), f"bold {look.style}"), " ", page.marks.safe(object_name(identity))
    )
    if why:
        line.append(f"  {page.marks.safe(why)}", style="dim")
    return line


def _action(action: Json, look: Look, page: Page) -> Iterator[Text]:
    reason, message = str(action.get("reason") or ""), printable(str(action.get("message") or ""))
    why = message or ("" if reason in _PLAIN_REASONS else printable(reason))
    line = _object_line(action["object"], look, page, "")
    if why and len(line) + len(why) + 2 <= page.width:
        line = _object_line(action["object"], look, page, why)
        why = ""
    yield line
    if why:
        yield from _wrapped(why, "      ", page, "dim")
    yield from difference_lines(
        action.get("differences") or [], width=page.width, marks=page.marks, everything=page.everything
    )
    for effect in action.get("effects") or []:
        yield from _wrapped(f"{page.marks.effect} {printable(effect)}", "      ", page, "italic")
    for awaited in action.get("awaits") or []:
        waits = f"Waits until {object_name(awaited['object'])} is ready ({awaited.get('reason') or 'as told'})."
        yield from _wrapped(f"{page.marks.effect} {printable(waits)}", "      ", page, "italic")


def _more(count: int, page: Page) -> Iterator[Text]:
    if not page.everything and count > _MOST_OBJECTS:
        more = counted(count - _MOST_OBJECTS, "more object")
        yield Text(f"  {page.marks.ellipsis} {more}; see everything with --all", style="dim")


def _notes(plan: Json, page: Page) -> Iterator[Text]:
    yield from _gaps(plan.get("gaps") or [], page)
    yield from _sentences("Warnings", "yellow", plan.get("warnings") or [], page)
    yield from _sentences("Cannot be applied as it is", "bold red", plan.get("blockers") or [], page)


def _sentences(title: str, style: str, sentences: Sequence[str], page: Page) -> Iterator[Text]:
    if sentences:
        yield Text(title, style=style)
        for sentence in sentences:
            yield from _wrapped(f"! {printable(sentence)}", "  ", page, "")
        yield Text()


def _gaps(gaps: Sequence[Json], page: Page) -> Iterator[Text]:
    """What could not be read. An account that may read little leaves dozens: a few show what is the matter."""
    shown = gaps if page.everything else gaps[:_MOST_GAPS]
    sentences = [gap_in_words(gap) for gap in shown]
    if len(shown) < len(gaps):
        kinds = some_of([kind_of(gap) for gap in gaps[len(shown) :]])
        sentences.append(f"and {counted(len(gaps) - len(shown), 'more kind')}: {kinds}; see everything with --all")
    yield from _sentences("Could not be read", "yellow", sentences, page)


def _wrapped(text: str, indent: str, page: Page, style: str) -> Iterator[Text]:
    import textwrap

    hanging = indent + "  "
    for line in textwrap.wrap(
        page.marks.safe(text), max(page.width, 40), initial_indent=indent, subsequent_indent=hanging
    ):
        yield Text(line, style=style)
