"""docs/deploying.md as somebody types it, deploying with `chalice deploy`: there, once more, and back."""

import re
import sys
from pathlib import Path

from cli.exits import EXIT_FAILED, EXIT_OK
from cli.paths import ROOT
from tests.support import deploying_project
from tests.support.deploying_project import ON_THE_ENDPOINT, Terminal, asked, commands
from tests.support.waiting import eventually

OPERATING = (ROOT / "docs" / "operating.md").read_text()


def test_the_rehearsal_works_as_it_stands_and_a_second_deployment_can_be_taken_back(
    terminal: Terminal, port: str
) -> None:
    _, stage, stack, deploy, arm, doctor, send, quarantine, delete = commands(
        "A rehearsal without an account"
    )
    # The same commands as on AWS, only that the stage is exported.
    with_stage = [deploy, f"{arm} --stage dev", f"{doctor} --stage dev"]
    assert commands("With chalice deploy")[:4] == [*commands("The data stack"), *with_stage]
    assert commands("The data stack") == [f"{stack.removesuffix(ON_THE_ENDPOINT)} --stage dev"]
    does, first = terminal.does, terminal.commits("the first")

    [activate] = commands("Deploying")
    programs = does(f"{activate} && command -v python chalice aws").split()
    assert {Path(each).parent.resolve() for each in programs} == {Path(sys.prefix, "bin").resolve()}

    does(deploying_project.exported(port))
    does(stage)
    changes = does(stack)
    assert re.search(r"Add +Events +AWS::Kinesis::Stream", changes)
    # What the page says of its list: also what a condition leaves out.
    assert re.search(r"Add +IteratorAgeAlarm ", changes)
    assert does("aws cloudwatch describe-alarms --query 'MetricAlarms[].AlarmName'") == "[]\n"
    assert "Rest API URL: https://" in does(deploy)
    assert "process_lifecycle" in does(arm)
    assert does(arm) == ""  # nothing differs any more

    # What operating.md says to run about it, every morning and after changes by hand.
    of_mappings = set(re.findall(r"^ {4}(python -m ops mapping .*?)(?: {2,}.*)?$", OPERATING, re.M))
    assert of_mappings == {"python -m ops mapping check", "python -m ops mapping apply"}
    assert [does(each) for each in sorted(of_mappings)] == ["", ""]
    assert commands("With chalice deploy")[4:] == ["python -m ops mapping check --stage dev"]

    looked = terminal(doctor)
    assert looked.returncode == EXIT_FAILED
    assert re.findall(r"^FAIL  (.*?) \(", looked.stdout, re.M) == [
        "stream, tables and queues are encrypted",
        "tables can be restored to any second of the last 35 days",
        "only who has a token may ask",
        "every alarm is there",
    ]

    sent = terminal(send)
    assert re.match(
        r"sent 5\d records to lifecycle-dev-events .*: 50 events, \d+ duplicates?, 2 poison;", sent.stdout
    )
    assert eventually(lambda: does(quarantine).count("lifecycle-dev-events/shardId-") == 2), does(quarantine)
    [serial] = re.findall(r"one of the products: (\S+)", sent.stderr)
    assert eventually(lambda: terminal(f"python -m ops history {serial}").returncode == EXIT_OK)
    api = deploying_project.address(does("chalice url --stage dev"), port)
    assert asked(f"{api}health") == (200, {"status": "ok"})
    assert asked(f"{api}products/{serial}")[0] == 401  # there is no token

    # Another version, and what the page says that deploying it takes back.
    terminal.edits("chalicelib/api/routes.py", '{"status": "ok"}', '{"status": "fine"}')
    terminal.commits("the second")
    does(deploy)
    assert asked(f"{api}health") == (200, {"status": "fine"})

    switch, install, *again = commands("Deployed with chalice")
    assert again == with_stage
    does(switch, {"COMMIT": first})
    does(install)
    does(again[0])
    assert "LIFECYCLE_PARTIAL_RESPONSES" in does(again[1])
    assert terminal(again[2]).stdout == looked.stdout
    assert asked(f"{api}health") == (200, {"status": "ok"})
    does(f"python -m ops history {serial}")

    assert "Deleting IAM role: lifecycle-dev-process_lifecycle" in does(delete)
    does(quarantine)  # the data stack is left alone
    assert "deploy first: docs/deploying.md" in terminal("python -m ops mapping check").stderr
