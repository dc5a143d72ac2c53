"""Golden texts: what plans, comparisons, problems and tables look like, to the letter."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console, RenderableType

from chalicelib.cli.rendering.applications import applications_table, clusters_table, status_page, statuses_table
from chalicelib.cli.rendering.marks import Marks
from chalicelib.cli.rendering.operations import (
    operation_page,
    operations_table,
    outcome_in_short,
    progress_line,
    result_table,
)
from chalicelib.cli.rendering.plans import Page, comparison_lines, consequences, plan_lines
from chalicelib.cli.rendering.problems import problem_lines
from chalicelib.cli.rendering.tables import Column, fitted
from chalicelib.cli.rendering.versions import version_page, versions_table
from tests.unit.cli import fake_service as fake

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
UNICODE, ASCII = Marks(unicode=True), Marks(unicode=False)


def drawn(parts: Iterable[RenderableType], width: int = 80) -> str:
    """As it stands on a terminal of this width, without colours and without what is blank at the ends of lines."""
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, color_system=None)
    for part in parts:
        console.print(part)
    out = console.file
    assert isinstance(out, io.StringIO)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert all(len(line) <= width for line in lines), "something is wider than the terminal"
    return "\n".join(lines) + "\n"


def test_a_plan_is_read_like_a_diff() -> None:
    assert (
        drawn(plan_lines(fake.plan(), Page(80, UNICODE)))
        == """\
Create 1
  + ConfigMap shop/settings

Update 3
  ~ Deployment shop/web
      ~ spec.replicas                                   1 → 3
      ~ spec.template.spec.containers[0].image          nginx:1.25 → nginx:1.27
      + metadata.annotations["shop.example.com/owner"]  team-a
      ↳ 3 pods restart
  ~ Secret shop/db
      ~ data.password  (hidden)
  ~ ConfigMap shop/nginx
      ~ data["nginx.conf"]
            b
          - workers 1
          + workers 4
            c

Replace 1
  ± Service shop/db  spec.clusterIP cannot be changed

Delete 1
  − ConfigMap shop/leftover

Skip 1
  · PersistentVolumeClaim shop/data-0
      it is not in the version, but claims are protected; agree with --consent
        PersistentVolumeClaim

Warnings
  ! The Service shop/db gets a new address while it is replaced.

Plan: 1 to create · 3 to update · 1 to replace · 1 to delete · 1 skipped ·
      35 unchanged
"""
    )


def test_a_plan_in_ascii_has_no_other_letter() -> None:
    text = drawn(plan_lines(fake.plan(), Page(80, ASCII)))
    assert text.isascii()
    assert "1 -> 3" in text
    assert "  # Service shop/db" in text


def test_a_plan_that_does_nothing_says_so_first() -> None:
    plan = fake.plan(**fake.EMPTY_PLAN)
    assert drawn(plan_lines(plan, Page(80, UNICODE))) == (
        "Nothing to do: the cluster is as the version has it. 42 unchanged\n"
    )


def test_a_plan_that_may_do_nothing_does_not_say_that_all_is_well() -> None:
    plan = fake.plan(actions=[each for each in fake.plan()["actions"] if each["verb"] == "skip"], warnings=[])
    text = drawn(plan_lines(plan, Page(120, UNICODE)), width=120)
    assert "Nothing that it may do; 1 object differs and is left: PersistentVolumeClaim shop/data-0." in text
    assert "as the version has it" not in text


def test_a_plan_that_cannot_be_applied_does_not_claim_that_the_cluster_is_as_the_version_has_it() -> None:
    blocker = "Rewrite 1 of the document does not fit ConfigMap shop/conf: `data.a` takes text, not a number."
    plan = fake.plan(**{**fake.EMPTY_PLAN, "gaps": [], "blockers": [blocker]})
    text = drawn(plan_lines(plan, Page(120, UNICODE)), width=120)
    assert blocker in text
    assert text.endswith("Nothing else differs. 42 unchanged\n")


def test_what_stands_in_the_way_is_told_last_before_the_sum() -> None:
    plan = fake.plan(
        actions=[fake.action("delete", fake.identity("PersistentVolumeClaim", "data-0"), "extra")],
        counts={"delete": 1},
        warnings=[],
        gaps=[{"group": "", "kind": "Secret", "namespace": "shop", "status": 403, "message": "forbidden"}],
        blockers=["The namespace shop is being deleted: wait until it is gone, then restore once more."],
    )
    assert (
        drawn(plan_lines(plan, Page(80, UNICODE)))
        == """\
