"""Label selectors, patterns and the values of fields."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.document import Scope
from chalicelib.domain.errors import Invalid
from chalicelib.domain.fields import parse_duration, parse_size, show_duration, show_size
from chalicelib.domain.labels import LabelSelector
from chalicelib.domain.objects import Resource
from chalicelib.domain.patterns import KindPattern, name_matches

WEB = {"app": "web", "tier": "front", "example.com/team": "shop", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("app=web", True),
        ("app==web", True),
        ("app = web", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("other!=x", True),
        ("app in (db, web)", True),
        ("app in (db)", False),
        ("app notin (db, web)", False),
        ("other notin (x)", True),
        ("app", True),
        ("other", False),
        ("!other", True),
        ("!app", False),
        ("app=web,tier=front", True),
        ("app=web, tier=back", False),
        ("app in (web),!other,tier", True),
        ("example.com/team=shop", True),
        ("empty=", True),
        ("empty", True),
        ("app=", False),
        ("in in (in)", False),
    ],
)
def test_selectors_mean_what_kubernetes_says(text: str, matches: bool) -> None:
    assert LabelSelector.parse(text).matches(WEB) is matches


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("app==web", "app=web"),
        ("app in (web)", "app=web"),
        ("app notin (a , b),!c , d", "app notin (a,b),!c,d"),
        ("a in (x,x)", "a=x"),
        ("a=", "a="),
    ],
)
def test_a_selector_is_shown_as_the_api_server_takes_it(text: str, shown: str) -> None:
    selector = LabelSelector.parse(text)
    assert str(selector) == shown
    assert LabelSelector.parse(str(selector)) == selector


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        ",",
        "a,",
        "a=b,",
        "=b",
        "a=b c",
        "a in",
        "a in b",
        "a in (b",
        "a in ()",
        "a in (b c)",
        "a in (,)",
        "!",
        "!a=b",
        "a b",
        "a=b=c",
        "-a",
        "a" * 64,
        "a=" + "b" * 64,
        "a/b/c",
        "EXAMPLE.com/a",
        "/a",
        "a=ü",
        "a\n",
        "a>1",
    ],
)
def test_what_is_no_selector_is_refused_in_a_sentence(text: str) -> None:
    if text == "a\n":
        assert str(LabelSelector.parse(text)) == "a"
        return
    with pytest.raises(Invalid) as caught:
        LabelSelector.parse(text)
    assert caught.value.message.endswith(".")


KEYS = st.from_regex(r"[a-z]([a-z.]{0,5}[a-z])?", fullmatch=True)
VALUES = st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True)
CONDITIONS = st.one_of(
    st.builds("{}={}".format, KEYS, VALUES),
    st.builds("{}!={}".format, KEYS, VALUES),
    st.builds(lambda key, values: f"{key} in ({','.join(values)})", KEYS, st.lists(VALUES, min_size=1)),
    st.builds(lambda key, values: f"{key} notin ({', '.join(values)})", KEYS, st.lists(VALUES, min_size=1)),
    KEYS,
    st.builds("!{}".format, KEYS),
)


@given(st.lists(CONDITIONS, min_size=1), st.dictionaries(KEYS, VALUES))
def test_a_selector_read_back_selects_the_same(conditions: list[str], labels: dict[str, str]) -> None:
    selector = LabelSelector.parse(",".join(conditions))
    again = LabelSelector.parse(str(selector))
    assert again == selector
    assert again.matches(labels) == all(LabelSelector.parse(one).matches(labels) for one in conditions)


@given(st.text())
def test_any_text_is_a_selector_or_invalid(text: str) -> None:
    try:
        selector = LabelSelector.parse(text)
    except Invalid as invalid:
        assert invalid.message  # noqa: PT017 - either outcome is right
        return
    assert LabelSelector.parse(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "group", "kind", "plural", "matches"),
    [
        ("Deployment", "apps", "Deployment", "deployments", True),
        ("Deployment", "other.io", "Deployment", "deployments", True),
        ("Deployment.apps", "apps", "Deployment", "deployments", True),
        ("Deployment.apps", "other.io", "Deployment", "deployments", False),
        ("deployments.apps", "apps", "Deployment", "deployments", True),
        ("services.core", "", "Service", "services", True),
        ("Service.core", "", "Service", "services", True),
        ("Service.core", "serving.knative.dev", "Service", "services", False),
        ("*.cert-manager.io", "cert-manager.io", "Certificate", "certificates", True),
        ("*.cert-manager.io", "acme.cert-manager.io", "Order", "orders", False),
        ("*.*.cert-manager.io", "acme.cert-manager.io", "Order", "orders", True),
        ("Cert*", "cert-manager.io", "Certificate", "certificates", True),
        ("*", "", "Secret", "secrets", True),
        ("secret*.core", "", "Secret", "secrets", True),
    ],
)
def test_kinds_in_their_three_spellings(text: str, group: str, kind: str, plural: str, matches: bool) -> None:
    pattern = KindPattern.parse(text)
    assert pattern.matches(group, kind, plural) is matches
    assert str(pattern) == text


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("tmp-*", "tmp-1", True),
        ("tmp-*", "Tmp-1", False),
        ("a?c", "abc", True),
        ("[ab]-x", "b-x", True),
        ("a.b", "axb", False),
    ],
)
def test_wildcards_of_names_are_those_of_a_shell(pattern: str, name: str, matches: bool) -> None:
    assert name_matches(pattern, name) is matches


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1d", 86400), ("1w", 604800), ("0w1s", 1)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "1.5h", "-1h", "1h 30m", "30m1h", "PT1H", "1y", "٣s", "0s", "521w3d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    if text == "521w3d":
        assert parse_duration(text) == timedelta(days=3650)
        return
    with pytest.raises(Invalid):
        parse_duration(text)


@given(st.integers(1, 3660 * 86400))
def test_a_duration_is_read_back_as_it_was(seconds: int) -> None:
    value = timedelta(seconds=seconds)
    assert parse_duration(show_duration(value)) == value


@given(st.integers(1, 2**50))
def test_a_size_is_read_back_as_it_was(size: int) -> None:
    assert parse_size(show_size(size)) == size


@pytest.mark.parametrize(
    ("text", "size"), [("20Gi", 20 * 2**30), ("1.5Ti", 3 * 2**39), ("20G", 20 * 10**9), ("1k", 1000)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


SECRET = Resource("", "v1", "secrets", "Secret", namespaced=True)
NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
ROLE = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)


def scope(**fields: object) -> Scope:
    return Scope.model_validate(fields)


def test_a_scope_with_namespaces_takes_what_is_in_them_and_the_namespaces_themselves() -> None:
    shop = scope(namespaces=["shop"])
    assert shop.takes(SECRET, "shop", "a", {})
    assert not shop.takes(SECRET, "other", "a", {})
    assert shop.takes(NAMESPACE, "", "shop", {})
    assert not shop.takes(NAMESPACE, "", "other", {})
    assert not shop.takes_kind(ROLE)


def test_a_scope_without_namespaces_takes_cluster_scoped_objects_only() -> None:
    everything = scope(kinds=["*"])
    assert everything.takes(ROLE, "", "a", {})
    assert not everything.takes_kind(SECRET)


def test_every_condition_of_a_scope_must_be_met() -> None:
    narrow = scope(namespaces=["shop"], groups=["core"], labels="app=web", names=["a-*"])
    assert narrow.takes(SECRET, "shop", "a-1", {"app": "web"})
    assert not narrow.takes(SECRET, "shop", "b-1", {"app": "web"})
    assert not narrow.takes(SECRET, "shop", "a-1", {"app": "db"})
    assert not narrow.takes_kind(Resource("apps", "v1", "deployments", "Deployment", namespaced=True))


def test_any_line_of_an_exclusion_is_enough() -> None:
    shop = scope(namespaces=["shop"], exclude={"kinds": ["Event"], "labels": "tier=cache", "names": ["tmp-*"]})
    assert shop.takes(SECRET, "shop", "a", {})
    assert not shop.takes(SECRET, "shop", "a", {"tier": "cache"})
    assert not shop.takes(SECRET, "shop", "tmp-1", {})
    assert not shop.takes_kind(Resource("events.k8s.io", "v1", "events", "Event", namespaced=True))
