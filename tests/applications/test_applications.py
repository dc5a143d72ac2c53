"""Every application of a folder, there and back: backed up, deleted, restored, broken at random, rolled back.

`MAINSTAY_TEST_MANIFESTS` names the folder (see `docs/applications.md`); the project's own are always tried. On
control planes without a node: no image is ever pulled, and workloads stay unready, which is a case too.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.applications import cluster_side, judge, moved, table
from tests.applications.damage import Vandal
from tests.applications.folder import VARIABLE, Body, Published, applications
from tests.applications.judge import Judge, Snapshot, differences, settled
from tests.applications.registered import Done, Registered
from tests.harness.access import Access
from tests.harness.cluster import Cluster, Options

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

#: Which damage is done. Another number is another test; the one that failed is in its message.
SEED = int(os.environ.get("MAINSTAY_TEST_SEED", "1"))
_EVERYTHING = ("*",)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Access]:
    """A control plane of these tests' own: an aggregated API that is down disturbs everybody on it."""
    with Cluster(options=Options(node=False)) as started:
        yield started


@pytest.fixture(scope="module")
def other() -> Iterator[Access]:
    """Another control plane, to restore to."""
    with Cluster(options=Options(node=False)) as started:
        yield started


@dataclass
class Story:
    """An application that is there, registered and backed up."""

    cluster: Access
    other: Access
    judge: Judge
    published: Published
    registered: Registered
    version: str
    #: The whole cluster before and after it was applied.
    empty: Snapshot
    whole: Snapshot
    #: Its objects in no namespace, or in somebody else's.
    scoped: list[Body]
    row: table.Row

    def assert_as(self, wanted: Snapshot, what: str) -> None:
        """The whole cluster is so, once its controllers had their time."""
        left = settled(lambda: differences(wanted, self.judge.look()))
        assert not left, f"{self.published}, seed {SEED}: {what}:\n" + "\n".join(left[:40])

    def own(self) -> list[Body]:
        """Its objects as they were when it was whole."""
        mine = self.whole.keys() - self.empty.keys()
        return [self.whole[key] for key in sorted(mine) if judge.is_somebodys(self.whole[key])]

    def remove(self) -> float:
        """Delete everything of it; the seconds that took."""
        return cluster_side.remove(self.cluster, self.published, self.scoped)


def begin(cluster: Access, other: Access, published: Published) -> Story:
    """Apply an application, register it and make a version."""
    looking, row = Judge(cluster.api), table.Row(published.name)
    empty = looking.look()
    row.refused = cluster_side.install(cluster, published)
    state, scoped = cluster_side.state(cluster, published)
    whole = looking.look_when_calm()
    registered = Registered(published.name, state, cluster, other)
    done = registered.backup()
    row.saw("backup", done.seconds, f"{done.outcome['objects']} objects")
    version = done.outcome["version"]
    return Story(cluster, other, looking, published, registered, version, empty, whole, scoped, row)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("published", applications(), ids=str)
def test_an_application_goes_there_and_back(cluster: Access, other: Access, published: Published) -> None:
    story = begin(cluster, other, published)
    try:
        it_comes_back_whole_after_everything_of_it_was_deleted(story)
        it_leaves_nothing_to_do(story)
        who_applied_it_applies_it_again_without_a_conflict_and_nothing_changes(story)
        it_is_rolled_back_after_random_damage_and_the_rollback_can_be_undone(story)
        it_goes_into_another_namespace_beside_itself(story)
        it_goes_to_another_cluster(story)
    finally:
        story.row.write()
        story.remove()
    story.assert_as(story.empty, "it was deleted for good, and something is left")


def it_comes_back_whole_after_everything_of_it_was_deleted(story: Story) -> None:
    seconds = story.remove()
    story.assert_as(story.empty, "it was deleted, and something is left")
    story.row.saw("delete", seconds, "all gone")
    done = story.registered.restore(story.version)
    story.assert_as(story.whole, "it was deleted and restored")
    story.row.saw("restore", done.seconds, table.verbs(done.outcome["counts"]))


def it_leaves_nothing_to_do(story: Story) -> None:
    plan = story.registered.plan(story.version)
    assert [action for action in plan.actions if action.verb.writes] == []


