"""Backups without a cluster: what they capture is a function of their arguments, and everything behind is real."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import orjson

from chalicelib.domain.ids import new_id
from chalicelib.domain.objects import ObjectKey
from chalicelib.domain.version import IndexRow, Manifest
from chalicelib.engine.lane.work import Flow, Next, Work
from chalicelib.engine.operations.backup import BACKUP
from chalicelib.planning.bodies.normalise import digest
from chalicelib.store.index import write_index
from chalicelib.store.packing import Packer
from chalicelib.store.repository import Repository

Objects = Mapping[ObjectKey, bytes]


def objects_of(seed: int, *, kinds: int = 6, most: int = 12) -> Objects:
    """The lines of the objects that a backup with this seed finds. Each kind is in one of a few states, so whole
    segments come again and again, also long after the last version that had them went."""
    choose = random.Random(seed)  # noqa: S311  # no secret
    found = {}
    for kind in range(kinds):
        state = choose.randrange(4)
        for number in range(1 + (kind * 5 + state) % most):
            key = ObjectKey("", f"Kind{kind}", "shop", f"object-{number:03d}")
            content = hashlib.shake_128(f"{kind}/{state}/{number}".encode()).hexdigest(300)
            found[key] = orjson.dumps({"kind": key.kind, "metadata": {"name": key.name}, "data": content})
    return found


def capture(work: Work) -> Next:
    """Store the objects, one segment for each kind, and draw the manifest up."""
    version = work.checkpoint.get("version")
    if version is None:
        version = new_id("ver", work.now())
        work.note(version=version)
    started = work.now()
    writer = work.repository.segment_writer(work.application.id)
    rows: list[IndexRow] = []
    segments = []
    for lines in _by_kind(objects_of(int(work.operation.arguments["seed"]))):
        work.pause()
        packer = Packer(writer)
        rows += packer.pack((key, line, digest(orjson.loads(line))) for key, line in lines)
        segments += packer.finish()
    manifest = Manifest(
        application=work.application.id,
        version=version,
        application_name=work.application.name,
        cluster=work.application.cluster,
        operation=work.operation.id,
        fence=work.fence,
        started_at=started,
        captured_at=work.now(),
        objects=len(rows),
        added_bytes=writer.added_bytes,
        document=writer.put("document", work.application.document.encode()),
        index=write_index(writer, rows),
        segments=tuple({segment.name: segment for segment in segments}.values()),
    )
    number = work.next_number("manifest")
    work.put_part("manifest", number, [orjson.dumps(manifest.model_dump(mode="json", by_alias=True))])
    return Next("seal", {"manifestFence": work.fence})


def _by_kind(objects: Objects) -> Iterator[list[tuple[ObjectKey, bytes]]]:
    for kind in sorted({key.kind for key in objects}):
        yield sorted((key, line) for key, line in objects.items() if key.kind == kind)


#: The product's backup with another capture.
SYNTHETIC: Flow = replace(BACKUP, steps={**BACKUP.steps, "capture": capture})


def differs(repository: Repository, manifest: Manifest, seed: int) -> list[str]:
    """What of a version is not as it was captured, read byte for byte. `Damaged` if something cannot be read."""
    wanted, held = dict(objects_of(seed)), repository.objects(manifest)
    wrong = []
    reader = repository.segment_reader(manifest.application)
    for row in held.read_index():
        line = reader.get(row.segment, "objects")[row.offset : row.offset + row.length]
        if wanted.pop(row.key, None) != line or digest(orjson.loads(line)) != row.digest:
            wrong.append(str(row.key))
    return wrong + [str(key) for key in wanted]
