"""The routes and their description: what is given must be there, what is there is described and errs in one shape."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from openapi_spec_validator import validate

from app import app
from chalicelib import bootstrap
from tests.unit.entrypoints.asking import ask
from tests.unit.services.house import House, house

GIVEN = {
    ("POST", "/app"),
    ("GET", "/app/{id}"),
    ("DELETE", "/app/{id}"),
    ("GET", "/app/status/{id}"),
    ("POST", "/app/backup"),
    ("PUT", "/version/restoreVersion"),
    ("GET", "/version/selectVersion"),
    ("DELETE", "/version/deleteVersion"),
    ("GET", "/version/getAllVersionsOfApp"),
    ("GET", "/kubernetes/checkKubernetesStatus"),
    ("PUT", "/kubernetes/setKubernetesSettings"),
}

ROUTES = sorted((method, path) for path, methods in app.routes.items() for method in methods)
GUARDED = [route for route in ROUTES if route[1] not in {"/health", "/openapi.json"}]


@pytest.fixture
def built() -> Iterator[House]:
    made = house()
    made.sessions.configured = False
    with bootstrap.use(made.services):
        yield made


def described() -> dict[str, object]:
    answer: dict[str, object] = ask("GET", "/openapi.json", token=None).json
    return answer


def operations() -> dict[tuple[str, str], dict[str, object]]:
    paths = described()["paths"]
    assert isinstance(paths, dict)
    return {(method.upper(), path): each for path, methods in paths.items() for method, each in methods.items()}


def test_the_given_routes_are_there_by_their_exact_names() -> None:
    assert set(ROUTES) >= GIVEN


def test_the_description_is_valid_openapi() -> None:
    validate(described())  # type: ignore[arg-type]


def test_every_route_is_described_and_nothing_else() -> None:
    assert set(operations()) == set(ROUTES)


def test_every_route_has_words_and_every_guarded_one_its_errors() -> None:
    for (method, path), operation in operations().items():
        assert operation["summary"], (method, path)
        responses = operation["responses"]
        assert isinstance(responses, dict)
        assert "200" in responses
        if (method, path) in GUARDED:
            assert {"400", "401", "404", "422", "500"} <= set(responses), (method, path)


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for operation in operations().values()]
    assert len(ids) == len(set(ids))


def test_one_place_in_a_path_has_one_placeholder_name() -> None:
    # API Gateway refuses two names in one position, and Chalice does not notice before it deploys.
    seen: dict[str, str] = {}
    for _, path in ROUTES:
        parts = path.split("/")
        for number, part in enumerate(parts):
            if part.startswith("{"):
                before = re.sub(r"{\w+}", "{}", "/".join(parts[:number]))
                assert seen.setdefault(before, part) == part, path


def test_schemas_never_show_what_is_secret() -> None:
    components = described()["components"]
    assert isinstance(components, dict)
    for name in ("ClusterView", "ClusterStatusView"):
        assert not {"kubeconfig", "token", "password"} & set(components["schemas"][name]["properties"])


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_every_route_answers_its_errors_in_the_one_shape(built: House, method: str, path: str) -> None:
    concrete = path.replace("{id}", "no-id-at-all")
    attempts = [
        ask(method, concrete, token="wrong"),
        ask(method, f"{concrete}?surprise=1", b"{}"),
        ask(method, concrete, b"this is no json", headers={"content-type": "application/json"}),
    ]
    for said in attempts[:2]:
        assert said.status >= 400, said
    for said in attempts:
        if said.status >= 400:
            assert set(said.json) == {"error"}
            assert set(said.error) == {"code", "message", "details", "requestId"}
            assert said.error["message"].endswith(".")
            assert said.headers["X-Request-Id"] == said.error["requestId"]
            assert said.status != 500


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_no_route_is_open_that_should_not_be(built: House, method: str, path: str) -> None:
    assert ask(method, path.replace("{id}", "x"), token=None).status == 401
