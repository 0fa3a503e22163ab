"""`infra/resources.yaml` as data: the only place that reads CloudFormation's YAML.

CloudFormation's short forms (`!Ref`, `!Sub`, …) come out in their long form, so that the result is the same
template as JSON.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # its stubs are not worth a requirement for one function

from cli.paths import ROOT

RESOURCES = ROOT / "infra" / "resources.yaml"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped, see above
    """YAML with CloudFormation's tags."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode), node
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


def read(path: Path = RESOURCES) -> dict[str, Any]:
    """The template as plain data."""
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return template


@cache
def as_json(path: Path = RESOURCES) -> str:
    """The template as JSON, which an endpoint reads ten times faster than the YAML."""
    return json.dumps(read(path))
