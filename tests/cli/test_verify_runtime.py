"""``graphcnn verify --runtime``: the matrix, the first layer that differs, and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import graphcnn
from graphcnn.cli.verify import command
from graphcnn.errors import CheckFailed, ErrorGroup, ExportError, RuntimeFailure, VerificationError
from graphcnn.runtimes import RUNTIMES
from tests.runtime.models import edit_metadata
from tests.runtimes.fakes import (
    Absent,
    Crashing,
    Hanging,
    NaN,
    Narrow,
    Refusing,
    Scaling,
    Short,
    Wrong,
)

MODEL = """
name: tiny
inputs: {image: [6, 6, 2]}
layers:
  - Conv2D: {filters: 3, kernel_size: 3, activation: relu, name: first}
  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: second}
  - Flatten: {name: flat}
  - Dense: {units: 3, activation: softmax, name: scores}
"""

FAKES = (Absent, Crashing, Hanging, NaN, Narrow, Refusing, Scaling, Short, Wrong)


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in FAKES:
        monkeypatch.setitem(RUNTIMES, kind.name, kind)
    Path("tiny.yaml").write_text(MODEL)
    graphcnn.compile(graphcnn.load("tiny.yaml"), "tiny.onnx")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["tiny.yaml", "tiny.onnx", *map(str, arguments)])


def cells(result: Result) -> dict[tuple[str, int], str]:
    found = json.loads(result.stdout)
    return {(cell["runtime"], cell["batch"]): cell["state"] for cell in found["cells"]}


def squeezed(text: str) -> str:
    return "".join(" ".join(line.split()) + "\n" for line in text.splitlines())


def test_runtimes_that_agree() -> None:
    result = invoke("--runtime", "onnxruntime,openvino,opencv,tract")
    assert result.exception is None, result.exception
    text = squeezed(result.stdout)
    assert "\nB: tiny.onnx, in each runtime\n3 random samples, seed 0; allowed: 1e-06" in text
    for name in ("onnxruntime", "openvino", "opencv", "tract"):
        for batch in (1, 3):
            row = rf"^{name} [\d.]+ {batch} scores \S+ \S+ {batch}/{batch} ok$"
            assert re.search(row, text, re.MULTILINE), name
    assert text.endswith("\nequal within the tolerance: 8 of 8 runs\n")


def test_what_goes_wrong_is_told_apart() -> None:
    result = invoke("--runtime", "crashing,refusing,wrong,nan,short,narrow", "--json")
    assert isinstance(result.exception, CheckFailed)
    assert result.exception.exit_code == 1
    found = cells(result)
    assert {state for (_, batch), state in found.items() if batch == 1} == {"ok"}
    assert {name: state for (name, batch), state in found.items() if batch == 3} == {
        "crashing": "crashed (signal 11)",
        "refusing": "refused",
        "wrong": "differs",
        "nan": "differs",
        "short": "other sizes",
        "narrow": "other sizes",
    }
    rows = {cell["runtime"]: cell for cell in json.loads(result.stdout)["cells"]}
    assert rows["refusing"]["reason"] == "cannot run it: no kernel for this"
    assert rows["narrow"]["reason"] == "output scores: 3 in A, and 2 in B"
    (output,) = rows["wrong"]["outputs"]
    assert output["largest_absolute_error"] == pytest.approx(0.5)
    (output,) = rows["nan"]["outputs"]
    assert output["nan"] == [0, 9]
    assert "6 of 12 runs are right: crashing" in result.exception.message
    assert "batch 3: crashed (signal 11); refusing" in result.exception.message


def test_a_hang() -> None:
    result = invoke("--runtime", "hanging", "--batch", "3")
    assert isinstance(result.exception, CheckFailed)
    text = squeezed(result.stdout)
    assert re.search(r"^hanging [\d.]+ 3 HUNG$", text, re.MULTILINE)
    assert "batch 3: hanging: no answer for 5 s, so it was ended\n" in text


def test_the_first_layer_that_differs_is_named() -> None:
    result = invoke("--runtime", "scaling,onnxruntime")
    assert isinstance(result.exception, CheckFailed)
    text = squeezed(result.stdout)
    named = "scaling: the first layer that leaves the tolerance is second (tiny.yaml:6:5), by "
    assert named in text
    assert re.search(r"^scaling [\d.]+ 1 scores \S+ \S+ [01]/1 DIFFERS$", text, re.MULTILINE)
    assert re.search(r"^onnxruntime [\d.]+ 3 .* ok$", text, re.MULTILINE)
    found = json.loads(invoke("--runtime", "scaling", "--json").stdout)
    assert found["first_layer"]["scaling"]["a"] == "second"
    assert not found["equal"]


def test_layers_are_compared_at_the_batch_that_differs() -> None:
    found = json.loads(invoke("--runtime", "wrong", "--json").stdout)
    assert found["first_layer"]["wrong"]["a"] == "first"


def test_a_missing_runtime_is_an_error_before_anything_runs() -> None:
    result = invoke("--runtime", "absent,crashing")
    assert isinstance(result.exception, ErrorGroup)
    assert result.exception.exit_code == 2
    assert "the runtime absent is not installed" in str(result.exception)
    assert "pip install no-such-package" in str(result.exception)
    assert not result.stdout


def test_all_that_are_missing_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Absent):
        name = "other"
        install = "pip install another-package"

    monkeypatch.setitem(RUNTIMES, "other", Other)
    said = str(invoke("--runtime", "absent,onnxruntime", "--runtime", "other").exception)
    assert "the runtime absent is not installed\n  hint     pip install no-such-package" in said
    assert "the runtime other is not installed\n  hint     pip install another-package" in said


def test_a_reason_is_told_once() -> None:
    text = squeezed(invoke("--runtime", "refusing", "--batch", "1,3,4").stdout)
    assert text.count("no kernel for this") == 1
    assert re.search(r"^refusing [\d.]+, batch 3 and 4: cannot run it: no kernel", text, re.M)


def test_reports() -> None:
    result = invoke("--runtime", "wrong", "--json", "--report", "out.json")
    assert json.loads(Path("out.json").read_text()) == json.loads(result.stdout)
    invoke("--runtime", "wrong,refusing", "--report", "out.md")
    text = Path("out.md").read_text()
    assert text.startswith("## tiny.onnx: 2 of 4 runs are right: wrong ")
    assert re.search(r"^\| wrong [\d.]+ \| 3 \| scores \| 0.5 \| .* \| DIFFERS \|$", text, re.M)
    assert re.search(r"^- refusing [\d.]+, batch 3: cannot run it: no kernel", text, re.M)
    kept = invoke("--runtime", "onnxruntime", "--report", "out.md")
    assert isinstance(kept.exception, ExportError)
    assert Path("out.md").read_text() == text


def test_integers_beside_floats() -> None:
    """They differ by design, which the outcome says, with what to do."""
    edit_metadata(Path("tiny.onnx"), precision="int8")
    error = invoke("--runtime", "wrong", "--batch", "3").exception
    assert isinstance(error, CheckFailed)
    assert "; tiny.onnx computes in 8-bit integers, so its numbers are not those" in error.message
    assert "--rtol 0.2" in (error.hint or "")
    assert "graphcnn verify tiny.onnx tiny.onnx --runtime" in (error.hint or "")
    crashed = invoke("--runtime", "crashing", "--batch", "3").exception
    assert "8-bit" not in str(crashed)
    itself = CliRunner().invoke(command, ["tiny.onnx", "tiny.onnx", "--runtime", "onnxruntime"])
    assert itself.exception is None, itself.exception
    assert "allowed: 0.001 + 0.1 x max |A|" in itself.stdout


def test_taps() -> None:
    graphcnn.compile(graphcnn.load("tiny.yaml"), "tiny.onnx", taps=["all"], force=True)
    found = json.loads(invoke("--runtime", "openvino,scaling", "--json").stdout)
    (first, *_, last) = found["cells"]
    assert [item["a"] for item in first["outputs"]] == ["scores", "first", "second", "flat"]
    assert (first["state"], last["state"]) == ("ok", "differs")
    assert [item["within"] for item in last["outputs"]] == [False, True, False, False]


def test_all_takes_the_installed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(RUNTIMES) - {"onnxruntime", "absent"}:
        monkeypatch.delitem(RUNTIMES, name)
    result = invoke("--runtime", "all", "--batch", "2")
    assert result.exception is None, result.exception
    assert "\nabsent is not installed: pip install no-such-package\n" in result.stdout
    assert "1 of 1 runs" in result.stdout
    found = json.loads(invoke("--runtime", "all", "--json").stdout)
    assert found["missing"] == {"absent": "pip install no-such-package"}


def test_data() -> None:
    np.save("x.npy", np.zeros((4, 6, 6, 2), np.float32))
    result = invoke("--runtime", "onnxruntime", "--data", "x.npy", "--batch", "1,4")
    assert result.exception is None, result.exception
    assert "x.npy; allowed" in result.stdout
    short = invoke("--runtime", "onnxruntime", "--data", "x.npy", "--batch", "5").exception
    assert isinstance(short, VerificationError)
    assert "5 are needed for a batch" in str(short)


def test_tolerances() -> None:
    assert invoke("--runtime", "wrong", "--atol", "0.6").exception is None


def test_a_fixed_batch() -> None:
    graphcnn.compile(graphcnn.load("tiny.yaml"), "tiny.onnx", batch=2, force=True)
    assert invoke("--runtime", "onnxruntime,openvino").exception is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--runtime", "onnxruntime", "--per-layer"], "--runtime does not take --per-layer"),
        (["--runtime", "onnxruntime", "--random", "4"], "--runtime does not take --random"),
        (["--batch", "4"], "without --runtime there is no --batch"),
        (["--runtime", "onnxruntime", "--batch", "0"], "expected numbers of samples"),
        (["--runtime", "onnxruntime", "--batch", "a"], "expected numbers of samples"),
    ],
)
def test_usage(options: list[str], said: str) -> None:
    result = invoke(*options)
    assert result.exit_code == 2
    assert said in result.output


def test_names() -> None:
    assert isinstance(invoke("--runtime", "onxruntime").exception, RuntimeFailure)
    result = CliRunner().invoke(command, ["tiny.onnx", "tiny.yaml", "--runtime", "onnxruntime"])
    assert "--runtime is for an .onnx file, and tiny.yaml is none" in result.output
