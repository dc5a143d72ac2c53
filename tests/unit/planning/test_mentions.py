"""Texts that may name an old namespace are found with their place, and few others."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chalicelib.planning.elsewhere.mentions import dns_names, in_annotations

THERE = {"shop": "copy"}


def body(kind: str, version: str = "v1", *, annotations: dict[str, str] | None = None, **members: Any) -> Any:
    metadata = {"name": "one", "namespace": "shop", **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **members}


def places(content: Any, *services: tuple[str, str]) -> list[str]:
    return [found.place for found in dns_names(content, THERE, services)]


def test_texts_with_a_dns_name_are_found_wherever_users_write_them() -> None:
    secret = base64.b64encode(b"postgres://db.shop.svc:5432").decode()
    config = body(
        "ConfigMap", data={"url": "http://db.shop.svc.cluster.local/x", "other": "db.shopping.svc", "a/b": "a.b"}
    )
    pods = {
        "containers": [{"name": "web", "env": [{"name": "DB", "value": "db.shop.svc"}], "args": ["--x=y.shop.svc"]}]
    }
    deployment = body("Deployment", "apps/v1", spec={"template": {"spec": pods}})
    assert places(config) == ["/data/url"]
    place = "/spec/template/spec/containers/0"
    assert places(deployment) == [f"{place}/env/0/value", f"{place}/args/0"]
    assert places(body("Secret", data={"dsn": secret, "bad": "%%"})) == ["/data/dsn"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("db.shop", True),
        ("postgres://u@db.shop:5432/x", True),
        ("db-0.db.shop,db-1.db.shop", True),
        ("db.shop.example.com", False),
        ("www.shop", False),
        ("db.shopping", False),
        ("end of db.shop.", True),
    ],
)
def test_a_short_name_of_a_service_of_the_version_is_found_too(text: str, found: bool) -> None:
    assert places(body("ConfigMap", data={"url": text}), ("shop", "db")) == (["/data/url"] if found else [])


def test_dns_names_in_annotations_are_found_but_for_what_kubectl_remembers() -> None:
    ingress = body(
        "Ingress",
        "networking.k8s.io/v1",
        annotations={
            "nginx.ingress.kubernetes.io/auth-url": "http://auth.shop.svc.cluster.local/check",
            "kubectl.kubernetes.io/last-applied-configuration": '{"a":"http://auth.shop.svc"}',
            "mainstay.dev/kept-for": "db.shop.svc",
        },
    )
    assert places(ingress) == ["/metadata/annotations/nginx.ingress.kubernetes.io~1auth-url"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("shop/basic", True),
        ("secret:shop/basic", True),
        ("infra/a, shop/b", True),
        ("shop-auth@kubernetescrd", True),
        ("infra-auth@kubernetescrd,shop-auth@kubernetescrd", True),
        ('[{"name":"net","namespace":"shop"}]', True),
        ("namespace: shop", True),
        ("https://example.com/shop/basket", False),
        ("registry.example.com/shop/web:1", False),
        ("my-shop/basic", False),
        ("infra-shop@kubernetescrd", False),
        ('{"namespace":"shop-two"}', False),
        ("/shop/(.*)", False),
        ("shop", False),
    ],
)
def test_annotations_that_may_refer_into_the_namespace_are_found(text: str, found: bool) -> None:
    content = body("ConfigMap", annotations={"example.com/a": text})
    expected = ["/metadata/annotations/example.com~1a"] if found else []
    assert [each.place for each in in_annotations(content, THERE)] == expected


def test_annotations_of_templates_are_looked_at_too_and_other_texts_are_not() -> None:
    template = {"metadata": {"annotations": {"example.com/a": "shop/basic"}}, "spec": {"image": "shop/web"}}
    deployment = body("Deployment", "apps/v1", spec={"template": template})
    (found,) = in_annotations(deployment, THERE)
    assert found == ("/spec/template/metadata/annotations/example.com~1a", "shop/basic")
