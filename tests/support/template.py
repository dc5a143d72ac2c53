"""The template that `make package` makes, without the minutes that the package itself takes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml

ROOT = Path(__file__).parents[2]
MERGED = ROOT / "infra" / "template.yaml"


@cache
def _packaged(stage: str) -> str:
    from chalice.cli.factory import CLIFactory
    from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
    from chalice.deploy.deployer import create_build_stage
    from chalice.deploy.models import LambdaFunction
    from chalice.deploy.swagger import CFNSwaggerGenerator
    from chalice.package import PackageOptions, ResourceBuilder, SAMTemplateGenerator, TemplateDeepMerger
    from chalice.utils import UI, OSUtils

    class NoPackage:
        """In place of the step that asks pip for everything."""

        def handle(self, _config: Any, resource: Any) -> None:
            if isinstance(resource, LambdaFunction):
                resource.deployment_package.filename = "./deployment.zip"

    factory = CLIFactory(str(ROOT))
    config = factory.create_config_obj(chalice_stage_name=stage)
    build = create_build_stage(OSUtils(), UI(), CFNSwaggerGenerator(), config)
    build._steps = [step if "Packager" not in type(step).__name__ else NoPackage() for step in build._steps]
    resources = ResourceBuilder(ApplicationGraphBuilder(), DependencyBuilder(), build).construct_resources(
        config, stage
    )
    options = PackageOptions(_Partition())
    template = SAMTemplateGenerator(config, options).generate(resources)
    merged = TemplateDeepMerger().merge(yaml.safe_load(MERGED.read_text("utf-8")), template)
    return json.dumps(merged)


class _Partition:
    """What Chalice asks AWS's client about the partition."""

    region_name = "eu-central-1"

    def endpoint_dns_suffix(self, _service: str, _region: str) -> str:
        return "amazonaws.com"

    def service_principal(self, service: str, *_where: str) -> str:
        return f"{service}.amazonaws.com"


def packaged_template(stage: str) -> dict[str, Any]:
    """The template of a stage as `chalice package --merge-template` writes it."""
    template: dict[str, Any] = json.loads(_packaged(stage))
    return template


def translated_template(stage: str) -> dict[str, Any]:
    """The same in CloudFormation's own resources, as its SAM transform makes them."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    managed = {
        name: f"arn:aws:iam::aws:policy/service-role/{name}"
        for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole")
    }
    # CloudFormation has the package in a bucket by then: `infra/deploy.py` sees to that.
    template = packaged_template(stage)
    for resource in template["Resources"].values():
        if resource.get("Type") == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://deployments/package.zip"
    # It looks for a region to know the partition.
    session = boto3.session.Session(region_name=_Partition.region_name)
    translated: dict[str, Any] = Translator(managed, Parser(), None, session).translate(template, parameter_values={})
    return translated
