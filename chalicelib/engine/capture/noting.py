"""What the objects of a selection refer to, noted while they are read: `closure` follows it afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chalicelib.cluster.listing import Listing
from chalicelib.domain.objects import Body, ObjectKey, Resource
from chalicelib.engine.capture.reading import Visitor
from chalicelib.planning.selecting.accounts import account_of
from chalicelib.planning.selecting.references import SECRET, Reference, references_of
from chalicelib.planning.selecting.selection import Selection


@dataclass(slots=True)
class Noted:
    """What the objects of one listing refer to, and the accounts they run as."""

    references: dict[ObjectKey, str] = field(default_factory=dict)
    accounts: set[ObjectKey] = field(default_factory=set)
    #: Secrets of others' namespaces, each with who refers to it: whether they may is looked for afterwards.
    secrets: dict[tuple[ObjectKey, ObjectKey], str] = field(default_factory=dict)

    def add(self, reference: Reference, *, others: bool) -> None:
        """Keep the first reason for each object; `others` says that it is a Secret of theirs."""
        if others:
            self.secrets.setdefault((reference.key, reference.by), reference.reason)
        else:
            self.references.setdefault(reference.key, reference.reason)


class Noting:
    """A visitor that notes references, and gives everything on to another one."""

    def __init__(self, visitor: Visitor, selection: Selection, resources: Iterable[Resource]) -> None:
        self._visitor = visitor
        self._selection = selection
        self._resources = {(resource.group, resource.kind): resource for resource in resources}
        self.keeps_raw = visitor.keeps_raw
        self.noted: dict[Listing, Noted] = {}

    def take(self, listing: Listing, key: ObjectKey, content: Body, digest: bytes, raw: bytes) -> int:
        """Note what it refers to that may be outside the selection."""
        noted = self.noted.setdefault(listing, Noted())
        account = account_of(content)
        if account is not None:
            noted.accounts.add(account)
        for reference in references_of(content, listing.resource):
            resource = self._resources.get(reference.key[:2])
            if resource is not None and not self._selection.takes_whole(resource, reference.key.namespace):
                found = reference._replace(key=placed(reference.key, resource))
                noted.add(found, others=is_others(found.key, self._selection))
        return self._visitor.take(listing, key, content, digest, raw)

    def misses(self, key: ObjectKey) -> bool:
        """As the other one says."""
        return self._visitor.misses(key)

    def restart(self, listing: Listing) -> None:
        """What was noted of it is void."""
        self.noted.pop(listing, None)
        self._visitor.restart(listing)

    def remembered(self, listing: Listing) -> Any:
        """What was noted of it, as JSON has it: kept between two turns of a capture."""
        noted = self.noted.get(listing)
        if noted is None:
            return None
        references = [[*key, why] for key, why in noted.references.items()]
        secrets = [[*key, *by, why] for (key, by), why in noted.secrets.items()]
        return {
            "references": references,
            "accounts": [list(key) for key in sorted(noted.accounts)],
            "secrets": secrets,
        }

    def remember(self, listing: Listing, remembered: Any) -> None:
        """Note it again."""
        noted = self.noted.setdefault(listing, Noted())
        for *key, why in remembered["references"]:
            noted.references.setdefault(ObjectKey(*key), why)
        noted.accounts.update(ObjectKey(*key) for key in remembered["accounts"])
        for *both, why in remembered.get("secrets", ()):
            noted.secrets.setdefault((ObjectKey(*both[:4]), ObjectKey(*both[4:])), why)


def placed(key: ObjectKey, resource: Resource) -> ObjectKey:
    """The key of an object that is named by what is in a namespace, and may itself be in none."""
    return key if resource.namespaced else key._replace(namespace="")


def is_others(key: ObjectKey, selection: Selection) -> bool:
    """Whether it is a Secret of a namespace in which the application has selected nothing."""
    return key[:2] == SECRET and key.namespace not in selection.namespaces
