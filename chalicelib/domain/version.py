"""Versions: one sealed, immutable capture of an application's selection.

A version exists if and only if its manifest is there and no `.ended` marker beside it. The manifest says where
the index is; the index (in segments) says where each object's bytes are.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from chalicelib.domain.objects import ObjectKey


class Stored(BaseModel):
    """A record that is kept as JSON with camelCase names. Unknown members are kept out, not refused:
    a newer release may have written them."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", ser_json_inf_nan="null"
    )


class SegmentRef(Stored):
    """One segment: `name` is `<id>-<r>` (id = keyed hash of the plain bytes, r = a few random characters)."""

    name: str
    #: What is inside: `objects`, `index` or `document` (dumps and volumes come with their own kinds).
    content: str
    #: Bytes before compression, and as stored.
    plain: int
    stored: int


class IndexRow(NamedTuple):
    """The index's row of one object."""

    key: ObjectKey
    #: SHA-256 of the normalised content without field ownership, 32 bytes.
    digest: bytes
    #: Name of the segment that holds the object's line, where the line begins in it and its length, bytes.
    segment: str
    offset: int
    length: int


class KindSummary(Stored):
    """How many objects of one kind a version holds, and how the API server served them then."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    has_status: bool = False
    count: int = 0


class Gap(Stored):
    """A part of the selection that could not be read, and why. A version with gaps is `partial`."""

    group: str
    kind: str
    namespace: str = ""
    #: The server's status (0 if it did not answer) and its words.
    status: int = 0
    message: str

    def covers(self, key: ObjectKey) -> bool:
        """Whether an object is in the part that could not be read."""
        return self.group == key.group and self.kind in {"*", key.kind} and self.namespace in {"", key.namespace}


class Pulled(Stored):
    """An object outside the selection that a version holds because something in it refers to it, and the reason."""

    group: str = ""
    kind: str
    namespace: str = ""
    name: str
    reason: str

    @classmethod
    def of(cls, key: ObjectKey, reason: str) -> Pulled:
        """The document's form of a key, with a reason."""
        return cls(group=key.group, kind=key.kind, namespace=key.namespace, name=key.name, reason=reason)

    @property
    def key(self) -> ObjectKey:
        """Back again."""
        return ObjectKey(self.group, self.kind, self.namespace, self.name)


class ImageSeen(Stored):
    """An image that ran when the version was made, with the digest the node reported."""

    image: str
    digest: str | None = None
    containers: int = 1


class ReadyWorkload(Stored):
    """What was ready when the version was made: a restore waits only for these."""

    group: str
    kind: str
    namespace: str
    name: str
    ready: bool
    message: str = ""


class Manifest(Stored):
    """What one version is. Written once, authenticated by `mac` (added and checked by the store)."""

    format: int = 1
    application: str
    version: str
    #: Names at the time of capture.
    application_name: str
    cluster: str
    cluster_version: str = ""
    #: The uid of its namespace `kube-system`: the same API server under whatever name. Empty: it may not be read.
    cluster_uid: str = ""
    operation: str
    fence: int
    #: `backup`, or `safety` (made by a restore, of what it was about to touch; then `operation` is the restore).
    purpose: Literal["backup", "safety"] = "backup"
    started_at: datetime
    captured_at: datetime
    namespaces: tuple[str, ...] = ()
    kinds: tuple[KindSummary, ...] = ()
    gaps: tuple[Gap, ...] = ()
    #: With `closure: references`: what was pulled in, and what could not be followed (that makes no gap: nothing that
    #: was pulled in is ever deleted).
    pulled: tuple[Pulled, ...] = ()
    unfollowed: tuple[Gap, ...] = ()
    #: Secrets of others' namespaces that it refers to, each with the reason: their content is not in the version.
    withheld: tuple[Pulled, ...] = ()
    images: tuple[ImageSeen, ...] = ()
    health: tuple[ReadyWorkload, ...] = ()
    #: Objects, plain bytes of their lines, and bytes this version added to the repository.
    objects: int = 0
    plain_bytes: int = 0
    added_bytes: int = 0
    #: The document's text as it was, in a segment of content `document`.
    document: SegmentRef
    #: Segments of the index, in order, then every segment of objects that its rows refer to.
    index: tuple[SegmentRef, ...] = ()
    segments: tuple[SegmentRef, ...] = ()

    @property
    def everything(self) -> tuple[SegmentRef, ...]:
        """Every segment it refers to."""
        return (self.document, *self.index, *self.segments)

    @property
    def complete(self) -> bool:
        """Whether the whole selection was read: only then may a restore delete what is not in it."""
        return not self.gaps


class Note(Stored):
    """The small mutable companion of a version: what people say about it."""

    schema_: int = Field(default=1, alias="schema")
    version: str
    name: str = ""
    comment: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    hold: bool = False
    #: It is being deleted: from here on it cannot be held any more (and one that is held cannot come to this).
    ending: bool = False
    #: Who made the version, for people.
    made_by: str = ""
