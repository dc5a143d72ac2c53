"""From a kubeconfig, or a pod's own account, to a `Connection`.

`kubernetes.config` reads and merges the files; what they mean is decided here, because its loader would run exec
plugins, write keys into temporary files and keep a token for ever. A kubeconfig that is given as text comes from
somebody else's machine: it may name no files of this one (its server would be sent whatever they hold).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from chalicelib.cluster.credentials import CertificateFiles, Connection, TokenFile, TokenSource, fixed_token
from chalicelib.domain.errors import ClusterNotConfigured

__all__ = ["Connection", "by_token", "default", "files_written", "in_cluster", "load_kubeconfig"]

#: Bytes of kubeconfig that are read at most.
MOST_TEXT = 1024 * 1024

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_FLATTEN = "`kubectl config view --raw --flatten --minify` writes one that carries everything inline"


class _Entry(NamedTuple):
    """One named member of a kubeconfig's list, and the file it comes from (`None`: given as text)."""

    members: dict[str, Any]
    file: Path | None


def load_kubeconfig(text_or_path: str | Path, context: str | None = None) -> Connection:
    """The connection of one context (default: the current one).

    Text is what has more than one line or begins with `{`; anything else is a path, or several with `:` between
    them, which are merged as kubectl does. Raises `ClusterNotConfigured`, which says what to mend and where.
    """
    merged, where = _read(text_or_path)
    chosen = context or _text(merged.get("current-context"))
    if not chosen:
        names = ", ".join(_names(merged, "contexts")) or "none"
        raise ClusterNotConfigured(f"{where} has no current-context. Name one of its contexts: {names}.")
    source = f"the context {chosen} of {where}"
    members = _members(_named(merged, "contexts", chosen, where), "context", where)
    cluster = _named(merged, "clusters", _text(members.get("cluster")), source)
    user_name = _text(members.get("user"))
    user = _named(merged, "users", user_name, source) if user_name else _Entry({}, None)
    return _connect(
        source,
        chosen,
        _text(members.get("namespace")),
        _Entry(_members(cluster, "cluster", source), cluster.file),
        _Entry(_members(user, "user", source), user.file),
    )


def in_cluster(environ: Mapping[str, str] = os.environ, account: Path = _ACCOUNT) -> Connection:
    """The account of the pod this process runs in."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise ClusterNotConfigured(
            "This process does not run in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set."
        )
    source = "the pod's own account"
    token = TokenFile(account / "token", source)
    token(True)  # read now, so that a pod without a mounted token is told at once
    namespace = account / "namespace"
    return Connection(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        source=source,
        authority=_file(account / "ca.crt", "ca.crt", source),
        token=token,
        namespace=namespace.read_text(encoding="utf-8").strip() if namespace.is_file() else "",
    )


def by_token(server: str, authority: str, token: TokenSource, source: str, proxy: str = "") -> Connection:
    """An API server at an address that is known, which is told who asks by a token. `authority`: PEM in base64;
    `proxy`: an HTTP proxy, default: the environment's."""
    cluster = _Entry({"server": server, "certificate-authority-data": authority}, None)
    address = _server(source, cluster.members)
    return Connection(
        server=address,
        source=source,
        authority=_content(source, cluster, "certificate-authority"),
        token=token,
        proxy=_proxy(source, address, proxy),
    )


def default(
    context: str | None = None, environ: Mapping[str, str] = os.environ, home: Path | None = None
) -> Connection:
    """What kubectl would use: `KUBECONFIG`, else `~/.kube/config`, else the pod's account."""
    if environ.get("KUBECONFIG"):
        return load_kubeconfig(Path(environ["KUBECONFIG"]), context)
    file = (home or Path.home()) / ".kube" / "config"
    if file.is_file():
        return load_kubeconfig(file, context)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environ)
    raise ClusterNotConfigured(
        f"No cluster is configured: KUBECONFIG is not set, {file} does not exist, and this is not a pod. "
        "Set KUBECONFIG to the path of a kubeconfig, or register a cluster."
    )


def files_written(kubeconfig: str | None, environ: Mapping[str, str] = os.environ) -> tuple[int, ...]:
    """Tells whether kubeconfig files (`None`: those that `default` would read) were written since, by comparing."""
    named = kubeconfig or environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    found: list[int] = []
    for name in named.split(os.pathsep):
        with contextlib.suppress(OSError):
            seen = Path(name).stat()
            found += [seen.st_mtime_ns, seen.st_size, seen.st_ino]
    return tuple(found)


