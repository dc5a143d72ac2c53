"""Kubeconfigs of every kind, and what is said about those that cannot be used."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.cluster import connection as connections
from chalicelib.cluster.connection import default, files_written, in_cluster, load_kubeconfig
from chalicelib.cluster.credentials import TokenFile
from chalicelib.domain.errors import ClusterNotConfigured

KEY = "hunter2-the-key"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubeconfig(
    user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "shop",
        "contexts": [
            {"name": "shop", "context": {"cluster": "one", "user": "ann", "namespace": "shop"}},
            {"name": "other", "context": {"cluster": "two", "user": "ann"}},
        ],
        "clusters": [
            {"name": "one", "cluster": {"server": "https://10.0.0.1:6443/"} | (cluster or {})},
            {"name": "two", "cluster": {"server": "https://10.0.0.2:6443"}},
        ],
        "users": [{"name": "ann", "user": user or {"token": "abc"}}],
    } | more


def text(*args: Any, **members: Any) -> str:
    return yaml.safe_dump(kubeconfig(*args, **members))


def refusal(config: str | Path, context: str | None = None) -> str:
    with pytest.raises(ClusterNotConfigured) as raised:
        load_kubeconfig(config, context)
    assert KEY not in str(raised.value.as_json())
    return raised.value.message


@pytest.fixture(autouse=True)
def _no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_the_current_context_is_used() -> None:
    found = load_kubeconfig(text())
    assert (found.server, found.context, found.namespace) == ("https://10.0.0.1:6443", "shop", "shop")
    assert found.authorization() == "Bearer abc"
    assert found.warnings == ()


def test_another_context_can_be_named() -> None:
    assert load_kubeconfig(text(), "other").server == "https://10.0.0.2:6443"


def test_json_is_read_too() -> None:
    assert load_kubeconfig(json.dumps(kubeconfig())).context == "shop"


def test_an_unknown_context_is_answered_with_those_there_are() -> None:
    assert "'nowhere'; they have: shop, other" in refusal(text(), "nowhere")


def test_a_kubeconfig_without_current_context_says_which_there_are() -> None:
    assert "Name one of its contexts: shop, other" in refusal(text(**{"current-context": ""}))


def test_inline_certificates_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found = load_kubeconfig(
        text(
            {"client-certificate-data": b64("certificate"), "client-key-data": b64(KEY)},
            {"certificate-authority-data": b64("authority")},
        )
    )
    assert (found.client_certificate, found.client_key, found.authority) == (
        b"certificate",
        KEY.encode(),
        b"authority",
    )
    assert found.authorization() is None
    assert list(tmp_path.iterdir()) == []


def test_credentials_are_not_in_the_representation() -> None:
    user = {"client-certificate-data": b64("certificate"), "client-key-data": b64(KEY), "token": "t0ken"}
    found = load_kubeconfig(text(user, {"proxy-url": "http://me:pr0xy@proxy:3128"}))
    assert not any(secret in repr(found) for secret in (KEY, "t0ken", "pr0xy", "certificate'"))


def test_files_are_found_beside_the_kubeconfig_that_names_them(tmp_path: Path) -> None:
    for name, content in (("ca.pem", "authority"), ("me.pem", "certificate"), ("me.key", KEY)):
        (tmp_path / name).write_text(content)
    file = tmp_path / "config"
    user = {"client-certificate": "me.pem", "client-key": "me.key"}
    file.write_text(text(user, {"certificate-authority": str(tmp_path / "ca.pem")}))
    found = load_kubeconfig(file)
    assert (found.client_certificate, found.client_key, found.authority) == (
        b"certificate",
        KEY.encode(),
        b"authority",
    )
    assert str(file) in found.source


def test_a_file_that_is_missing_is_named_with_its_context(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(text({"client-certificate": "me.pem", "client-key": "me.key"}))
    said = refusal(file)
    assert f"the context shop of {file}" in said
    assert f"client-certificate {tmp_path / 'me.pem'} cannot be read (No such file or directory)" in said


@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        ({"tokenFile": "/etc/passwd"}, {}),
        ({"client-certificate": "/etc/passwd", "client-key": "/etc/passwd"}, {}),
        ({}, {"certificate-authority": "/etc/passwd"}),
    ],
)
def test_a_kubeconfig_given_as_text_reads_no_files_of_this_machine(user: dict, cluster: dict) -> None:
    assert "--flatten" in refusal(text(user, cluster))


def test_a_token_file_is_read_again_when_it_is_old_and_when_it_is_refused(tmp_path: Path) -> None:
    file, clock = tmp_path / "token", [100.0]
    file.write_text("one\n")
    token = TokenFile(file, "a test", clock=lambda: clock[0])
    assert token(False) == "one"
    file.write_text("two\n")
    assert token(False) == "one"
    assert token(True) == "two"
    file.write_text("three\n")
    clock[0] += 61
    assert token(False) == "three"


def test_a_token_file_goes_before_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file")
    file = tmp_path / "config"
    file.write_text(text({"token": "fixed", "tokenFile": "token"}))
    assert load_kubeconfig(file).authorization() == "Bearer from-file"


def test_a_token_with_a_line_end_inside_is_refused_and_not_shown() -> None:
    assert "no token has" in refusal(text({"token": f"{KEY}\r\nX-Other: 1"}))


def test_user_and_password_are_sent_where_there_is_no_token() -> None:
    found = load_kubeconfig(text({"username": "ann", "password": KEY}))
    assert found.authorization() == "Basic " + b64(f"ann:{KEY}")


@pytest.mark.parametrize("user", [{"exec": {"command": "touch"}}, {"exec": {"command": "touch"}, "token": "abc"}])
def test_an_exec_plugin_is_refused_with_an_explanation_and_never_run(tmp_path: Path, user: dict) -> None:
    trace = tmp_path / "trace"
    user["exec"] |= {"apiVersion": "client.authentication.k8s.io/v1", "args": [str(trace)]}
    said = refusal(text(user))
    assert "exec plugin 'touch'" in said
    assert "ServiceAccount" in said
    assert not trace.exists()


def test_an_auth_provider_is_refused_with_an_explanation_and_never_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    config = {"cmd-path": "touch", "cmd-args": str(trace)}
    said = refusal(text({"auth-provider": {"name": "gcp", "config": config}}))
    assert "auth-provider 'gcp'" in said
    assert not trace.exists()


def test_a_plugin_of_another_context_does_not_matter() -> None:
    config = kubeconfig()
    config["users"].append({"name": "eks", "user": {"exec": {"command": "aws"}}})
    config["contexts"].append({"name": "eks", "context": {"cluster": "two", "user": "eks"}})
    assert load_kubeconfig(yaml.safe_dump(config)).context == "shop"


def test_skipping_the_certificate_check_is_possible_and_warned_about() -> None:
    found = load_kubeconfig(text(None, {"insecure-skip-tls-verify": True}))
    assert found.insecure
    assert "insecure-skip-tls-verify" in found.warnings[0]


def test_no_tls_is_possible_and_warned_about() -> None:
    assert "without TLS" in load_kubeconfig(text(None, {"server": "http://127.0.0.1:8080"})).warnings[0]


def test_the_name_in_the_certificate_can_be_another() -> None:
    assert load_kubeconfig(text(None, {"tls-server-name": "api.shop"})).tls_server_name == "api.shop"


def test_certificates_in_files_are_known_as_such_and_those_inline_are_not(tmp_path: Path) -> None:
    for name in ("me.pem", "me.key"):
        (tmp_path / name).write_text("content")
    file = tmp_path / "config"
    file.write_text(text({"client-certificate": "me.pem", "client-key": "me.key"}))
    files = load_kubeconfig(file).client_files
    assert files is not None
    assert (files.certificate, files.key) == (tmp_path / "me.pem", tmp_path / "me.key")
    inline = {"client-certificate-data": b64("certificate"), "client-key-data": b64(KEY)}
    assert load_kubeconfig(text(inline)).client_files is None


def test_a_kubeconfig_that_was_written_anew_is_told_from_the_one_before(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(text())
    named = f"{one}:{other}"
    before = files_written(named)
    assert files_written(named) == before
    other.write_text(text())
    both = files_written(named)
    assert both != before
    one.write_text(text({"token": "another"}))
    assert files_written(None, {"KUBECONFIG": named}) not in (before, both)


def test_an_http_proxy_is_used() -> None:
    assert load_kubeconfig(text(None, {"proxy-url": "http://proxy:3128"})).proxy == "http://proxy:3128"


def test_another_kind_of_proxy_is_refused() -> None:
    assert "socks5 is not supported" in refusal(text(None, {"proxy-url": "socks5://proxy:1080"}))


def test_the_environments_proxy_is_used_as_kubectl_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert load_kubeconfig(text()).proxy == "http://proxy:3128"
    monkeypatch.setenv("NO_PROXY", "10.0.0.1")
    assert load_kubeconfig(text()).proxy == ""
    assert load_kubeconfig(text(), "other").proxy == "http://proxy:3128"


def test_no_proxy_is_used_to_reach_the_machine_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert load_kubeconfig(text(None, {"server": "https://127.0.0.1:6443"})).proxy == ""


def test_who_acts_as_another_says_so() -> None:
    found = load_kubeconfig(text({"token": "abc", "as": "bob", "as-groups": ["dev", "ops"]}))
    assert found.impersonation == (
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("a: [\n", "is not YAML (line 2, column 1)"),
        (f"users: {KEY}\n- oops: {KEY}\n", "is not YAML"),
        ("- 1\n- 2\n", "is not a kubeconfig"),
        ("\n", "is not a kubeconfig"),
        ("just a line\nand another\n", "is not a kubeconfig"),
        ("{" + " " * 2_000_000 + "}", "more than 1024 KiB"),
    ],
)
def test_what_is_not_a_kubeconfig_is_said_to_be_none(wrong: str, said: str) -> None:
    assert said in refusal(wrong)


ODD = st.sampled_from([None, 0, 7, True, "", "x\r\ny", "%%%", [], [1], {}, {"a": 1}, [[]], "https://h:99999", "ü"])


@given(data=st.data())
def test_a_kubeconfig_with_any_member_spoilt_is_used_or_explained(data: st.DataObject) -> None:
    user = {"token": "abc", "as": "a", "as-groups": ["g"], "as-user-extra": {"k": ["v"]}, "username": "u"}
    cluster = {"proxy-url": "http://proxy:1", "tls-server-name": "n", "certificate-authority-data": "YQ=="}
    config: Any = kubeconfig(user, cluster)
    node, path = config, []
    while isinstance(node, dict | list) and node and (not path or data.draw(st.booleans())):
        path.append(data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node)))))
        parent, node = node, node[path[-1]]
    parent[path[-1]] = data.draw(ODD)
    with contextlib.suppress(ClusterNotConfigured):
        assert load_kubeconfig(json.dumps(config) + "\n").server.startswith("http")


@pytest.mark.parametrize(
    "bomb",
    [
        "x0: &x0 [a, a]\n" + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 9)),
        "x0: &x0 {a: 1}\n"
        + "".join(f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 10)}]}}\n" for n in range(1, 9)),
    ],
)
def test_aliases_that_multiply_are_refused_before_they_do(bomb: str) -> None:
    assert "has aliases (`*name`), which are not read" in refusal(f"{bomb}current-context: *x8\n")


def test_a_star_that_is_no_alias_is_nothing_special() -> None:
    assert load_kubeconfig(text(user={"token": "a*b"})).authorization() == "Bearer a*b"


def test_a_path_that_does_not_exist_is_named() -> None:
    assert refusal("/nowhere/config") == "/nowhere/config does not exist."


def test_a_directory_in_place_of_a_file_is_explained(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        ({"server": ""}, "its server is not an address"),
        ({"server": "ftp://10.0.0.1"}, "its server is not an address"),
        ({"server": "https://10.0.0.1:port"}, "its server is not an address"),
        ({"server": f"https://me:{KEY}@10.0.0.1"}, "without credentials"),
        ({"certificate-authority-data": "%%%"}, ""),
    ],
)
def test_a_cluster_that_cannot_be_reached_like_that_is_explained(cluster: dict, said: str) -> None:
    if said:
        assert said in refusal(text(None, cluster))
    else:
        from chalicelib.cluster.credentials import tls_context

        with pytest.raises(ClusterNotConfigured, match="certificate-authority"):
            tls_context(load_kubeconfig(text(None, cluster)))


def test_a_certificate_without_its_key_is_explained() -> None:
    assert "come together only" in refusal(text({"client-certificate-data": b64("certificate")}))


def test_a_key_that_is_none_is_named_and_not_shown() -> None:
    from chalicelib.cluster.credentials import tls_context

    found = load_kubeconfig(text({"client-certificate-data": b64("no"), "client-key-data": b64(KEY)}))
    with pytest.raises(ClusterNotConfigured, match="client-certificate or client-key of the context shop") as raised:
        tls_context(found)
    assert KEY not in raised.value.message


def test_several_files_are_merged_as_kubectl_does(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second" / "config"
    second.parent.mkdir()
    (second.parent / "ca.pem").write_text("authority")
    first.write_text(
        yaml.safe_dump(
            {
                "current-context": "mine",
                "contexts": [{"name": "mine", "context": {"cluster": "far", "user": "me"}}],
                "users": [{"name": "me", "user": {"token": "abc"}}],
            }
        )
    )
    second.write_text(
        yaml.safe_dump(
            {
                "clusters": [
                    {"name": "far", "cluster": {"server": "https://far:6443", "certificate-authority": "ca.pem"}}
                ]
            }
        )
    )
    found = default(environ={"KUBECONFIG": f"{first}:{second}"})
    assert (found.server, found.authority) == ("https://far:6443", b"authority")


def test_without_kubeconfig_the_home_directory_counts_then_the_pod(tmp_path: Path) -> None:
    with pytest.raises(ClusterNotConfigured, match="Set KUBECONFIG"):
        default(environ={}, home=tmp_path)
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(text())
    assert default(environ={}, home=tmp_path).context == "shop"


def test_a_pods_account_is_used_and_its_token_renewed(tmp_path: Path) -> None:
    for name, content in (("token", "one"), ("ca.crt", "authority"), ("namespace", "shop")):
        (tmp_path / name).write_text(content)
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = in_cluster(environ, tmp_path)
    assert (found.server, found.namespace, found.authority) == ("https://[fd00::1]:443", "shop", b"authority")
    (tmp_path / "token").write_text("two")
    assert found.authorization(fresh=True) == "Bearer two"


def test_outside_a_pod_the_pods_account_is_refused_with_the_reason() -> None:
    with pytest.raises(ClusterNotConfigured, match="does not run in a pod"):
        in_cluster({})


def test_a_pod_without_a_token_is_told(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(ClusterNotConfigured, match="token file"):
        in_cluster(environ, tmp_path)


def test_the_modules_names_are_those_others_rely_on() -> None:
    assert set(connections.__all__) == {
        "Connection",
        "by_token",
        "default",
        "files_written",
        "in_cluster",
        "load_kubeconfig",
    }
