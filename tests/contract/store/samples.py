"""A small version, made the way a backup makes one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import orjson

from chalicelib.domain.ids import new_id
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import IndexRow, KindSummary, Manifest
from chalicelib.store import layout
from chalicelib.store.index import write_index
from chalicelib.store.packing import Packer
from chalicelib.store.repository import Repository
from chalicelib.store.wrappers import Passphrase
from tests.contract.store.places import Place

PASSPHRASE = Passphrase("correct horse")
AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
DOCUMENT = "apiVersion: mainstay.dev/v1\nkind: Application\nmetadata: {name: shop}  # ours\n"


def line_of(kind: str, number: int, size: int = 200) -> bytes:
    """The canonical line of one object, with content that does not compress well."""
    content = hashlib.shake_128(f"{kind}{number}".encode()).hexdigest(size // 2)
    body = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": f"{kind.lower()}-{number:05d}"},
        "data": {"x": content},
    }
    return orjson.dumps({"object": body}, option=orjson.OPT_SORT_KEYS)


def key_of(kind: str, number: int) -> ObjectKey:
    return ObjectKey("", kind, "shop", f"{kind.lower()}-{number:05d}")


def lines_of(kind: str, numbers: Iterable[int], size: int = 200) -> list[tuple[ObjectKey, bytes, bytes]]:
    lines = [(key_of(kind, number), line_of(kind, number, size)) for number in numbers]
    return [(key, line, hashlib.sha256(line).digest()) for key, line in lines]


def store_version(
    repository: Repository, application: str, *, secrets: Iterable[int] = range(700), **changes: object
) -> Manifest:
    """Store two kinds of objects and say what a manifest would; not sealed."""
    writer = repository.segment_writer(application)
    rows: list[IndexRow] = []
    segments = []
    for kind, numbers in (("ConfigMap", range(5)), ("Secret", secrets)):
        packer = Packer(writer)
        rows += packer.pack(lines_of(kind, numbers, size=600))
        segments += packer.finish()
    manifest = Manifest(
        application=application,
        version=new_id("ver", AT),
        application_name="shop",
        cluster="cl-somewhere",
        operation=new_id("op", AT),
        fence=1,
        started_at=AT,
        captured_at=AT,
        namespaces=("shop",),
        kinds=(
            KindSummary(
                group="", version="v1", kind="Secret", plural="secrets", namespaced=True, count=len(rows) - 5
            ),
        ),
        objects=len(rows),
        added_bytes=writer.added_bytes,
        document=writer.put("document", DOCUMENT.encode()),
        index=write_index(writer, rows),
        segments=tuple(segments),
    )
    return manifest.model_copy(update=changes)


def sealed_version(repository: Repository, application: str, **changes: object) -> Manifest:
    """Store and seal."""
    return repository.versions(application).seal(store_version(repository, application, **changes))


def made_repository(place: Place) -> Repository:
    """A fresh repository. The storage is not tried out first, as it would be: that has tests of its own."""
    place.write(layout.REPOSITORY, b'{"format": 1, "id": "a-test"}')
    backend = place.backend()
    return Repository.initialise_on(backend, backend, [PASSPHRASE]).repository
