"""A folder of manifests, read as applications: every file is one, and so is every folder in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

Body = dict[str, Any]

#: The folder to try; several are separated like the directories of PATH.
VARIABLE = "MAINSTAY_TEST_MANIFESTS"
#: Manifests of the project's own, which are always tried.
OWN = Path(__file__).parent / "manifests"
#: Namespaces that every cluster has: an application is only a guest there.
SYSTEM = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
_SUFFIXES = (".yaml", ".yml", ".json")


class _Loader(yaml.CSafeLoader):
    """As kubectl reads it: `=` is text, whatever YAML 1.1 meant by it."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


@dataclass(frozen=True)
class Published:
    """An application as its project publishes it. Its files are read when they are first asked for."""

    name: str
    files: tuple[Path, ...]

    @cached_property
    def bodies(self) -> list[Body]:
        """Its objects. Raises `ValueError` if there are none."""
        found = [body for file in self.files for body in _bodies(file)]
        if not found:
            raise ValueError(f"{', '.join(map(str, self.files))}: there is no object in it")
        return found

    @cached_property
    def namespace(self) -> str:
        """Where what names no namespace is put, as `kubectl apply -n` does: the namespace that the manifests make, or
        name elsewhere, or give permissions to; else one that is named after them."""
        made = [body["metadata"]["name"] for body in self.bodies if body["kind"] == "Namespace"]
        named = [body["metadata"].get("namespace") for body in self.bodies]
        subjects = [subject.get("namespace") for body in self.bodies for subject in body.get("subjects") or ()]
        for candidates in (made, named, subjects):
            counted = Counter(each for each in candidates if each and each not in SYSTEM)
            if counted:
                return counted.most_common(1)[0][0]
        return self.name

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that are all its own."""
        named = {body["metadata"].get("namespace") for body in self.bodies}
        made = {body["metadata"]["name"] for body in self.bodies if body["kind"] == "Namespace"}
        return sorted({name for name in named | made | {self.namespace} if name} - SYSTEM)

    def __str__(self) -> str:
        return self.name


def applications() -> list[Published]:
    """All that are to be tried, the project's own first. Raises `ValueError` if a folder that was named has none."""
    found = list(_in(OWN))
    for named in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        if not Path(named).is_dir():
            raise ValueError(f"{VARIABLE}={named}: there is no such folder")
        there = list(_in(Path(named)))
        if not there:
            raise ValueError(f"{VARIABLE}={named}: there are no manifests ({', '.join(_SUFFIXES)}) in it")
        found += there
    return found


def _in(folder: Path) -> Iterator[Published]:
    for path in sorted(folder.iterdir()):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        files = tuple(file for file in inside if file.suffix in _SUFFIXES)
        if files:
            yield Published(path.name if path.is_dir() else path.stem, files)


def _bodies(file: Path) -> Iterator[Body]:
    for body in yaml.load_all(file.read_text(), Loader=_Loader):
        if not body:
            continue
        items = body.get("items") if str(body.get("kind", "")).endswith("List") else None
        yield from [body] if items is None else items