Delete 1
  − PersistentVolumeClaim shop/data-0

Could not be read
  ! Secret in shop: forbidden

Cannot be applied as it is
  ! The namespace shop is being deleted: wait until it is gone, then restore
    once more.

Plan: 1 to delete
"""
    )


def _long_plan() -> dict[str, Any]:
    differences = [fake.difference(f"/data/key{number}", "a" * 300, "b" * 300) for number in range(20)]
    actions = [fake.action("update", fake.identity("ConfigMap", "big"), "differs", differences=differences)]
    actions += [fake.action("create", fake.identity("ConfigMap", f"c{number}"), "missing") for number in range(40)]
    return fake.plan(actions=actions, counts={"update": 1, "create": 40}, warnings=[])


def test_a_long_plan_is_bounded_and_says_how_to_see_all() -> None:
    text = drawn(plan_lines(_long_plan(), Page(80, UNICODE)))
    assert "… 15 more objects; see everything with --all" in text
    assert "… 8 more fields" in text
    assert len(text.splitlines()) < 50


def test_all_of_a_plan_can_be_seen() -> None:
    text = drawn(plan_lines(_long_plan(), Page(80, UNICODE, everything=True)), width=2000)
    assert "ConfigMap shop/c39" in text
    assert "more" not in text
    assert "a" * 300 in text


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_of_a_plan_is_wider_than_the_terminal(width: int) -> None:
    drawn(plan_lines(_long_plan(), Page(width, UNICODE)), width=width)
    for line in plan_lines(_long_plan(), Page(width, UNICODE)):
        assert max(map(len, line.plain.splitlines() or [""])) <= width


def test_a_plan_says_what_an_object_waits_for() -> None:
    waits = {"object": fake.identity("StatefulSet", "db"), "required": True, "reason": "a rule of the document"}
    action = fake.action("create", fake.identity("Deployment", "web"), "missing")
    text = drawn(plan_lines(fake.plan(actions=[{**action, "awaits": [waits]}]), Page(80, UNICODE)))
    assert "      ↳ Waits until StatefulSet shop/db is ready (a rule of the document).\n" in text


def test_a_version_says_what_it_pulled_in_and_what_it_could_not() -> None:
    gap = {"group": "", "kind": "PersistentVolume", "namespace": "", "status": 403, "message": "forbidden"}
    version = fake.detail(fake.version(fake.NEW), unfollowed=[gap])
    text = drawn(version_page(version, "shop", NOW, UNICODE, everything=False), width=100)
    assert "Pulled in, because the application refers to it:" in text
    assert "fast  storage class of PersistentVolumeClaim shop/data" in text
    assert "PersistentVolume  forbidden" in text


def test_a_cluster_cannot_write_on_the_terminal_through_a_plan() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J"
    plan = fake.plan(
        actions=[
            fake.action(
                "update",
                fake.identity("ConfigMap", "x"),
                "differs",
                message=evil,
                differences=[
                    fake.difference(f"/data/{evil}", evil, f"{evil}!"),
                    fake.difference("/data/b", f"{evil}\n1\n", f"{evil}\n2\n"),
                ],
                effects=[evil],
            )
        ],
        warnings=[evil],
        blockers=[evil],
    )
    assert "\x1b" not in "".join(line.plain for line in plan_lines(plan, Page(200, UNICODE)))


def test_what_is_taken_away_is_named_before_agreeing() -> None:
    assert drawn(consequences(fake.plan())) == (
        "It deletes 1 object: ConfigMap shop/leftover.\nIt deletes and makes anew 1 object: Service shop/db.\n"
    )
    many = [fake.action("delete", fake.identity("Pod", f"p{number}"), "extra") for number in range(9)]
    assert "p3 and 5 more." in drawn(consequences(fake.plan(actions=many)), width=120)


def test_a_comparison_is_grouped_by_what_changed() -> None:
    assert (
        drawn(comparison_lines(fake.comparison(), Page(80, UNICODE)))
        == """\
