"""``graphcnn train``: from digits to a file for onnxruntime, its options and its messages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file

from graphcnn.cli import compile as compile_command
from graphcnn.cli import evaluate, train
from graphcnn.errors import CheckFailed, ErrorGroup, ExportError, GraphCNNError
from graphcnn.weights import WeightStore
from tests.training.processes import start, until
from tests.training.small import PLAIN, dataset, write_digits

CI = """
name: digits
inputs: {image: [8, 8, 1]}
layers:
  - Rescaling: {scale: 0.004166666666666667}
  - Conv2D: {filters: 16, kernel_size: 3, use_bias: false, kernel_regularizer: {l2: 0.0001}}
  - BatchNormalization: {momentum: 0.9}
  - ReLU
  - MaxPooling2D
  - Flatten
  - Dropout: {rate: 0.2}
  - Dense: {units: 10, activation: softmax, name: scores}
classes: [zero, one, two, three, four, five, six, seven, eight, nine]
train:
  optimizer: {adam: {learning_rate: {cosine_decay: {initial_learning_rate: 0.02}}}}
  epochs: 20
  batch_size: 32
  validation_split: 0.1
  augmentation: [RandomTranslation: {height_factor: 0.05, width_factor: 0.05}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a model file and its data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.yaml").write_text(PLAIN)
    write_digits(tmp_path / "digits.npz", test=10)
    return tmp_path


def invoke(*arguments: object, command: Any = train.command) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def succeeds(*arguments: object, command: Any = train.command) -> Result:
    result = invoke(*arguments, command=command)
    assert result.exception is None, result.exception
    return result


def refused(*arguments: object) -> GraphCNNError:
    """The error of a training that is refused before there is a run."""
    result = invoke(*arguments)
    assert isinstance(result.exception, GraphCNNError), result.exception
    assert result.output == ""
    assert not Path("runs").exists()
    return result.exception


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


class TestDigits:
    def test_train_kill_resume_compile_evaluate(self, folder: Path) -> None:
        """To above 0.9, with Ctrl-C between, and onnxruntime says what TensorFlow says."""
        (folder / "ci.yaml").write_text(CI)
        data = write_digits(folder / "data.npz", samples=900, test=400)
        run = folder / "runs" / "ci"
        options = ("train", "ci.yaml", "--data", data)

        killed = start(folder, *options)
        until((run / "log.jsonl").is_file, killed)
        killed.kill(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        assert not (folder / "ci.safetensors").exists()
        finished = len(lines((run / "log.jsonl").read_text()))
        assert 1 <= finished < 20

        stopped = start(folder, *options, "--resume")
        more = finished + 1
        until(lambda: len(lines((run / "log.jsonl").read_text())) > more, stopped)
        stopped.kill(signal.SIGINT)
        assert stopped.wait() == 130
        said = stopped.err.read_text()
        assert f"going on after epoch {finished} of 20\n" in said
        assert "interrupted in epoch " in said
        assert "--resume goes on" in said
        best = load_file(run / "best.safetensors")
        for name, array in load_file(folder / "ci.safetensors").items():
            np.testing.assert_array_equal(array, best[name])

        result = succeeds("ci.yaml", "--data", data, "--resume")
        assert "epoch 20/20: loss 0." in result.stderr
        assert "ci.safetensors: the weights of epoch " in result.stderr
        log = lines((run / "log.jsonl").read_text())
        assert [record["epoch"] for record in log] == [*range(1, 21)]

        weights = ("--weights", "ci.safetensors")
        succeeds("ci.yaml", *weights, "-o", "ci.onnx", command=compile_command.command)
        found = json.loads(
            succeeds("ci.onnx", "--data", data, "--json", command=evaluate.command).stdout
        )
        assert found["results"][0]["accuracy"] > 0.9
        assert found["results"][0]["classes"][3]["name"] == "three"
        both = ("ci.yaml", *weights, "--data", data, "--both", "--json")
        agreement = json.loads(succeeds(*both, command=evaluate.command).stdout)["agreement"]
        assert agreement["differing"] == 0
        assert agreement["largest_difference"] < 1e-5


class TestOptions:
    def test_help(self) -> None:
        text = succeeds("--help").stdout
        for name in ("--data", "--resume", "--set", "--init-from", "--freeze", "--json-log"):
            assert name in text
        assert "validation_split" in text
        assert "Examples:" in text

    def test_what_is_written_in_the_model_and_on_top(self, folder: Path) -> None:
        succeeds(
            *("plain.yaml", "--data", "digits.npz", "--epochs", 1, "--batch-size", 50),
            *("--seed", 7, "--precision", "float32", "--run", "a/b", "-o", "w.safetensors"),
            *("--set", "optimizer={sgd: {learning_rate: 0.01, momentum: 0.9}}"),
            *("--set", "augmentation=[{RandomCrop: {padding: 1}}, RandomFlip]"),
            *("--set", "early_stopping={monitor: loss, patience: 3}", "--set", "monitor=accuracy"),
        )
        found = json.loads((folder / "a" / "b" / "config.json").read_text())["train"]
        assert (found["epochs"], found["batch_size"], found["seed"]) == (1, 50, 7)
        assert found["optimizer"]["sgd"]["momentum"] == 0.9
        assert [*map(list, found["augmentation"])] == [["RandomCrop"], ["RandomFlip"]]
        assert found["early_stopping"]["patience"] == 3
        assert found["monitor"] == "accuracy"
        assert (folder / "w.safetensors").is_file()
        assert not (folder / "plain.safetensors").exists()

    def test_null_takes_back_what_the_model_says(self, folder: Path) -> None:
        (folder / "plain.yaml").write_text(PLAIN.replace("epochs: 2", "monitor: val_loss"))
        data = ("--data", "digits.npz", "--epochs", 1)
        succeeds("plain.yaml", *data, "--set", "monitor=null")

    def test_early_stopping_is_said(self, folder: Path) -> None:
        result = succeeds(
            *("plain.yaml", "--data", "digits.npz", "--epochs", 9),
            *("--set", "early_stopping={monitor: loss, min_delta: 100, patience: 1}"),
        )
        assert "stopped after epoch 2: no improvement\n" in result.stderr

    def test_weights_to_start_from(self, folder: Path) -> None:
        """A file may lack layers; what is frozen is said."""
        np.savez(folder / "first.npz", **{"conv/bias": np.arange(4, dtype=np.float32)})
        result = succeeds(
            *("plain.yaml", "--data", "digits.npz", "--epochs", 1),
            *("--init-from", "first.npz", "--freeze", "conv", "--freeze", "conv*"),
        )
        assert "1 weights are taken over\n" in result.stderr
        assert "drawn anew: conv/kernel, scores/kernel, scores/bias\n" in result.stderr
        assert "frozen: conv\n" in result.stderr
        found = WeightStore.read(folder / "plain.safetensors")
        assert found["conv/bias"].load().tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize(
        ("assignment", "says", "hint"),
        [
            ("epoch=3", "unknown key 'epoch'", "did you mean epochs?"),
            ("optimizer={adm: {}}", "optimizer: unknown optimizer 'adm'", "did you mean adam?"),
            (
                "optimizer={sgd: {momentm: 1}}",
                "optimizer: unknown key 'momentm'",
                "did you mean momentum?",
            ),
            ("loss=msr", "loss: unknown loss 'msr'", "did you mean mse?"),
            ("epochs=many", "epochs: expected an integer, found 'many'", None),
            ("optimizer={sgd: {", "--set optimizer={sgd: {", None),
        ],
    )
    def test_a_wrong_assignment(
        self, folder: Path, assignment: str, says: str, hint: str | None
    ) -> None:
        error = refused("plain.yaml", "--data", "digits.npz", "--set", assignment)
        (one,) = error.errors
        assert says in str(one)
        assert hint is None or one.hint == hint

    @pytest.mark.parametrize("text", ["epochs", "epochs="])
    def test_no_assignment(self, folder: Path, text: str) -> None:
        result = invoke("plain.yaml", "--data", "digits.npz", "--set", text)
        assert result.exit_code == 2
        assert f"--set {text}: expected KEY=VALUE" in result.stderr


class TestOutput:
    def test_lines_and_json(self, folder: Path) -> None:
        """On a pipe a line an epoch goes to standard error, and JSON to standard output."""
        arguments = ("--data", "digits.npz", "--json-log", "-", "--set", "validation_split=60")
        result = succeeds("plain.yaml", *arguments)
        said = result.stderr.splitlines()
        assert len(said) == 3
        for number, line in enumerate(said[:2], 1):
            assert line.startswith(f"epoch {number}/2: loss ")
            assert ", val_accuracy 0." in line
            assert line.endswith(" samples/s")
        assert said[2].startswith("plain.safetensors: the weights of epoch ")
        assert said[2].endswith("; the run is in runs/plain")
        assert "\x1b" not in result.stderr
        assert lines(result.stdout) == lines((folder / "runs/plain/log.jsonl").read_text())

    def test_a_log_file_has_all_epochs(self, folder: Path) -> None:
        arguments = ("plain.yaml", "--data", "digits.npz", "--json-log", "log.jsonl")
        succeeds(*arguments)
        first = (folder / "log.jsonl").read_text()
        succeeds(*arguments, "--resume")
        assert (folder / "log.jsonl").read_text() == first
        record = lines(first)[0]
        assert [*record] == [
            *("epoch", "steps", "samples", "seconds", "learning_rate", "loss", "accuracy"),
        ]
        assert (record["epoch"], record["steps"], record["samples"]) == (1, 10, 300)

    def test_a_log_that_cannot_be_written(self, folder: Path) -> None:
        result = invoke("plain.yaml", "--data", "digits.npz", "--json-log", "no/log.jsonl")
        assert isinstance(result.exception, ExportError)
        assert "no/log.jsonl cannot be written" in str(result.exception)

    def test_an_output_that_exists(self, folder: Path) -> None:
        (folder / "plain.safetensors").write_text("mine")
        error = refused("plain.yaml", "--data", "digits.npz")
        assert "plain.safetensors exists" in str(error)
        assert "--force" in str(error.hint)
        assert (folder / "plain.safetensors").read_text() == "mine"
        succeeds("plain.yaml", "--data", "digits.npz", "--epochs", 1, "--force")
        assert load_file(folder / "plain.safetensors")

    @pytest.mark.parametrize(
        ("output", "says"),
        [
            ("w.npz", "w.npz: weights are saved as .safetensors"),
            ("no/w.safetensors", "no/w.safetensors is no place for a file"),
            ("d.safetensors", "d.safetensors is no place for a file"),
        ],
    )
    def test_an_output_that_cannot_be(self, folder: Path, output: str, says: str) -> None:
        (folder / "d.safetensors").mkdir()
        assert says in str(refused("plain.yaml", "--data", "digits.npz", "-o", output))


class TestBadInput:
    def test_data(self, folder: Path) -> None:
        (folder / "bad.npz").write_bytes(b"PK\x03\x04 no")
        assert "bad.npz" in str(refused("plain.yaml", "--data", "bad.npz"))
        assert "nothing.npz" in str(refused("plain.yaml", "--data", "nothing.npz"))

    def test_no_training_data(self, folder: Path) -> None:
        found = dataset()
        assert found.train
        np.savez(folder / "test.npz", x_test=found.train.x, y_test=found.train.y)
        error = refused("plain.yaml", "--data", "test.npz")
        assert str(error).startswith("test.npz: there is no training data, only a test set")

    def test_a_wrong_model(self, folder: Path) -> None:
        (folder / "plain.yaml").write_text(PLAIN.replace("epochs: 2", "epochs: 0, optimiser: sgd"))
        error = refused("plain.yaml", "--data", "digits.npz")
        assert isinstance(error, ErrorGroup)
        assert "plain.yaml:9:9: train: epochs" in str(error)
        assert "did you mean optimizer?" in str(error)

    def test_weights_to_start_from(self, folder: Path) -> None:
        arguments = ("plain.yaml", "--data", "digits.npz", "--init-from")
        assert "no.npz: no such file" in str(refused(*arguments, "no.npz"))
        np.savez(folder / "other.npz", other=np.zeros(3, np.float32))
        assert "none of its weights is in the model" in str(refused(*arguments, "other.npz"))

    def test_no_number(self, folder: Path) -> None:
        rate = "optimizer={sgd: {learning_rate: 1.0e+20}}"
        result = invoke("plain.yaml", "--data", "digits.npz", "--set", rate)
        assert isinstance(result.exception, CheckFailed)
        assert "in epoch 1, step " in str(result.exception)
        assert not (folder / "plain.safetensors").exists()


def command(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    given: Sequence[str] = [str(argument) for argument in arguments]
    return subprocess.run(
        [sys.executable, "-m", "graphcnn", "train", *given],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_process_of_its_own(folder: Path) -> None:
    """TensorFlow says nothing, and the statuses are those of every command."""
    done = command(folder, "plain.yaml", "--data", "digits.npz", "--epochs", 1)
    assert (done.returncode, done.stdout) == (0, "")
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["epoch", "plain.safetensors:"]
    done = command(folder, "plain.yaml", "--data", "no.npz", "--force")
    assert done.returncode == 2
    assert "no.npz" in done.stderr
    assert "Traceback" not in done.stderr