def _read(text_or_path: str | Path) -> tuple[dict[str, Any], str]:
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KubeConfigMerger
    from yaml import AliasEvent, MarkedYAMLError, SafeLoader, YAMLError, parse

    text = str(text_or_path)
    given = isinstance(text_or_path, str) and ("\n" in text or text.lstrip().startswith("{"))
    where = "the given kubeconfig" if given else text
    if given and len(text) > MOST_TEXT:
        raise ClusterNotConfigured(f"The given kubeconfig has more than {MOST_TEXT // 1024} KiB: that is none.")
    try:
        # A few lines of aliases, each naming the one before ten times, would become more than any memory holds.
        if given and "*" in text and any(isinstance(event, AliasEvent) for event in parse(text, Loader=SafeLoader)):
            raise ClusterNotConfigured(f"{where} has aliases (`*name`), which are not read: {_FLATTEN}.")
        files = io.StringIO(text) if given else text
        config = KubeConfigMerger(files).config  # type: ignore[no-untyped-call]
    except OSError as error:
        raise ClusterNotConfigured(f"{where} cannot be read ({error.strerror}).") from error
    except MarkedYAMLError as error:
        # Only the place: the message of PyYAML quotes the text, which holds keys.
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ClusterNotConfigured(f"{where} is not YAML{place}.") from None
    except (ConfigException, YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
        # Without the cause as well: the messages of kubernetes.config quote whole users.
        raise ClusterNotConfigured(f"{where} is not a kubeconfig.") from None
    if config is None:
        raise ClusterNotConfigured(f"{where} does not exist.")
    merged = getattr(config, "value", config)
    if not isinstance(merged, dict):
        raise ClusterNotConfigured(f"{where} is not a kubeconfig.")
    return merged, where


def _names(merged: Mapping[str, Any], section: str) -> list[str]:
    return [_text(entry.members.get("name")) for entry in _entries(merged, section)]


def _entries(merged: Mapping[str, Any], section: str) -> list[_Entry]:
    found = []
    listed = merged.get(section)
    for entry in listed if isinstance(listed, list) else []:
        members, path = getattr(entry, "value", entry), getattr(entry, "path", None)
        if isinstance(members, dict):
            found.append(_Entry(members, Path(path).absolute() if path else None))
    return found


def _named(merged: Mapping[str, Any], section: str, name: str, where: str) -> _Entry:
    matching = [entry for entry in _entries(merged, section) if entry.members.get("name") == name]
    if not matching:
        names = ", ".join(_names(merged, section)) or "none"
        raise ClusterNotConfigured(f"{where}: its {section} have no {name!r}; they have: {names}.")
    return matching[0]


def _members(entry: _Entry, member: str, source: str) -> dict[str, Any]:
    found = entry.members.get(member) or {}
    if not isinstance(found, dict):
        raise ClusterNotConfigured(f"{source}: {member} is not a mapping.")
    return found


def _connect(source: str, context: str, namespace: str, cluster: _Entry, user: _Entry) -> Connection:
    _refuse_plugins(source, user.members)
    server = _server(source, cluster.members)
    insecure = bool(cluster.members.get("insecure-skip-tls-verify"))
    certificate = _content(source, user, "client-certificate")
    key = _content(source, user, "client-key")
    if (certificate is None) != (key is None):
        raise ClusterNotConfigured(f"{source}: a client-certificate and its client-key come together only.")
    token = _token(source, user)
    name, password = _text(user.members.get("username")), _text(user.members.get("password"))
    warnings = []
    if insecure:
        warnings.append(f"{source} does not check the API server's certificate (insecure-skip-tls-verify).")
    if server.startswith("http:"):
        warnings.append(f"{source} reaches {server} without TLS: credentials and Secrets travel in the clear.")
    return Connection(
        server=server,
        source=source,
        authority=None if insecure else _content(source, cluster, "certificate-authority"),
        client_certificate=certificate,
        client_key=key,
        client_files=_client_files(source, user),
        token=token,
        basic=(name, password) if name and password and token is None else None,
        tls_server_name=_text(cluster.members.get("tls-server-name")),
        insecure=insecure,
        proxy=_proxy(source, server, _text(cluster.members.get("proxy-url"))),
        context=context,
        namespace=namespace,
        impersonation=_impersonation(source, user.members),
        warnings=tuple(warnings),
    )


def _refuse_plugins(source: str, user: Mapping[str, Any]) -> None:
    instead = (
        "Mainstay runs no programs for credentials: they would have to exist, and be trusted, on every machine "
        "where a worker runs. Use a client certificate or the token of a ServiceAccount instead "
        "(`kubectl create token`, or a Secret of type kubernetes.io/service-account-token)."
    )
    if user.get("exec"):
        plugin = user["exec"]
        command = _text(plugin.get("command")) if isinstance(plugin, dict) else ""
        raise ClusterNotConfigured(f"{source} gets its credentials from the exec plugin {command!r}. {instead}")
    if user.get("auth-provider"):
        provider = user["auth-provider"]
        name = _text(provider.get("name")) if isinstance(provider, dict) else ""
        raise ClusterNotConfigured(f"{source} gets its credentials from the auth-provider {name!r}. {instead}")


def _server(source: str, cluster: Mapping[str, Any]) -> str:
    server = _text(cluster.get("server")).rstrip("/")
    try:
        parts = urlsplit(server)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        valid = valid and server.isprintable() and " " not in server
    except ValueError:
        valid = False
    if not valid:
        raise ClusterNotConfigured(f"{source}: its server is not an address such as https://10.0.0.1:6443.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ClusterNotConfigured(f"{source}: its server must be an address only, without credentials or a query.")
    return server


def _content(source: str, entry: _Entry, member: str) -> bytes | None:
    data = entry.members.get(f"{member}-data")
    if data:
        try:
            return base64.b64decode(_text(data), validate=False)
        except (binascii.Error, ValueError):
            raise ClusterNotConfigured(f"{source}: {member}-data is not base64.") from None
    path = _text(entry.members.get(member))
    return _file(_local(source, entry, member, path), member, source) if path else None


def _client_files(source: str, user: _Entry) -> CertificateFiles | None:
    paths = [_text(user.members.get(member)) for member in ("client-certificate", "client-key")]
    inline = any(user.members.get(f"{member}-data") for member in ("client-certificate", "client-key"))
    if inline or not all(paths):
        return None
    certificate, key = (_local(source, user, "client-certificate", path) for path in paths)
    return CertificateFiles(certificate, key)


def _local(source: str, entry: _Entry, member: str, path: str) -> Path:
    if entry.file is None:
        raise ClusterNotConfigured(
            f"{source} names a file in {member}. A kubeconfig given as text must carry its content: {_FLATTEN}."
        )
    return entry.file.parent / path


def _file(path: Path, member: str, source: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClusterNotConfigured(f"{source}: {member} {path} cannot be read ({error.strerror}).") from error


def _token(source: str, user: _Entry) -> TokenSource | None:
    # tokenFile goes before token, as in client-go: the file is what something renews.
    path = _text(user.members.get("tokenFile"))
    if path:
        return TokenFile(_local(source, user, "tokenFile", path), source)
    token = _text(user.members.get("token")).strip()
    return fixed_token(token, source) if token else None


def _proxy(source: str, server: str, configured: str) -> str:
    proxy = configured or _environment_proxy(server)
    if not proxy:
        return ""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        scheme, valid = parts.scheme, bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        scheme, valid = "", False
    if scheme != "http" or not valid:
        raise ClusterNotConfigured(
            f"{source}: its proxy (proxy-url, or HTTPS_PROXY) must be an HTTP proxy such as http://proxy:3128; "
            f"{scheme or 'this'} is not supported."
        )
    return proxy


def _environment_proxy(server: str) -> str:
    """What Go's clients do: HTTPS_PROXY and NO_PROXY, and never a proxy to the machine itself."""
    parts = urlsplit(server)
    host = parts.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback or proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return ""
    return getproxies().get(parts.scheme, "")


def _impersonation(source: str, user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    groups, extra = user.get("as-groups") or [], user.get("as-user-extra") or {}
    if not isinstance(groups, list) or not isinstance(extra, dict):
        raise ClusterNotConfigured(f"{source}: as-groups is a list of names, as-user-extra a mapping of lists.")
    if user.get("as"):
        headers.append(("Impersonate-User", _text(user["as"])))
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", _text(user["as-uid"])))
    headers.extend(("Impersonate-Group", _text(group)) for group in groups)
    for name, values in extra.items():
        each = values if isinstance(values, list) else [values]
        headers.extend((f"Impersonate-Extra-{name}", _text(value)) for value in each)
    if not all(name.isprintable() and value.isprintable() and value.isascii() for name, value in headers):
        raise ClusterNotConfigured(f"{source}: whom to act as (as, as-groups, …) must be plain ASCII text.")
    return tuple(headers)


def _text(value: object) -> str:
    return "" if value is None else str(value)