Added 1
  + ConfigMap shop/leftover

Changed 1
  ~ Deployment shop/web
      ~ spec.replicas  3 → 1

Removed 1
  − ConfigMap shop/settings

1 added · 1 changed · 1 removed · 39 unchanged
"""
    )


def test_equal_states_have_no_difference() -> None:
    same = fake.comparison(changes=[], counts={"unchanged": 42})
    assert drawn(comparison_lines(same, Page(80, UNICODE))) == "No difference · 42 unchanged\n"


def test_an_account_that_may_read_little_does_not_flood_the_screen() -> None:
    gaps = [
        {"group": "", "kind": f"Kind{number}", "namespace": "shop", "status": 403, "message": "forbidden"}
        for number in range(40)
    ]
    told = drawn(comparison_lines(fake.comparison() | {"gaps": gaps}, Page(80, UNICODE)))
    assert told.count("forbidden") == 8
    assert "and 32 more kinds: Kind8, Kind9, Kind10, Kind11 and 28 more" in told
    everything = drawn(comparison_lines(fake.comparison() | {"gaps": gaps}, Page(80, UNICODE, everything=True)))
    assert everything.count("forbidden") == 40


def test_a_problem_is_shown_where_it_is() -> None:
    source = "spec:\n  state:\n    objcts:\n      - namespaces: [shop]\n"
    problems = [
        {
            "path": "spec.state.objcts",
            "message": "unknown field",
            "line": 3,
            "column": 5,
            "hint": "did you mean `objects`?",
        },
        {"path": "", "message": "metadata is missing"},
    ]
    assert (
        drawn(problem_lines("shop.yaml", source, problems))
        == """\
shop.yaml:3:5: problem: spec.state.objcts: unknown field
    3 |     objcts:
      |     ^^^^^^
  hint: did you mean `objects`?

shop.yaml: problem: metadata is missing
"""
    )


def test_the_caret_stays_under_its_word_in_a_long_line() -> None:
    source = "x" * 150 + " here " + "y" * 100
    problems = [{"path": "", "message": "wrong", "line": 1, "column": 152}]
    rows = drawn(problem_lines("f", source, problems), width=200).splitlines()
    assert rows[2].index("^") == rows[1].index("here")


def test_the_carets_end_where_the_excerpt_does() -> None:
    problems = [{"path": "", "message": "wrong", "line": 1, "column": 500}]
    rows = drawn(problem_lines("f", "x" * 100_000, problems), width=200).splitlines()
    assert len(rows[2]) == len(rows[1]) == 108


def test_versions_fit_a_narrow_terminal() -> None:
    versions = fake.FakeService().versions
    assert (
        drawn(versions_table(versions, NOW))
        == """\
VERSION                         AGE  STATE     OBJECTS      NEW  NAME
ver-01kb3333000000000000000003  30m  complete        3  2.0 KiB  before restore
ver-01kb2222000000000000000002   2h  complete       42  2.0 KiB  before-upgrade
ver-01kb1111000000000000000001  26h  complete       42  2.0 KiB
"""
    )
    assert "by hand  [stage=prod]" in drawn(versions_table(versions, NOW), width=120)


def test_what_people_wrote_about_a_version_stays_in_its_row() -> None:
    said = {"name": "two\nlines\x1b", "comment": "first\r\n\tsecond", "labels": {"by": "a\nb"}}
    (_, row) = drawn(versions_table([fake.version(fake.NEW, **said)], NOW), width=140).splitlines()
    assert row.endswith("two lines\\x1b  first second  [by=a b]")


def test_a_partial_version_says_what_it_lacks() -> None:
    gap = {"group": "", "kind": "Secret", "namespace": "shop", "status": 403, "message": "secrets is forbidden"}
    version = fake.detail(fake.version(fake.NEW, state="partial", name="n\x1bx"), gaps=[gap])
    text = drawn(version_page(version, "shop", NOW, UNICODE, everything=False))
    assert "Missing: a restore from this version deletes nothing" in text
    assert "Secret  shop       secrets is forbidden" in text
    assert "n\\x1bx" in text
    assert "Basket.shop.example.com        1" in text


def test_operations_say_what_came_of_them() -> None:
    failed = fake.operation(
        fake.RESTORE,
        "restore",
        "failed",
        error={"code": "conflict", "message": "The cluster has moved.", "details": {}},
    )
    running = fake.operation(
        fake.BACKUP,
        "backup",
        "running",
        step="capture",
        progress={"done": 3, "total": 9, "bytes": 0, "unit": "kinds"},
    )
    done = fake.FakeService().operations[fake.RESTORE]
    rows = [failed, running, done]
    text = drawn(operations_table(rows, {fake.APP: "shop"}, NOW, UNICODE, several=True), width=120)
    assert (
        text
        == """\
