"""The package as Lambda would have it: unpacked elsewhere, its handlers run by their handler strings."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.harness.cache import cache_root, locked

ROOT = Path(__file__).parents[2]
RUNTIME = Path(__file__).with_name("lambda_runtime.py")
STAGE = "dev"
#: What the package is made of. The same in, the same out: it is made once for each state of these.
MADE_OF = ("app.py", "chalicelib", "requirements.txt", ".chalice/config.json", "infra/template.yaml", "policies")


@dataclass(frozen=True)
class Package:
    """A folder as `make package` leaves it, and its zip unpacked."""

    folder: Path

    @property
    def unpacked(self) -> Path:
        return self.folder / "unpacked"

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        """The template's functions by the last part of their names: api, work, tick, dead-letter, bucket."""
        (file,) = [path for path in self.folder.glob("sam.*") if path.suffix in {".json", ".yaml"}]
        import yaml

        template = yaml.safe_load(file.read_text())
        shared = template["Globals"]["Function"]["Environment"]["Variables"]
        found = {}
        for body in template["Resources"].values():
            if body["Type"] == "AWS::Serverless::Function":
                properties = body["Properties"]
                name = properties["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
                own = properties.get("Environment", {}).get("Variables", {})
                found[name] = {"handler": properties["Handler"], "variables": sorted({*shared, *own})}
        return found


def make_package() -> Package:
    """The package of the checkout as it is now, from the cache if it was made before."""
    digest = hashlib.sha256(sys.version.encode())
    for part in MADE_OF:
        root = ROOT / part
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    folder = cache_root() / "package" / digest.hexdigest()[:16]
    with locked("package", seconds=900, waiting="another process makes the package; waiting for it"):
        if not folder.exists():
            _forget_old(folder.parent)
            aside = folder.with_suffix(".made")
            shutil.rmtree(aside, ignore_errors=True)
            chalice = [str(Path(sys.executable).with_name("chalice")), "package", "--stage", STAGE]
            made = subprocess.run(
                [*chalice, "--merge-template", "infra/template.yaml", str(aside)],
                cwd=ROOT,
                env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
            assert made.returncode == 0, f"{made.stdout}\n{made.stderr[-3000:]}"
            with zipfile.ZipFile(aside / "deployment.zip") as archive:
                archive.extractall(aside / "unpacked")
            aside.rename(folder)
    return Package(folder)


def _forget_old(packages: Path) -> None:
    """Each is 200 MB. One that was made today may be in use by another run."""
    for old in packages.glob("*"):
        if time.time() - old.stat().st_mtime > 24 * 3600:
            shutil.rmtree(old, ignore_errors=True)


@dataclass
class Function:
    """One function, warm: a process that has imported its module and waits for events."""

    name: str
    process: subprocess.Popen[str]
    log: Path
    #: What it said when it had started: its search path, and where its module is from.
    greeting: dict[str, Any] = field(default_factory=dict)

    def __call__(self, event: Mapping[str, Any], seconds: float = 29) -> Any:
        """What the handler answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"event": event, "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        said = self.read(seconds + 30)
        assert "error" not in said, said["error"]
        return said["answer"]

    def read(self, seconds: float) -> Any:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else ""
        assert line, f"{self.name} said nothing within {seconds} s:\n{self.log.read_text()[-3000:]}"
        return json.loads(line)


@dataclass
class Deployed:
    """The package's functions with their environment as the template gives it, and nothing of the checkout."""

    package: Package
    directory: Path
    #: A value for every variable that the template sets, and what leads boto3 to LocalStack.
    values: Mapping[str, str]
    access: Mapping[str, str]
    stack: ExitStack = field(default_factory=ExitStack)
    warm: dict[str, Function] = field(default_factory=dict)

    def function(self, name: str) -> Function:
        """A function of the template by its name, started at first use."""
        if name not in self.warm:
            self.warm[name] = self.stack.enter_context(self._started(name))
        return self.warm[name]

    @contextmanager
    def _started(self, name: str) -> Iterator[Function]:
        described = self.package.functions[name]
        environment = {
            **{variable: self.values[variable] for variable in described["variables"]},
            **self.access,
            "AWS_LAMBDA_FUNCTION_NAME": f"mainstay-{name}",
            "LAMBDA_TASK_ROOT": str(self.package.unpacked),
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.directory),
            "TZ": ":UTC",
        }
        # The interpreter itself: that of the virtual environment would bring its packages along.
        python = Path(sys.executable).resolve()
        log = self.directory / f"{name}.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [python, "-I", "-S", RUNTIME, self.package.unpacked, described["handler"]],
                env=environment,
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        try:
            function = Function(name, process, log)
            function.greeting = function.read(60)
            yield function
        finally:
            process.kill()
            process.communicate()

    def ask(self, method: str, path: str, body: Any = None, token: str = "", resource: str = "") -> Any:
        """One request as API Gateway hands it to the API's function; its decoded answer, which must be a success."""
        answer = self.function("api")(_proxy_event(method, path, body, token, resource))
        content = answer["body"]
        if answer.get("isBase64Encoded"):
            content = base64.b64decode(content)
        assert answer["statusCode"] in {200, 202}, (answer["statusCode"], content)
        return json.loads(content)

    def logs(self) -> str:
        """What all functions wrote."""
        return "\n".join(function.log.read_text() for function in self.warm.values())


def _proxy_event(method: str, path: str, body: Any, token: str, resource: str) -> dict[str, Any]:
    parts = urlsplit(path)
    route = resource or parts.path
    named = dict(zip(route.strip("/").split("/"), parts.path.strip("/").split("/"), strict=True))
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query):
        query.setdefault(name, []).append(value)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "host": "api.example"}
    request = str(uuid.uuid4())
    return {
        "resource": route,
        "path": parts.path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": {name[1:-1]: value for name, value in named.items() if name.startswith("{")} or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route,
            "httpMethod": method,
            "path": f"/api{parts.path}",
            "stage": "api",
            "requestId": request,
            "requestTimeEpoch": int(time.time() * 1000),
            "accountId": "000000000000",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "test"},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
