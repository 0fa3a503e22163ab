"""The documents held to the code: what exists is mentioned, and what is mentioned exists."""

import argparse
import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import app
from chalicelib import settings
from chalicelib.tables import cases
from chalicelib.telemetry import metrics
from cli import exits
from cli.paths import ROOT
from infra import template
from tests.support import make
from tests.support.parsers import leaves_of, words_of

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
EVERYTHING = "\n".join(path.read_text() for path in DOCUMENTS)

OPERATING = (ROOT / "docs" / "operating.md").read_text()

#: What Lambda sets in a function's environment (its documentation, defined runtime environment variables).
OF_LAMBDA = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_XRAY_DAEMON_ADDRESS", "_X_AMZN_TRACE_ID"}

#: Packages with a command line of their own.
COMMANDS = ("producer", "local", "ops", "benchmarks")

#: Where texts come from that people see.
SPEAKING = ("chalicelib", "infra", "cli", "producer", "local", "ops")

name_of = {"argvalues": DOCUMENTS, "ids": [path.name for path in DOCUMENTS]}


def parser(package: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = importlib.import_module(f"{package}.__main__").parser()
    return made


def mentioned_command_lines(text: str) -> Iterator[str]:
    """Each `python -m …` of the document, as far as it is a command line and not the text behind it."""
    command = rf"python -m ((?:{'|'.join(COMMANDS)})\b"
    fenced = re.findall(r"^```.*?^```", text, re.M | re.S)
    indented = re.findall(r"^ {4,}\S[^\n]*", text, re.M)
    for block in [*fenced, *indented]:
        for found in re.finditer(command + r"[^\n]*)", block):
            yield re.split(r"\s{2,}| \| | > |\s#|\s<<|\s&&", found[1])[0]
    prose = re.sub(r"^```.*?^```|^ {4,}\S[^\n]*", "", text, flags=re.M | re.S)
    for found in re.finditer(rf"`(?:\.venv/bin/)?{command}[^`]*)`", prose):
        yield " ".join(found[1].split())


@pytest.mark.parametrize("route", sorted(app.routes))
def test_every_route_is_in_the_documents(route: str) -> None:
    assert any(f"{method} {route}{end}" in EVERYTHING for method in ("GET", "POST") for end in "`?")


def test_every_setting_is_in_the_documents() -> None:
    named = set(re.findall(r"LIFECYCLE_[A-Z_]+[A-Z]", Path(settings.__file__).read_text()))
    reading = re.compile(r'environ(?:\.(?:get|pop|setdefault)\(|\[)\s*"([A-Z_]+)"')
    for package in SPEAKING:
        for path in (ROOT / package).rglob("*.py"):
            named |= set(reading.findall(path.read_text()))

    assert named >= {"LIFECYCLE_STAGE", "LIFECYCLE_OPEN", "XDG_STATE_HOME"}
    assert named - OF_LAMBDA - _first_column("# Commands and settings") == set()


def test_the_stage_gives_names_as_the_documents_say(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "LIFECYCLE_STREAM": settings.stream_name,
        "LIFECYCLE_HISTORY_TABLE": settings.history_table,
        "LIFECYCLE_QUARANTINE_TABLE": settings.quarantine_table,
        "LIFECYCLE_ACCESS_TABLE": settings.access_table,
        "LIFECYCLE_DEAD_LETTER_QUEUE": settings.dead_letter_queue,
        "LIFECYCLE_PARKING_QUEUE": settings.parking_queue,
    }
    monkeypatch.setenv("LIFECYCLE_STAGE", "mine")

    for setting, name in names.items():
        assert f"| `{setting}` | `{name().replace('mine', '<stage>')}` |" in OPERATING


@pytest.mark.parametrize("package", ["producer", "local", "ops"])
def test_every_command_takes_json_and_its_help_ends_with_examples(package: str) -> None:
    leaves = [*leaves_of(parser(package))]

    assert leaves
    assert [leaf.prog for leaf in leaves if "--json" not in leaf._option_string_actions] == []
    assert [leaf.prog for leaf in leaves if not (leaf.epilog or "").startswith("examples:\n")] == []


@pytest.mark.parametrize("package", ["producer", "local", "ops"])
def test_every_command_is_in_the_documents(package: str) -> None:
    known = set(words_of(parser(package)))
    mentioned = EVERYTHING.replace("\n", " ")

    # `list` (`show`, …): the verbs of one noun may stand in brackets behind the first.
    for noun, verbs in re.findall(rf"python -m {package} ([a-z-]+) [a-z-]+` \(([^)]*)\)", mentioned):
        mentioned += "".join(
            f" python -m {package} {noun} {verb}" for verb in re.findall("`([a-z-]+)`", verbs)
        )

    missing = {
        words
        for words in known
        if not re.search(rf"python -m {package} {re.escape(' '.join(words))}(?![\w-])", mentioned)
    }
    assert missing == set()


def test_every_make_target_is_in_the_documents_and_none_that_is_not_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.M))
    mentioned = set(re.findall(r"(?:`|^ {4}|\$ )make ([a-z-]+)", EVERYTHING, re.M))

    assert {"demo", "serve", "test", "check"} <= targets
    assert mentioned - targets == set()
    assert targets - mentioned == set()


