"""``graphcnn run``, in a process of its own where exit codes and streams matter."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from graphcnn.cli.run import command
from graphcnn.report.results import results_table
from graphcnn.runtime.run import Output, RunResult

from .models import edit_metadata, identity_model


def graphcnn(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "graphcnn", "run", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def printed(*arguments: str | Path) -> str:
    """What a run that succeeds prints."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exception is None, result.exception
    return result.stdout


def squeezed(text: str) -> str:
    """The text with one space between words, so that columns do not matter."""
    return "".join(" ".join(line.split()) + "\n" for line in text.splitlines())


def rendered(*outputs: Output, top: int = 5, width: int = 200) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(results_table(RunResult("m.onnx", "CPU", outputs), top))
    return capture.get()


@pytest.fixture
def hand_file(tmp_path: Path, hand_image: np.ndarray) -> Path:
    np.save(tmp_path / "hand.npy", hand_image)
    return tmp_path / "hand.npy"


class TestPrinting:
    def test_the_convolution_by_hand(self, by_hand: Path, hand_file: Path) -> None:
        result = graphcnn(by_hand, hand_file)
        assert (result.returncode, result.stderr) == (0, "")
        assert ("6 5 -2 1 2\n3 0 3 2 -2\n4 2 -1 0 0\n2 1 2 -1 -3\n1 1 1 3 1\n") in squeezed(
            result.stdout
        )
        assert "conv float32[1, 1, 5, 5] NCHW -3 1.24 6" in squeezed(result.stdout)
        assert "\x1b" not in result.stdout

    def test_the_same_from_an_image(
        self, by_hand: Path, tmp_path: Path, hand_image: np.ndarray
    ) -> None:
        Image.fromarray(hand_image).save(tmp_path / "hand.png")
        assert "6 5 -2 1 2\n3 0 3 2 -2" in squeezed(printed(by_hand, tmp_path / "hand.png"))

    def test_scores_with_names(self, classifier: Path, tmp_path: Path) -> None:
        edit_metadata(classifier, classes=json.dumps([f"<{i}>" for i in range(10)]))
        np.save(tmp_path / "x.npy", np.ones((3, 6, 4)))
        lines = squeezed(printed(classifier, tmp_path / "x.npy", "--top", "2")).splitlines()
        assert "scores float32[1, 10]" in lines
        assert "class name probability" in lines
        assert sum("<" in line for line in lines) == 2

    def test_a_title_wider_than_its_table_is_one_line(self) -> None:
        text = rendered(Output("a/rather/long/name", np.ones((1, 1))), width=80)
        assert "a/rather/long/name  float64[1, 1]" in text

    def test_many_samples(self) -> None:
        text = rendered(Output("y", np.eye(20, 3, dtype=np.float32)), top=1)
        rows = [line.split() for line in text.splitlines()]
        assert ["0", "0", "1"] in rows
        assert ["7", "0", "0"] in rows
        assert "the first 8 of 20 samples; -o saves all" in text
        assert not any(row and row[0] == "8" for row in rows)

    def test_channels_last_prints_each_channel(self) -> None:
        values = np.arange(8).reshape(1, 2, 2, 2)
        text = squeezed(rendered(Output("y", values, "NHWC")))
        assert "y, channel 0\n0 2\n4 6\n" in text
        assert "y, channel 1\n1 3\n5 7\n" in text

    def test_volumes_print_each_plane(self) -> None:
        text = squeezed(rendered(Output("y", np.arange(16).reshape(1, 2, 2, 2, 2), "NCDHW")))
        assert "y, channel 1, depth 0\n8 9\n10 11\n" in text

    def test_an_unknown_layout_prints_indices(self) -> None:
        text = squeezed(rendered(Output("y", np.arange(8).reshape(2, 2, 1, 2))))
        assert "y, sample 1, index 0\n4 5\n" in text

    def test_sequences_print_a_row_for_each_channel(self) -> None:
        text = squeezed(rendered(Output("y", np.arange(6).reshape(1, 3, 2), "NLC")))
        assert "y\n0 2 4\n1 3 5\n" in text

    @pytest.mark.parametrize("shape", [(6,), (1, 6, 1, 1), (1, 1, 1, 6)])
    def test_one_number_a_channel_prints_in_a_row(self, shape: tuple[int, ...]) -> None:
        layout = "NHWC" if shape[-1] == 6 and len(shape) == 4 else ""
        text = squeezed(rendered(Output("y", np.arange(6).reshape(shape), layout)))
        assert "y\n0 1 2 3 4 5\n" in text

    @pytest.mark.parametrize(
        ("value", "text"),
        [(np.float32(0.1), "0.1"), (np.int64(1234567), "1234567"), (np.bool_(True), "1")],
    )
    def test_a_single_number(self, value: np.generic, text: str) -> None:
        assert f"y\n{text}\n" in squeezed(rendered(Output("y", np.array(value))))

    def test_large_outputs_are_summed_up(self) -> None:
        text = rendered(Output("y", np.ones((1, 1, 257)), "NCL"))
        assert "float64[1, 1, 257] NCL" in text
        assert "channel" not in text

    def test_numbers_that_are_not_finite(self) -> None:
        text = squeezed(rendered(Output("y", np.array([[[np.nan, np.inf, -np.inf]]]))))
        assert "nan inf -inf" in text

    def test_no_numbers_at_all(self) -> None:
        assert "- - -" in squeezed(rendered(Output("y", np.zeros((0, 1, 5)))))

    def test_a_name_cannot_command_the_terminal(self) -> None:
        text = rendered(Output("[red]\x1b[2J", np.ones((1, 1, 2))))
        assert "\x1b" not in text
        assert "[red]\N{REPLACEMENT CHARACTER}[2J" in text

    def test_nothing_is_cut_without_a_terminal(self, tmp_path: Path) -> None:
        model = identity_model(tmp_path / "m.onnx", (1, 100, 1))
        np.save(tmp_path / "x.npy", np.arange(1000, 1100).reshape(1, 1, 100))
        result = graphcnn(model, tmp_path / "x.npy", COLUMNS="40")
        assert " ".join(map(str, range(1000, 1100))) in result.stdout


