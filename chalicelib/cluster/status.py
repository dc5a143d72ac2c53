"""Is this cluster there, how fast does it answer, and may Mainstay do here what it is for? Within five seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from chalicelib.cluster.client import Client, now
from chalicelib.cluster.discovery import discover
from chalicelib.cluster.identity import identity
from chalicelib.domain.errors import ClusterError, ClusterRefused
from chalicelib.domain.objects import Resource

MOST_SECONDS = 5.0

#: What a backup and a restore need, on every resource of every group.
VERBS = ("list", "get", "create", "update", "patch", "delete")

_AUTHORIZATION = "/apis/authorization.k8s.io/v1"

_NAMED = 8


def check(client: Client, *, namespaces: Iterable[str] = (), seconds: float = MOST_SECONDS) -> dict[str, Any]:
    """`{reachable, version, uid, latencyMs, server, missingPermissions, warnings, error}`; no ClusterError is raised.

    `missingPermissions` are sentences such as `delete on secrets`; `latencyMs` is one small request's time on an
    open connection; `uid` tells the cluster from others (see `identity`). With `namespaces`, permissions are asked
    for in each of them, not in the whole cluster.
    """
    deadline = now() + seconds
    answer: dict[str, Any] = {
        "reachable": False,
        "version": "",
        "uid": "",
        "latencyMs": None,
        "server": client.connection.server,
        "missingPermissions": [],
        "warnings": list(client.connection.warnings),
        "error": None,
    }
    try:
        client.get_json("/version", deadline=deadline)
        began = now()
        version = client.get_json("/version", deadline=deadline)
        answer["latencyMs"] = round((now() - began) * 1000, 1)
        answer["reachable"] = True
        answer["version"] = str(version.get("gitVersion") or "")
        answer["uid"] = identity(client, deadline=deadline)
        answer["missingPermissions"] = missing_permissions(client, namespaces, deadline=deadline)
    except ClusterError as error:
        # A refusal is an answer: the server is there, though not for these credentials.
        answer["reachable"] = answer["reachable"] or isinstance(error, ClusterRefused)
        answer["error"] = error.public().as_json()
    return answer


def missing_permissions(
    client: Client, namespaces: Iterable[str] = (), *, deadline: float | None = None
) -> list[str]:
    """Which of `VERBS` this identity lacks, in the whole cluster or in each of some namespaces.

    Six small questions about every kind at once; only where one is denied are its rules read, to name the kinds.
    """
    wanted = [(verb, namespace) for namespace in (sorted(set(namespaces)) or [""]) for verb in VERBS]
    with ThreadPoolExecutor(max_workers=min(len(wanted), 6)) as pool:
        allowed = list(pool.map(lambda each: _allowed_on_all(client, each[0], each[1], deadline), wanted))
    denied: dict[str, list[str]] = {}
    for (verb, namespace), yes in zip(wanted, allowed, strict=True):
        if not yes:
            denied.setdefault(namespace, []).append(verb)
    sentences: list[str] = []
    for namespace, verbs in denied.items():
        rules = _rules(client, namespace or "default", deadline)
        kinds = [kind for kind in discover(client) if kind.namespaced or not namespace]
        sentences += [words for verb in verbs if (words := lacking(verb, kinds, rules, namespace))]
    return sentences


def lacking(
    verb: str, kinds: Sequence[Resource], rules: Sequence[Mapping[str, Any]] | None, namespace: str = ""
) -> str:
    """On which of `kinds` the rules do not allow `verb`, in words; `""` if on none. `rules` `None`: unknown."""
    where = f" in {namespace}" if namespace else ""
    if rules is None:
        return f"{verb} on every kind{where}"
    without = [
        f"{kind.plural}.{kind.group}" if kind.group else kind.plural
        for kind in kinds
        if verb in kind.verbs and not any(_grants(rule, verb, kind) for rule in rules)
    ]
    if not without:
        return ""
    more = f" and {len(without) - _NAMED} more kinds" if len(without) > _NAMED else ""
    return f"{verb} on {', '.join(without[:_NAMED])}{more}{where}"


def _grants(rule: Mapping[str, Any], verb: str, kind: Resource) -> bool:
    def has(member: str, value: str) -> bool:
        values = rule.get(member) or []
        return "*" in values or value in values

    # A rule for named objects only does not let anyone list, or read what a version holds.
    return not rule.get("resourceNames") and (
        has("verbs", verb) and has("apiGroups", kind.group) and has("resources", kind.plural)
    )


def _allowed_on_all(client: Client, verb: str, namespace: str, deadline: float | None) -> bool:
    attributes = {"verb": verb, "group": "*", "resource": "*"} | ({"namespace": namespace} if namespace else {})
    spec = {"resourceAttributes": attributes}
    return bool(_ask(client, "SelfSubjectAccessReview", spec, deadline).get("allowed"))


def _rules(client: Client, namespace: str, deadline: float | None) -> list[Mapping[str, Any]] | None:
    """The rules that hold in a namespace, the cluster's among them; `None` if they are not all known."""
    status = _ask(client, "SelfSubjectRulesReview", {"namespace": namespace}, deadline)
    return None if status.get("incomplete") else list(status.get("resourceRules") or [])


def _ask(client: Client, kind: str, spec: Mapping[str, Any], deadline: float | None) -> Mapping[str, Any]:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    path = f"{_AUTHORIZATION}/{kind.lower()}s"
    answer = client.request("POST", path, body=body, deadline=deadline, repeatable=True).json()
    status: Mapping[str, Any] = answer.get("status") or {}
    return status
