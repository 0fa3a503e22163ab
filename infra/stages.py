"""`infra/stages.json`: what the data stack of each deployed stage is made with.

A stage's entry holds parameters of `infra/resources.yaml`; those it does not name have the template's
default.  `TemplateBucket` beside them is no parameter: it names the bucket through which a template goes to
CloudFormation that is too large for a request.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from chalicelib import settings
from chalicelib.errors import ConfigurationError
from infra import template

STAGES = template.RESOURCES.with_name("stages.json")

_TEMPLATE_BUCKET = "TemplateBucket"


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A deployed stage's settings; `parameters` are complete but for the template's defaults."""

    parameters: dict[str, str]
    template_bucket: str | None


def read(name: str, this_time: Mapping[str, str] | None = None, path: Path | None = None) -> Stage:
    """Return a stage's settings; those of `this_time` win over the file's.

    Raises ConfigurationError for a stage that the file does not name, as the laptop's own, and for a
    parameter that the template lacks.
    """
    path = path or STAGES
    try:
        stages = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, str | int]])
    except OSError as exc:
        raise ConfigurationError(f"infra/{path.name}: {exc.strerror}") from exc
    except msgspec.DecodeError as exc:
        raise ConfigurationError(f"infra/{path.name} is no list of stages: {exc}") from exc
    if name not in stages:
        raise ConfigurationError(
            f"stage {name!r} is not in infra/{path.name}; it has {', '.join(sorted(stages))}: name one with "
            "--stage. The laptop's own is not deployed; `make serve` makes it"
        )
    given = {key: str(value) for key, value in stages[name].items()} | dict(this_time or {})
    bucket = given.pop(_TEMPLATE_BUCKET, None)
    known = template.read()["Parameters"]
    if unknown := sorted(given.keys() - known.keys()):
        raise ConfigurationError(
            f"infra/{path.name}, {name}: no such parameter {', '.join(unknown)}; "
            f"there are {', '.join([*known, _TEMPLATE_BUCKET])}"
        )
    return Stage(
        parameters={"AppName": settings.APP_NAME, "Stage": name, **given}, template_bucket=bucket or None
    )
