"""``graphcnn verify``: what it prints and writes, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

import graphcnn
from graphcnn.cli.verify import command
from graphcnn.comparison import Difference, Differing, Tolerance, VerifyReport
from graphcnn.errors import CheckFailed, ExportError, VerificationError
from graphcnn.report.verification import verification_markdown, verification_table
from tests.runtime.models import edit_metadata

MODEL = """
name: tiny
inputs: {image: [4, 4, 2]}
layers:
  - Conv2D: {filters: 5, kernel_size: 3, activation: relu, name: conv}
  - Flatten: {name: flat}
  - Dense: {units: 3, activation: softmax, name: scores}
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(MODEL)
    return Path("tiny.yaml")


@pytest.fixture
def compiled(model: Path) -> Path:
    graphcnn.compile(graphcnn.load(model), "tiny.onnx")
    return Path("tiny.onnx")


@pytest.fixture
def broken(compiled: Path) -> Path:
    """The compiled file with a bias of NaN."""
    found = onnx.load(compiled)
    tensor = next(item for item in found.graph.initializer if item.name == "scores/bias")
    tensor.CopyFrom(numpy_helper.from_array(np.full(3, np.nan, np.float32), tensor.name))
    onnx.save(found, "broken.onnx")
    return Path("broken.onnx")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def printed(*arguments: object) -> str:
    result = invoke(*arguments)
    assert result.exception is None, result.exception
    return squeezed(result.stdout)


def squeezed(text: str) -> str:
    return "".join(" ".join(line.split()) + "\n" for line in text.splitlines())


def test_equal(model: Path, compiled: Path) -> None:
    text = printed(model, compiled, "--per-layer")
    assert text.startswith(
        "A: tiny.yaml, onnxruntime (CPUExecutionProvider, as written; weights random, seed 0)\n"
        "B: tiny.onnx, onnxruntime (CPUExecutionProvider)\n"
        "8 random samples, seed 0; allowed: 1e-06 + 0.0001 x max |A|\n"
    )
    assert re.search(r"^conv tiny.yaml:5:5 \(2, 2, 5\) .* ok$", text, re.MULTILINE)
    assert text.endswith("\nequal within the tolerance: 1 outputs and 3 of 3 layers\n")


def test_differing(model: Path, broken: Path) -> None:
    result = invoke(model, broken, "--per-layer")
    assert isinstance(result.exception, CheckFailed)
    assert result.exception.exit_code == 1
    assert str(result.exception) == (
        "broken.onnx leaves the tolerance: output scores by NaN (0 and 24) or Inf (0 and 0) in A "
        "and B; the first layer that does is scores (tiny.yaml:7:5), by NaN (0 and 24) or Inf "
        "(0 and 0) in A and B"
    )
    assert re.search(r"^scores .* 0, 24 DIFFERS$", squeezed(result.stdout), re.MULTILINE)
    alone = invoke(model, broken).exception
    assert isinstance(alone, CheckFailed)
    assert alone.hint == "--per-layer names the first layer that does"


def test_json_and_reports(model: Path, broken: Path) -> None:
    result = invoke(model, broken, "--per-layer", "--random", 5, "--json", "--report", "out.json")
    found = json.loads(result.stdout)
    assert json.loads(Path("out.json").read_text()) == found
    assert (found["equal"], found["first_layer"], found["samples"]) == (False, "scores", 5)
    assert found["a"]["model"] == "tiny.yaml"
    (output,) = found["outputs"]
    assert output["nan"] == [0, 15]
    assert [layer["within"] for layer in found["layers"]] == [True, True, False]
    assert found["layers"][0]["source"] == "tiny.yaml:5:5"
    assert found["layers"][0]["shape"] == [2, 2, 5]
    invoke(model, broken, "--report", "out.md")
    text = Path("out.md").read_text()
    assert text.startswith("## broken.onnx leaves the tolerance: output scores by NaN")
    assert re.search(r"^\| scores \| +\| \(3\) \| .* \| DIFFERS \|$", text, re.MULTILINE)


def test_a_report_is_not_replaced(model: Path, compiled: Path) -> None:
    Path("out.md").write_text("kept")
    assert isinstance(invoke(model, compiled, "--report", "out.md").exception, ExportError)
    assert Path("out.md").read_text() == "kept"
    printed(model, compiled, "--report", "out.md", "--force")
    assert Path("out.md").read_text().startswith("## equal within the tolerance: 1 outputs\n")
    refused = invoke(model, compiled, "--report", "out.html").exception
    assert isinstance(refused, ExportError)
    assert refused.hint == "one of .json, .md"


def test_data(model: Path, compiled: Path) -> None:
    np.save("x.npy", np.zeros((6, 4, 4, 2), np.float32))
    assert "\n6 samples of x.npy; allowed" in printed(model, compiled, "--data", "x.npy")
    both = invoke(model, compiled, "--data", "x.npy", "--random", 3)
    assert both.exit_code == 2
    assert "--data takes the place of --random" in both.output


def test_weights(model: Path, compiled: Path) -> None:
    graphcnn.WeightStore.random(graphcnn.load(model).weights, 0).save("w.safetensors")
    graphcnn.WeightStore.random(graphcnn.load(model).weights, 1).save("v.safetensors")
    printed(model, compiled, "--weights", "w.safetensors", "--seed", 4)
    printed(compiled, model, "--weights", "w.safetensors", "--seed", 4)
    printed(model, model, "--weights", "v.safetensors")
    either = invoke(model, model, "--weights-a", "w.safetensors", "--weights-b", "v.safetensors")
    assert isinstance(either.exception, CheckFailed)
    assert isinstance(
        invoke(model, compiled, "--weights-b", "w.safetensors").exception, VerificationError
    )
    neither = invoke(compiled, compiled, "--weights", "w.safetensors")
    assert neither.exit_code == 2
    assert "neither side is one" in neither.output


def test_a_range(model: Path, compiled: Path) -> None:
    printed(model, compiled, "--range", 0, 255)
    refused = invoke(model, compiled, "--range", 5, 5).exception
    assert isinstance(refused, VerificationError)


def many(count: int, worst: int) -> VerifyReport:
    """A report of many layers, one of which differs most."""
    layers = []
    for index in range(count):
        total = Differing()
        wrong = 1.0 if index == worst else 1e-7 * index
        total.add(np.ones((1, 2)), np.ones((1, 2)) + wrong)
        layers.append(total.difference(f"l{index}|", f"<{index}", "", True, Tolerance()))
    output: tuple[Difference, ...] = (layers[0],)
    return VerifyReport(("a", "b"), ("x", "y"), 1, "data", Tolerance(), output, tuple(layers))


def test_of_many_layers_the_worst_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from graphcnn.report.console import show

    show(verification_table(many(60, 3)))
    text = squeezed(capsys.readouterr().out)
    assert "\nl3| = <3 " in text
    assert "\nl59| " in text
    assert "\nl2| " not in text
    assert "the 40 of 60 layers with the largest errors" in text


def test_integers_beside_floats(model: Path, broken: Path) -> None:
    edit_metadata(broken, precision="int8")
    error = invoke(model, broken, "--per-layer").exception
    assert isinstance(error, CheckFailed)
    assert error.message.endswith(
        "; broken.onnx computes in 8-bit integers, so its numbers are not those of the other side"
    )
    assert "--rtol 0.2" in (error.hint or "")


def test_markdown_has_all_layers_and_no_markup_of_names() -> None:
    text = verification_markdown(many(60, 3))
    assert text.count(" = &lt;") == 61
    assert "| l7\\| = &lt;7 |" in text