def who_applied_it_applies_it_again_without_a_conflict_and_nothing_changes(story: Story) -> None:
    assert cluster_side.apply(story.cluster, story.published) == story.row.refused
    story.assert_as(story.whole, "it was applied again")
    story.row.saw("plan again", None, "nothing to do")


def it_is_rolled_back_after_random_damage_and_the_rollback_can_be_undone(story: Story) -> None:
    seed = SEED ^ zlib.crc32(story.published.name.encode())
    damage = Vandal(story.cluster, seed).work(story.own(), story.published.namespaces)
    broken = story.judge.look_when_calm()
    assert differences(story.whole, broken), "no damage was done"
    done = story.registered.restore(story.version, consent=_EVERYTHING)
    story.assert_as(story.whole, f"it was rolled back after this:\n{damage}")
    assert story.registered.plan(story.version, consent=_EVERYTHING).empty
    was, became = table.sentence(damage.counts()), table.verbs(done.outcome["counts"])
    story.row.saw("rolled back", done.seconds, f"{was} → {became}")
    undone = story.registered.undo(done)
    story.assert_as(broken, f"the rollback was undone after this:\n{damage}")
    story.row.saw("undone", undone.seconds, table.verbs(undone.outcome["counts"]))
    story.registered.restore(story.version, consent=_EVERYTHING)
    story.assert_as(story.whole, "it was rolled back again")


def it_goes_into_another_namespace_beside_itself(story: Story) -> None:
    there = {"namespaces": {name: f"{name}-copy" for name in story.published.namespaces}}
    own = story.whole.keys() - story.empty.keys()
    copies = moved.to_namespaces(story.whole, own, there["namespaces"])
    done = story.registered.restore(story.version, **there)

    def look() -> list[str]:
        here = story.judge.look()
        original = {key: here[key] for key in here.keys() & story.whole.keys()}
        others = {key: body for key, body in here.items() if key not in story.whole and body["kind"] != "IPAddress"}
        made = {key: moved.without_place(body) for key, body in others.items()}
        return differences(story.whole, original) + differences(copies, made)

    left = settled(look)
    assert not left, f"{story.published}: it was restored into another namespace:\n" + "\n".join(left[:40])
    assert story.registered.plan(story.version, **there).empty
    story.row.saw("other namespace", done.seconds, table.verbs(done.outcome["counts"]))
    assert_undone_as_far_as_can_be(story, done, set(there["namespaces"].values()))
    story.assert_as(story.whole, "its restore into another namespace was undone")


def assert_undone_as_far_as_can_be(story: Story, done: Done, namespaces: set[str]) -> None:
    """All of it is gone; only a namespace may be on its way out yet, as long as an aggregated API is down, and then
    the result says so. Once that API has gone, the namespace goes."""
    undone = story.registered.undo(done)
    rows = story.registered.rows(undone)
    there = {name for name in namespaces if story.cluster.api.exists(f"/api/v1/namespaces/{name}")}
    told = {row.object.name for row in rows if row.object.kind == "Namespace" and "Discovery failed" in row.message}
    assert there <= told
    if there:
        cluster_side.let_go(story.cluster, story.published, there)


def it_goes_to_another_cluster(story: Story) -> None:
    there, looking = {"cluster": story.registered.clusters[1].id}, Judge(story.other.api)
    before = looking.look()
    done = story.registered.restore(story.version, **there)
    wanted = moved.comparable(story.whole)
    left = settled(lambda: differences(wanted, moved.comparable(looking.look())))
    assert not left, f"{story.published}: it was restored to another cluster:\n" + "\n".join(left[:40])
    assert story.registered.plan(story.version, **there).empty
    story.row.saw("other cluster", done.seconds, table.verbs(done.outcome["counts"]))
    story.registered.undo(done)
    left = settled(lambda: differences(before, looking.look()))
    assert not left, f"{story.published}: its restore to another cluster was undone:\n" + "\n".join(left[:40])


def test_every_folder_that_is_named_is_tried() -> None:
    named = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    assert {"shop", "operator"} <= {published.name for published in applications()}
    assert len(applications()) >= 2 + len(named)
