"""``graphcnn evaluate``: what it prints, its JSON, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

import graphcnn
from graphcnn.cli.evaluate import command
from graphcnn.errors import CheckFailed, DataError, ErrorGroup, GraphError
from graphcnn.evaluation import EvaluationReport, Measurement
from graphcnn.report.evaluation import evaluation_json, evaluation_table
from graphcnn.runtime.deploy import Deployment, write_deployment
from graphcnn.runtime.settings import Settings
from graphcnn.scoring import Agreement, evaluate_scores
from graphcnn.weights import WeightStore

MODEL = """
name: tiny
inputs: {image: [4, 4, 2]}
layers:
  - Rescaling: {scale: 0.25}
  - Conv2D: {filters: 5, kernel_size: 3, activation: relu, name: conv}
  - Flatten
  - Dense: {units: 3, activation: softmax, name: scores}
"""
LABELS = np.arange(20) % 3


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(MODEL)
    return tmp_path / "tiny.yaml"


@pytest.fixture
def weights(model: Path) -> Path:
    path = model.with_suffix(".safetensors")
    WeightStore.random(graphcnn.load(model).weights, 0).save(path)
    return path


@pytest.fixture
def compiled(model: Path, weights: Path) -> Path:
    graphcnn.compile(graphcnn.load(model), model.with_suffix(".onnx"), weights=weights)
    return model.with_suffix(".onnx")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).integers(0, 255, (20, 4, 4, 2), np.uint8)
    np.savez(tmp_path / "data.npz", x_test=x, y_test=LABELS)
    return tmp_path / "data.npz"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def printed(*arguments: object) -> str:
    result = invoke(*arguments)
    assert result.exception is None, result.exception
    return result.stdout


def squeezed(text: str) -> str:
    return "".join(" ".join(line.split()) + "\n" for line in text.splitlines())


def refused(*arguments: object) -> BaseException:
    result = invoke(*arguments)
    assert result.stdout == ""
    assert result.exception is not None
    return result.exception


def rendered(report: EvaluationReport) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(evaluation_table(report))
    return squeezed(capture.get())


def report_of(scores: np.ndarray, labels: np.ndarray, classes: Any = ()) -> EvaluationReport:
    measured = Measurement("engine", evaluate_scores(scores, labels, classes), 1234.56)
    return EvaluationReport("m.onnx", "data", "test", (measured,))


class TestAnOnnxFile:
    def test_prints_everything(self, compiled: Path, data: Path) -> None:
        text = squeezed(printed(compiled, "--data", data))
        assert f"{compiled} on 20 test samples of {data}\n" in text
        assert "engine accuracy loss samples/s\n" in text
        assert "onnxruntime (CPUExecutionProvider) 0." in text
        assert "class precision recall support\n" in text
        assert "true \\ predicted 0 1 2\n" in text
        assert "TensorFlow" not in text

    def test_says_which_settings_apply(self, compiled: Path, data: Path) -> None:
        assert json.loads(printed(compiled, "--data", data, "--json"))["tuned"] is None
        made = Deployment.of(compiled, Settings(threads=1), processor="a processor", measured={})
        write_deployment(compiled.parent, made)
        assert (
            "settings of deploy.json: provider=auto, threads=1, optimization=all, spinning=true, "
            "micro_batch=null"
        ) in " ".join(printed(compiled, "--data", data).split())
        found = json.loads(printed(compiled, "--data", data, "--json", "--provider", "cpu"))
        assert (found["tuned"]["provider"], found["tuned"]["threads"]) == ("cpu", 1)

    def test_json(self, compiled: Path, data: Path) -> None:
        found = json.loads(printed(compiled, "--data", data, "--json"))
        assert {k: found[k] for k in ("model", "data", "split", "samples", "agreement")} == {
            "model": str(compiled),
            "data": str(data),
            "split": "test",
            "samples": 20,
            "agreement": None,
        }
        (result,) = found["results"]
        confusion = np.array(result["confusion"])
        assert confusion.sum(axis=1).tolist() == [7, 7, 6]
        assert result["accuracy"] == confusion.trace() / 20
        assert result["scores"] == "probabilities"
        assert [row["support"] for row in result["classes"]] == [7, 7, 6]

    @pytest.mark.parametrize("options", [["--weights", "w.npz"], ["--both"]])
    def test_has_its_own_weights(self, compiled: Path, options: list[str]) -> None:
        result = invoke(compiled, "--data", "x", *options)
        assert result.exit_code == 2
        assert "--weights and --both are for a model file" in result.stderr

    def test_targets(self, compiled: Path, data: Path, tmp_path: Path) -> None:
        x = np.load(data)["x_test"]
        np.savez(tmp_path / "t.npz", x_test=x, y_test=np.zeros((20, 3), np.float32))
        text = squeezed(printed(compiled, "--data", tmp_path / "t.npz"))
        assert "engine mean squared error mean absolute error samples/s\n" in text
        assert "precision" not in text
        (result,) = json.loads(printed(compiled, "--data", tmp_path / "t.npz", "--json"))["results"]
        assert result["mean_absolute_error"] == pytest.approx(1 / 3)
        assert set(result) > {"engine", "samples_per_second", "mean_squared_error"}

    def test_no_such_split(self, compiled: Path, data: Path) -> None:
        error = refused(compiled, "--data", data, "--split", "train")
        assert isinstance(error, DataError)
        assert "no train samples" in str(error)


class TestAModelFile:
    def test_in_tensorflow(self, model: Path, weights: Path, compiled: Path, data: Path) -> None:
        found = json.loads(printed(model, "--weights", weights, "--data", data, "--json"))
        (result,) = found["results"]
        (other,) = json.loads(printed(compiled, "--data", data, "--json"))["results"]
        assert result["engine"] == "TensorFlow"
        assert result["confusion"] == other["confusion"]
        assert result["loss"] == pytest.approx(other["loss"])

    def test_both(self, model: Path, weights: Path, data: Path) -> None:
        arguments = [model, "--weights", weights, "--data", data, "--both", "--batch-size", "8"]
        text = squeezed(printed(*arguments))
        assert "0 of 20 predictions differ; the largest difference is" in text
        assert text.index("TensorFlow 0.") < text.index("onnxruntime (CPU")
        found = json.loads(printed(*arguments, "--json"))
        assert [result["engine"][:6] for result in found["results"]] == ["Tensor", "onnxru"]
        assert found["agreement"]["differing"] == 0
        assert 0 <= found["agreement"]["largest_difference"] < 1e-6
        names = {"tiny.yaml", "tiny.safetensors", "data.npz"}
        assert {path.name for path in model.parent.iterdir()} == names

    def test_a_difference_fails(
        self, model: Path, weights: Path, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import graphcnn.training

        true = graphcnn.training.predict

        def predict(*arguments: Any) -> np.ndarray:
            scores = np.array(true(*arguments))
            scores[3] = np.roll(scores[3], 1)
            return scores

        monkeypatch.setattr("graphcnn.training.predict", predict)
        result = invoke(model, "--weights", weights, "--data", data, "--both", "--json")
        assert isinstance(result.exception, CheckFailed)
        assert result.exception.exit_code == 1
        assert str(result.exception).startswith("1 of 20 predictions differ; the largest")
        assert result.exception.hint == "the first is that of sample 3"
        assert json.loads(result.stdout)["agreement"]["first_differing"] == [3]

    def test_class_names(self, model: Path, weights: Path, tmp_path: Path) -> None:
        from PIL import Image

        (tmp_path / "grey.yaml").write_text(MODEL.replace("[4, 4, 2]", "[4, 4, 3]"))
        path = tmp_path / "grey.safetensors"
        WeightStore.random(graphcnn.load(tmp_path / "grey.yaml").weights, 0).save(path)
        for name in ("cat", "dog", "eel"):
            folder = tmp_path / "photos" / "test" / name
            folder.mkdir(parents=True)
            Image.new("RGB", (4, 4), "red").save(folder / "1.png")
        photos = tmp_path / "photos"
        text = printed(tmp_path / "grey.yaml", "--weights", path, "--data", photos)
        assert "0 cat" in text
        assert "2 eel" in text

    def test_without_weights(self, model: Path) -> None:
        result = invoke(model, "--data", "x")
        assert result.exit_code == 2
        assert "needs --weights" in result.stderr

    def test_other_weights(self, model: Path, data: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "w.npz", **{"conv/kernel": np.zeros((3, 3, 2, 4), np.float32)})
        error = refused(model, "--weights", tmp_path / "w.npz", "--data", data)
        assert isinstance(error, ErrorGroup)
        assert "weight conv/kernel has shape [3, 3, 2, 4]" in str(error)

    def test_two_inputs(self, weights: Path, data: Path, tmp_path: Path) -> None:
        path = tmp_path / "two.yaml"
        path.write_text("inputs: {a: [4], b: [4]}\nlayers:\n- Add: {inputs: [a, b], name: sum}\n")
        error = refused(path, "--weights", weights, "--data", data)
        assert isinstance(error, GraphError)
        assert "2 inputs, a, b" in str(error)


class TestTheReport:
    def test_a_class_without_samples(self) -> None:
        report = report_of(np.eye(3)[[0, 0, 1]], np.array([0, 0, 0]), "abc")
        text = rendered(report)
        assert "0 a 100.00% 66.67% 3\n1 b 0.00% - 0\n2 c - - 0\n" in text
        assert "0 a 2 1 .\n1 b . . .\n" in text
        (result,) = evaluation_json(report)["results"]
        assert result["classes"] == [
            {"name": "a", "precision": 1.0, "recall": 2 / 3, "support": 3},
            {"name": "b", "precision": 0.0, "recall": None, "support": 0},
            {"name": "c", "precision": None, "recall": None, "support": 0},
        ]
        json.dumps(result, allow_nan=False)

    def test_of_many_classes_the_worst(self) -> None:
        labels = np.arange(100).repeat(4)
        predicted = labels.copy()
        predicted[[0, 1, 2, 4, 5]] = [7, 7, 7, 9, 9]
        text = rendered(report_of(np.eye(100)[predicted], labels))
        assert "the 10 of 100 classes with the lowest recall; --json has all" in text
        assert "\n0 100.00% 25.00% 4\n1 100.00% 50.00% 4\n2 100.00% 100.00% 4\n" in text
        assert "most often confused\ntrue predicted samples" in text
        assert text.endswith("0 7 3\n1 9 2\n")

    def test_logits_are_said(self) -> None:
        text = rendered(report_of(np.array([[3.0, -1]]), np.array([0])))
        assert "accuracy loss (scores taken for logits) samples/s" in text

    def test_names_from_files_command_no_terminal(self) -> None:
        report = report_of(np.eye(2), np.array([0, 1]), ["[red]a", "\x1b[2Jb"])
        text = rendered(report)
        assert "0 [red]a" in text
        assert "\x1b" not in text

    def test_agreement(self) -> None:
        one = report_of(np.eye(2), np.array([0, 1]))
        agreement = Agreement(2, np.arange(12), 0.25)
        report = EvaluationReport("m", "d", "test", one.measurements * 2, agreement)
        assert "12 of 2 predictions differ; the largest difference is 0.25" in rendered(report)
        assert evaluation_json(report)["agreement"] == {
            "differing": 12,
            "first_differing": list(range(10)),
            "largest_difference": 0.25,
        }


def test_exit_codes(compiled: Path, data: Path, tmp_path: Path) -> None:
    def code(*arguments: object) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "graphcnn", "evaluate", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stderr

    assert code(compiled, "--data", data) == (0, "")
    status, message = code(tmp_path / "no.onnx", "--data", data)
    assert (status, message) == (2, f"{tmp_path / 'no.onnx'}: no such file\n")
