"""What `ops package` builds: the zip by itself, and all of it created by CloudFormation, under IAM."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import boto3
import pytest

from chalicelib import settings
from chalicelib.errors import ConfigurationError
from infra import functions
from ops.deploy import package
from tests.support.deploying_project import asked
from tests.support.deployment_fixtures import STAGE, deploy
from tests.support.headings import says
from tests.support.waiting import eventually

#: Measured 2.0 MB.  Lambda unpacks it at every cold start.
MOST_BYTES = 4_000_000


def test_the_zip_imports_app_with_nothing_else_but_boto3(packaged: package.Package, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(packaged.zip) as archive:
        archive.extractall(unpacked)
        names = archive.namelist()
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    site = tmp_path / "boto3-only"
    _link_boto3(site)

    # -I: nothing of ours on the path.  Lambda puts the task's root and boto3 there.
    program = f"import sys; sys.path[:0] = [{str(unpacked)!r}, {str(site)!r}]; " + PROGRAM
    answer = subprocess.run(
        [bare / "bin" / "python", "-I", "-c", program], capture_output=True, text=True, cwd="/"
    )

    assert answer.returncode == 0, answer.stderr
    assert "process_lifecycle" in answer.stdout
    outside = [
        name for name in names if name.split("/")[0] in ("tests", "infra", "ops", "local", "producer", "cli")
    ]
    assert outside == []
    print(f"deployment.zip: {packaged.zip_bytes:,} bytes, {len(names)} files")
    assert packaged.zip_bytes < MOST_BYTES


#: Everything that an invocation would import, and where it came from.
PROGRAM = """
import importlib, pkgutil
import app, chalicelib
for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
    importlib.import_module(module.name)
from chalicelib.api import pages
from chalicelib.stream import records
from chalicelib.telemetry import logs
logs.logger()
import jinja2, msgspec
print(sorted(app.app.handler_map))
"""


def _link_boto3(site: Path) -> None:
    """A directory with boto3 and what it needs, as in Lambda's runtime."""
    import boto3 as one_of_them

    site.mkdir()
    installed = Path(one_of_them.__file__).parents[1]
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py"):
        (site / name).symlink_to(installed / name)


def test_the_merged_template_is_clean_and_has_every_setting(packaged: package.Package) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    answer = subprocess.run(
        [linter, "-r", "eu-west-1", "-t", packaged.template], capture_output=True, text=True
    )
    assert (answer.returncode, answer.stdout) == (0, "")

    resources = json.loads(Path(packaged.template).read_text())["Resources"]
    for name, wanted in functions.properties(STAGE).items():
        properties = resources[name]["Properties"]
        for event, source in wanted.pop("Events", {}).items():
            assert properties["Events"][event]["Properties"].items() >= source["Properties"].items()
        variables = wanted.pop("Environment", {}).get("Variables", {})
        assert properties.items() >= wanted.items()
        if name != "RestAPI":
            assert properties["Environment"]["Variables"].items() >= variables.items()


def test_settings_for_a_function_that_is_gone_are_refused(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    settings_file = copy / "infra" / "functions.json"
    settings_file.write_text(settings_file.read_text().replace('"TriageDeadLetters":', '"TriageLetters":'))

    with pytest.raises(
        package.PackageError, match=r"settings for TriageLetters, which app\.py does not define"
    ):
        package.build(STAGE, tmp_path / "dist", copy)


def test_a_policy_file_changed_by_hand_is_refused(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    policy = copy / ".chalice" / f"policy-{STAGE}-api_handler.json"
    policy.write_text(policy.read_text().replace("dynamodb:Query", "dynamodb:*"))

    with pytest.raises(
        ConfigurationError, match=r"policy-dev-api_handler.json: not what ops/deploy/policies.py says"
    ):
        package.build(STAGE, tmp_path / "dist", copy)


def test_a_requirement_without_a_wheel_is_refused(packaged: package.Package, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# what ships\nmsgspec==0.22.0\nno-such_package==1.0\n")

    with pytest.raises(package.PackageError, match=r"deployment.zip lacks no-such-package: ") as refused:
        package.check_zip(Path(packaged.zip), requirements)
    assert says("… lacks …", str(refused.value))


def test_what_is_packaged_keeps_events_and_answers_only_who_may_ask(
    packaged: package.Package, cloud: str, token: str
) -> None:
    api = deploy(packaged, cloud)
    kinesis = boto3.client("kinesis")
    for number in range(3):
        event = {"serial": "SN-PACKAGED", "type": "service", "occurred_at": f"2026-11-2{number}T10:00:00Z"}
        kinesis.put_record(
            StreamName=settings.stream_name(), Data=json.dumps(event).encode(), PartitionKey="SN-PACKAGED"
        )
    kinesis.put_record(StreamName=settings.stream_name(), Data=b"no event", PartitionKey="SN-BROKEN")

    assert eventually(lambda: len(asked(f"{api}products/SN-PACKAGED", token)[1].get("history", [])) == 3)
    assert eventually(lambda: _quarantined() == {"not_json"})

    assert asked(f"{api}products/SN-PACKAGED")[0] == 401
    assert asked(f"{api}products/SN-PACKAGED", token + "x")[0] == 403
    assert asked(f"{api}health")[0] == 200
    for nowhere in ("products", "no/such/address", "products/SN-PACKAGED/nope"):
        assert asked(f"{api}{nowhere}") == (
            404,
            {
                "Code": "NotFoundError",
                "Message": "there is nothing at this address; GET /openapi.json says what there is",
            },
        )


def _quarantined() -> set[str]:
    found = boto3.client("dynamodb").scan(TableName=settings.quarantine_table())["Items"]
    return {item["reason"]["S"] for item in found}