class TestOptions:
    def test_json(self, by_hand: Path, hand_file: Path) -> None:
        found = json.loads(printed(by_hand, hand_file, "--json", "--provider", "cpu"))
        assert found["model"] == str(by_hand)
        assert found["provider"] == "CPUExecutionProvider"
        assert found["outputs"][0]["values"][0][0][0] == [6, 5, -2, 1, 2]

    def test_saving(self, two_inputs: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "in.npz", a=np.ones((2, 4)), b=np.ones((2, 4)))
        saved = tmp_path / "out.npz"
        assert f"saved in {saved}" in printed(two_inputs, tmp_path / "in.npz", "-o", saved)
        with np.load(saved) as archive:
            assert archive["block/sum"].tolist() == [[2] * 4] * 2

    def test_json_and_saving(self, by_hand: Path, hand_file: Path, tmp_path: Path) -> None:
        json.loads(printed(by_hand, hand_file, "--json", "-o", tmp_path / "out.npz"))
        assert (tmp_path / "out.npz").exists()

    def test_an_existing_output_needs_force(
        self, by_hand: Path, hand_file: Path, tmp_path: Path
    ) -> None:
        saved = tmp_path / "out.npz"
        saved.write_text("before")
        result = graphcnn(by_hand, hand_file, "-o", saved)
        assert result.returncode == 2
        assert result.stdout == ""
        assert (
            result.stderr
            == f"{saved} exists\n  hint     --force replaces it (in Python, force=True)\n"
        )
        assert saved.read_text() == "before"
        printed(by_hand, hand_file, "-o", saved, "--force")
        np.load(saved).close()

    def test_help_names_examples(self) -> None:
        text = printed("--help")
        assert "graphcnn run model.onnx photo.png" in text

    def test_help_imports_little(self) -> None:
        script = "import sys, graphcnn.cli.run; print(*sys.modules)"
        found = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        heavy = {"numpy", "onnx", "onnxruntime", "rich", "networkx", "PIL"}
        assert heavy.isdisjoint(found.stdout.split())


