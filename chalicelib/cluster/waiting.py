"""Bounded waits. Each ends, and each says what it was still waiting for."""

from __future__ import annotations

import time
from collections.abc import Callable

from chalicelib.cluster.client import Client, now
from chalicelib.cluster.refusals import subject
from chalicelib.domain.errors import ClusterRefused, DeadlineExceeded, Interrupted
from chalicelib.domain.objects import Body, Resource

#: Seconds between two looks: short at first, since most waits are.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
#: How long an API that is down may keep an emptied namespace before nobody waits for it any more, seconds. One whose
#: definition was just deleted is missing for a moment only.
_API_MAY_COME_BACK = 10.0

#: Called between two looks: where an operation notices a cancel or a lost lease, by raising.
Between = Callable[[], None]


def _nothing() -> None:
    pass


def until(
    look: Callable[[], str],
    what: str,
    *,
    timeout: float,
    between: Between = _nothing,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = now,
) -> None:
    """Wait until `look` has nothing to say: it returns what is still missing, `""` when all is well.

    After `timeout` seconds `DeadlineExceeded` gives `what` was waited for and what `look` said last.
    """
    end = clock() + timeout
    pause = _FIRST_PAUSE
    while True:
        missing = look()
        if not missing:
            return
        try:
            between()
        except Interrupted as error:
            error.details.setdefault("waitsFor", f"{what}: {missing}")
            raise
        if clock() + pause > end:
            raise DeadlineExceeded(f"Waited {timeout:g} s for {what}: {missing}.", details={"missing": missing})
        sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def until_deleted(
    client: Client,
    resource: Resource,
    namespace: str,
    name: str,
    *,
    uid: str = "",
    timeout: float,
    between: Between = _nothing,
) -> None:
    """Wait until an object is gone; with `uid`, another one of the same name counts as gone."""
    path = resource.object_path(namespace, name)

    def look() -> str:
        body = _get(client, path, timeout)
        if body is None or (uid and (body.get("metadata") or {}).get("uid") != uid):
            return ""
        return still_there(body)

    until(look, f"{subject(path)} to be deleted", timeout=timeout, between=between)


def still_there(body: Body) -> str:
    """Why an object has not gone, as far as it says so itself."""
    metadata = body.get("metadata") or {}
    if not metadata.get("deletionTimestamp"):
        return "it is not being deleted"
    finalizers = metadata.get("finalizers") or []
    if finalizers:
        names = ", ".join(str(name) for name in finalizers)
        return f"it is being deleted, but these finalizers remain: {names} (whoever set them must remove them)"
    return "it is being deleted"


def until_namespace_gone(
    client: Client, name: str, *, timeout: float, uid: str = "", between: Between = _nothing
) -> str:
    """Wait until a namespace that is being deleted is gone, or waits itself for nothing but an API that is down: then
    why.

    With `uid`, another one of the same name counts as gone. `DeadlineExceeded` says which of its contents hold it
    back.
    """
    held = ""
    since: float | None = None

    def look() -> str:
        nonlocal held, since
        body = _get(client, f"/api/v1/namespaces/{name}", timeout)
        held = ""
        if body is None or (uid and (body.get("metadata") or {}).get("uid") != uid):
            return ""
        missing = namespace_contents(body)
        if not only_an_api_is_missing(body):
            since = None
        elif since is None:
            since = now()
        elif now() - since > _API_MAY_COME_BACK:
            held = missing
            return ""
        return missing

    until(look, f"the namespace {name} to be gone", timeout=timeout, between=between)
    return held


def only_an_api_is_missing(namespace: Body) -> bool:
    """Whether all is gone that could be listed in a terminating namespace, and it waits for an API that is down."""
    conditions = {
        str(each.get("type")): each.get("status") == "True"
        for each in (namespace.get("status") or {}).get("conditions") or []
    }
    return conditions.get("NamespaceDeletionDiscoveryFailure", False) and not any(
        conditions.get(name)
        for name in (
            "NamespaceContentRemaining",
            "NamespaceFinalizersRemaining",
            "NamespaceDeletionContentFailure",
            "NamespaceDeletionGroupVersionParsingFailure",
        )
    )


def namespace_contents(namespace: Body) -> str:
    """What a terminating namespace still holds, in the words of its conditions."""
    if not (namespace.get("metadata") or {}).get("deletionTimestamp"):
        return "it is not being deleted"
    said = [
        str(condition.get("message") or condition.get("reason"))
        for condition in (namespace.get("status") or {}).get("conditions") or []
        if condition.get("status") == "True"
    ]
    return "; ".join(said) or "its contents are being deleted"


def until_established(client: Client, name: str, *, timeout: float, between: Between = _nothing) -> None:
    """Wait until a CustomResourceDefinition's kind is served."""

    def look() -> str:
        body = _get(client, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}", timeout)
        return "it is not there" if body is None else not_established(body)

    until(look, f"the CustomResourceDefinition {name} to be served", timeout=timeout, between=between)


def not_established(crd: Body) -> str:
    """Why a CustomResourceDefinition's kind is not served yet, `""` if it is."""
    conditions = {str(each.get("type")): each for each in (crd.get("status") or {}).get("conditions") or []}
    names = conditions.get("NamesAccepted", {})
    if names.get("status") == "False":
        return f"its names are not accepted: {names.get('message') or names.get('reason')}"
    established = conditions.get("Established", {})
    if established.get("status") == "True":
        return ""
    return f"it is not established: {established.get('message') or 'the server has not looked at it yet'}"


def _get(client: Client, path: str, timeout: float) -> Body | None:
    try:
        found: Body = client.get_json(path, deadline=now() + min(timeout, 30.0))
    except ClusterRefused as refusal:
        if refusal.http_status == 404:
            return None
        raise
    return found
