"""Rules about the code itself, kept true by running them."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import errors
from cli.paths import ROOT

PACKAGES = ("chalicelib", "infra", "cli", "producer", "local", "ops")
NOT_DEPLOYED = {"infra", "cli", "producer", "local", "ops", "benchmarks", "tests"}


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_imported(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def reads_environment(path: Path) -> bool:
    named = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "name", None))
    }
    return bool({"environ", "environb", "getenv"} & named)


@pytest.mark.parametrize("path", [ROOT / "app.py", *modules("chalicelib")], ids=lambda path: path.stem)
def test_deployed_code_imports_only_deployed_code(path: Path) -> None:
    assert not NOT_DEPLOYED & packages_imported(path)


@pytest.mark.parametrize("path", modules("chalicelib/domain"), ids=lambda path: path.stem)
def test_the_domain_knows_no_aws(path: Path) -> None:
    assert not {"boto3", "botocore", "chalice"} & packages_imported(path)


def test_only_settings_and_the_command_lines_stage_read_the_environment() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in [ROOT / "app.py", *modules("chalicelib")]
        if reads_environment(path)
    }

    assert readers == {"chalicelib/settings.py"}


def test_importing_app_needs_no_environment_and_makes_no_client() -> None:
    dear = "{'boto3', 'botocore', 'aws_lambda_powertools', 'jinja2'}"
    script = f"import app, sys; assert not {dear} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={}, check=True)


def test_app_takes_its_names_from_the_environment_and_has_local_defaults() -> None:
    script = "import app; print(*(each.stream for each in app.app.event_sources if hasattr(each, 'stream')))"

    def stream(**environment: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return ran.stdout.strip()

    assert stream() == "lifecycle-local-events"
    assert stream(LIFECYCLE_STAGE="prod") == "lifecycle-prod-events"
    assert stream(LIFECYCLE_STREAM="elsewhere") == "elsewhere"


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_the_picture_of_the_exception_tree_is_true() -> None:
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.LifecycleError)
    ]

    assert errors.__doc__ is not None
    for cls in classes:
        assert cls.__name__ in errors.__doc__, f"{cls.__name__} is not in the picture"
        assert cls.__doc__
        assert os.linesep not in cls.__doc__.splitlines()[0]
