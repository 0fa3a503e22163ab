"""docs/deploying.md as somebody types it, deploying a package: there, asked, back, gone, in a stack again."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.exits import EXIT_FAILED, EXIT_OK
from local.emulator import process
from ops.__main__ import parser
from tests.support import deploying_project
from tests.support.deploying_project import Terminal, commands
from tests.support.package_stage import (
    BACK,
    CURL,
    DELETE,
    DEPLOY,
    DOCTOR,
    FINE,
    HISTORY,
    KEEP,
    LOOK,
    MAKE_BUCKET,
    PACKAGE,
    SEND,
    STACK,
    UPLOAD,
    Stage,
)
from tests.support.parsers import leaves_of
from tests.support.waiting import eventually


@pytest.fixture(scope="session")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with the requirements in it, fetched once for all tests here."""
    scratch = tmp_path_factory.mktemp("once")
    terminal = Terminal(deploying_project.project(scratch / "project"), scratch)
    terminal.does(PACKAGE)
    return terminal.project / ".chalice" / "deployments"


@pytest.fixture
def stage(deployments: Path, tmp_path: Path) -> Iterator[Stage]:
    """The stage with its data stack and a bucket, and no functions yet."""
    running = process.start(log_path=tmp_path / "endpoint.log")
    try:
        terminal = Terminal(deploying_project.project(tmp_path / "project", deployments), tmp_path)
        made = Stage(terminal, running.url.rpartition(":")[2])
        made.does(deploying_project.exported(made.port))
        made.does(MAKE_BUCKET)
        assert re.search(r"Add +Events +AWS::Kinesis::Stream", made.does(STACK))
        yield made
    finally:
        running.stop()


def test_a_package_is_deployed_asked_and_taken_back_as_the_page_says(stage: Stage) -> None:
    does, terminal = stage.does, stage.terminal
    token = stage.makes_a_token()
    stage.is_deployed()
    does(KEEP)
    looked = stage.types(DOCTOR)
    assert looked.returncode == EXIT_FAILED
    assert re.findall(r"^FAIL  (.*?) \(", looked.stdout, re.M) == [
        "stream, tables and queues are encrypted",
        "tables can be restored to any second of the last 35 days",
        "every alarm is there",
    ]

    serial = stage.sends()
    curl = CURL.replace("SERIAL", serial).replace("ADDRESS", stage.api())
    story = json.loads(does(curl, TOKEN=token))
    assert (story["serial"], len(story["history"])) == (serial, 1)
    assert json.loads(does(curl, TOKEN="lch_nobody"))["Code"] == "ForbiddenError"

    # Another version; and one whose zip is gone from the bucket: that is taken back.
    terminal.edits("chalicelib/api/routes.py", *FINE)
    stage.is_deployed()
    assert stage.is_asked("health") == (200, {"status": "fine"})
    template = terminal.project / "dist" / "prod" / "deploy.json"
    template.write_text(re.sub(r"(s3://deployments)/\w+", r"\1/deleted", template.read_text()))
    assert "Failed to create/update the stack" in stage.types(DEPLOY).stderr
    assert stage.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert stage.is_asked("health") == (200, {"status": "fine"})

    # What was revoked since stays so.
    does("python -m ops token revoke --stage prod --name dealer-portal")
    todays_token = stage.makes_a_token()
    does(BACK)
    assert stage.is_asked("health") == (200, {"status": "ok"})
    assert stage.types(LOOK).stdout == looked.stdout
    assert json.loads(does(curl, TOKEN=todays_token)) == story
    assert json.loads(does(curl, TOKEN=token))["Code"] == "ForbiddenError"


def test_without_a_kept_template_the_older_commit_is_packaged_again(stage: Stage) -> None:
    steps = re.search(
        r"Without a kept template: `(git .*?)`, `(make .*?)`, then",
        deploying_project.section("Deployed as a package"),
    )
    assert steps
    first = stage.terminal.commits("the first")
    stage.terminal.edits("chalicelib/api/routes.py", *FINE)
    stage.terminal.commits("the second")
    stage.is_deployed()
    assert stage.is_asked("health") == (200, {"status": "fine"})

    for step in steps.groups():
        stage.does(step, COMMIT=first)
    stage.is_deployed()

    assert stage.is_asked("health") == (200, {"status": "ok"})


def test_a_first_deployment_that_failed_is_deleted_and_made_again(stage: Stage) -> None:
    stage.does(PACKAGE)
    stage.does(UPLOAD)
    template = stage.terminal.project / "dist" / "prod" / "deploy.json"
    good = json.loads(template.read_text())
    broken = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 72_000}}
    template.write_text(json.dumps({**good, "Resources": {**good["Resources"], "Broken": broken}}))
    assert stage.types(DEPLOY).returncode != EXIT_OK
    assert stage.status() == "ROLLBACK_COMPLETE"
    template.write_text(json.dumps(good))
    # Kinder than AWS, as the page says: it takes an update even so.
    stage.does(DEPLOY)

    for command in DELETE:
        stage.does(command)
    stage.does(DEPLOY)

    assert stage.is_asked("health") == (200, {"status": "ok"})


