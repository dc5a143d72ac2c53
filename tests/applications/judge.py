"""Everything on a cluster, object by object, in a form that can be compared. Shares no code with the product.

Nothing is taken on trust but what cannot be the same: what is true of one incarnation only, what controllers derive
from other objects, and who wrote when. All else has to be as it was, addresses of Services and owners of fields too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.harness.api import Api
from tests.harness.errors import ApiError

Body = dict[str, Any]
#: `group/Kind namespace/name` → the object.
Snapshot = dict[str, Body]

_INCARNATION = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
#: Kinds that say something about one moment, or that controllers derive.
_DERIVED = {"Event", "Lease", "LeaseCandidate", "ControllerRevision", "Endpoints", "EndpointSlice"}
_THE_CLUSTERS_OWN = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
#: Annotations that count the changes of one incarnation.
_COUNTED = ("deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation")
_ACCOUNT = "kubernetes.io/service-account.uid"
_JOBS_OWN = ("controller-uid", "batch.kubernetes.io/controller-uid")


class Judge:
    """Looks at a cluster past Mainstay."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def kinds(self) -> Iterator[tuple[str, str, str, bool]]:
        """What is served now: group version, plural, kind, whether in namespaces. The preferred version of each
        group; a group whose server does not answer is left out."""
        versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in self._api.get("/apis")["groups"])]
        for version in versions:
            try:
                resources = self._api.get(_root(version))["resources"]
            except ApiError as error:
                if error.status in {404, 503}:
                    continue
                raise
            for each in resources:
                if "/" not in each["name"] and {"list", "create"} <= set(each["verbs"]):
                    yield version, each["name"], each["kind"], each["namespaced"]

    def look(self) -> Snapshot:
        """Every object of the cluster, stripped."""
        kinds = [each for each in self.kinds() if each[2] not in _DERIVED]
        with ThreadPoolExecutor(4) as pool:
            lists = pool.map(lambda each: self._list(each[0], each[1]), kinds)
            found = (
                _stripped(version, kind, body)
                for (version, _, kind, _), bodies in zip(kinds, lists, strict=True)
                for body in bodies
                if not _is_controlled(body)
            )
            return {key_of(body): body for body in found}

    def look_when_calm(self) -> Snapshot:
        """The same, once two looks in a row agree: controllers have done their part."""
        before = self.look()
        for _ in range(20):
            time.sleep(0.5)
            now = self.look()
            if now == before:
                break
            before = now
        return before

    def _list(self, version: str, plural: str) -> list[Body]:
        deadline = time.monotonic() + 30
        while True:
            try:
                items: list[Body] = self._api.get(f"{_root(version)}/{plural}")["items"]
            except ApiError as error:
                if error.status == 404:  # its definition went between the two requests
                    return []
                if error.status != 429 or time.monotonic() > deadline:  # its storage is being made
                    raise
                time.sleep(0.2)
            else:
                return items


def is_somebodys(body: Body) -> bool:
    """Whether an object is one that somebody made, and not the cluster for each namespace or definition."""
    name = body["metadata"]["name"]
    if (body["kind"], name) in _THE_CLUSTERS_OWN or body["kind"] == "IPAddress":
        return False
    return "kube-aggregator.kubernetes.io/automanaged" not in (body["metadata"].get("labels") or {})


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def key_of(body: Body) -> str:
    """The key of an object in a snapshot."""
    group, metadata = body["apiVersion"].rpartition("/")[0], body["metadata"]
    return f"{body['kind']}.{group} {metadata.get('namespace', '')}/{metadata['name']}"


def _is_controlled(body: Body) -> bool:
    return any(owner.get("controller") for owner in body["metadata"].get("ownerReferences") or ())


def _stripped(version: str, kind: str, body: Body) -> Body:
    metadata = {name: value for name, value in body["metadata"].items() if name not in _INCARNATION}
    owners = [{**each, "uid": "…"} for each in metadata.get("ownerReferences") or ()]
    if owners:
        metadata["ownerReferences"] = owners
    annotations = {
        name: text for name, text in (metadata.pop("annotations", None) or {}).items() if name not in _COUNTED
    }
    if annotations:
        metadata["annotations"] = annotations
    metadata["managers"] = _managers(body)
    rest = {name: value for name, value in body.items() if name not in {"metadata", "status"}}
    if kind == "Job":
        metadata["labels"] = dict(metadata.get("labels") or {})
        rest = _without_uid(metadata, rest)
    if kind == "Secret" and rest.get("type") == "kubernetes.io/service-account-token":
        rest = _without_signature(metadata, rest)
    if kind == "ClusterRole" and body.get("aggregationRule"):
        rest["rules"] = sorted(body.get("rules") or (), key=json.dumps)  # a controller's, in no order
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _managers(body: Body) -> list[Body]:
    """Who owns which fields, without times and without those of a status."""
    found = [
        {name: value for name, value in entry.items() if name != "time"}
        for entry in body["metadata"].get("managedFields") or ()
        if entry.get("subresource", "") in {"", "scale"}
    ]
    return sorted(found, key=lambda entry: json.dumps(entry, sort_keys=True))


def _without_uid(metadata: Body, job: Body) -> Body:
    """A Job without the labels by which it finds its own pods."""
    job = json.loads(json.dumps(job))
    spec, own = job["spec"], metadata.get("labels")
    for labels in (own, spec.get("selector", {}).get("matchLabels"), spec["template"]["metadata"].get("labels")):
        for name in _JOBS_OWN:
            (labels or {}).pop(name, None)
    if own == {}:
        del metadata["labels"]
    return job


def _without_signature(metadata: Body, secret: Body) -> Body:
    """The Secret of an account's token, which is signed for one incarnation of the account."""
    if _ACCOUNT in metadata.get("annotations", {}):
        metadata["annotations"] = {**metadata["annotations"], _ACCOUNT: "…"}
    signed = {name: "…" if name == "token" and text else text for name, text in (secret.get("data") or {}).items()}
    return {**secret, "data": signed}


def differences(before: Mapping[str, Body], after: Mapping[str, Body]) -> list[str]:
    """What is not the same, one line each; empty if everything is."""
    found = [f"{key}: missing" for key in sorted(before.keys() - after.keys())]
    found += [f"{key}: was not there before" for key in sorted(after.keys() - before.keys())]
    for key in sorted(before.keys() & after.keys()):
        found += [f"{key}: {path}" for path in _paths(before[key], after[key], "")]
    return found


def _paths(before: Any, after: Any, path: str) -> Iterator[str]:
    """Where two values differ, with both."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from _paths(before.get(name), after.get(name), f"{path}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (was, is_now) in enumerate(zip(before, after, strict=True)):
            yield from _paths(was, is_now, f"{path}[{number}]")
    else:
        yield f"{path} was {_short(before)}, is {_short(after)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def settled(look: Callable[[], list[str]], seconds: float = 20) -> list[str]:
    """What is left of differences once controllers had some time to do their part."""
    deadline = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found
