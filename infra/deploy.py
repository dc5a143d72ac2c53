"""Create or update a stage's stack: `deploy STAGE [NAME=VALUE …]`, after `make package`.

It needs boto3 and credentials as boto3 finds them, and nothing else: neither AWS's command line nor SAM's. The
package goes into a bucket of its own, `mainstay-deployments-<account>-<region>`; the stack is changed through a
change set, which is shown. Of the administrator's token only its SHA-256 leaves this machine.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from infra import admin_token
from infra.checks import (
    ROOT,
    DeploymentError,
    check_concurrency,
    check_parameters,
    check_stage,
    pairs,
    parameters_of,
)
from infra.deployment import Deployment
from infra.stack import PAUSE

#: At once, also into a pipe: what comes next takes minutes.
_say = partial(print, flush=True)


def main(
    arguments: Sequence[str], pause: float = PAUSE, clients: Callable[[], Callable[[str], Any]] | None = None
) -> int:
    """Deploy, and say what to do next; 1 with a sentence if that fails. `clients`: where AWS' come from."""
    from botocore.exceptions import BotoCoreError, ClientError

    given = _parser().parse_intermixed_args(arguments)  # options may stand among the parameters
    try:
        _deploy(given, pause, clients or _clients)
    except DeploymentError as error:
        print(f"error: {error}", file=sys.stderr)
    except ClientError as error:
        said = error.response.get("Error", {})
        print(
            f"error: AWS refuses {error.operation_name}: {str(said.get('Message', error)).rstrip('.')} "
            f"({said.get('Code', 'no code')}). Deploying takes the rights of an administrator of the account.",
            file=sys.stderr,
        )
    except BotoCoreError as error:
        print(
            f"error: AWS cannot be asked: {str(error).rstrip('.')}. Credentials and region are those that boto3 "
            "finds: `aws configure`, AWS_PROFILE, AWS_DEFAULT_REGION.",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print(
            "\nerror: Interrupted. What CloudFormation was asked for goes on at AWS; deploy again.", file=sys.stderr
        )
    else:
        return 0
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--check", action="store_true", help="only see whether it could be deployed")
    parser.add_argument(
        "--token-file",
        type=Path,
        help="the administrator's token: a new stack's, where it is made if need be; or in place of the one it had",
    )
    parser.add_argument("--new-token", action="store_true", help="give the administrator another token")
    parser.add_argument("--package", type=Path, help="where `make package` put it; default: dist/STAGE")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="parameters of infra/template.yaml")
    return parser


def _deploy(given: argparse.Namespace, pause: float, clients: Callable[[], Callable[[str], Any]]) -> None:
    parameters = pairs(given.parameters)
    check_stage(given.stage)
    check_parameters(parameters, parameters_of())
    stage = Deployment(given.stage, clients(), _say, pause)
    make = stage.stack.is_to_be_made()
    _say(
        f"{stage.stack.name} in account {stage.account}, {stage.region}: {'to be made' if make else 'to be updated'}"
    )
    if make:
        check_concurrency(parameters, parameters_of(), *stage.concurrency)
    if given.check:
        stage.taken_over(parameters, lambda _: None)
        return
    uploaded = stage.upload(given.package or ROOT / "dist" / given.stage)
    token = _token(given, parameters, None if make else stage.stack.parameters().get(admin_token.PARAMETER, ""))
    if token.said:
        _say(token.said)
    outputs = stage.bring(uploaded, {**token.parameters, **parameters})
    token.keep()
    _say("\n".join(next_steps(outputs, token.file)))


def _token(given: argparse.Namespace, parameters: dict[str, str], current: str | None) -> admin_token.Token:
    """The administrator's token. Last of all: what fails before leaves none behind."""
    if admin_token.PARAMETER in parameters:
        return admin_token.Token(None, None)
    file = given.token_file or _data_directory() / f"{given.stage}-token"
    return admin_token.choose(file, named=given.token_file is not None, new=given.new_token, current=current)


def next_steps(outputs: dict[str, str], token_file: Path | None) -> list[str]:
    """What to do with a stack, as lines."""
    mainstay = shlex.quote(str(Path(sys.executable).with_name("mainstay")))
    token = f"$(cat {shlex.quote(str(token_file))})" if token_file else "…, the administrator's token"
    return [
        "",
        f"The service answers at {outputs['EndpointURL'].rstrip('/')}",
        "Where there is no repository yet, make it, and write down the recovery key that is shown once:",
        f"  MAINSTAY_REPOSITORY={outputs['RepositoryAddress']} MAINSTAY_KMS_KEY={outputs['KmsKey']} \\",
        f"    {mainstay} repository init",
        "Then:",
        f"  export MAINSTAY_URL={outputs['EndpointURL'].rstrip('/')} MAINSTAY_TOKEN={token}",
        f"  {mainstay} app list",
        f"Roles to let into clusters: {outputs['ApiRole']} and {outputs['WorkerRole']}",
        "docs/deploy.md goes on from here.",
    ]


def _data_directory() -> Path:
    from platformdirs import user_data_path

    return user_data_path("mainstay") / "deployed"


def _clients() -> Callable[[str], Any]:
    import boto3

    session = boto3.session.Session()
    if session.region_name is None:
        raise DeploymentError("No region is set: name one in AWS_DEFAULT_REGION.")
    return cache(session.client)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
