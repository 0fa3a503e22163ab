"""`infra/functions.json` for one stage: what Chalice's decorators cannot say, rendered and taken apart.

The only place of ops that reads the file.  `${stage}` stands where a stage's name belongs, inside `Fn::Sub`
too: unrendered, CloudFormation refuses the template, so that no stage points at another's queue by accident.
"""

import json
from pathlib import Path
from typing import Any

from chalicelib.errors import ConfigurationError
from cli.paths import ROOT

FUNCTIONS = ROOT / "infra" / "functions.json"

_STAGE = "${stage}"


def rendered(stage: str, path: Path = FUNCTIONS) -> str:
    """The file's text for a stage, ready for `chalice package --merge-template`.

    Raises ConfigurationError when it is not there or no JSON.
    """
    try:
        text = path.read_text()
        json.loads(text)
    except OSError as exc:
        raise ConfigurationError(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigurationError(f"{path.name} is not JSON: {exc}") from exc
    return text.replace(_STAGE, stage)


def decorated(function: str) -> dict[str, Any]:
    """What the decorator of an event handler in app.py says, in the words of Lambda's API."""
    from app import app

    sources: list[Any] = app.event_sources
    (source,) = [each for each in sources if each.name == function]
    said = {
        "BatchSize": source.batch_size,
        "MaximumBatchingWindowInSeconds": source.maximum_batching_window_in_seconds,
    }
    if getattr(source, "maximum_concurrency", None) is not None:
        said["ScalingConfig"] = {"MaximumConcurrency": source.maximum_concurrency}
    return said


def properties(stage: str, path: Path = FUNCTIONS) -> dict[str, dict[str, Any]]:
    """The properties of each resource the file names, by logical id."""
    resources = json.loads(rendered(stage, path))["Resources"]
    return {name: resource["Properties"] for name, resource in resources.items()}
