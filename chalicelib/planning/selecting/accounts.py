"""ServiceAccounts: as which one an object's pods run, and which ones a binding or a flow schema is about."""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.domain.objects import Body, ObjectKey, key_of
from chalicelib.planning.content.paths import values
from chalicelib.planning.content.pod_specs import pod_spec_of

ACCOUNT = ("", "ServiceAccount")

#: In place of a name (and a namespace): every account there.
EVERY = "*"


def account_of(body: Body) -> ObjectKey | None:
    """The ServiceAccount as which the pods of an object run; `None` for what makes no pods."""
    spec = pod_spec_of(body)
    if spec is None:
        return None
    return ObjectKey(*ACCOUNT, key_of(body).namespace, str(spec.get("serviceAccountName") or "default"))


def accounts_named(body: Body) -> Iterator[ObjectKey]:
    """The accounts that the subjects of a binding or a flow schema are; a group of them is one called `*`."""
    subjects = [*(body.get("subjects") or ()), *values(body, "spec.rules[].subjects[]")]
    for subject in subjects:
        # A flow schema's subject has its content in a member of its kind's name.
        inner = {"serviceAccount": ACCOUNT[1], "group": "Group", "user": "User"}
        nested = next((subject[member] for member in inner if isinstance(subject.get(member), dict)), subject)
        name, kind = str(nested.get("name") or ""), subject.get("kind")
        parts = name.split(":")
        if kind == "ServiceAccount":
            namespace = nested.get("namespace") or (body["metadata"].get("namespace") or "")
            yield ObjectKey(*ACCOUNT, str(namespace), name)
        elif kind == "Group" and parts[:2] == ["system", "serviceaccounts"]:
            yield ObjectKey(*ACCOUNT, parts[2] if len(parts) > 2 else EVERY, EVERY)
        elif kind == "User" and parts[:2] == ["system", "serviceaccount"] and len(parts) == 4:
            yield ObjectKey(*ACCOUNT, parts[2], parts[3])


def called(account: ObjectKey) -> str:
    """An account, or a group of them, as reasons call it."""
    if account.namespace == EVERY:
        return "every ServiceAccount"
    if account.name == EVERY:
        return f"every ServiceAccount of namespace {account.namespace}"
    return f"ServiceAccount {account.namespace}/{account.name}"
