"""What is installed: every package is declared, typed, importable, and light where it must be."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import graphcnn

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

HEAVY = ("tensorflow", "keras", "onnxruntime", "matplotlib", "onnx", "numpy", "sympy", "PIL")


def packages_on_disk() -> set[str]:
    found = {"graphcnn.passes"}
    for init in (ROOT / "graphcnn").rglob("__init__.py"):
        found.add(".".join(init.parent.relative_to(ROOT).parts))
    return found


def test_every_package_is_declared() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_top_level_holds_what_it_should() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    top = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    expected = {"pyproject.toml", "graphcnn", "passes", "tests", "examples", "README.md", "LICENSE"}
    assert top <= expected


def test_public_names_exist_and_are_sorted() -> None:
    assert graphcnn.__all__ == sorted(graphcnn.__all__)
    for name in graphcnn.__all__:
        assert getattr(graphcnn, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = graphcnn.nothing


def test_version_is_the_package_version() -> None:
    command = [sys.executable, "-m", "graphcnn", "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == f"graphcnn {version('graphcnn')}\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["infer-shapes", str(ROOT / "examples" / "googlenet.yaml")]]
)
def test_quick_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from graphcnn.cli.main import cli; "
        f"cli({arguments!r}, standalone_mode=False); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
