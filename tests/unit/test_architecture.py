"""Rules about the code that `lint-imports` (pyproject.toml) does not hold, kept true by running them."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib import errors
from cli.paths import ROOT

PACKAGES = ("chalicelib", "infra", "cli", "producer", "local", "ops")


def modules(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def reads_environment(path: Path) -> bool:
    named = {
        name
        for node in ast.walk(parsed(path))
        for name in (getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "name", None))
    }
    return bool({"environ", "environb", "getenv"} & named)


def run(script: str, **environment: str) -> str:
    """What a script prints in a Python that knows this environment and nothing else."""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


def test_app_py_imports_only_what_ships() -> None:
    nodes = [*ast.walk(parsed(ROOT / "app.py"))]
    imported = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}

    packages = {name.partition(".")[0] for name in imported}
    assert packages - sys.stdlib_module_names == {"chalice", "chalicelib"}


def test_only_settings_read_the_environment() -> None:
    readers = {path for path in [ROOT / "app.py", *modules("chalicelib")] if reads_environment(path)}

    assert readers == {ROOT / "chalicelib" / "settings.py"}


def test_importing_app_needs_no_environment_and_makes_no_client() -> None:
    dear = "{'boto3', 'botocore', 'aws_lambda_powertools', 'jinja2'}"

    run(f"import app, sys; assert not {dear} & set(sys.modules)")


def test_app_takes_its_names_from_the_environment_and_has_local_defaults() -> None:
    stream = "import app; print(*(each.stream for each in app.app.event_sources if hasattr(each, 'stream')))"

    assert run(stream) == "lifecycle-local-events"
    assert run(stream, LIFECYCLE_STAGE="prod") == "lifecycle-prod-events"
    assert run(stream, LIFECYCLE_STREAM="elsewhere") == "elsewhere"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    assert [path for path in modules(package) if not ast.get_docstring(parsed(path))] == []


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
