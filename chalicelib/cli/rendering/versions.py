"""Versions: their list, and one in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from chalicelib.cli.gateway import Json
from chalicelib.cli.rendering.marks import STATES, Marks
from chalicelib.cli.rendering.objects import kind_of
from chalicelib.cli.rendering.tables import Column, facts, table
from chalicelib.cli.rendering.words import age, counted, duration, on_one_line, printable, size, when

_MOST_ROWS = 20


def versions_table(items: Sequence[Json], now: datetime) -> Iterator[RenderableType]:
    """The newest first."""
    yield table(
        [
            Column("VERSION"),
            Column("AGE", right=True),
            Column("STATE"),
            Column("OBJECTS", right=True),
            Column("NEW", right=True, extra=True),
            Column("NAME", give_way=True),
            Column("COMMENT", give_way=True, extra=True),
        ],
        [
            [
                version["id"],
                age(version.get("capturedAt"), now),
                version_state(version),
                f"{version.get('objects') or 0:,}",
                size(version.get("addedBytes")),
                on_one_line(version.get("name") or _purpose(version)),
                _comment(version),
            ]
            for version in items
        ],
    )


def version_state(version: Json) -> Text:
    """`complete` or `partial`, and whether it is held."""
    state = str(version.get("state", "complete"))
    text = Text(state, style=STATES.get(state, ""))
    if version.get("hold"):
        text.append(" held", "cyan")
    return text


def version_page(
    version: Json, application: str, now: datetime, marks: Marks, *, everything: bool
) -> Iterator[RenderableType]:
    """One version in full: what it holds, what it lacks, what ran."""
    yield facts(
        [
            ("Version", version["id"]),
            ("Name", on_one_line(version.get("name") or "")),
            ("Comment", printable(version.get("comment") or "")),
            ("Labels", _labels(version)),
            ("Application", printable(application)),
            ("State", version_state(version)),
            ("Purpose", "" if version.get("purpose", "backup") == "backup" else _purpose(version)),
            ("Made", f"{when(version.get('capturedAt'), now)}{_by(version)}"),
            ("Operation", str(version.get("operation") or "")),
            ("Cluster", _cluster(version)),
            ("Namespaces", printable(", ".join(version.get("namespaces") or []))),
            ("Holds", f"{counted(version.get('objects') or 0, 'object')}, {size(version.get('plainBytes'))}"),
            ("Added", f"{size(version.get('addedBytes'))} to the repository"),
            ("Kept because", "; ".join(map(str, version.get("keptBecause") or []))),
            ("To restore", _estimate(version)),
        ]
    )
    yield from _gaps(version)
    most = 10_000_000 if everything else _MOST_ROWS
    yield from _kinds(version, most, marks)
    yield from _pulled(version, most, marks)
    yield from _images(version, most, marks)


def _gaps(version: Json) -> Iterator[RenderableType]:
    gaps = version.get("gaps") or []
    if gaps:
        yield Text()
        yield Text("Missing: a restore from this version deletes nothing", style="bold yellow")
        yield table(
            [Column("KIND"), Column("NAMESPACE"), Column("WHY", give_way=True)],
            [
                [kind_of(gap), printable(gap.get("namespace") or "-"), printable(gap.get("message") or "")]
                for gap in gaps
            ],
        )


def _kinds(version: Json, most: int, marks: Marks) -> Iterator[RenderableType]:
    kinds = [kind for kind in version.get("kinds") or [] if kind.get("count")]
    if kinds:
        yield Text()
        yield table(
            [Column("KIND"), Column("OBJECTS", right=True)],
            [[kind_of(kind), f"{kind['count']:,}"] for kind in kinds[:most]],
        )
        yield from _more(len(kinds) - most, "kind", marks)


def _pulled(version: Json, most: int, marks: Marks) -> Iterator[RenderableType]:
    pulled, unfollowed = version.get("pulled") or [], version.get("unfollowed") or []
    if pulled:
        yield Text()
        yield Text("Pulled in, because the application refers to it:")
        yield table(
            [Column("KIND"), Column("NAME"), Column("WHY", give_way=True)],
            [
                [
                    kind_of(each),
                    printable("/".join(filter(None, (each.get("namespace"), each["name"])))),
                    printable(each.get("reason") or ""),
                ]
                for each in pulled[:most]
            ],
        )
        yield from _more(len(pulled) - most, "object", marks)
    if withheld := version.get("withheld") or []:
        yield Text()
        yield Text("Not in the version, because they are in namespaces of others:", style="bold yellow")
        yield table(
            [Column("SECRET"), Column("WHY IT IS REFERRED TO", give_way=True)],
            [
                [printable(f"{each.get('namespace')}/{each['name']}"), printable(each.get("reason") or "")]
                for each in withheld[:most]
            ],
        )
        yield from _more(len(withheld) - most, "Secret", marks)
    if unfollowed:
        yield Text()
        yield Text("What these kinds have that the application refers to is not in the version:", style="bold yellow")
        yield table(
            [Column("KIND"), Column("WHY", give_way=True)],
            [[kind_of(gap), printable(gap.get("message") or "")] for gap in unfollowed[:most]],
        )


def _images(version: Json, most: int, marks: Marks) -> Iterator[RenderableType]:
    images = version.get("images") or []
    if images:
        yield Text()
        yield table(
            [Column("IMAGE", give_way=True), Column("DIGEST", give_way=True)],
            [[printable(image["image"]), printable(image.get("digest") or "unknown")] for image in images[:most]],
        )
        yield from _more(len(images) - most, "image", marks)


def _more(count: int, noun: str, marks: Marks) -> Iterator[RenderableType]:
    if count > 0:
        yield Text(f"{marks.ellipsis} {counted(count, f'more {noun}')}; see them with --all", style="dim")


def _purpose(version: Json) -> str:
    return "before restore" if version.get("purpose") == "safety" else ""


def _comment(version: Json) -> str:
    labels = _labels(version)
    return "  ".join(part for part in (on_one_line(version.get("comment") or ""), labels and f"[{labels}]") if part)


def _labels(version: Json) -> str:
    return on_one_line(", ".join(f"{key}={given}" for key, given in (version.get("labels") or {}).items()))


def _by(version: Json) -> str:
    return f" by {printable(str(version['madeBy']))}" if version.get("madeBy") else ""


def _cluster(version: Json) -> str:
    release = version.get("clusterVersion")
    return printable(f"{version.get('cluster') or ''}{f', Kubernetes {release}' if release else ''}")


def _estimate(version: Json) -> str:
    seconds = version.get("estimateSeconds")
    return f"about {duration(seconds)} into an empty namespace" if seconds else ""
