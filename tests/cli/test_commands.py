"""The command line as a user meets it: output, exit codes, and what it costs to start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from graphcnn.cli.main import cli, main

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = """
name: tiny
inputs: {image: [8, 8, 3]}
layers:
  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: conv}
  - BatchNormalization: {name: norm}
  - Dropout: {rate: 0.5, name: drop}
  - Flatten: {name: flat}
  - Dense: {units: 10, name: scores}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(MODEL)
    return path


Done = subprocess.CompletedProcess
Run = Callable[..., "Done[str]"]


def process(*arguments: str | Path, **options: Any) -> Done[Any]:
    """Run the command as a process of its own, its output read through pipes."""
    command = [sys.executable, "-m", "graphcnn", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run(command, **options)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process."""

    def call(*arguments: str | Path) -> Done[str]:
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["graphcnn", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        captured = capsys.readouterr()
        return Done(arguments, code, captured.out, captured.err)

    return call


def failed(done: Done[str], code: int = 2) -> str:
    """The message of a run that failed without a traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    return done.stderr


def test_help(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "Exit status: 0 done, 1 a check did not hold, 2 bad input or usage." in done.stdout
    for name in cli.commands:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_of_a_command(run: Run, name: str) -> None:
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Example" in done.stdout
    assert f"\n  graphcnn {name}" in done.stdout.replace("    graphcnn", "  graphcnn")
    assert done.stdout == run(name, "-h").stdout
    options = [p for p in cli.commands[name].params if p.param_type_name == "option"]
    assert all(option.help for option in options), "an option without help"  # type: ignore[attr-defined]


def test_version(run: Run) -> None:
    from importlib.metadata import version

    assert run("--version").stdout == f"graphcnn {version('graphcnn')}\n"


def test_the_script_is_the_module() -> None:
    script = Path(sys.executable).with_name("graphcnn")
    done = subprocess.run([script, "--help"], capture_output=True, text=True)
    assert done.stdout == process("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["infer-shapes"], "Missing argument 'MODEL'"),
        (["infer-shapes", "x.yaml", "--format", "xml"], "'xml' is not one of"),
        (["infer-shapes", "no.yaml"], "no.yaml: No such file or directory"),
        (["infer-shapes", "."], ".: Is a directory"),
        (["infer-shapes", "tiny.yaml", "--batch", "0"], "0 is not in the range"),
        (["infer-shapes", "tiny.yaml", "--budget", "parms=3"], "did you mean params?"),
        (["infer-shapes", "tiny.yaml", "--budget", "params"], "--budget params: expected one of"),
        (["infer-shapes", "tiny.yaml", "--budget", "params=lots"], "such as 500k"),
        (["compile", "no.yaml"], "No such file"),
        (["compile", "tiny.yaml", "--input-layout", "chwn"], "is not one of"),
        (["compile", "tiny.yaml", "--opset", "99"], "opset 99 cannot be written"),
        (["compile", "tiny.yaml", "--taps", "cnv"], "did you mean conv?"),
        (["compile", "tiny.yaml", "--print-after", "x"], "there is no pass named 'x'"),
        (["compile", "tiny.yaml", "--weights", "w.h6"], "unknown kind of weights file '.h6'"),
        (["compile", "tiny.yaml", "-o", "no/a.onnx"], "mkdir -p no"),
        (["compile", "tiny.yaml", "-o", "."], "is a directory"),
        (["compile", "tiny.yaml", "--seed", "x"], "not a valid integer"),
        (["schema", "more"], "unexpected extra argument"),
    ],
)
def test_bad_input_exits_with_2(
    run: Run, monkeypatch: pytest.MonkeyPatch, model: Path, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(model.parent)
    done = run(*arguments)
    assert message in failed(done)
    assert done.stdout == ""
    assert os.listdir(model.parent) == ["tiny.yaml"]


def test_errors_in_a_model(run: Run, model: Path) -> None:
    model.write_text(
        MODEL.replace("units: 10", "unit: 10").replace("kernel_size: 3", "kernel_size: 9")
    )
    message = failed(run("infer-shapes", model)).replace(f"{model.parent}/", "")
    assert message.splitlines() == [
        "tiny.yaml:5:5: conv (Conv2D): kernel 9x9 is larger than its input 8x8 "
        "and padding is valid",
        "  inputs   image: float32[N, 8, 8, 3]  (tiny.yaml:3)",
        "  hint     padding: same keeps the 8x8, or use a kernel of at most 8x8",
        "tiny.yaml:9:13: scores (Dense): unknown key 'unit'",
        "  hint     did you mean units?",
    ]


def test_many_errors_are_counted(run: Run, model: Path) -> None:
    model.write_text("inputs: {x: [3]}\nlayers:\n" + "".join(f"  - L{i}\n" for i in range(50)))
    message = failed(run("compile", model))
    assert message.count("unknown layer") == 20
    assert message.endswith("and 30 more errors\n")


def test_debug_shows_the_traceback(model: Path) -> None:
    done = process("--debug", "infer-shapes", "no.yaml", cwd=model.parent)
    assert done.returncode != 0
    assert "Traceback (most recent call last)" in done.stderr
    assert "No such file" in done.stderr


def test_infer_shapes_as_a_table(run: Run, model: Path) -> None:
    done = run("infer-shapes", model)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    for text in (
        "Model: tiny",
        "(None, 6, 6, 4)",
        "1,450",
        "1,578",
        "5,328",
        "3x3 /1",
        "8x8 (all)",
    ):
        assert text in done.stdout


def test_infer_shapes_as_json(run: Run, model: Path) -> None:
    done = run("infer-shapes", model, "--format", "json")
    found = json.loads(done.stdout)
    assert found.keys() >= {
        "name", "layers", "total_params", "trainable_params", "non_trainable_params", "macs",
        "peak_activation_bytes",
    }  # fmt: skip
    assert all(
        layer.keys()
        >= {
            "name", "op", "inputs", "output_shape", "params", "trainable_params", "macs",
            "activation_bytes", "receptive_field", "source",
        }
        for layer in found["layers"]
    )  # fmt: skip
    assert (found["total_params"], found["trainable_params"], found["non_trainable_params"]) == (
        1578, 1570, 8,
    )  # fmt: skip
    conv = found["layers"][1]
    assert conv == {
        "name": "conv", "op": "Conv2D", "inputs": ["image"], "output_shape": [None, 6, 6, 4],
        "dtype": "float32", "params": 112, "trainable_params": 112, "macs": 3888, "flops": 8064,
        "activation_bytes": 576, "source": f"{model}:5:5",
        "receptive_field": {"size": [3, 3], "stride": [1, 1], "offset": [0, 0]},
    }  # fmt: skip
    assert done.stdout == run("infer-shapes", model, "--json").stdout


def test_infer_shapes_as_markdown(run: Run, model: Path) -> None:
    lines = run("infer-shapes", model, "--format", "markdown").stdout.splitlines()
    assert lines[0] == "## tiny"
    assert "| conv | Conv2D | (None, 6, 6, 4) | 112 | 3,888 | 576 B | 3x3 /1 |" in lines
    assert "- parameters: 1,578 (1,570 trainable)" in lines


def test_a_batch_shows_in_shapes_only(run: Run, model: Path) -> None:
    one = json.loads(run("infer-shapes", model, "--json", "--batch", "7").stdout)
    any_ = json.loads(run("infer-shapes", model, "--json").stdout)
    assert one["layers"][1]["output_shape"] == [7, 6, 6, 4]
    assert one["peak_activation_bytes"] == any_["peak_activation_bytes"]
    assert one["macs"] == any_["macs"]


def test_open_sizes_are_shown(run: Run, model: Path) -> None:
    model.write_text("inputs: {image: [H, W, 3]}\nlayers: [Conv2D: {filters: 1, kernel_size: 3}]")
    found = json.loads(run("infer-shapes", model, "--json").stdout)
    assert found["layers"][1]["output_shape"] == [None, "H - 2", "W - 2", 1]
    assert found["peak_activation_bytes"] is None
    assert "H - 2" in run("infer-shapes", model).stdout
    assert "depends on sizes that are not known" in failed(
        run("infer-shapes", model, "--budget", "macs=3"), 1
    )


def test_a_budget_exits_with_1(run: Run, model: Path) -> None:
    assert run("infer-shapes", model, "--budget", "params=1578").returncode == 0
    done = run("infer-shapes", model, "--budget", "params=1.5k", "--budget", "macs=1M")
    message = failed(done, 1)
    assert "params is 1,578" in message
    assert "over the limit of 1,500; most in scores" in message
    assert "macs" not in message
    assert "Model: tiny" in done.stdout


def test_a_budget_in_the_file(run: Run, model: Path) -> None:
    model.write_text(f"{MODEL}budget: {{macs: 1k}}\n")
    assert "macs is 5,328" in failed(run("infer-shapes", model), 1)
    assert run("infer-shapes", model, "--budget", "macs=10k").returncode == 0


def test_compile(run: Run, model: Path) -> None:
    done = run("compile", model)
    out = model.with_suffix(".onnx")
    assert (done.returncode, done.stdout) == (0, "")
    size = f"{out.stat().st_size:,} bytes"
    assert done.stderr.startswith(f"{out}: {size}, 5 nodes, 1,578 parameters (random, seed 0), ")
    assert done.stderr.endswith("; checked by onnx, run by onnxruntime\n")
    assert "exists" in failed(run("compile", model))
    assert run("compile", model, "--force").returncode == 0


def test_compile_never_replaces_what_it_reads(run: Run, model: Path) -> None:
    before = model.read_bytes()
    assert "the model file itself" in failed(run("compile", model, "-o", model, "--force"))
    assert model.read_bytes() == before
    weights = model.with_suffix(".npz")
    weights.write_bytes(b"weights")
    done = run("compile", model, "--weights", weights, "-o", weights, "--force")
    assert "holds the weights" in failed(done)
    assert weights.read_bytes() == b"weights"


def test_compile_holds_the_budget_of_the_file(run: Run, model: Path) -> None:
    model.write_text(f"{MODEL}budget: {{params: 1k}}\n")
    assert "params is 1,578" in failed(run("compile", model), 1)
    assert not model.with_suffix(".onnx").exists()


def test_compile_as_json(run: Run, model: Path) -> None:
    found = json.loads(run("compile", model, "--json", "--no-verify").stdout)
    assert found.keys() == {
        "path",
        "bytes",
        "nodes",
        "params",
        "weights",
        "targets",
        "verified",
        "seconds",
        "passes",
    }
    assert found["targets"] == ["portable"]
    assert found["verified"] == "checked by onnx"
    names = [step["name"] for step in found["passes"]]
    assert (names[0], names[-1]) == ("drop-training-layers", "assign-layout")
    assert "fold-affine-into-previous" in names


def test_passes_that_are_switched_off(run: Run, model: Path) -> None:
    found = run("compile", model, "--json", "--disable", "all").stdout
    names = [step["name"] for step in json.loads(found)["passes"]]
    assert names == ["drop-training-layers", "assign-layout"]
    found = run("compile", model, "--json", "--force", "--disable", "merge-affine").stdout
    names = [step["name"] for step in json.loads(found)["passes"]]
    assert "merge-affine" not in names
    assert "fold-affine-into-previous" in names
    done = run("compile", model, "--force", "--disable", "merge-afine")
    assert "did you mean merge-affine?" in failed(done)


def test_passes_that_are_validated(run: Run, model: Path) -> None:
    said = run("compile", model, "--validate").stderr
    assert "run by onnxruntime, each pass validated" in said


def test_compile_to_standard_output(model: Path) -> None:
    process("compile", model)
    done = process("compile", model, "-o", "-", text=False)
    assert done.stdout == model.with_suffix(".onnx").read_bytes()
    assert sorted(os.listdir(model.parent)) == ["tiny.onnx", "tiny.yaml"]
    done = process("compile", model, "-o", "-", "--external-data", "always", text=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"external data cannot go to standard output" in done.stderr


def test_compile_options(run: Run, model: Path) -> None:
    done = run(
        "compile", model, "--seed", "3", "--batch", "2", "--input-layout", "nhwc", "--opset", "18",
        "--taps", "conv,norm", "--explain", "--time-passes", "--print-after", "assign-layout",
    )  # fmt: skip
    assert done.returncode == 0
    found = onnx.load(model.with_suffix(".onnx"))
    assert [value.name for value in found.graph.output] == ["scores", "conv", "norm"]
    assert found.opset_import[0].version == 18
    shape = found.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in shape] == [2, 8, 8, 3]
    assert "random, seed 3" in {item.value for item in found.metadata_props}
    assert "after assign-layout:\ngraph tiny (batch 2)\n" in done.stderr
    assert "drop-training-layers: drop: removed: Dropout passes its input on" in done.stderr
    assert "assign-layout: " in done.stderr
    assert " ms\n" in done.stderr


def test_a_closed_pipe(model: Path) -> None:
    for arguments in ("schema", f"infer-shapes {model}"):  # Of click's and of rich's printing.
        command = f"{sys.executable} -m graphcnn {arguments} | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("141\n", "")


def test_names_are_no_markup(run: Run, model: Path) -> None:
    model.write_text(MODEL.replace("tiny", '"[/b] [v2] :100:"'))
    assert run("infer-shapes", model).stdout.startswith("Model: [/b] [v2] :100:")


def test_no_colour_where_nobody_looks(model: Path) -> None:
    environment = {**os.environ, "FORCE_COLOR": ""}
    for arguments in (["infer-shapes", model], ["infer-shapes", "no.yaml"], ["compile", model]):
        done = process(*arguments, env=environment)
        assert "\x1b" not in done.stdout + done.stderr


def test_missing_onnxruntime(model: Path, tmp_path: Path) -> None:
    """Compiling does without; running says what to install."""
    hidden = (
        "import sys; sys.modules['onnxruntime'] = None; "
        "import importlib.util as u; f = u.find_spec; "
        "u.find_spec = lambda n, *a: None if n == 'onnxruntime' else f(n, *a); "
        "import runpy; runpy.run_module('graphcnn', run_name='__main__')"
    )

    def without(*arguments: str) -> Done[str]:
        command = [sys.executable, "-c", hidden, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=model.parent)

    assert without("compile", "tiny.yaml").stderr.endswith("; checked by onnx\n")
    message = failed(without("run", "tiny.onnx", "x.npy"))
    assert "pip install 'graphcnn[cpu]'" in message


HEAVY = {
    "tensorflow",
    "keras",
    "h5py",
    "onnxruntime",
    "matplotlib",
    "onnx",
    "sympy",
    "PIL",
    "scipy",
    "torch",
}


def imported(*arguments: str) -> set[str]:
    """The top-level packages that a run imports."""
    command = [sys.executable, "-X", "importtime", "-m", "graphcnn", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {row.rsplit("|", 1)[1].strip().partition(".")[0] for row in rows}


def test_help_imports_little() -> None:
    found = imported("--help")
    assert "click" in found
    assert not found & {*HEAVY, "numpy", "networkx", "msgspec", "ruamel", "rich", "hypothesis"}


def test_infer_shapes_imports_nothing_heavy(model: Path) -> None:
    found = imported("infer-shapes", str(model))
    assert "networkx" in found
    assert not found & {*HEAVY, "numpy"}


def test_schema_imports_nothing_heavy() -> None:
    assert not imported("schema") & {*HEAVY, "numpy"}


def test_compile_imports_no_framework(model: Path) -> None:
    found = imported("compile", str(model), "--no-verify")
    assert "onnx" in found
    assert not found & {"tensorflow", "keras", "onnxruntime", "matplotlib", "torch"}
