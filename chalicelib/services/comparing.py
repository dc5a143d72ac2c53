"""From a comparison, as the engine makes it, to what an answer can carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.domain.version import Gap, Manifest
from chalicelib.services.looking import within
from chalicelib.services.models.comparing import ComparisonView, FieldChange, ObjectChange

if TYPE_CHECKING:
    from chalicelib.engine.plan.compare import Comparison
    from chalicelib.services.clusters import RegisteredClusters
    from chalicelib.store.repository import Repository

#: Changes that one answer carries; `counts` counts them all.
_MOST_CHANGES = 2000

#: Seconds a comparison with what runs may take: API Gateway ends a request after 29.
_MOST_SECONDS = 20.0


def with_version(repository: Repository, first: Manifest, second: Manifest) -> ComparisonView:
    """What differs between two versions of one application."""
    from chalicelib.engine.plan.compare import compare_versions

    found = compare_versions(repository, first.application, first.version, second.version)
    return _view(found, first.version, second.version, [*first.gaps, *second.gaps])


def with_live(repository: Repository, clusters: RegisteredClusters, first: Manifest) -> ComparisonView:
    """What differs between a version and what runs now."""
    from chalicelib.engine.plan.compare import compare_live

    application = repository.applications.get(first.application)

    def look() -> Comparison:
        return compare_live(repository, clusters.connect(application.cluster), application, first.version)

    return _view(within(look, "The cluster", _MOST_SECONDS), first.version, "live", first.gaps)


def _view(found: Comparison, first: str, second: str, gaps: Sequence[Gap]) -> ComparisonView:
    changes = [
        ObjectChange(object=change.object, change=change.change, fields=[*map(FieldChange.of, change.differences)])
        for change in found.changes[:_MOST_CHANGES]
    ]
    return ComparisonView(
        from_=first,
        to=second,
        counts=dict(found.counts),
        changes=changes,
        gaps=list(gaps),
        truncated=len(found.changes) > _MOST_CHANGES,
    )
