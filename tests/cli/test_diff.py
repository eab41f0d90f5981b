"""``graphcnn diff``: its table, markdown and JSON, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import graphcnn
from graphcnn.cli.diff import command
from graphcnn.errors import GraphCNNError, ModelFileError

MODEL = """
inputs: {{image: [H, 16, 3]}}
layers:
{}
  - GlobalAveragePooling2D: {{name: pool}}
  - Dense: {{units: {}, name: scores}}
"""
CONV = "  - Conv2D: {{filters: {}, kernel_size: 3, name: conv{}}}"


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(MODEL.format(CONV.format(4, 1), 10))
    Path("b.yaml").write_text(MODEL.format(f"{CONV.format(4, 1)}\n{CONV.format(4, 2)}", 12))


def diff(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def row(text: str, *start: str) -> list[str]:
    """The words of the one line that begins so."""
    (found,) = [
        line.split() for line in text.splitlines() if line.split()[: len(start)] == [*start]
    ]
    return found[len(start) :]


def test_table() -> None:
    done = diff("a.yaml", "b.yaml", "--input-shape", "16,16,3")
    assert done.exit_code == 0
    assert done.output.startswith("a.yaml -> b.yaml: 1 added, 2 changed, 2 as they were\n")
    assert "\x1b" not in done.output
    assert row(done.output, "parameters") == ["162", "320", "+158", "+97.5%"]
    assert row(done.output, "multiply-accumulates") == ["21,208", "41,952", "+20,744", "+97.8%"]
    assert row(done.output, "changed", "scores", "units:")[:3] == ["10", "->", "12"]
    added = row(done.output, "added", "conv2", "Conv2D(kernel_size=3,", "filters=4)")
    assert added == ["+148", "+20,736", "+2.2", "KiB", "+592", "B"]


def test_open_sizes_are_expressions() -> None:
    done = diff("a.yaml", "b.yaml")
    assert "float32[N, H - 4, 12, 4]" in done.output
    totals = json.loads(diff("a.yaml", "b.yaml", "--json").output)["totals"]
    assert totals["macs"] == {
        "old": "1512*H - 2984",
        "new": "3240*H - 9888",
        "difference": "1728*H - 6904",
        "percent": None,
    }
    assert totals["activation_bytes"]["new"] is None


def test_json() -> None:
    done = diff("a.yaml", "b.yaml", "--format", "json", "--input-shape", "image=16,16,3")
    found = json.loads(done.output)
    assert found == json.loads(
        diff("a.yaml", "b.yaml", "--json", "--input-shape", "16,16,3").output
    )
    assert (found["old"], found["new"], found["differ"]) == ("a.yaml", "b.yaml", True)
    assert found["totals"]["params"] == {
        "old": 162,
        "new": 320,
        "difference": 158,
        "percent": 97.53,
    }
    assert found["facts"] == []
    assert found["unchanged"] == 2
    added, pool, scores = found["layers"]
    assert (added["change"], added["name"], added["old"]) == ("added", "conv2", None)
    assert added["new"]["op"] == "Conv2D"
    assert added["new"]["attributes"]["filters"] == "4"
    assert added["new"]["inputs"] == ["conv1"]
    assert added["costs"]["params"] == {"old": 0, "new": 148, "difference": 148, "percent": None}
    assert pool["changes"] == [{"what": "inputs", "old": "conv1", "new": "conv2"}]
    assert scores["costs"]["activation_bytes"]["difference"] == 8


def test_markdown() -> None:
    text = diff("a.yaml", "b.yaml", "--format", "markdown", "--input-shape", "16,16,3").output
    lines = text.splitlines()
    assert lines[0] == "### `a.yaml` → `b.yaml`"
    assert "| parameters | 162 | 320 | +158 | +97.5% |" in lines
    assert lines.index("| parameters | 162 | 320 | +158 | +97.5% |") < len(lines) - 4
    scores = next(line for line in lines if line.startswith("| changed | `scores` |"))
    assert "`units: 10 -> 12`<br>`output: float32[N, 10] -> float32[N, 12]`" in scores
    assert "<details>" not in text
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables} == {6, 8}


def test_long_markdown_is_folded() -> None:
    many = "\n".join(CONV.format(4, number) for number in range(1, 7))
    Path("c.yaml").write_text(MODEL.format(many, 10))
    few = diff("a.yaml", "c.yaml", "--format", "markdown").output
    assert "<details>" not in few
    Path("e.yaml").write_text(
        MODEL.format("\n".join(f"  - ReLU: {{name: r{i}}}" for i in range(25)), 10)
    )
    long = diff("a.yaml", "e.yaml", "--format", "markdown").output
    assert "<details><summary>" in long
    assert long.rstrip().endswith("</details>")


def test_names_from_files_do_not_format_anything() -> None:
    for name, layer in (("a", "one"), ("b", "\x1b[31m`<b>`|two")):
        graph = graphcnn.Graph("g")
        x = graph.input("x", (4,))
        graph.outputs["y"] = graph.add(
            graphcnn.ops.Dense(units=4 + len(layer)),
            graph.add(graphcnn.ops.ReLU(), x, name=layer),
            name="y",
        )
        graphcnn.compile(graph, f"{name}.onnx", verify=False)
    text = diff("a.onnx", "b.onnx", "--format", "markdown").output
    assert "\x1b" not in text
    assert "\x1b" not in diff("a.onnx", "b.onnx").output
    renamed = next(line for line in text.splitlines() if "<b>" in line)
    assert "'<b>'\\|two" in renamed
    assert renamed.replace("\\|", "").count("|") == 8


def test_exit_codes() -> None:
    assert diff("a.yaml", "b.yaml").exit_code == 0
    assert diff("a.yaml", "b.yaml", "--exit-code").exit_code == 1
    same = diff("a.yaml", "a.yaml", "--exit-code")
    assert same.exit_code == 0
    assert "no difference" in same.output


@pytest.mark.parametrize("sizes", ["", "image=", "16,0,3", "16,x,3", "1,2,3,", "9" * 5000, "²"])
def test_wrong_sizes(sizes: str) -> None:
    done = diff("a.yaml", "b.yaml", "--input-shape", sizes)
    assert done.exit_code == 2
    assert "expected sizes such as" in done.output


def test_wrong_inputs() -> None:
    graphcnn.compile(graphcnn.load("a.yaml"), "a.onnx", verify=False)
    with pytest.raises(ModelFileError, match="one is a model file and the other"):
        diff("a.yaml", "a.onnx")
    with pytest.raises(GraphCNNError, match="absent"):
        diff("a.yaml", "absent.yaml")
    with pytest.raises(GraphCNNError, match="other"):
        diff("a.yaml", "b.yaml", "--input-shape", "other=16,16,3")


def test_onnx_files() -> None:
    for name in ("a", "b"):
        graphcnn.compile(graphcnn.load(f"{name}.yaml"), f"{name}.onnx", verify=False)
    found = json.loads(diff("a.onnx", "b.onnx", "--json", "--input-shape", "3,16,16").output)
    assert found["totals"]["macs"]["difference"] == 20744
    assert found["totals"]["bytes"]["new"] == Path("b.onnx").stat().st_size
    assert not json.loads(diff("a.onnx", "a.onnx", "--json").output)["differ"]
