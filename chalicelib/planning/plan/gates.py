"""What must be ready before an action of a plan is begun.

    rules of the document                  the object that is named first                     must be
    webhook configurations, API services   the workload behind their Service                  should be
    custom objects                         the workload that operates their kind              should be

Only a workload that was ready when the version was made is waited for: another one may never be. What *should* be
ready is waited for in bounds, and then it is told that it was not; what *must* be and is not fails what waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.objects import Body, ObjectKey, Resource, key_of
from chalicelib.domain.plan import Action, Awaited, Identity, Verb
from chalicelib.planning.plan.order import After, Stage, stage_of
from chalicelib.planning.selecting.accounts import account_of, accounts_named
from chalicelib.planning.selecting.references import CLUSTER_ROLE, SERVICE
from chalicelib.planning.selecting.referrers import named_by

#: Kinds whose pods can be ready, and that can operate or answer something.
WORKLOADS: tuple[tuple[str, str], ...] = (("apps", "DaemonSet"), ("apps", "Deployment"), ("apps", "StatefulSet"))
_RBAC = CLUSTER_ROLE[0]
#: What is read of a version to know who operates what.
PERMISSIONS: tuple[tuple[str, str], ...] = (
    (_RBAC, "ClusterRole"),
    (_RBAC, "ClusterRoleBinding"),
    (_RBAC, "Role"),
    (_RBAC, "RoleBinding"),
)
_ANSWERED = frozenset({"APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})
_MAKES = frozenset({Verb.CREATE, Verb.REPLACE, Verb.UPDATE})


def answered(action: Action) -> bool:
    """Whether an action makes something that a Service must answer."""
    return action.verb in _MAKES and action.object.kind in _ANSWERED


def operated(action: Action) -> bool:
    """Whether an action makes an object that an operator works on."""
    custom = stage_of(action.object.group, action.object.kind) is Stage.CUSTOM
    return action.verb in _MAKES and custom and bool(action.object.group)


@dataclass(slots=True)
class Seen:
    """The objects of a version that tell who answers and who operates what."""

    workloads: list[Body] = field(default_factory=list)
    services: dict[ObjectKey, Body] = field(default_factory=dict)
    #: What is to be answered: webhook configurations and API services.
    answered: dict[ObjectKey, Body] = field(default_factory=dict)
    permissions: list[Body] = field(default_factory=list)

    def behind(self, key: ObjectKey) -> Iterator[ObjectKey]:
        """The workloads behind the Services that answer an object."""
        body = self.answered.get(key)
        for reference in named_by(body) if body is not None else ():
            service = self.services.get(reference.key)
            selector = (service or {}).get("spec", {}).get("selector") if reference.key[:2] == SERVICE else None
            for workload in self.workloads if selector else ():
                labels = ((workload.get("spec") or {}).get("template") or {}).get("metadata", {}).get("labels") or {}
                same = workload["metadata"].get("namespace") == reference.key.namespace
                if same and selector is not None and selector.items() <= labels.items():
                    yield key_of(workload)

    def operators(self, resource: Resource) -> Iterator[ObjectKey]:
        """The workloads whose account may watch a kind and write to it: nobody else operates it."""
        roles = {key_of(body) for body in self.permissions if "Binding" not in body["kind"] and _may(body, resource)}
        accounts: set[ObjectKey] = set()
        for body in self.permissions:
            if "Binding" in body["kind"]:
                reference, namespace = body.get("roleRef") or {}, body["metadata"].get("namespace") or ""
                kind = str(reference.get("kind"))
                role = ObjectKey(_RBAC, kind, namespace if kind == "Role" else "", str(reference.get("name")))
                if role in roles:
                    accounts.update(accounts_named(body))
        for workload in self.workloads:
            if account_of(workload) in accounts:
                yield key_of(workload)


def _may(role: Body, resource: Resource) -> bool:
    """Whether a role lets its holders watch a kind and change it. Who may do everything to everything is an
    administrator, and operates nothing."""
    watched = written = False
    for rule in role.get("rules") or ():
        plurals = {str(name).partition("/")[0] for name in rule.get("resources") or ()}
        if resource.group in (rule.get("apiGroups") or ()) and plurals & {resource.plural, "*"}:
            verbs = set(rule.get("verbs") or ())
            watched = watched or bool(verbs & {"watch", "*"})
            written = written or bool(verbs & {"update", "patch", "*"})
    return watched and written


@dataclass(frozen=True, slots=True)
class Gated:
    """The actions, each with what it awaits, and sentences about rules that order but do not wait."""

    actions: tuple[Action, ...]
    warnings: tuple[str, ...] = ()


def gate(
    actions: Sequence[Action],
    rules: Iterable[After],
    ready: frozenset[ObjectKey],
    seen: Seen,
    resources: Mapping[tuple[str, str], Resource],
) -> Gated:
    """`ready` are the workloads that were ready when the version was made."""
    awaited: dict[ObjectKey, dict[ObjectKey, Awaited]] = {}
    writing = {action.object.key: action for action in actions if action.verb in _MAKES}
    never_ready: dict[str, None] = {}
    for rule in rules:
        if rule.then not in writing:
            continue
        if rule.first in ready:
            wait = Awaited(object=Identity.of(rule.first), required=True, reason="a rule of the document")
            awaited.setdefault(rule.then, {})[rule.first] = wait
        elif rule.first[:2] in WORKLOADS:
            never_ready[f"{rule.first} was not ready when the version was made, so nothing waits for it."] = None
    operators: dict[tuple[str, str], list[ObjectKey]] = {}
    for key, action in writing.items():
        if answered(action):
            for workload in seen.behind(key):
                _should(awaited, key, workload, "it answers this", ready)
        elif operated(action):
            kind = (key.group, key.kind)
            if kind not in operators:
                resource = resources.get(kind)
                operators[kind] = list(seen.operators(resource)) if resource is not None else []
            for workload in operators[kind]:
                _should(awaited, key, workload, "it operates this kind", ready)
    gated = tuple(
        action.model_copy(update={"awaits": tuple(each for _, each in sorted(found.items()))})
        if (found := awaited.get(action.object.key))
        else action
        for action in actions
    )
    return Gated(gated, tuple(never_ready))


def _should(
    awaited: dict[ObjectKey, dict[ObjectKey, Awaited]],
    key: ObjectKey,
    workload: ObjectKey,
    reason: str,
    ready: frozenset[ObjectKey],
) -> None:
    if workload in ready and workload != key:
        awaited.setdefault(key, {}).setdefault(workload, Awaited(object=Identity.of(workload), reason=reason))