def mentioned_make_lines() -> list[str]:
    """Every `make TARGET NAME=…` of the documents."""
    found = re.findall(r"`(make [a-z-]+(?: [A-Z]+=[^`]*)+)`", EVERYTHING)
    found += re.findall(r"^ {4}(make [a-z-]+(?: [A-Z]+=(?:\"[^\"]*\"|\S+))+)", EVERYTHING, re.M)
    return sorted({" ".join(line.split()) for line in found})


@pytest.mark.parametrize("line", mentioned_make_lines())
def test_what_make_is_given_in_the_documents_is_taken_by_the_command_that_it_runs(line: str) -> None:
    would = [*make.COMMAND, "--dry-run", *shlex.split(line)[1:]]
    ran = subprocess.run(would, cwd=ROOT, capture_output=True, text=True, check=True, env=make.ENVIRONMENT)
    [_, _, package, *arguments] = shlex.split(ran.stdout)

    if package in COMMANDS:
        parser(package).parse_args(arguments)
    else:  # `make test` takes what pytest takes: files and words
        assert package == "pytest"
        paths = [ROOT / word for word in arguments if word.startswith("tests/")]
        assert paths
        assert all(path.exists() for path in paths)


def test_the_make_lines_are_found_where_they_stand() -> None:
    assert {"make package STAGE=prod", "make produce EVENTS=100000"} <= set(mentioned_make_lines())
    assert len(mentioned_make_lines()) > 10


def test_contributing_says_where_everything_is() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where things are\n")[2]
    named = set(re.findall(r"^\| `([^`]+)` \|", table, re.M))
    inits = [*ROOT.glob("*/__init__.py"), *ROOT.glob("*/*/__init__.py")]
    packages = {f"{path.parent.relative_to(ROOT)}/" for path in inits} - {"tests/support/"}

    assert all((ROOT / name).exists() for name in named)
    assert packages - named == set()
    assert {"unit", "integration", "e2e", "docs"} == {
        path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))
    }


def test_every_alarm_has_a_section_and_every_section_an_alarm() -> None:
    resources = template.read()["Resources"].values()
    names = {
        resource["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${AppName}-${Stage}-")
        for resource in resources
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    operating = (ROOT / "docs" / "operating.md").read_text().partition("# The alarms\n")[2]

    assert len(names) > 10
    assert set(re.findall(r"^## (.*)$", operating, re.M)) == names


def test_every_reason_for_quarantine_is_in_the_documents() -> None:
    table = OPERATING.partition("\n## Quarantine is not empty\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", table, re.M)

    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == {*metrics.REASONS, *cases.WITHOUT_RECORD}


def test_every_exit_code_means_in_the_documents_what_it_means_in_the_code() -> None:
    meant = re.findall(r"^EXIT_\w+ = (\d+)  # (.*)\.$", Path(exits.__file__).read_text(), re.M)
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", OPERATING, re.M))

    assert {int(code) for code, _ in meant} == {
        value for name, value in vars(exits).items() if name.startswith("EXIT_")
    }
    assert table.keys() == {code for code, _ in meant}
    for code, meaning in meant:
        as_a_cell = meaning if meaning.startswith("Ctrl") else meaning[0].lower() + meaning[1:]
        assert re.match(rf"{re.escape(as_a_cell)}(?:$|[.;])", table[code]), code


@pytest.mark.parametrize("document", **name_of)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.M)
            assert anchor in {_anchor(heading) for heading in headings}, target


@pytest.mark.parametrize("document", **name_of)
def test_every_command_line_in_the_documents_parses(document: Path) -> None:
    for line in mentioned_command_lines(document.read_text()):
        words = shlex.split(line)
        package, arguments = words[0], [word for word in words[1:] if word not in ("…", "...")]
        if len(words) == 1 or "--help" in words:
            continue  # the command line as such
        try:
            parser(package).parse_args(arguments)
        except SystemExit:
            # A noun by itself speaks of all its verbs.
            assert any(known[: len(arguments)] == tuple(arguments) for known in words_of(parser(package))), (
                f"{document.name}: python -m {line}"
            )


def test_command_lines_are_found_where_they_stand() -> None:
    text = (
        "See `python -m ops\ntail`.\n\n    python -m ops history SN-1      what for\n\n"
        "```console\n$ x/python -m producer send --from - <<'END'\n```\n"
    )

    assert list(mentioned_command_lines(text)) == [
        "producer send --from -",
        "ops history SN-1",
        "ops tail",
    ]


@pytest.mark.parametrize("document", **name_of)
def test_every_test_and_module_that_a_document_names_exists(document: Path) -> None:
    known = [path.as_posix() for path in ROOT.glob("tests/**/*.py")]
    named = re.findall(r"`((?:[a-z0-9_]+/)*test_[a-z_]+\.py)`", document.read_text())

    for name in named:
        assert any(path.endswith(f"/{name}") for path in known), name


def _anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _first_column(heading: str) -> set[str]:
    """What stands in code in the first column of operating.md's tables, from a heading to the next."""
    section = OPERATING.partition(f"\n{heading}\n")[2].partition("\n# ")[0]
    return set(re.findall(r"^\| `([^`]+)`", section, re.M))
