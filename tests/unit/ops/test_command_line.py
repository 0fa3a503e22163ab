"""The operators' command line itself: what it takes, what it refuses, what its help says."""

import os
import shlex
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from cli.paths import ROOT
from ops import clients
from ops.__main__ import main, parser
from ops.arguments import moment_ms, sentence
from ops.output import CommandError, duration, when
from tests.support.headings import says
from tests.support.parsers import words_of


def test_there_are_the_commands_that_operators_need() -> None:
    assert {
        ("quarantine", "list"),
        ("quarantine", "show"),
        ("quarantine", "redrive"),
        ("quarantine", "discard"),
        ("dead-letters", "list"),
        ("dead-letters", "redrive"),
        ("replay",),
    } <= set(words_of(parser()))


@pytest.mark.parametrize("command", sorted(words_of(parser())))
def test_every_command_s_help_ends_with_examples_that_parse(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])

    examples = [
        shlex.split(line.partition(" > ")[0])[3:]
        for line in capsys.readouterr().out.partition("examples:")[2].splitlines()
        if line.startswith("  python -m ops ")
    ]
    assert examples
    for example in examples:
        assert tuple(example[: len(command)]) == command
        parser().parse_args(example)


def test_help_needs_no_aws_library() -> None:
    code = (
        "import sys; sys.argv = ['ops', '--help']; import ops.__main__ as ops\n"
        "try: ops.main()\n"
        "finally: print('boto3' in sys.modules, file=sys.stderr)"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert (ran.returncode, ran.stderr) == (0, "False\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["quarantine"],
        ["quarantine", "list", "--status", "lost"],
        ["quarantine", "list", "--since", "yesterday"],
        ["quarantine", "redrive", "--all", "--limit", "0"],
        ["quarantine", "redrive", "--all", "--rate", "0"],
        ["quarantine", "redrive", "--all", "--rate", "nan"],
        ["quarantine", "discard", "x"],
        ["quarantine", "discard", "x", "--why", "  "],
        ["dead-letters", "list", "--limit", "-1"],
        ["replay"],
        ["replay", "--since", "2026-01-01"],
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert "error: " in capsys.readouterr().err


def test_a_stage_that_is_not_configured_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["quarantine", "list", "--stage", "moon"])

    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err.startswith("error: stage 'moon' is not in .chalice/config.json")
    assert says("stage '…' is not in .chalice", captured.err)


@pytest.mark.parametrize(
    "command",
    [
        ["doctor"],
        ["mapping", "check"],
        ["mapping", "apply"],
        ["policies", "--check"],
        ["stack", "apply"],
        ["stack", "adopt"],
    ],
    ids=" ".join,
)
def test_what_is_about_deployed_stages_says_so_of_the_laptops_own(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(command)

    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err == (
        "error: stage 'local' is not in infra/stages.json; it has dev, prod: name one with --stage. "
        "The laptop's own is not deployed; `make serve` makes it\n"
    )
    assert says("stage '…' is not in infra", captured.err)


@pytest.mark.parametrize(
    ("missing", "endpoint", "command", "remedy"),
    [
        ("AWS_DEFAULT_REGION", "http://127.0.0.1:1", ["tail"], "region; set AWS_DEFAULT_REGION"),
        ("AWS_ACCESS_KEY_ID", "http://127.0.0.1:1", ["tail"], "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACC"),
        ("AWS_ACCESS_KEY_ID", "http://127.0.0.1:1", ["quarantine", "list"], "; set AWS_ACCESS_KEY_ID and "),
        ("AWS_ACCESS_KEY_ID", "", ["quarantine", "list"], "; set AWS_PROFILE, or sign in again"),
    ],
)
def test_missing_credentials_and_region_have_a_remedy_of_their_own(
    missing: str,
    endpoint: str,
    command: list[str],
    remedy: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ops import clients

    clients.reset()
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # a session remembers what it was made with
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.delenv(missing)

    code = main([*command, "--stage", "dev"])

    clients.reset()
    captured = capsys.readouterr()
    assert (code, captured.out) == (3, "")
    assert remedy in captured.err
    assert captured.err.count("\n") == 1
    if missing == "AWS_DEFAULT_REGION":
        assert says("set AWS_DEFAULT_REGION", captured.err)


def test_an_endpoint_that_does_not_answer_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ops import clients

    clients.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    code = main(["quarantine", "list"])

    clients.reset()
    captured = capsys.readouterr()
    assert (code, captured.out) == (3, "")
    assert "http://127.0.0.1:1" in captured.err
    assert "make serve" in captured.err
    assert captured.err.count("\n") == 1


def test_ctrl_c_is_an_exit_code_and_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ops import clients

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(clients, "quarantine", interrupted)

    assert main(["quarantine", "list"]) == 130
    assert capsys.readouterr().err == ""


def test_a_moment_is_a_time_or_so_long_ago() -> None:
    assert moment_ms("2026-11-20T21:12:47.123+01:00") == 1795205567123
    assert moment_ms("1d") < moment_ms("23h") < moment_ms("30m") < moment_ms("90s")
    assert moment_ms("1900-01-01T00:00:00Z") == 1  # before all streams


def test_a_sentence_says_something() -> None:
    assert sentence("  a test ") == "a test"


def test_moments_are_utc_with_milliseconds() -> None:
    assert when(1795205567123) == "2026-11-20T20:12:47.123Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (5400, "1.5 h"),
        (90_000, "25.0 h"),
        (604_800, "7.0 d"),
        (-7200, "-2.0 h"),
    ],
)
def test_durations_are_in_the_largest_unit_that_says_enough(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("endpoint", "remedy"),
    [("http://127.0.0.1:4566", "start the local pipeline"), ("", "whose account and region these are")],
)
def test_the_remedy_fits_what_was_asked_a_laptop_or_aws(endpoint: str, remedy: str) -> None:
    os.environ["AWS_ENDPOINT_URL"] = endpoint

    with pytest.raises(CommandError, match=remedy), clients.reported():
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "CreateChangeSet")
