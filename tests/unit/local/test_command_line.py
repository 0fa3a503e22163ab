"""The command line of the local pipeline: what its help promises, it takes; what it cannot do, it says."""

import json
import shlex
from pathlib import Path

import pytest

from cli.exits import EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from local.__main__ import EXAMPLES, main, parser

ALL = {"demo", "demo-failures", "serve", "reset"}
COMMANDS = [line.strip() for line in EXAMPLES.splitlines() if line.strip().startswith("python -m local")]


def test_there_are_examples_of_every_command() -> None:
    assert {shlex.split(command)[3] for command in COMMANDS} == ALL


@pytest.mark.parametrize("command", sorted(ALL))
def test_the_help_of_a_command_ends_with_its_own_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])

    lines = capsys.readouterr().out.partition("\nexamples:\n")[2].splitlines()
    examples = [line.strip() for line in lines if line.startswith("  python -m local ")]
    assert examples
    assert {shlex.split(example)[3] for example in examples} == {command}


def test_what_reset_did_is_json_for_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    state = tmp_path / "state"
    state.mkdir()

    assert main(["reset", "--home", str(tmp_path), "--json"]) == EXIT_OK
    first = json.loads(capsys.readouterr().out)
    assert main(["reset", "--home", str(tmp_path), "--json"]) == EXIT_OK
    second = json.loads(capsys.readouterr().out)

    assert first == {"stage": "local", "home": str(tmp_path), "done": [f"removed {state}"]}
    assert second["done"] == [f"nothing is stored in {state}"]


def test_shards_are_read_ten_times_a_second_unless_an_interval_is_given() -> None:
    assert parser().parse_args(["serve"]).poll_interval == parser().parse_args(["demo"]).poll_interval == 0.1
    assert parser().parse_args(["serve", "--poll-interval", "1s"]).poll_interval == 1.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("demo --events x", "--events: expected a whole number, 0 or more, got 'x'"),
        ("demo --products 0", "--products: expected a whole number, 1 or more, got '0'"),
        ("demo --duplicates 1.5", "--duplicates: expected a share from 0 to 1, got '1.5'"),
        ("serve --port 65536", "--port: expected a port from 0 to 65535, got '65536'"),
        ("demo --fault throttle=2", "--fault: throttle: expected a share from 0 to 0.9, got '2'"),
        ("serve --fault thrtle=0.1", "--fault: expected NAME=VALUE with one of throttle, timeout"),
        ("serve --poll-interval 1", "such as 500ms, 10s or 2m, from 10ms to 1m, got '1'"),
        ("demo --poll-interval 5ms", "--poll-interval: expected a duration"),
        ("sevre", "invalid choice: 'sevre'"),
    ],
)
def test_a_wrong_option_is_named_with_what_was_expected(
    options: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options.split())

    assert ended.value.code == EXIT_USAGE
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("demo --map serial=sn", "--map and --format say how to read a file; name it with --from"),
        ("demo --from x --map colour=c", "an event has no field 'colour'"),
        ("demo --from no/such/file", "no/such/file: No such file or directory"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_starts(
    options: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options.split()) == EXIT_USAGE

    said = capsys.readouterr()
    assert sentence in said.err
    assert said.err.startswith("error: ")
    assert said.out == ""


@pytest.mark.parametrize("command", sorted(ALL))
@pytest.mark.parametrize("url", ["https://kinesis.eu-west-1.amazonaws.com", "not-a-url"])
def test_aws_itself_is_not_an_endpoint_for_this(
    command: str,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    home = [] if command.startswith("demo") else ["--home", str(tmp_path)]

    assert main([command, *home]) == EXIT_UNAVAILABLE

    assert (
        f"AWS_ENDPOINT_URL: expected an endpoint that stands in for AWS, got '{url}'"
        in capsys.readouterr().err
    )
