"""What `repository verify`, `stats` and `sweep` say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from chalicelib.cli.rendering.objects import some_of
from chalicelib.cli.rendering.tables import Column, Rows
from chalicelib.cli.rendering.words import counted, printable, size

Json = dict[str, Any]

#: Versions and objects that are named on the screen; `-o json` has all that are known.
_NAMED = 10


def verified_lines(applications: Sequence[Json], *, quick: bool) -> Iterator[Text]:
    """One line for each application, and for each thing that is damaged."""
    looked = "looked at" if quick else "read"
    for each in applications:
        name = (printable(each["name"]), "bold")
        if "error" in each:
            why = (each["error"] or {}).get("message", "it was cancelled")
            yield Text.assemble(name, ": ", ("not verified", "bold red"), f". {printable(why)}")
            continue
        what = (
            f"{counted(each['versions'], 'version')}, {counted(each['objects'], 'object')}, "
            f"{counted(each['segments'], 'segment')} ({size(each['bytes'])}) {looked}"
        )
        yield Text.assemble(name, ": ", _verdict(each["damages"]), f". {what}.")
        for damage in each["damages"]:
            yield from _damage_lines(damage)
    if not applications:
        yield Text("There is nothing in the repository.")


def _verdict(damages: Sequence[Json]) -> tuple[str, str]:
    if not damages:
        return "whole", "green"
    mended = all(damage["repair"] == "mended" for damage in damages)
    return ("was damaged, and is whole again", "yellow") if mended else ("damaged", "bold red")


def _damage_lines(damage: Json) -> Iterator[Text]:
    yield Text(f"  {damage['key']}", style="yellow" if damage["repair"] == "mended" else "red")
    said = damage["message"].replace(f" `{damage['key']}`", "")
    yield Text(f"    {printable(said)}{_repaired(damage)}")
    if damage["versions"]:
        yield Text(f"    versions: {_some(damage['versions'])}")
    if damage["objects"]:
        yield Text(f"    objects: {_some(damage['objects'])}")


def _repaired(damage: Json) -> str:
    if damage["repair"] == "condemned":
        return " No other copy has its content; the next backup that meets it stores it again."
    if damage["repair"] == "mended":
        is_list = "/condemned/" in damage["key"]
        return " It was replaced." if is_list else " It is whole again: another copy had its content."
    return ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return printable(", ".join(names[:_NAMED])) + more


def applications_table(applications: Sequence[Json]) -> Rows:
    """One row for each application."""
    columns = (
        Column("APPLICATION", give_way=True),
        Column("VERSIONS", right=True),
        Column("SEGMENTS", right=True, extra=True),
        Column("OBJECTS' BYTES", right=True),
        Column("STORED", right=True),
        Column("RATIO", right=True),
        Column("UNNEEDED", right=True),
        Column("CONDEMNED", right=True, extra=True),
    )
    cells = tuple(
        (
            Text(printable(each["name"])),
            Text(f"{each['existing']:,}"),
            Text(f"{each['segments']:,}"),
            Text(_size(each["plainBytes"])),
            Text(size(each["storedBytes"])),
            Text("" if each["ratio"] is None else f"{each['ratio']:.1f}"),
            Text(_size(each["unneededBytes"])),
            Text(f"{each['condemnedSegments']:,}"),
        )
        for each in applications
    )
    return Rows(columns, cells)


def _size(known: int | None) -> str:
    """A size, or that it is not known."""
    return "?" if known is None else size(known)


def unread(application: Json) -> str:
    """What to know of an application that was measured in part; empty if it was measured whole."""
    if application["complete"]:
        return ""
    name, read = printable(application["name"]), len(application["versions"])
    if application["damaged"]:
        return f"{name}: {some_of(application['damaged'])} cannot be read, so what is needed is not known."
    what = f"the newest {read:,} of {application['existing']:,} versions" if read else "the beginning of its listing"
    return f"{name}: only {what} could be read in the time that a request has."


def versions_table(versions: Sequence[Json]) -> Rows:
    """One row for each version."""
    columns = (
        Column("VERSION"),
        Column("OBJECTS", right=True),
        Column("OBJECTS' BYTES", right=True),
        Column("STORED", right=True),
        Column("OWN", right=True),
    )
    cells = tuple(
        (
            Text(each["id"]),
            Text(f"{each['objects']:,}"),
            Text(size(each["plainBytes"])),
            Text(size(each["storedBytes"])),
            Text(_size(each["ownBytes"])),
        )
        for each in versions
    )
    return Rows(columns, cells)


def _rest(outcome: Json) -> str:
    """What is left for a later sweep."""
    parts = [
        counted(outcome[member], one)
        for member, one in (("versionsWaiting", "deleted version"), ("waiting", "young segment"))
        if outcome[member]
    ]
    return f" Left for later: {' and '.join(parts)}." if parts else ""


def swept_lines(operations: Sequence[Json]) -> Iterator[Text]:
    """One line for each application."""
    for each in operations:
        name = (printable(each["name"]), "bold")
        if each["state"] not in {"succeeded", "partial"}:
            reason = (each.get("error") or {}).get("message", f"it is {each['state']}")
            yield Text.assemble(name, ": ", ("not swept", "bold red"), f". {printable(reason)}")
            continue
        outcome = each["outcome"]
        told = f"{counted(outcome['segments'], 'segment')} removed ({size(outcome['bytes'])})."
        yield Text.assemble(name, f": {told}{_rest(outcome)}")
        for warning in outcome.get("warnings") or ():
            yield Text.assemble("  ", (printable(warning), "yellow"))