def test_a_stage_that_was_kept_goes_into_a_stack_again_or_for_good(stage: Stage) -> None:
    does = stage.does
    delete_table = "aws dynamodb delete-table --table-name lifecycle-prod-history"
    stage.is_deployed()
    serial = stage.sends()

    for command in commands("The whole stage"):
        does(command)
    assert does("aws logs describe-log-groups --query 'logGroups[].logGroupName'") == "[]\n"
    assert "protected against deletion" in stage.types(delete_table).stderr
    later = stage.sends()  # the functions go on

    refused = stage.types(STACK)
    assert refused.returncode == EXIT_FAILED
    adopt, apply = commands("What was kept, into a stack again")
    assert adopt in refused.stderr
    imported = does(adopt)
    assert len(re.findall(r"^Import +\w+ +AWS::(?:Kinesis|DynamoDB|SQS)::", imported, re.M)) == 5
    changes = does(apply)
    assert re.search(r"^Modify +Events +AWS::Kinesis::Stream +False$", changes, re.M)
    assert re.search(r"^Add +ProcessLogs ", changes, re.M)
    assert "is up to date" in stage.types(apply).stderr
    for each in (serial, later, stage.sends()):
        does(HISTORY, SERIAL=each)

    for command in DELETE:
        does(command)
    stage.terminal.edits(
        "infra/stages.json", '"prod": { "Data": "kept" }', '"prod": { "Data": "disposable" }'
    )
    for command in commands("What was kept, gone for good"):
        does(command)
    assert does("aws dynamodb list-tables --query TableNames") == "[]\n"
    assert does("aws kinesis list-streams --query StreamNames") == "[]\n"
    # This CLI asks AWS about queues whatever AWS_ENDPOINT_URL says.
    assert does("aws sqs list-queues --query QueueUrls --endpoint-url $AWS_ENDPOINT_URL") == "[]\n"


def test_a_parameter_is_put_back_and_what_a_bad_version_did_is_undone(stage: Stage) -> None:
    retention = (
        "aws kinesis describe-stream-summary --stream-name lifecycle-prod-events --output text --query"
    )
    retention += " StreamDescriptionSummary.RetentionPeriodHours"
    [apply] = commands("A parameter of the data stack")
    shorter = '"Data": "kept", "RetentionHours": 24'
    stage.terminal.edits("infra/stages.json", '"prod": { "Data": "kept"', f'"prod": {{ {shorter}')
    stage.does(STACK)
    assert stage.does(retention) == "24\n"

    stage.terminal.edits("infra/stages.json", shorter, '"Data": "kept"')
    assert re.search(r"^Modify +Events ", stage.does(apply), re.M)
    assert stage.does(retention) == "168\n"

    redrive, replay = commands("What the bad version did")
    stage.does(redrive)
    stage.does(replay)


def test_another_stage_is_added_as_the_page_says(stage: Stage) -> None:
    chalice_s = stage.terminal.project / ".chalice" / "config.json"
    config = json.loads(chalice_s.read_text())
    config["stages"]["test"] = json.loads(json.dumps(config["stages"]["dev"]).replace("dev", "test"))
    chalice_s.write_text(json.dumps(config))
    stage.terminal.edits("infra/stages.json", '"prod":', '"test": { "Data": "disposable" }, "prod":')

    [policies] = commands("Another stage")
    stage.does(policies, NAME="test")

    assert stage.does("python -m ops policies --stage test --check") == ""
    stage.does(PACKAGE.replace("prod", "test"))
    stage.does(STACK.replace("prod", "test"))
    assert "lifecycle-test-events" in stage.does("aws kinesis list-streams --query StreamNames")


def test_the_endpoint_s_own_mappings_take_failures_as_the_page_says(stage: Stage, tmp_path: Path) -> None:
    """Unlike Lambda's: a report of failures is taken for success, and what raises is tried for ever."""
    result = "aws lambda list-event-source-mappings --function-name lifecycle-prod-process_lifecycle"
    result += " --query 'EventSourceMappings[0].LastProcessingResult' --output text"
    answer = "return batch.partial_response(outcome, settings.partial_responses())"
    first = 'event.to_dict()["Records"][0]["kinesis"]["sequenceNumber"]'
    report = f'return {{"batchItemFailures": [{{"itemIdentifier": {first}}}]}}'
    stage.terminal.edits("app.py", answer, report)
    stage.is_deployed()
    stage.does(SEND)
    assert eventually(lambda: stage.does(result) == "OK - 1 records\n")

    stage.terminal.edits("app.py", report, 'raise RuntimeError("a bug")')
    stage.terminal.edits("infra/functions.json", '"MaximumRetryAttempts": 3', '"MaximumRetryAttempts": 0')
    stage.is_deployed()
    stage.does(SEND)
    log, failed = tmp_path / "endpoint.log", "process_lifecycle failed processing Kinesis batch"
    assert eventually(lambda: log.read_text().count(failed) > 1)
    given_up = stage.does("python -m ops dead-letters list --counts --stage prod")
    assert given_up.startswith("lifecycle-prod-dead-letters: 0 waiting, 0 in flight\n")


#: Nouns of `python -m ops` about what is deployed; the examples of the others are run with their own tests.
OF_DEPLOYED = {"mapping", "package", "policies", "token", "doctor", "stack"}


def test_the_examples_of_the_help_work_on_a_deployed_stage(stage: Stage) -> None:
    """All of them on this stage, whichever they name."""
    examples = [
        line.strip().replace("--stage dev", "--stage prod")
        for leaf in leaves_of(parser())
        for line in (leaf.epilog or "").splitlines()
        if line.startswith("  python -m ops ") and line.split()[3] in OF_DEPLOYED
    ]
    adopting = [each for each in examples if " adopt " in each]
    assert (len(examples), len(adopting)) == (16, 2)
    stage.makes_a_token()
    stage.is_deployed()

    for example in examples:
        if example not in adopting:
            # What doctor finds wrong with the endpoint, the page says.
            wanted = EXIT_FAILED if " doctor " in example else EXIT_OK
            ran = stage.types(example)
            assert ran.returncode == wanted, f"{example}\n{ran.stdout}{ran.stderr}"
    for command in commands("The whole stage"):
        stage.does(command)
    for example in adopting:
        assert "Events" in stage.does(example)
