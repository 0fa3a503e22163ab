"""docs/deploying.md: every setting is in it, with its value, and every command is one that a test runs.

That its commands work is in tests/docs/test_deploying_commands.py.
"""

import json
import re
from typing import Any

import pytest

from cli.paths import ROOT
from infra import functions, template
from tests.support import deploying_project
from tests.support.deploying_project import commands, section

FUNCTIONS: dict[str, Any] = json.loads(functions.FUNCTIONS.read_text())["Resources"]
PARAMETERS: dict[str, Any] = template.read()["Parameters"]
QUEUES: dict[str, Any] = {
    name: template.read()["Resources"][name]["Properties"] for name in ("DeadLetters", "Parking")
}

#: What stands in FUNCTIONS for another reason than being a setting.
NO_SETTINGS = {"FunctionName", "Environment", "Events"}


def table(heading: str) -> dict[str, str]:
    """Setting and value as the section's table has them, without the marks for code."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", section(heading), re.M)
    return {name.replace("`", ""): value.replace("`", "") for name, value in rows[1:]}


def settings_of(function: str, mapping: str) -> dict[str, str]:
    """What FUNCTIONS says of a function and its event source mapping, as the document would write it."""
    function_s = FUNCTIONS[function]["Properties"]
    mapping_s = function_s.get("Events", {}).get(mapping, {}).get("Properties", {})
    said: dict[str, str] = {}
    for name, value in {**function_s, **mapping_s}.items():
        if name == "FunctionResponseTypes":
            said |= dict.fromkeys(value, "on")
        elif name == "DestinationConfig":
            assert value["OnFailure"]["Destination"]["Fn::Sub"].endswith(":lifecycle-${stage}-dead-letters")
            said["OnFailure"] = "the dead-letter queue"
        elif name not in NO_SETTINGS:
            unit = {"Timeout": " s", "MemorySize": " MB"}.get(name, "")
            said[name] = "on" if value is True else f"{value}{unit}"
    return said


@pytest.mark.parametrize(
    ("heading", "function", "mapping", "unsaid"),
    [
        (
            "process_lifecycle and its Kinesis mapping",
            "ProcessLifecycle",
            "ProcessLifecycleKinesisEventSource",
            set(),
        ),
        (
            "triage_dead_letters and its SQS mapping",
            "TriageDeadLetters",
            "TriageDeadLettersSqsEventSource",
            {"MemorySize", "Tracing"},
        ),
        ("The API's function", "APIHandler", "", {"Tracing"}),
    ],
)
def test_the_settings_have_the_values_of_the_document(
    heading: str, function: str, mapping: str, unsaid: set[str]
) -> None:
    of_code, of_document = settings_of(function, mapping), table(heading)

    # What is the same for all functions is explained once, with the first.
    first = settings_of("ProcessLifecycle", "")
    assert all(of_code[name] == first[name] for name in unsaid)
    assert {name: of_document.get(name) for name in of_code.keys() - unsaid} == {
        name: value for name, value in of_code.items() if name not in unsaid
    }


def test_the_queues_have_the_settings_of_the_document() -> None:
    said = table("triage_dead_letters and its SQS mapping")
    dead_letters, parking = QUEUES["DeadLetters"], QUEUES["Parking"]
    receives = dead_letters["RedrivePolicy"]["maxReceiveCount"]

    assert said["queue: VisibilityTimeout"] == f"{dead_letters['VisibilityTimeout']} s"
    assert said["queue: maxReceiveCount"] == str(receives)
    for queue in dead_letters, parking:
        assert said["queues: retention"] == f"{queue['MessageRetentionPeriod'] // 86400} days"


def test_the_data_stack_s_parameters_have_the_defaults_of_the_document() -> None:
    said: dict[str, str] = {}
    for names, defaults in table("The data stack").items():
        said |= dict(zip(names.split(", "), defaults.split(", "), strict=True))

    assert said == {
        name: str(parameter["Default"]) or "none"
        for name, parameter in PARAMETERS.items()
        if name not in ("AppName", "Stage")
    }


def test_going_back_takes_the_steps_of_going_forward() -> None:
    forward, package = commands("With chalice deploy"), commands("As a package")
    back, again = commands("Deployed with chalice"), commands("Deployed as a package")

    assert forward[:2] == ["python -m ops stack apply --stage dev", "chalice deploy --stage dev"]
    assert back[:2] == ["git switch --detach COMMIT", "make install"]
    assert back[2:] == forward[1:4]  # and `stack apply` is not among them: the data stays
    [deploy] = [line for line in package if line.startswith("aws cloudformation deploy ")]
    assert again[:2] == [deploy.replace("dist/prod/deploy.json", "KEPT.json"), package[-1]]


def test_every_command_stands_in_a_section_whose_commands_a_test_runs() -> None:
    """Those tests unpack a section's commands, so that one more in it is one too many."""
    sections = re.findall(r"^#+ (.*)$", deploying_project.PAGE, re.M)
    run = {
        name
        for path in (ROOT / "tests" / "docs").glob("test_deploying*.py")
        for name in re.findall(r'commands\(\s*"(.*?)"', path.read_text())
    }
    programs = (
        r"(?:\$ )?(?:\. |export |python -m ops |python -m producer |aws |chalice |make |git |curl |cp )"
    )

    assert {name for name in sections if re.search(rf"^ {{4}}{programs}", section(name), re.M)} == run