OPERATION                      APP   KIND     STATE      AGE   TOOK  OUTCOME
op-01kb4444000000000000000002  shop  restore  failed      1h  3.2 s  The cluster has moved.
op-01kb4444000000000000000003  shop  backup   running     1h      -  capture 3/9 kinds
op-01kb4444000000000000000002  shop  restore  succeeded   1h  3.2 s  +1 ~3 −1
"""
    )


def test_an_operation_is_told_in_full() -> None:
    restore = fake.FakeService().operations[fake.RESTORE]
    assert (
        drawn(operation_page(restore, "shop", NOW))
        == """\
Operation    op-01kb4444000000000000000002
Kind         restore
Application  shop
State        succeeded
Requested    2026-11-24 11:00:00, 1 h ago by admin
Took         3.2 s
Version      ver-01kb2222000000000000000002
Mode         exact
Changed      1 created, 3 updated, 1 deleted
Read back    42 as wanted
Safety       ver-01kb3333000000000000000003 (the state before)
"""
    )


def test_progress_says_step_count_time_and_what_is_left() -> None:
    operation = fake.operation(
        fake.RESTORE,
        "restore",
        "running",
        step="apply",
        progress={"done": 132, "total": 1420, "bytes": 2048, "unit": "objects"},
        estimateSeconds=60.0,
    )
    line = progress_line(operation, 12.4, width=80)
    assert line.plain == "restore · apply · 132/1,420 objects, 2.0 KiB · 12 s · about 48 s left"
    assert len(progress_line(operation, 12.4, width=30).plain) == 30


def test_progress_says_when_it_waits_and_when_it_undoes() -> None:
    assert progress_line(fake.operation(fake.BACKUP, "backup", "queued"), 0.2, width=0).plain == (
        "backup · waits in line · 0.2 s"
    )
    ahead = {"operation": fake.RESTORE, "kind": "restore"}
    behind = fake.operation(fake.BACKUP, "backup", "queued", waitsFor=ahead)
    assert progress_line(behind, 0.2, width=0).plain == f"backup · waits for restore {fake.RESTORE} · 0.2 s"
    undoing = fake.operation(fake.RESTORE, "restore", "rolling-back", step="undo")
    assert progress_line(undoing, 3, width=0).plain == "restore · undoing what it did · undo · 3.0 s"


def test_progress_says_when_there_was_none_for_long() -> None:
    running = fake.operation(fake.RESTORE, "restore", "running", step="plan")
    assert progress_line(running, 59, width=0, unchanged=59).plain == "restore · plan · 59 s"
    told = "restore · plan · 3 min · no news for 2 min (the server's log may say why)"
    assert progress_line(running, 180, width=0, unchanged=120).plain == told
    away = {"code": "cluster-unreachable", "message": "No answer from https://10.0.0.1:6443."}
    troubled = {**running, "trouble": away}
    for left, when in (
        (3, "to be tried again, at most 3 times"),
        (1, "to be tried again, at most 1 time"),
        (0, "that was the last try"),
        (None, "to be tried again"),
    ):
        told = f"restore · plan · 1 min 30 s · {when}: No answer from https://10.0.0.1:6443."
        assert progress_line({**troubled, "triesLeft": left}, 90, width=0, unchanged=70).plain == told
    assert outcome_in_short(troubled, UNICODE) == "No answer from https://10.0.0.1:6443."
    queued = fake.operation(fake.BACKUP, "backup", "queued")
    assert progress_line(queued, 180, width=0, unchanged=180).plain == "backup · waits in line · 3 min"


def test_results_begin_with_what_went_wrong() -> None:
    assert (
        drawn(result_table(fake.FakeService().rows, marks=UNICODE, everything=False))
        == """\
   OBJECT                   OUTCOME  READ BACK   TOOK  WHY
