"""`ops simulate`, the command: what it prints, and its verdict."""

import errno
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cli.exits import EXIT_FAILED, EXIT_OK
from ops.__main__ import parser
from ops.output import CommandError
from ops.planning import simulate as command
from ops.planning.simulation import svg


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    args = parser().parse_args(["simulate", *argv])
    code: int = args.run(args)
    answer = capsys.readouterr()
    return code, answer.out, answer.err


def test_every_example_of_the_help_runs_and_has_the_verdict_that_it_speaks_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where run.svg is written
    examples = re.findall(r"^  python -m ops simulate\b(.*)$", command.EXAMPLES, re.MULTILINE)

    assert len(examples) == 5
    for example in examples:
        code, out, err = run(capsys, *example.split())
        # One asks for a minute and takes three and a half.
        assert code == (EXIT_FAILED if "--within 60" in example else EXIT_OK), f"{example}\n{out}{err}"
    assert (tmp_path / "run.svg").exists()


def test_json_has_the_figures_and_the_course_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--burst", "20000", "--json")
    answer = json.loads(out)

    assert code == 0
    assert answer["stored"] == 20_000
    assert answer["settings"]["batch_size"] == 500
    assert answer["backlog"][-1][1] == 0
    assert len(answer["timeline"]) == len(answer["backlog"])


def test_the_table_shows_figures_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--events-per-day", "864000", "--hours", "0.02")

    assert code == 0
    assert re.search(r"stored +720\b", out)
    assert "iterator age" in out
    assert "the burst" not in out


def test_a_burst_that_is_not_stored_in_time_is_a_failed_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--burst", "20000", "--write-units", "500", "--within", "10")

    assert code == 1
    assert "not in time" in err


def test_the_function_is_the_deployed_one(capsys: pytest.CaptureFixture[str]) -> None:
    from app import app
    from local.event_sources.settings import kinesis_settings

    deployed = kinesis_settings(app)
    settings = json.loads(run(capsys, "--burst", "10", "--json")[1])["settings"]

    assert settings["timeout_s"] == deployed.timeout_s
    assert settings["retry_attempts"] == deployed.retry_attempts
    assert settings["parallelization"] == deployed.parallelization_factor
    assert settings["batch_size"] == deployed.batch_size


def test_a_handler_slower_than_its_timeout_is_a_failed_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--burst", "40", "--handler-ms", "70000", "--retries", "0")

    assert code == 1
    assert re.search(r"ended by the timeout +7\d\b", out)
    assert re.search(r"dead letters +40\b", out)
    assert run(capsys, "--burst", "40", "--handler-ms", "70000", "--timeout", "90")[0] == 0


def test_a_table_too_small_for_one_event_is_refused_with_the_remedy() -> None:
    args = parser().parse_args(["simulate", "--burst", "1", "--bytes", "400000", "--write-units", "1"])

    with pytest.raises(CommandError, match=r"needs 391 write units at once.*--write-units") as caught:
        args.run(args)

    assert caught.value.exit_code == 2


def test_hours_of_no_flow_are_refused() -> None:
    args = parser().parse_args(["simulate", "--hours", "3"])

    with pytest.raises(CommandError, match="--events-per-day") as caught:
        args.run(args)

    assert caught.value.exit_code == 2


def test_the_plot_is_a_picture_of_every_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.svg"
    run(capsys, "--burst", "5000", "--svg", str(file))
    root = ElementTree.parse(file).getroot()
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")

    assert len(lines) == 4
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= svg.WIDTH
            assert 0 <= y <= 4 * svg.PANEL_HEIGHT + 40


@pytest.mark.parametrize("file", ["no/run.svg", "", "."])
def test_a_plot_that_cannot_be_written_is_refused_before_the_run(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    args = parser().parse_args(["simulate", "--burst", "10", "--svg", file])

    with pytest.raises(CommandError, match=f"^the plot cannot be written to '{file}'.*name a file") as caught:
        args.run(args)

    assert caught.value.exit_code == 2
    assert not capsys.readouterr().out


def test_a_plot_that_fails_after_all_leaves_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "plot", full)
    args = parser().parse_args(["simulate", "--burst", "10", "--svg", str(tmp_path / "run.svg")])

    with pytest.raises(CommandError, match=r"No space left on device.*name a file") as caught:
        args.run(args)

    assert caught.value.exit_code == 2
    assert re.search(r"stored +10\b", capsys.readouterr().out)


def test_an_even_flow_is_in_time_when_its_last_events_are(capsys: pytest.CaptureFixture[str]) -> None:
    flow = ["--events-per-day", "100000", "--hours", "0.2"]

    assert run(capsys, *flow, "--within", "60")[0] == 0
    code, _, err = run(capsys, *flow, "--within", "60", "--write-units", "1")
    assert code == 1
    assert int(re.findall(r"not in time: (\d+)", err)[0]) < 0.2 * 3600


def test_an_invocation_carries_what_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    hopeless = ["--burst", "4", "--shards", "1", "--handler-ms", "70000", "--retries", "2"]
    answer = json.loads(run(capsys, *hopeless, "--json")[1])

    # A batch of four, two of two, twelve of one.
    assert answer["records_given"] == 4 + 2 * 2 + 12
    assert answer["batch_mean"] == pytest.approx(20 / 15, abs=0.001)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--events-per-day", "1"], "1 event a day .* raise --events-per-day or --hours"),
        (["--events-per-day", "10000", "--hours", "0.0001"], "raise --events-per-day or --hours"),
        (["--events-per-day", "10000", "--burst-at", "5"], "give --burst, too"),
        (["--events-per-record", "24", "--bytes", "100000"], "lower --events-per-record"),
    ],
)
def test_a_load_of_nothing_or_of_impossible_records_is_refused(argv: list[str], sentence: str) -> None:
    args = parser().parse_args(["simulate", *argv])

    with pytest.raises(CommandError, match=sentence) as caught:
        args.run(args)

    assert caught.value.exit_code == 2


def test_a_whole_number_is_asked_for_where_only_one_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["simulate", "--burst", "1e5"])

    assert "expected a whole number from 1 to 10000000000000, got '1e5'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["--burst", "0"],
        ["--shards", "x"],
        ["--failing", "1"],
        ["--parallelization", "11"],
        ["--write-units", "nan"],
        ["--burst-at", "1e12"],
        ["--products", "1000000000000"],
        ["--bytes", "1048576"],
        ["--burst", "9" * 5000],
    ],
)
def test_a_bad_number_is_a_usage_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(["simulate", *argv])

    assert caught.value.code == 2