class TestErrors:
    def refused(self, *arguments: str | Path) -> str:
        result = graphcnn(*arguments)
        assert result.returncode == 2, result
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        assert len([line for line in result.stderr.splitlines() if line[0] != " "]) == 1
        return result.stderr

    def test_cuda_is_not_there(self, by_hand: Path, hand_file: Path) -> None:
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            assert "CUDAExecutionProvider" in printed(by_hand, hand_file, "--provider", "cuda")
            return
        assert "cuda was asked for" in self.refused(by_hand, hand_file, "--provider", "cuda")

    def test_a_damaged_model(self, tmp_path: Path, hand_file: Path) -> None:
        (tmp_path / "m.onnx").write_bytes(b"hello" * 10)
        assert "onnxruntime cannot load it" in self.refused(tmp_path / "m.onnx", hand_file)

    def test_a_missing_model(self, tmp_path: Path, hand_file: Path) -> None:
        assert "no such file" in self.refused(tmp_path / "m.onnx", hand_file)

    def test_a_damaged_image(self, by_hand: Path, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\x00" * 50)
        assert "x.png: not a readable image" in self.refused(by_hand, tmp_path / "x.png")

    def test_a_wrong_shape(self, by_hand: Path, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((1, 7, 7, 1)))
        message = self.refused(by_hand, tmp_path / "x.npy")
        assert (
            "expected float32[N, 1, 7, 7] (channels first), found [1, 7, 7, 1]; "
            "in channels last that is [N, 7, 7, 1]"
        ) in message
        assert "np.transpose(x, (0, 3, 1, 2))" in message

    def test_a_pickle_is_not_run(self, by_hand: Path, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[object, ...]:
                return Path.touch, (tmp_path / "ran",)

        (tmp_path / "x.npy").write_bytes(pickle.dumps(Bomb()))
        self.refused(by_hand, tmp_path / "x.npy")
        np.save(tmp_path / "y.npy", np.array([Bomb()], object))
        self.refused(by_hand, tmp_path / "y.npy")
        assert not (tmp_path / "ran").exists()

    def test_an_output_that_cannot_be_written(
        self, by_hand: Path, hand_file: Path, tmp_path: Path
    ) -> None:
        assert "is a directory" in self.refused(by_hand, hand_file, "-o", tmp_path)
        missing = tmp_path / "none" / "out.npz"
        assert "is not a directory" in self.refused(by_hand, hand_file, "-o", missing)

    @pytest.mark.parametrize("arguments", [["--top", "0"], ["--provider", "tpu"], ["--nothing"]])
    def test_usage(self, by_hand: Path, hand_file: Path, arguments: list[str]) -> None:
        result = graphcnn(by_hand, hand_file, *arguments)
        assert result.returncode == 2
        assert "Usage: graphcnn run" in result.stderr


class TestSeveralFiles:
    def test_samples_are_called_after_their_files(self, classifier: Path, tmp_path: Path) -> None:
        for name in ("one.npy", "two.npy"):
            np.save(tmp_path / name, np.ones((3, 6, 4)))
        files = [tmp_path / "one.npy", tmp_path / "two.npy"]
        lines = squeezed(printed(classifier, *files, "--top", "1")).splitlines()
        assert "scores float32[2, 10]" in lines
        assert [line.split()[0] for line in lines[-2:]] == [str(path) for path in files]
        found = json.loads(printed(classifier, *files, "--json"))
        assert found["samples"] == [str(path) for path in files]
        assert found["outputs"][0]["shape"] == [2, 10]