−  ConfigMap shop/leftover  failed   present    12 ms  the server answered 403
~  Deployment shop/web      done     equal      12 ms  differs
"""
    )


def test_a_results_names_are_never_cut() -> None:
    name = "data-of-a-database-0"
    claim = fake.identity("PersistentVolumeClaim", name)
    why = "it is not in the version, but claims are protected"
    rows = [fake.row("skip", claim, "skipped", message=why)]
    for width in (80, 60):
        text = drawn(result_table(rows, marks=UNICODE, everything=False), width=width)
        assert f"shop/{name}" in text
        assert "…" not in text
    text = drawn(result_table(rows, marks=UNICODE, everything=False))
    assert set(why.split()) <= set(text.split())


def test_health_is_told_by_workload() -> None:
    text = drawn(status_page(fake.application(), fake.status(), NOW))
    assert "Health       1/2 ready" in text
    assert "StatefulSet shop/db  0/1    pod db-0 is not ready" in text


def test_all_applications_fit_a_narrow_terminal() -> None:
    running = fake.operation(fake.BACKUP, "backup", "running")
    rows = [(fake.application(), fake.status(state="backing-up", runningOperation=running))]
    assert (
        drawn(statuses_table(rows, NOW), width=120)
        == """\
APP   STATE       HEALTH     NEWEST VERSION                  AGE  RUNNING  OPERATION
shop  backing-up  1/2 ready  ver-01kb2222000000000000000002   2h  backup   op-01kb4444000000000000000003
"""
    )
    narrow = drawn(statuses_table(rows, NOW), width=80)
    assert "ver-01kb2222000000000000000002   2h  backup" in narrow
    assert "OPERATION" not in narrow
    assert "…" not in narrow + drawn(statuses_table(rows, NOW), width=60)


def test_a_long_name_goes_on_below_and_takes_nothing_from_the_columns_beside_it() -> None:
    name = "a-name-of-sixty-three-letters-which-is-the-most-that-there-may-be"[:63]
    application = fake.application(name=name)
    status = {"state": "active", "health": [{"ready": 1, "desired": 1}], "newestVersion": fake.version("ver-1")}
    cluster = {"name": name, "id": "cl-01m8n0esv89vpj254kkn7h3yy7", "source": "kubeconfig", "context": "admin"}
    for page, whole in (
        (drawn(applications_table([application], NOW)), (str(application["id"]), "active", "CHANGED")),
        (drawn(statuses_table([(application, status)], NOW)), ("active", "1/1 ready", "AGE", "RUNNING")),
        (drawn(clusters_table([cluster], NOW)), (cluster["id"], "kubeconfig admin", "CHANGED")),
    ):
        assert "…" not in page
        assert all(each in page for each in whole)
        assert name in "".join(line.split("  ")[0].strip() for line in page.splitlines()[1:])


def test_a_narrow_table_cuts_before_it_leaves_out() -> None:
    columns = [
        Column("A"),
        Column("B", give_way=True),
        Column("C", extra=True),
        Column("D", give_way=True, extra=True),
    ]
    assert fitted(columns, [10, 30, 10, 30], 86) == [10, 30, 10, 30]
    assert fitted(columns, [10, 30, 10, 30], 60) == [10, 20, 10, 14]
    assert fitted(columns, [10, 30, 10, 30], 50) == [10, 26, 10, 0]
    assert fitted(columns, [10, 30, 10, 30], 30) == [10, 18, 0, 0]
    assert fitted(columns, [10, 30, 10, 30], 20) == [10, 0, 0, 0]


@pytest.mark.parametrize(
    ("turns", "attempts", "said"),
    [
        (0, 1, "3.2 s"),
        (4, 5, "3.2 s, in 5 turns"),
        (0, 3, "3.2 s, taken up 3 times"),
        (4, 7, "3.2 s, in 5 turns, taken up 3 times"),
    ],
)
def test_turns_are_not_told_as_attempts(turns: int, attempts: int, said: str) -> None:
    page = drawn(operation_page(fake.operation("op-1", "backup", turns=turns, attempts=attempts), "shop", NOW))
    took = next(line for line in page.splitlines() if "Took" in line)
    assert took.split("Took")[1].strip() == said
