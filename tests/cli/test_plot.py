"""``graphcnn plot``: every picture from the command line, and what is refused before any work."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import graphcnn
from graphcnn.cli.plot import command
from graphcnn.errors import ExportError, GraphCNNError, MissingExtra, PictureError, RuntimeFailure
from graphcnn.weights import WeightStore

MODEL = """
name: tiny
inputs: {image: [8, 8, 3]}
layers:
  - Rescaling: {scale: 0.004, name: scale}
  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: conv}
  - Conv2D: {filters: 2, kernel_size: 3, name: second}
  - Flatten
  - Dense: {units: 3, activation: softmax, name: scores}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model file, its weights, its .onnx with taps, data, a photo, and a run."""
    (tmp_path / "tiny.yaml").write_text(MODEL)
    graph = graphcnn.load(tmp_path / "tiny.yaml")
    store = WeightStore.random(graph.weights, 0)
    store.save(tmp_path / "tiny.safetensors")
    graphcnn.compile(graph, tmp_path / "tiny.onnx", weights=store, taps=["all"])
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (20, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "data.npz", x_test=x, y_test=np.arange(20) % 3)
    np.savez(tmp_path / "targets.npz", x_test=x, y_test=np.zeros((20, 3), np.float32))
    Image.fromarray(x[0]).save(tmp_path / "photo.png")
    (tmp_path / "run").mkdir()
    record = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 2.0, "val_accuracy": 0.25}
    (tmp_path / "run" / "log.jsonl").write_text(f"{json.dumps(record)}\n")
    return tmp_path


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


PICTURES = {
    "history": "run",
    "predictions": "tiny.onnx --data data.npz",
    "features": "tiny.onnx photo.png",
    "kernels": "tiny.yaml --weights tiny.safetensors",
    "confusion": "tiny.onnx --data data.npz",
}


def invoke(line: str) -> Result:
    return CliRunner().invoke(command, line.split())


def refused(line: str) -> BaseException:
    result = invoke(line)
    assert result.exception is not None
    assert isinstance(result.exception, GraphCNNError), result.exception
    return result.exception


@pytest.mark.parametrize("ending", ["png", "svg"])
@pytest.mark.parametrize("name", PICTURES)
def test_every_picture(name: str, ending: str, folder: Path) -> None:
    result = invoke(f"{name} {PICTURES[name]} -o picture.{ending}")
    assert result.exception is None, result.exception
    assert result.output == f"saved in picture.{ending}\n"
    content = (folder / f"picture.{ending}").read_bytes()
    if ending == "svg":
        assert content.rstrip().endswith(b"</svg>")
        return
    with Image.open(folder / "picture.png") as picture:
        assert min(picture.size) > 100
        assert len(np.unique(np.asarray(picture.convert("L")))) > 3


def test_pictures_are_listed() -> None:
    assert set(command.commands) == set(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_help(name: str) -> None:
    text = invoke(f"{name} --help").output
    assert f"graphcnn plot {name} " in text
    options = [p for p in command.commands[name].params if isinstance(p, click.Option)]
    assert all(option.help for option in options)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_not_replaced(name: str, folder: Path) -> None:
    (folder / "old.png").write_bytes(b"old")
    error = refused(f"{name} {PICTURES[name]} -o old.png")
    assert isinstance(error, ExportError)
    assert (folder / "old.png").read_bytes() == b"old"
    assert invoke(f"{name} {PICTURES[name]} -o old.png --force").exception is None
    assert (folder / "old.png").read_bytes() != b"old"


@pytest.mark.parametrize("name", PICTURES)
def test_another_ending_is_refused_at_once(name: str, folder: Path) -> None:
    files = PICTURES[name].replace("tiny", "missing").replace("run", "missing")
    error = refused(f"{name} {files} -o picture.pdf")
    assert "unknown kind of picture '.pdf'" in str(error)


def test_matplotlib_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "matplotlib":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    error = refused("history run -o picture.png")
    assert isinstance(error, MissingExtra)
    assert error.hint == "pip install 'graphcnn[plot]'"


def test_no_display_is_needed(folder: Path) -> None:
    code = (
        "import sys; from graphcnn.cli.plot import command; "
        "command('history run -o picture.png'.split(), standalone_mode=False); "
        "print([n for n in ('matplotlib.pyplot', 'tkinter') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": ""}, cwd=folder
    )
    assert (done.stdout, done.stderr) == ("saved in picture.png\n[]\n", "")


def test_samples_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    from graphcnn.report.predictions import draw_predictions

    def draw(*arguments: Any) -> Any:
        drawn.append(arguments)
        return draw_predictions(*arguments)

    monkeypatch.setattr("graphcnn.report.predictions.draw_predictions", draw)
    for count in (4, 100):
        line = f"predictions tiny.onnx --data data.npz --count {count} -o p.png --force"
        assert invoke(line).exception is None
    assert [len(arguments[0]) for arguments in drawn] == [4, 20]
    assert drawn[0][-1] == "tiny.onnx on 4 test samples of data.npz"


def test_layers_are_chosen(folder: Path) -> None:
    sizes = []
    for options in ("", "--layer conv", "--layer conv --layer second"):
        assert invoke(f"features tiny.onnx photo.png -o f.png --force {options}").exception is None
        with Image.open(folder / "f.png") as picture:
            sizes.append(picture.height)
    assert sizes[1] < sizes[2] < sizes[0]


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("history missing -o p.png", PictureError, "missing: no such file"),
        ("predictions tiny.onnx --data targets.npz -o p.png", GraphCNNError, "labels are needed"),
        ("confusion tiny.onnx --data targets.npz -o p.png", PictureError, "has targets"),
        ("features tiny.onnx photo.png --layer con -o p.png", RuntimeFailure, "did you mean conv?"),
        ("features tiny.onnx no.png -o p.png", RuntimeFailure, "no.png: no such file"),
        (
            "kernels tiny.yaml --weights tiny.safetensors --layer sec -o p.png",
            PictureError,
            "did you mean second?",
        ),
        ("history run -o nowhere/p.png", ExportError, "nowhere is not a directory"),
    ],
)
def test_what_is_refused(line: str, kind: type[GraphCNNError], message: str, folder: Path) -> None:
    error = refused(line)
    assert isinstance(error, kind)
    assert message in str(error)
    assert not list(folder.glob("p.png"))
