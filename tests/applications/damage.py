"""Breaking an application at random, by a seed: objects are edited, deleted and added, and made anew with what cannot
be changed in place. What the server would refuse is not done; all else may happen to anybody.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.applications.cluster_side import Places
from tests.applications.folder import Body
from tests.harness.access import Access
from tests.harness.errors import ApiError
from tests.harness.processes import wait_until

#: Tries of an edit until the server takes one.
_TRIES = 6
#: What a new object must not bring with it.
_INCARNATION = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences")
_IDENTITY = ("apiVersion", "kind", "metadata", "status")
#: Kinds that are not copied: a claim would be made for good, and quotas and limits could refuse everything else.
_NOT_ADDED = {"PersistentVolumeClaim", "ResourceQuota", "LimitRange", "Job", "Pod"}
#: Words by which the server says that another object could be like that, but this one cannot become so.
_IMMUTABLE = ("immutable", "may not", "cannot change", "forbidden")

Path = tuple[str | int, ...]


@dataclass
class Damage:
    """What was done: `edited`, `deleted`, `recreated` and `added` objects, each as `Kind namespace/name`."""

    done: list[tuple[str, str]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        return dict(Counter(what for what, _ in self.done))

    def __str__(self) -> str:
        return "\n".join(f"{what} {name}" for what, name in self.done)


class Vandal:
    """Damages objects of one cluster."""

    def __init__(self, cluster: Access, seed: int) -> None:
        self._api = cluster.api
        self._places = Places(cluster)
        self._random = random.Random(seed)  # noqa: S311 (to be repeated, not to be secret)

    def work(self, bodies: Sequence[Body], namespaces: Iterable[str], share: float = 0.35) -> Damage:
        """Damage a share of these objects, at least three of them, and add some in these namespaces."""
        damage, count = Damage(), max(3, round(len(bodies) * share))
        for body in self._random.sample(list(bodies), min(count, len(bodies))):
            what = self._hurt(body)
            if what:
                damage.done.append((what, _name(body)))
        inside = [body for body in bodies if body["metadata"].get("namespace") in set(namespaces)]
        inside = [body for body in inside if body["kind"] not in _NOT_ADDED]
        for body in self._random.sample(inside, min(4, len(inside))):
            added = self._add(body)
            if added:
                damage.done.append(("added", added))
        return damage

    def _hurt(self, body: Body) -> str:
        if body["kind"] != "Namespace" and self._random.random() < 0.35:
            return self._delete(body)
        for _ in range(_TRIES):
            live = self._get(body)
            if live is None:
                return ""  # it went with another one: its definition, for one
            changed = self._changed(live)
            try:
                self._api.request("PUT", f"{self._places.of(live)}?fieldManager=vandal", changed)
            except ApiError as error:
                if error.status == 422 and any(word in str(error) for word in _IMMUTABLE):
                    return self._make_anew(live, changed)
                continue  # no object can be like that, or somebody was faster: another edit
            return "edited"
        return ""

    def _get(self, body: Body) -> Body | None:
        try:
            found: Body = self._api.get(self._places.of(body))
        except ApiError as error:
            if error.status not in {404, 429}:
                raise
            return None
        return found

    def _delete(self, body: Body) -> str:
        path = self._places.of(body)
        try:
            self._api.delete(f"{path}?propagationPolicy=Background")
        except ApiError as error:
            if error.status not in {404, 429}:
                raise
            return ""
        wait_until(lambda: not self._api.exists(path), seconds=60, what=f"{_name(body)} to be gone")
        return "deleted"

    def _make_anew(self, live: Body, changed: Body) -> str:
        """Delete it, and create another of that name in its place, if the server lets such a one be."""
        if live["kind"] == "Namespace":
            return ""
        new = _new(changed, live["metadata"]["name"])
        self._delete(live)
        where = self._places.collection(live["apiVersion"], live["kind"], live["metadata"].get("namespace", ""))
        try:
            self._api.post(f"{where}?fieldManager=vandal", new)
        except ApiError:
            return "deleted"
        return "recreated"

    def _add(self, body: Body) -> str:
        live = self._get(body)
        if live is None:
            return ""
        new = _new(live, f"{live['metadata']['name'][:40]}-added-{self._random.randrange(1000)}")
        for name in ("clusterIP", "clusterIPs", "healthCheckNodePort"):
            new.get("spec", {}).pop(name, None)
        for port in new.get("spec", {}).get("ports") or () if new["kind"] == "Service" else ():
            port.pop("nodePort", None)
        where = self._places.collection(live["apiVersion"], live["kind"], live["metadata"].get("namespace", ""))
        try:
            self._api.post(f"{where}?fieldManager=vandal", new)
        except ApiError:
            return ""
        return _name(new)

    # ── edits ───────────────────────────────────────────────────────────────────────────────────────────

    def _changed(self, live: Body) -> Body:
        changed: Body = copy.deepcopy(live)
        content = [] if live["kind"] == "Namespace" else list(_leaves(_content(changed), ()))
        if not content or self._random.random() < 0.25:
            self._change_marks(changed["metadata"])
            return changed
        self._change(changed, self._random.choice(content))
        return changed

    def _change_marks(self, metadata: Body) -> None:
        """Labels and annotations: changed, added, removed."""
        marks = metadata.setdefault(self._random.choice(["labels", "annotations"]), {})
        if marks and self._random.random() < 0.5:
            name = self._random.choice(sorted(marks))
            if self._random.random() < 0.5:
                del marks[name]
            else:
                marks[name] = f"vandal-{self._random.randrange(1000)}"
        else:
            marks["vandal.example/was-here"] = str(self._random.randrange(1000))

    def _change(self, body: Body, path: Path) -> None:
        parent: Any = body
        for step in path[:-1]:
            parent = parent[step]
        last: Any = path[-1]
        value = parent[last]
        if self._random.random() < 0.25:
            del parent[last]
        elif isinstance(value, bool):
            parent[last] = not value
        elif isinstance(value, int):
            parent[last] = value + self._random.choice([1, 2, 7])
        elif isinstance(value, str):
            parent[last] = f"{value}{self._random.choice(['x', '-x', '.x', 'eA=='])}"
        elif isinstance(value, list) and value:
            parent[last] = [*value, copy.deepcopy(self._random.choice(value))]
        else:
            del parent[last]


def _content(body: Body) -> Body:
    return {name: value for name, value in body.items() if name not in _IDENTITY}


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    """Where there is something to change: every leaf, and every list."""
    if isinstance(value, dict):
        if not value and path:
            yield path
        for name in sorted(value):
            yield from _leaves(value[name], (*path, name))
    elif isinstance(value, list):
        yield path
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, number))
    elif path:
        yield path


def _new(body: Body, name: str) -> Body:
    """The body to make another object from one."""
    new = copy.deepcopy({key: value for key, value in body.items() if key != "status"})
    new["metadata"] = {key: value for key, value in new["metadata"].items() if key not in _INCARNATION}
    new["metadata"]["name"] = name
    # Nobody but its controller has a Deployment's number.
    (new["metadata"].get("annotations") or {}).pop("deployment.kubernetes.io/revision", None)
    if new["kind"] == "Job" and not new["spec"].get("manualSelector"):
        new["spec"].pop("selector", None)
        new["spec"]["template"]["metadata"].pop("labels", None)
    return new


def _name(body: Body) -> str:
    metadata = body["metadata"]
    return f"{body['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
