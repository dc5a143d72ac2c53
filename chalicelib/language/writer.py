"""A first document for what runs in a namespace: YAML with comments for someone who has never seen one."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.document import API_VERSION
from chalicelib.language.support import accept

_WIDTH = 100
_MOST_LISTED = 24

# Words YAML reads as they stand, anywhere in a line, also inside brackets.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./-]*")
_NOT_TEXT = re.compile(r"null|true|false|yes|no|on|off|y|n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload that was seen running, and labels by which its pods are found (`app=web`)."""

    kind: str
    name: str
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen in the namespace a document is written for."""

    #: Number of objects by kind (only those that a version would hold).
    counts: Mapping[str, int] = field(default_factory=dict)
    #: Names of persistent volume claims.
    claims: tuple[str, ...] = ()
    #: Kinds of custom resources, as `Kind.group`.
    custom_kinds: tuple[str, ...] = ()
    workloads: tuple[Workload, ...] = ()
    #: Kinds to leave out from the start, as documents write them.
    excluded_kinds: tuple[str, ...] = ()


def draft(name: str, namespace: str, cluster: str | None, observed: Observed) -> str:
    """A document for the application `name` in `namespace`, all of which this release carries out.

    `Invalid` if the name, the namespace or an excluded kind cannot be in a document.
    """
    lines = [
        *_comment(
            f"The application {name}, in Mainstay's language: what its state is, and how a version of it is put "
            "back. Change it as you like; `mainstay check` tells whether it can be used, and what is wrong where.",
            0,
        ),
        f"apiVersion: {API_VERSION}",
        "kind: Application",
        "metadata:",
        f"  name: {_scalar(name)}",
        "spec:",
        *_cluster(cluster),
        "  # What the state of the application is.",
        "  state:",
        *_objects(namespace, observed),
        *_data(observed),
        "  # How a version is put back. A single restore can ask for something else.",
        "  restore:",
        *_restore(observed),
    ]
    text = "\n".join(lines) + "\n"
    accept(text)
    return text


def _cluster(cluster: str | None) -> list[str]:
    if cluster is None:
        return ["  # The cluster it runs on; needed only if several are registered.", "  # cluster: production"]
    return ["  # The cluster it runs on, by the name under which it is registered.", f"  cluster: {_scalar(cluster)}"]


def _objects(namespace: str, observed: Observed) -> list[str]:
    return [
        *_comment(
            "The API objects. Each entry is a scope of its own, and the state is all of them together. This one "
            "takes every kind in the namespace; what controllers make anew (pods of a Deployment, endpoints, "
            "events) is left out by itself.",
            4,
        ),
        *_seen(observed),
        "    objects:",
        f"      - namespaces: [{_scalar(namespace)}]",
        *_exclusions(observed.excluded_kinds),
        *_comment("Cluster-wide objects that belong to the application need a scope without namespaces:", 6),
        "      # - kinds: [ClusterRole, ClusterRoleBinding]",
        f"      #   labels: {json.dumps('app.kubernetes.io/part-of=' + namespace)}",
    ]


def _seen(observed: Observed) -> list[str]:
    if not observed.counts:
        return []
    total = sum(observed.counts.values())
    seen = _listed([f"{count} {kind}" for kind, count in sorted(observed.counts.items())])
    lines = _comment(f"Seen when this was written: {'1 object' if total == 1 else f'{total} objects'} ({seen}).", 4)
    if observed.custom_kinds:
        lines += _comment(f"Custom resources are taken like any other kind: {_listed(observed.custom_kinds)}.", 4)
    return lines


def _exclusions(kinds: tuple[str, ...]) -> list[str]:
    if kinds:
        return [
            *_comment("What to leave out: whatever fits any of these lines.", 8),
            "        exclude:",
            *_list("kinds", kinds, 10),
            '          # labels: "tier=cache"',
            '          # names: ["tmp-*"]',
        ]
    return [
        *_comment("What to leave out would stand here: whatever fits any of these lines.", 8),
        "        # exclude:",
        "        #   kinds: [Event]",
        '        #   labels: "tier=cache"',
        '        #   names: ["tmp-*"]',
    ]


def _data(observed: Observed) -> list[str]:
    if not observed.claims:
        return []
    return _comment(
        "Mind: what is inside volumes is not part of a version in this release, only the claims themselves "
        f"({_listed(observed.claims)}).",
        4,
    )


def _restore(observed: Observed) -> list[str]:
    return [
        *_comment(
            "exact: the state becomes what it was; objects that came later are deleted. "
            "merge: nothing is deleted. missing: only what is gone is created.",
            4,
        ),
        "    mode: exact",
        *_comment("Never deleted or replaced without your consent to it:", 4),
        "    protect: [PersistentVolumeClaim, PersistentVolume, Namespace, CustomResourceDefinition]",
        *_comment("A version of what will be touched is made first, so that a restore can be undone.", 4),
        "    safety: bestEffort     # required | bestEffort | none",
        *_comment("If it fails, or the application is less healthy than before, the restore is undone.", 4),
        "    onFailure: rollback    # rollback | keep",
        *_comment("How long workloads may take to be ready after a restore.", 4),
        "    health:",
        "      timeout: 5m",
        *_checks(observed),
    ]


def _checks(observed: Observed) -> list[str]:
    """A check as an example, for a workload that is there if there is any."""
    workload = next((seen for seen in observed.workloads if seen.labels), None)
    labels = workload.labels if workload else "app=web"
    about = f" of {workload.kind} {workload.name}" if workload else ""
    return [
        *_comment(f"A command in a pod{about} can prove more than readiness does; it must end with status 0:", 6),
        "      # checks:",
        f"      #   - pod: {{labels: {json.dumps(labels)}}}",
        '      #     command: [curl, -fsS, "localhost:8080/ready"]',
        "      #     timeout: 10s",
    ]


def _comment(sentence: str, indent: int) -> list[str]:
    start = " " * indent + "# "
    # One line for the reader's eyes: names from a cluster have no line breaks, but nothing here relies on it.
    return textwrap.wrap(
        " ".join(sentence.split()), _WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False
    )


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence; not more than a reader wants to see."""
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more


def _list(name: str, values: Iterable[str], indent: int) -> list[str]:
    """A list in brackets, or over several lines where it would be long."""
    written = [_scalar(value) for value in values]
    line = f"{' ' * indent}{name}: [{', '.join(written)}]"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{' ' * indent}{name}:", *(f"{' ' * indent}  - {value}" for value in written)]


def _scalar(text: str) -> str:
    """Text as YAML reads it back: as it is where that is safe, else in double quotes (JSON's are YAML's)."""
    if _PLAIN.fullmatch(text) and not _NOT_TEXT.fullmatch(text):
        return text
    return json.dumps(text)
