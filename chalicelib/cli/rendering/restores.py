"""What was asked of a restore: where it leads, in words, and the command that plans the same again."""

from __future__ import annotations

import shlex

from chalicelib.cli.gateway import Json


def where(there: Json | None) -> str:
    """`shop → copy on cluster cl-…`; empty for in place. `there` has `namespaces` and `cluster`: the destination of a
    plan, or the arguments of an operation."""
    there = there or {}
    names = ", ".join(f"{old} → {new}" for old, new in (there.get("namespaces") or {}).items())
    cluster = f"on cluster {there['cluster']}" if there.get("cluster") else ""
    return " ".join(part for part in (names, cluster) if part)


def planned_again(arguments: Json, application: str) -> str:
    """`plan shop ver-… --mode=merge`: without the program, for a shell."""
    line = ["plan", application, *_given(arguments, "version")]
    line += [f"--mode={mode}" for mode in _given(arguments, "mode")]
    line += [f"--{option}={each}" for option in ("only", "consent") for each in arguments.get(option) or ()]
    line += ["--shared"] if arguments.get("shared") else []
    line += [f"--namespace={old}={new}" for old, new in (arguments.get("namespaces") or {}).items()]
    line += [f"--to-cluster={cluster}" for cluster in _given(arguments, "cluster")]
    line += [f"--storage-class={old}={new}" for old, new in (arguments.get("storageClasses") or {}).items()]
    if arguments.get("suspend") is not None:
        line.append("--suspend" if arguments["suspend"] else "--no-suspend")
    return shlex.join(line)


def _given(arguments: Json, name: str) -> list[str]:
    return [str(arguments[name])] if arguments.get(name) else []
