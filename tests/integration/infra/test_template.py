"""The template on its way to CloudFormation: in the request, or through S3 when it is too large for one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from infra import stages, template
from local import stack as local_stack
from ops import clients
from ops.__main__ import main
from ops.deploy import change_set
from tests.support.headings import says

STACK = "lifecycle-dev-data"
BUCKET = "lifecycle-test-templates"


@pytest.fixture
def endpoint(aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The embedded endpoint, a stage of the test's own, and no stack afterwards."""
    path = tmp_path / "stages.json"
    path.write_text(json.dumps({"dev": {"Data": "disposable", "Watching": "off"}}))
    monkeypatch.setattr(stages, "STAGES", path)
    monkeypatch.setattr(change_set, "POLL_S", 0.02)
    clients.reset()
    yield
    clients.reset()
    local_stack.remove(boto3.client("cloudformation"), "dev")


@pytest.fixture
def padded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The template, grown beyond what a request takes."""
    path = tmp_path / "resources.yaml"
    padding = "".join(f"  Padding{number}: {{Value: {'x' * 900}}}\n" for number in range(20))
    # Without saved queries: the endpoint's change sets refuse them.
    before, _, rest = template.RESOURCES.read_text().partition("  # --- saved queries")
    path.write_text(f"{before}Outputs:{rest.partition('Outputs:')[2]}{padding}")
    monkeypatch.setattr(template, "RESOURCES", path)
    monkeypatch.setattr(local_stack, "TEMPLATE", path)
    assert len(template.as_json(path)) > template.MAX_BODY_BYTES
    return path


@pytest.fixture
def bucket(aws: str) -> Iterator[str]:
    s3 = boto3.resource("s3").Bucket(BUCKET)
    s3.create(CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield BUCKET
    s3.objects.delete()
    s3.delete()


def apply(*options: str) -> int:
    return main(["stack", "apply", "--stage", "dev", "--yes", *options])


def outputs() -> set[str]:
    stack = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {each["OutputKey"] for each in stack["Outputs"]}


def test_the_template_goes_as_compact_json_in_the_request(endpoint: None) -> None:
    text = template.as_json(template.RESOURCES)

    assert json.loads(text) == template.read()
    assert len(text) < len(json.dumps(template.read())), "white space takes room in a request"
    assert template.argument(text, lambda _: pytest.fail("uploaded")) == {"TemplateBody": text}

    sent: list[Any] = []
    clients.cloudformation().meta.events.register(
        "provide-client-params.cloudformation.CreateChangeSet", lambda params, **_: sent.append(params)
    )
    # The endpoint's change sets refuse saved queries, unless they are left out.
    assert apply("--dry-run", "--set", "Watching=off") == EXIT_OK
    assert [each["TemplateBody"] for each in sent] == [text]


def test_a_template_too_large_for_a_request_goes_through_the_bucket_that_is_named(
    endpoint: None, padded: Path, bucket: str
) -> None:
    assert apply("--set", f"TemplateBucket={bucket}") == EXIT_OK

    [stored] = boto3.resource("s3").Bucket(bucket).objects.all()
    assert stored.key.startswith(f"{STACK}/")
    assert stored.get()["Body"].read().decode() == template.as_json(padded)
    assert "Padding0" in outputs()
    # The same template has the same key.
    assert apply("--set", f"TemplateBucket={bucket}") == EXIT_OK
    assert len(list(boto3.resource("s3").Bucket(bucket).objects.all())) == 1


def test_without_a_bucket_a_large_template_is_refused_with_the_remedy(
    endpoint: None, padded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply() == EXIT_USAGE

    said = capsys.readouterr().err
    assert "and a request to CloudFormation takes 51,200; a larger one goes by S3: name a bucket" in said
    assert "--set TemplateBucket=NAME" in said
    assert says("the template has … bytes", said)


def test_a_bucket_that_does_not_exist_is_named(
    endpoint: None, padded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply("--set", "TemplateBucket=not-there") == EXIT_FAILED

    said = capsys.readouterr().err
    assert "the template cannot be put into the bucket not-there: NoSuchBucket" in said
    assert says("the template cannot be put into the bucket", said)


def test_the_laptop_s_stack_takes_a_large_template_too(endpoint: None, padded: Path) -> None:
    cloudformation = boto3.client("cloudformation")

    for _ in range(2):
        local_stack.ensure(cloudformation, "dev", shards=1)

    assert "Padding0" in outputs()
