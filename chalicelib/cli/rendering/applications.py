"""Applications and clusters: their lists, one in full, and how one is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from chalicelib.cli.gateway import Json
from chalicelib.cli.rendering.marks import STATES
from chalicelib.cli.rendering.tables import Column, facts, table
from chalicelib.cli.rendering.words import age, ago, local_time, on_one_line, printable, size, when


def applications_table(items: Sequence[Json], now: datetime) -> Iterator[RenderableType]:
    """By name: id, status, current version."""
    yield table(
        [
            Column("NAME", wraps=True),
            Column("APPLICATION"),
            Column("STATUS"),
            Column("CHANGED", right=True),
            Column("DESCRIPTION", give_way=True),
        ],
        [
            [
                application["name"],
                application["id"],
                _state(str(application.get("status", ""))),
                age(application.get("updatedAt"), now),
                printable(application.get("description") or ""),
            ]
            for application in items
        ],
    )


def application_page(application: Json, now: datetime) -> Iterator[RenderableType]:
    """One application in full, without its document."""
    yield facts(
        [
            ("Application", application["id"]),
            ("Name", application["name"]),
            ("Description", printable(application.get("description") or "")),
            ("Status", _state(str(application.get("status", "")))),
            ("Owner", printable(str(application.get("owner") or ""))),
            ("Cluster", printable(str(application.get("cluster") or ""))),
            ("Current", application.get("currentVersion") or "no version yet"),
            ("Registered", when(application.get("createdAt"), now) if application.get("createdAt") else ""),
            ("Changed", when(application.get("updatedAt"), now) if application.get("updatedAt") else ""),
        ]
    )


def statuses_table(items: Sequence[tuple[Json, Json]], now: datetime) -> Iterator[RenderableType]:
    """Every application with its status: state, health, newest version."""
    yield table(
        [
            Column("APP", wraps=True),
            Column("STATE"),
            Column("HEALTH"),
            Column("NEWEST VERSION", extra=True),
            Column("AGE", right=True),
            Column("RUNNING"),
            Column("OPERATION", extra=True),
        ],
        [
            [
                application["name"],
                _state(str(status.get("state", ""))),
                health_in_words(status.get("health") or []),
                _id(status.get("newestVersion")) or "none",
                _made(status.get("newestVersion"), now),
                *_running_apart(status.get("runningOperation")),
            ]
            for application, status in items
        ],
    )


def status_page(application: Json, status: Json, now: datetime) -> Iterator[RenderableType]:
    """How one application is, and each of its workloads."""
    yield facts(
        [
            ("Application", f"{application['name']}  {application['id']}"),
            ("State", _state(str(status.get("state", "")))),
            ("Current", _version(status.get("currentVersion"), now)),
            ("Newest", _version(status.get("newestVersion"), now)),
            ("Last good", _version(status.get("lastGoodVersion"), now)),
            ("Last proven", _version(status.get("lastProvenVersion"), now)),
            ("Running", _running(status.get("runningOperation"))),
            ("Next backup", local_time(status.get("nextBackup")) if status.get("nextBackup") else "not scheduled"),
            ("Storage", size(status["storageUsed"]) if status.get("storageUsed") is not None else ""),
            ("Health", health_in_words(status.get("health") or [])),
            ("Observed", when(status.get("observedAt"), now)),
        ]
    )
    workloads = status.get("health") or []
    if workloads:
        yield Text()
        yield table(
            [Column("WORKLOAD", wraps=True), Column("READY"), Column("MESSAGE", give_way=True, wraps=True)],
            [_workload(workload) for workload in workloads],
        )


def health_in_words(workloads: Sequence[Json]) -> Text:
    """`3/3 ready`, in the colour of it."""
    if not workloads:
        return Text("unknown", style="dim")
    good = sum(_healthy(workload) for workload in workloads)
    style = "green" if good == len(workloads) else "red"
    return Text(f"{good}/{len(workloads)} ready", style=style)


def clusters_table(items: Sequence[Json], now: datetime) -> Iterator[RenderableType]:
    """The clusters that are known."""
    yield table(
        [
            Column("NAME", wraps=True),
            Column("CLUSTER"),
            Column("CREDENTIALS"),
            Column("CHANGED", right=True),
            Column("SERVER", give_way=True),
        ],
        [
            [
                printable(cluster["name"]),
                cluster["id"],
                _source(cluster),
                age(cluster.get("updatedAt"), now),
                printable(cluster.get("server") or "-"),
            ]
            for cluster in items
        ],
    )


def cluster_page(status: Json) -> Iterator[RenderableType]:
    """Whether a cluster answers, and what is missing."""
    reachable = bool(status.get("reachable"))
    missing = status.get("missingPermissions") or []
    latency = status.get("latencyMs")
    yield facts(
        [
            ("Cluster", printable(str(status.get("name") or status.get("cluster") or ""))),
            ("Id", str(status.get("id") or "")),
            ("Server", printable(str(status.get("server") or ""))),
            ("Answers", Text("yes", style="green") if reachable else Text("no", style="red")),
            ("Kubernetes", printable(str(status.get("version") or ""))),
            ("Latency", f"{latency:.0f} ms" if latency is not None else ""),
            ("Missing", "; ".join(printable(str(each)) for each in missing) or ("nothing" if reachable else "")),
            ("Message", printable(str(status.get("message") or ""))),
            ("Note", " ".join(printable(str(each)) for each in status.get("warnings") or [])),
        ]
    )


def _state(state: str) -> Text:
    return Text(state, style=STATES.get(state, ""))


def _healthy(workload: Json) -> bool:
    return int(workload.get("ready") or 0) >= int(workload.get("wanted") or 0)


def _workload(workload: Json) -> list[str | Text]:
    ready = f"{workload.get('ready', 0)}/{workload.get('wanted', 0)}"
    return [
        printable(f"{workload.get('kind')} {workload.get('namespace')}/{workload.get('name')}"),
        Text(ready, style="green" if _healthy(workload) else "red"),
        printable(workload.get("message") or ""),
    ]


def _id(version: object) -> str:
    return str(version.get("id", "")) if isinstance(version, dict) else str(version or "")


def _made(version: object, now: datetime) -> str:
    return age(version.get("capturedAt"), now) if isinstance(version, dict) else "-"


def _version(version: object, now: datetime) -> str:
    if not version:
        return "none"
    if not isinstance(version, dict):
        return str(version)
    name = f"  {on_one_line(str(version['name']))}" if version.get("name") else ""
    purpose = "  before restore" if version.get("purpose") == "safety" else ""
    return f"{version.get('id')}{name}{purpose}  {ago(version.get('capturedAt'), now)}"


def _running(operation: object) -> str:
    if isinstance(operation, dict):
        return f"{operation.get('kind', '')} {operation.get('id', '')}".strip()
    return str(operation or "")


def _running_apart(operation: object) -> tuple[str, str]:
    if isinstance(operation, dict):
        return str(operation.get("kind", "")), str(operation.get("id", ""))
    return str(operation or ""), ""


def _source(cluster: Json) -> str:
    context = f" {printable(cluster['context'])}" if cluster.get("context") else ""
    return f"{cluster.get('source', '')}{context}"
