"""The command line, as far as it goes without a stream."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib.domain import events
from cli.exits import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from cli.paths import ROOT
from producer.__main__ import main
from tests.support.headings import says

SAME = ["--seed", "42", "--now", "2026-11-20T13:00:00+01:00"]
RECORDED = ROOT.parent / "shared" / "data" / "recorded-events.ndjson"


def dry_run(capfdbinary: pytest.CaptureFixture[bytes], *options: str) -> tuple[int, list[bytes], str]:
    """Exit code, lines on standard output, and standard error."""
    code = main(["send", "--dry-run", *options])
    out, err = capfdbinary.readouterr()
    return code, out.splitlines(), err.decode()


def test_help_needs_nothing_but_the_standard_library_and_ours() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, producer.__main__\n"
            "try: producer.__main__.main(['send', '--help'])\n"
            "except SystemExit: print(*sys.modules)",
        ],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    assert "exit codes:" in loaded
    assert not {"boto3", "faker", "rich"} & set(loaded.split())


def test_a_dry_run_prints_events_and_the_same_ones_for_the_same_seed(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    code, lines, _ = dry_run(capfdbinary, "--events", "30", "--products", "3", *SAME)
    _, again, _ = dry_run(capfdbinary, "--events", "30", "--products", "3", *SAME)
    _, other, _ = dry_run(capfdbinary, "--events", "30", "--products", "3", "--seed", "43")

    assert code == EXIT_OK
    assert len({events.decode(line).serial for line in lines}) == 3
    assert len(lines) == 30
    assert lines == again != other


def test_without_a_seed_every_run_is_another(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _, once, _ = dry_run(capfdbinary, "--events", "3")
    _, again, _ = dry_run(capfdbinary, "--events", "3")

    assert once != again


def test_a_dry_run_of_a_mix_prints_everything_that_would_be_sent(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    _, lines, _ = dry_run(
        capfdbinary, "--events", "200", "--duplicates", "1", "--poison", "3", "--shuffle", *SAME
    )

    assert len(lines) == 403


def test_a_recorded_file_is_read_by_its_mapping_and_bad_lines_are_named(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "recorded.ndjson"
    file.write_text('{"sn":"P-1","type":"Theft","timestamp":"2026-01-01T00:00:00Z"}\nnonsense\n')

    code, lines, err = dry_run(
        capfdbinary, "--from", str(file), "--map", "serial=sn", "--map", "occurred_at=timestamp"
    )

    assert [json.loads(line)["serial"] for line in lines] == ["P-1"]
    assert code == EXIT_FAILED
    assert err == "line 2: not JSON at column 1: Expecting value\n"


def test_a_file_that_ends_with_csv_is_one(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    file = tmp_path / "recorded.CSV"
    file.write_text("serial,type,occurred_at\nP-1,note,2026-01-01T00:00:00Z\n")

    code, lines, _ = dry_run(capfdbinary, "--from", str(file))

    assert (code, len(lines)) == (EXIT_OK, 1)


def test_events_limits_what_is_read_and_says_so(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "recorded.ndjson"
    file.write_text('{"serial":"P-1","type":"note","occurred_at":"2026-01-01T00:00:00Z"}\n' * 3)

    assert dry_run(capfdbinary, "--from", str(file), "--events", "2")[1:] == (
        [file.read_bytes().splitlines()[0]] * 2,
        "stopped after 2 events (--events); the input has more\n",
    )
    assert dry_run(capfdbinary, "--from", str(file), "--events", "3")[2] == ""


def test_the_recorded_file_is_printed_whole(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    if not RECORDED.exists():
        pytest.skip(f"no {RECORDED.name} beside this checkout")

    code, lines, err = dry_run(
        capfdbinary, "--from", str(RECORDED), "--map", "serial=sn", "--map", "occurred_at=timestamp"
    )

    assert (code, err) == (EXIT_OK, "")
    assert len(lines) == len(RECORDED.read_bytes().splitlines())


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    # With a buffer there is something left to write on exit.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run(
        f"{shlex.quote(sys.executable)} -m producer send --dry-run --events 20000 | head -n 1; "
        'echo "${PIPESTATUS[0]}"',
        shell=True,
        executable="/bin/bash",
        env=buffered,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    event, code = ran.stdout.splitlines()
    events.decode(event.encode())
    assert (code, ran.stderr) == ("0", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--events", "-1"], "expected a whole number, 0 or more, got '-1'"),
        (["--products", "0"], "expected a whole number, 1 or more, got '0'"),
        (["--duplicates", "2"], "expected a share from 0 to 1, got '2'"),
        (["--rate", "0"], "expected a rate in items per second above 0, at most 1000000, got '0'"),
        (["--now", "today"], "expected RFC 3339 with an offset, got 'today'"),
        (["--now", "1066-01-01T00:00:00Z"], "expected a year from 1900"),
        (["--now", "1970-01-01T00:00:00Z"], "expected 1990 or later"),
        (["--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_an_unusable_value_is_named_with_what_was_expected(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["send", *options])

    assert ended.value.code == EXIT_USAGE
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--forever"], "--forever needs --rate"),
        (["--forever", "--rate", "1", "--shuffle"], "--forever goes without --events and --shuffle"),
        (["--map", "serial=sn"], "name it with --from"),
        (["--from", "x", "--forever"], "leave out --from"),
        (["--from", "x", "--map", "sn"], "expected FIELD=NAME"),
        (["--rejects", "no/such/directory/file"], "there is no directory for 'no/such/directory/file'"),
        (["--from", "x", "--rejects", "./x"], "cannot be written as well"),
        (["--stage", "moon"], "stage 'moon' is not in"),
        (["--from", "no-such-file"], "no-such-file: No such file or directory"),
    ],
)
def test_options_that_do_not_go_together_are_refused_with_the_remedy(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", *options]) == EXIT_USAGE

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1
    if "--map" in options and "--from" not in options:
        assert says("--map and --format", err)
