"""`ops package`: builds a stage's template and zip, and checks them.

`chalice package` does the work.  What it lets pass is refused here: a policy file that is not the table's
(ops/deploy/policies.py), a requirement without a wheel for Lambda, and settings of a function that does not
exist.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec

from chalicelib import settings
from chalicelib.errors import ConfigurationError
from cli import stage as stages
from cli.arguments import Commands
from cli.exits import EXIT_FAILED, EXIT_OK
from cli.output import to_stderr
from cli.paths import ROOT
from infra import functions
from ops import arguments
from ops.deploy import policies
from ops.output import CommandError, print_json, print_line

EXAMPLES = """\
  # dist/dev: sam.json and deployment.zip
  python -m ops package --stage dev

  # somewhere else, the facts as JSON
  python -m ops package --stage prod --out build/prod --json
"""


class PackageError(CommandError):
    """The package must not be deployed.  The message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, EXIT_FAILED)


class Package(msgspec.Struct, frozen=True):
    """The files that were built."""

    stage: str
    template: str
    zip: str
    zip_bytes: int


def add(nouns: Commands, help: str) -> None:
    """Add the noun to the command line."""
    parser = arguments.command(nouns, "package", help, EXAMPLES, run=run)
    parser.add_argument("--out", type=Path, help="directory (default: dist/STAGE)")


def run(args: argparse.Namespace) -> int:
    """Build; the paths are the answer."""
    stage = settings.stage()
    package = build(stage, args.out or ROOT / "dist" / stage)
    if args.json:
        print_json(msgspec.to_builtins(package))
        return EXIT_OK
    print_line(package.template)
    print_line(f"{package.zip} ({package.zip_bytes / 1e6:.1f} MB)")
    deployable = f"{Path(package.template).parent}/deploy.json"
    to_stderr(
        f"next: aws cloudformation package --template-file {package.template} --s3-bucket BUCKET "
        f"--use-json --output-template-file {deployable}"
    )
    to_stderr(
        f"then: aws cloudformation deploy --template-file {deployable} "
        f"--stack-name {settings.APP_NAME}-{stage} --capabilities CAPABILITY_IAM"
    )
    return EXIT_OK


def build(stage: str, out: Path, root: Path = ROOT) -> Package:
    """Package the project at `root` for a stage into `out`.

    Raises ConfigurationError for what is wrong before, PackageError for what is wrong with the result.
    """
    configured = stages.environment(stage, root / ".chalice" / "config.json")
    if stale := policies.stale(stage, root / ".chalice"):
        raise ConfigurationError(
            f"{', '.join(path.name for path in stale)}: not what ops/deploy/policies.py says; "
            f"run python -m ops policies --stage {stage}"
        )
    out.mkdir(parents=True, exist_ok=True)
    merged = out / "functions.json"
    settings_file = root / "infra" / "functions.json"
    merged.write_text(functions.rendered(stage, settings_file))
    command = [str(Path(sys.executable).with_name("chalice")), "package", "--stage", stage]
    answer = subprocess.run(
        [*command, "--merge-template", str(merged.resolve()), str(out.resolve())],
        cwd=root,
        env=_environment(configured),
        capture_output=True,
        text=True,
    )
    if answer.returncode != 0:
        raise PackageError(f"chalice package failed:\n{(answer.stderr or answer.stdout).strip()}")
    template, archive = out / "sam.json", out / "deployment.zip"
    _check_template(template, functions.properties(stage, settings_file))
    check_zip(archive, root / "requirements.txt")
    return Package(stage, str(template), str(archive), archive.stat().st_size)


def _environment(configured: dict[str, str]) -> dict[str, str]:
    """Return this process's environment, its own LIFECYCLE_ variables replaced by the stage's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}
    # Chalice wants a region, and takes no more from it than its partition.
    return {"AWS_DEFAULT_REGION": "us-east-1", **own, **configured}


def _check_template(path: Path, merged: dict[str, dict[str, Any]]) -> None:
    resources = json.loads(path.read_text())["Resources"]
    for name in merged:
        if "Type" not in resources.get(name, {}):
            raise PackageError(
                f"infra/functions.json has settings for {name}, which app.py does not define; it defines "
                + ", ".join(sorted(id_ for id_, resource in resources.items() if "Type" in resource))
            )
        for event, source in resources[name]["Properties"].get("Events", {}).items():
            if "Type" not in source:
                raise PackageError(
                    f"infra/functions.json has settings for {name}'s {event}, which app.py lacks"
                )


def check_zip(path: Path, requirements: Path) -> None:
    """Raise PackageError for a requirement that is not inside: chalice only warns about a missing wheel."""
    with zipfile.ZipFile(path) as archive:
        installed = {
            _normal(match[1])
            for match in (re.match(r"([^/]+?)-[^/-]+\.dist-info/", name) for name in archive.namelist())
            if match
        }
    wanted = {
        _normal(name)
        for name in re.findall(r"^[A-Za-z0-9][A-Za-z0-9._-]*", requirements.read_text(), re.MULTILINE)
    }
    missing = sorted(wanted - installed)
    if missing:
        raise PackageError(
            f"{path.name} lacks {', '.join(missing)}: chalice found no wheel that runs on Lambda; "
            "see the output of chalice package --debug"
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
