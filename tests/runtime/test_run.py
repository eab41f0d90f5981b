"""What running an .onnx file gives, as Python sees it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from PIL import Image

from graphcnn.errors import ExportError, RuntimeFailure
from graphcnn.files import check_target
from graphcnn.report.results import results_json
from graphcnn.runtime.run import Output, RunResult, run
from graphcnn.runtime.session import open_session
from graphcnn.runtime.signature import read_signature

from .models import edit_metadata, identity_model, plain_model


def strict_json(result: RunResult, top: int = 5) -> list[dict[str, object]]:
    """The outputs, through JSON that refuses what is not JSON."""
    text = json.dumps(results_json(result, top), allow_nan=False)
    return json.loads(text)["outputs"]  # type: ignore[no-any-return]


class TestRun:
    def test_the_convolution_by_hand(self, by_hand: Path, hand_image: np.ndarray) -> None:
        result = run(by_hand, hand_image, "cpu")
        assert result.provider == "CPUExecutionProvider"
        (output,) = result.outputs
        assert (output.name, output.layout) == ("conv", "NCHW")
        assert output.values.tolist() == [[[
            [6, 5, -2, 1, 2],
            [3, 0, 3, 2, -2],
            [4, 2, -1, 0, 0],
            [2, 1, 2, -1, -3],
            [1, 1, 1, 3, 1],
        ]]]  # fmt: skip

    def test_a_batch_by_name(self, by_hand: Path, hand_image: np.ndarray) -> None:
        batch = np.stack([hand_image, 0 * hand_image])[..., None].transpose(0, 3, 1, 2)
        (output,) = run(by_hand, {"image": batch}).outputs
        assert output.values.shape == (2, 1, 5, 5)
        assert output.values[1].ravel().tolist() == [1.0] * 25

    def test_two_inputs(self, two_inputs: Path) -> None:
        (output,) = run(two_inputs, {"a": [1, 2, 3, 4], "b": [10, 20, 30, 40]}).outputs
        assert output.values.tolist() == [[11, 22, 33, 44]]

    @pytest.mark.parametrize("input_layout", ["nchw", "nhwc"])
    def test_an_image_in_the_stated_layout(self, tmp_path: Path, input_layout: str) -> None:
        pixels = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)
        Image.fromarray(pixels).save(tmp_path / "x.png")
        model = identity_model(tmp_path / "m.onnx", (4, 3, 3), input_layout=input_layout)
        (output,) = run(model, tmp_path / "x.png").outputs
        expected = pixels if input_layout == "nhwc" else pixels.transpose(2, 0, 1)
        np.testing.assert_array_equal(output.values[0], expected)

    def test_a_fixed_batch(self, tmp_path: Path) -> None:
        model = identity_model(tmp_path / "m.onnx", (2, 2, 1), batch=3)
        assert run(model, np.zeros((3, 1, 2, 2))).outputs[0].values.shape == (3, 1, 2, 2)
        x = np.random.default_rng(0).random((7, 1, 2, 2), np.float32)
        np.testing.assert_array_equal(run(model, x).outputs[0].values, x)

    @pytest.mark.parametrize("number", ["FLOAT", "DOUBLE", "INT64", "UINT8", "BOOL", "FLOAT16"])
    def test_files_of_other_tools(self, tmp_path: Path, number: str) -> None:
        kind = getattr(TensorProto, number)
        model = plain_model(tmp_path / "m.onnx", ("N", 3), kind, "Identity")
        (output,) = run(model, [0, 1, 1]).outputs
        assert output.values.tolist() == [[0, 1, 1]]
        assert strict_json(run(model, [0, 1, 1]))[0]["values"] == [[0, 1, 1]]

    def test_text_is_refused(self, tmp_path: Path) -> None:
        model = plain_model(tmp_path / "m.onnx", ("N",), TensorProto.STRING, "Identity")
        with pytest.raises(RuntimeFailure, match=r"input 'x' is a tensor\(string\)"):
            run(model, [1])

    def test_a_model_that_fails_as_it_runs(self, tmp_path: Path) -> None:
        value = onnx.helper.make_tensor_value_info
        pair = [value("a", 1, ["N", "K"]), value("b", 1, ["N", "L"])]
        node = onnx.helper.make_node("Add", ["a", "b"], ["c"])
        graph = onnx.helper.make_graph([node], "g", pair, [value("c", 1, None)])
        opset = [onnx.helper.make_opsetid("", 17)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.save(model, tmp_path / "m.onnx")
        with pytest.raises(RuntimeFailure, match=r"m\.onnx: onnxruntime cannot run it: Non-zero"):
            run(tmp_path / "m.onnx", {"a": [1, 2, 3], "b": [1, 2]})

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x08" * 20, b"PK\x03\x04" * 9])
    def test_a_damaged_model(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "m.onnx"
        path.write_bytes(content)
        with pytest.raises(RuntimeFailure, match="onnxruntime cannot load it") as caught:
            run(path, [1])
        assert "\n" not in caught.value.message
        assert caught.value.message.count(str(path)) == 1

    def test_a_model_cut_short(self, by_hand: Path, hand_image: np.ndarray) -> None:
        by_hand.write_bytes(by_hand.read_bytes()[:-40])
        with pytest.raises(RuntimeFailure, match="it may be damaged"):
            run(by_hand, hand_image)

    def test_a_model_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeFailure, match=r"m\.onnx: no such file"):
            run(tmp_path / "m.onnx", [1])
        with pytest.raises(RuntimeFailure, match="is a directory"):
            run(tmp_path, [1])


class TestSignature:
    @pytest.mark.parametrize(
        ("shape", "layout"),
        [
            (("N", 3, 8, 8), "NCHW"),
            (("N", 8, 8, 3), "NHWC"),
            (("N", 8, 8, 8), "NCHW"),
            (("N", 3, 8, 3), "NCHW"),
            (("N", "H", "W", 1), "NHWC"),
            ((None, 3, None, None), "NCHW"),
            (("N", 8, 3), ""),
            (("N", 10), ""),
        ],
    )
    def test_a_layout_that_is_not_stated(
        self, tmp_path: Path, shape: tuple[int | str, ...], layout: str
    ) -> None:
        model = plain_model(tmp_path / "m.onnx", shape, TensorProto.FLOAT, "Identity")
        (spec,) = read_signature(open_session(model)).inputs
        assert spec.layout == layout

    def test_the_stated_layout_is_taken_even_if_unlikely(self, tmp_path: Path) -> None:
        model = identity_model(tmp_path / "m.onnx", (3, 8, 8), input_layout="nhwc")
        assert read_signature(open_session(model)).inputs[0].layout == "NHWC"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"image": 3}', '{"image": "NC"}', "[" * 9999])
    def test_metadata_that_makes_no_sense_is_passed_over(self, tmp_path: Path, text: str) -> None:
        model = identity_model(tmp_path / "m.onnx", (8, 8, 3))
        edit_metadata(model, input_layouts=text, output_layouts=text, classes=text)
        signature = read_signature(open_session(model))
        assert signature.inputs[0].layout == signature.outputs[0].layout == "NCHW"
        assert signature.classes == ()


class TestTop:
    def test_highest_first_and_equals_in_order(self) -> None:
        output = Output("y", np.array([[0.1, 0.5, 0.1, 0.3], [1, 1, 1, 1]], np.float32))
        top = output.top(3)
        assert top is not None
        assert [[score.index for score in best] for best in top] == [[1, 3, 0], [0, 1, 2]]
        assert top[0][0].value == 0.5

    def test_nan_is_last(self) -> None:
        top = Output("y", np.array([[np.nan, -np.inf, np.inf]])).top(3)
        assert top is not None
        assert [score.index for score in top[0]] == [2, 1, 0]

    def test_bytes_do_not_wrap(self) -> None:
        top = Output("y", np.array([[0, 255, 7]], np.uint8)).top(9)
        assert top is not None
        assert [score.index for score in top[0]] == [1, 2, 0]

    @pytest.mark.parametrize("shape", [(), (3,), (1, 2, 3), (1, 1, 5, 5)])
    def test_only_rows_of_scores(self, shape: tuple[int, ...]) -> None:
        assert Output("y", np.zeros(shape)).top(1) is None

    def test_names_of_classes(self, classifier: Path) -> None:
        names = [f"digit {i}" for i in range(10)]
        edit_metadata(classifier, classes=json.dumps(names))
        top = run(classifier, np.ones((3, 6, 4))).outputs[0].top(10)
        assert top is not None
        assert {(score.index, score.name) for score in top[0]} == set(enumerate(names))

    def test_names_that_are_too_few_are_passed_over(self, classifier: Path) -> None:
        edit_metadata(classifier, classes='["cat", "dog"]')
        assert run(classifier, np.ones((3, 6, 4))).outputs[0].classes == ()


class TestJson:
    def test_scores(self, classifier: Path) -> None:
        result = run(classifier, np.ones((2, 3, 6, 4)))
        (output,) = strict_json(result, top=3)
        assert list(output) == ["name", "shape", "dtype", "values", "top"]
        assert (output["name"], output["shape"], output["dtype"]) == ("scores", [2, 10], "float32")
        np.testing.assert_array_equal(output["values"], result.outputs[0].values)
        top = output["top"]
        assert isinstance(top, list)
        assert [len(best) for best in top] == [3, 3]
        assert list(top[0][0]) == ["index", "value"]

    def test_names(self) -> None:
        output = Output("y", np.array([[1.0, 2.0]]), classes=("cat", "dog"))
        (found,) = strict_json(RunResult("m", "p", (output,)), top=1)
        assert found["top"] == [[{"index": 1, "value": 2.0, "name": "dog"}]]

    def test_numbers_that_are_not_finite(self) -> None:
        output = Output("y", np.array([[np.nan, np.inf, -np.inf, 1.5]], np.float32))
        (found,) = strict_json(RunResult("m", "p", (output,)))
        assert found["values"] == [["NaN", "Infinity", "-Infinity", 1.5]]
        assert np.array_equal(np.array(found["values"], float), output.values, equal_nan=True)

    @pytest.mark.parametrize(("count", "listed"), [(10_000, True), (10_001, False)])
    def test_long_outputs_are_left_out(self, count: int, listed: bool) -> None:
        output = Output("y", np.zeros((1, 1, count)))
        (found,) = strict_json(RunResult("m", "p", (output,)))
        assert (found["values"] is not None) == listed
        assert found["top"] is None

    def test_a_single_number(self) -> None:
        (found,) = strict_json(RunResult("m", "p", (Output("y", np.array(3, np.int64)),)))
        assert (found["shape"], found["values"]) == ([], 3)


class TestSave:
    NAMES = ("block/sum", "file", "allow_pickle", "a b", "é")

    def test_by_name(self, tmp_path: Path) -> None:
        outputs = tuple(
            Output(name, np.full((2, 3), i, np.float32)) for i, name in enumerate(self.NAMES)
        )
        RunResult("m", "p", outputs).save(tmp_path / "out.npz")
        with np.load(tmp_path / "out.npz") as archive:
            assert archive.files == list(self.NAMES)
            for i, name in enumerate(self.NAMES):
                np.testing.assert_array_equal(archive[name], np.full((2, 3), i, np.float32))

    def test_the_same_bytes_each_time(self, tmp_path: Path) -> None:
        result = RunResult("m", "p", (Output("y", np.ones((1, 2))),))
        result.save(tmp_path / "a.npz")
        result.save(tmp_path / "b.npz")
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="is not a directory"):
            RunResult("m", "p", ()).save(tmp_path / "none" / "out.npz")

    def test_a_failure_leaves_what_was_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        (tmp_path / "out.npz").write_text("before")
        monkeypatch.setattr(np.lib.format, "write_array", full)
        with pytest.raises(ExportError, match="No space left on device"):
            RunResult("m", "p", (Output("y", np.ones(2)),)).save(tmp_path / "out.npz")
        assert (tmp_path / "out.npz").read_text() == "before"
        assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]

    def test_an_existing_file_needs_force(self, tmp_path: Path) -> None:
        path = tmp_path / "out.npz"
        check_target(path, force=False)
        path.touch()
        check_target(path, force=True)
        with pytest.raises(ExportError, match="--force replaces it"):
            check_target(path, force=False)
