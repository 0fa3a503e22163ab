"""The environment of a stage, for command lines run by a person.

The only reader of `.chalice/config.json` outside Chalice itself, so that `python -m producer` in a bare
terminal talks to the same stream as `chalice local --stage local`.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib.errors import ConfigurationError
from cli.paths import ROOT

CONFIG = ROOT / ".chalice" / "config.json"


def environment(stage: str, config: Path = CONFIG) -> dict[str, str]:
    """The environment variables that `.chalice/config.json` gives a stage.

    Raises ConfigurationError when the file has no such stage.
    """
    chalice = json.loads(config.read_text())
    if stage not in chalice["stages"]:
        known = ", ".join(sorted(chalice["stages"]))
        raise ConfigurationError(f"stage {stage!r} is not in .chalice/config.json; it has {known}")
    shared: dict[str, str] = chalice.get("environment_variables", {})
    return {**shared, **chalice["stages"][stage].get("environment_variables", {})}


def use(stage: str | None) -> None:
    """Fill this process's environment with the stage's variables; what is already set stays.

    `stage` None means LIFECYCLE_STAGE, and `local` where that is not set.  A stage that was named
    explicitly wins over LIFECYCLE_STAGE.
    """
    if stage is not None:
        os.environ["LIFECYCLE_STAGE"] = stage
    fill(os.environ.setdefault("LIFECYCLE_STAGE", "local"))


def fill(stage: str, config: Path = CONFIG) -> None:
    """Set what the stage's environment says and this process's environment does not.

    A stage that brings its own endpoint brings the credentials and the region for it: those of somebody's
    shell belong to AWS, and neither fit there nor should go there.  An endpoint that is set already wins,
    and what the shell says about AWS holds for it.
    """
    variables = environment(stage, config)
    if "AWS_ENDPOINT_URL" in variables and not os.environ.get("AWS_ENDPOINT_URL"):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        _bypass_proxy(urlsplit(variables["AWS_ENDPOINT_URL"]).hostname or "")
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def _bypass_proxy(host: str) -> None:
    """A proxy for the outside world has no way to this machine's loopback."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), host)))


def child_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with some variables replaced, for a process we start."""
    return {**os.environ, **overrides}
