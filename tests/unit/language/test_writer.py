"""The document that `init` writes can be used as it stands, and teaches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Invalid
from chalicelib.domain.patterns import KindPattern
from chalicelib.language.support import accept
from chalicelib.language.writer import Observed, Workload, draft

SEEN = Observed(
    counts={"Deployment": 2, "Service": 3, "Secret": 4, "PersistentVolumeClaim": 2},
    claims=("data-db-0", "data-db-1"),
    custom_kinds=("Certificate.cert-manager.io",),
    workloads=(Workload("StatefulSet", "db"), Workload("Deployment", "web", "app=web,tier in (front)")),
    excluded_kinds=("Event", "Lease.coordination.k8s.io"),
)


def test_what_is_written_can_be_used_as_it_is() -> None:
    spec = accept(draft("shop", "shop-prod", "production", SEEN)).document.spec
    assert spec.cluster == "production"
    assert spec.state.namespaces == ("shop-prod",)
    assert spec.state.objects[0].exclude.kinds == (KindPattern("Event"), KindPattern("Lease", "coordination.k8s.io"))
    assert (spec.restore.mode, spec.restore.safety, spec.restore.on_failure) == ("exact", "bestEffort", "rollback")


def test_what_was_seen_is_told() -> None:
    text = draft("shop", "shop", None, SEEN)
    joined = re.sub(r"\n\s*# ", " ", text)
    assert "11 objects (2 Deployment, 2 PersistentVolumeClaim, 4 Secret, 3 Service)" in joined
    assert "Certificate.cert-manager.io" in text
    assert "data-db-0, data-db-1" in joined
    assert '#   - pod: {labels: "app=web,tier in (front)"}' in text


def test_the_examples_in_comments_can_be_used_when_their_marks_are_removed() -> None:
    text = draft("shop", "shop", None, SEEN)
    for commented in (
        r"^( *)# (labels: \"tier.*|names: \[.*)",
        r"^( *)# (cluster: .*)",
        r"^( *)# (- kinds: .*|  labels: \"app\.kub.*)",
        r"^( *)# (checks:|  - pod: .*|    command: .*|    timeout: .*)",
    ):
        text, count = re.subn(commented, r"\1\2", text, flags=re.MULTILINE)
        assert count
    spec = accept(text).document.spec
    assert spec.cluster == "production"
    assert len(spec.state.objects) == 2
    assert spec.state.objects[0].exclude.names == ("tmp-*",)
    assert spec.restore.health.checks[0].command == ("curl", "-fsS", "localhost:8080/ready")


def test_lines_are_short_and_tidy() -> None:
    many = Observed(
        counts={f"Kind{number}": number for number in range(60)},
        claims=tuple(f"data-{number}" for number in range(500)),
        excluded_kinds=tuple(f"Kind{number}.example.com" for number in range(30)),
    )
    for line in draft("shop", "shop", None, many).splitlines():
        assert len(line) <= 100
        assert line == line.rstrip()
        assert "\t" not in line


@pytest.mark.parametrize("name", ["no", "123", "null", "1e3", "0x1f", "y"])
def test_names_that_yaml_would_take_for_something_else_are_quoted(name: str) -> None:
    document = accept(draft(name, name, None, Observed())).document
    assert document.name == name
    assert document.spec.state.namespaces == (name,)


def test_a_name_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(Invalid, match="cannot be a name here"):
        draft("Shop!", "shop", None, Observed())


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
ANYTHING = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=150), max_size=30).map(tuple)


@given(NAMES, NAMES, ANYTHING, ANYTHING)
def test_whatever_was_seen_the_document_can_be_used(
    name: str, namespace: str, claims: tuple[str, ...], custom: tuple[str, ...]
) -> None:
    seen = Observed(counts=dict.fromkeys(claims, 1), claims=claims, custom_kinds=custom)
    document = accept(draft(name, namespace, None, seen)).document
    assert (document.name, document.spec.state.namespaces) == (name, (namespace,))
