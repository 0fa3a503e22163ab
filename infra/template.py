"""`infra/resources.yaml` as data, as JSON, and as CloudFormation takes it in a request.

CloudFormation's short forms (`!Ref`, `!Sub`, …) come out in their long form, so that the result is the same
template as JSON.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # its stubs are not worth a requirement for one function

from cli.paths import ROOT

RESOURCES = ROOT / "infra" / "resources.yaml"

#: The largest template in a request (CloudFormation User Guide, "Quotas"); a larger one is read from S3.
MAX_BODY_BYTES = 51_200


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


def read(path: Path | None = None) -> dict[str, Any]:
    """Return the template as plain data."""
    template: dict[str, Any] = yaml.load((path or RESOURCES).read_text(), _Loader)
    return template


def compact(template: Mapping[str, Any]) -> str:
    """Return a template as JSON without white space, in which more of it fits into a request."""
    return json.dumps(template, separators=(",", ":"), ensure_ascii=False)


@cache
def as_json(path: Path) -> str:
    """Return the template at `path` as compact JSON, which an endpoint reads ten times faster than YAML."""
    return compact(read(path))


def argument(text: str, upload: Callable[[str], str]) -> dict[str, str]:
    """Return the argument of a CloudFormation call that gives it the template `text`.

    A template above MAX_BODY_BYTES is handed to `upload`, which returns its URL.
    """
    if len(text.encode()) <= MAX_BODY_BYTES:
        return {"TemplateBody": text}
    return {"TemplateURL": upload(text)}


def to_s3(s3: Any, bucket: str, stack: str, text: str) -> str:
    """Put a template into a bucket, under a key made of its content, and return its URL."""
    key = f"{stack}/{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json")
    # Path style, as the AWS CLI writes it (awscli/customizations/s3uploader.py).
    return f"{s3.meta.endpoint_url}/{bucket}/{key}"
