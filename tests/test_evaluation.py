"""Files run over made-up data, and what is said of them."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import graphcnn
from graphcnn.classes import common_classes
from graphcnn.errors import DataError, EvaluationError, GraphCNNError, RuntimeFailure
from graphcnn.evaluation import evaluate_file, measure, predict_samples
from graphcnn.graph import Graph
from graphcnn.ops import Flatten, Rescaling, Softmax
from graphcnn.runtime.deploy import Deployment, write_deployment
from graphcnn.runtime.predict import Predictor, feature_maps
from graphcnn.runtime.settings import Settings
from graphcnn.scoring import Classification, Regression


def brightest(path: Path, *, sizes: tuple[int, int, int] = (1, 2, 2), **options: object) -> Path:
    """A file whose class is the pixel that is brightest, counted row by row, channels last."""
    graph = Graph("brightest")
    pixels = graph.add(Flatten(), graph.input("image", sizes))
    graph.outputs["scores"] = graph.add(Softmax(), pixels, name="scores")
    graphcnn.compile(graph, path, **options)  # type: ignore[arg-type]
    return path


def lit(labels: np.ndarray, sizes: tuple[int, int, int] = (1, 2, 2)) -> np.ndarray:
    """uint8 images, each with the pixel of its label at 9."""
    return (np.eye(math.prod(sizes), dtype=np.uint8)[labels] * 9).reshape(-1, *sizes)


def saved(path: Path, x: np.ndarray, y: np.ndarray, split: str = "test") -> str:
    np.savez(path, **{f"x_{split}": x, f"y_{split}": y})
    return str(path)


class TestNames:
    def test_either_may_lack_them(self) -> None:
        assert common_classes("ab", "") == common_classes("", "ab") == ("a", "b")
        assert common_classes("", "") == ()

    def test_others_are_the_data_s(self) -> None:
        assert common_classes("ab", "xy") == ("a", "b")

    def test_another_order_is_a_mistake(self) -> None:
        with pytest.raises(EvaluationError, match="class 1 is 'b' in the data, and 'c' in the mod"):
            common_classes("abc", "acb")


class TestFiles:
    LABELS = np.array([0, 1, 2, 3, 3, 2, 1])

    @pytest.mark.parametrize("layout", ["nchw", "nhwc"])
    @pytest.mark.parametrize("batch", [None, 1, 4, 16])
    def test_every_layout_and_batch(self, tmp_path: Path, layout: str, batch: int | None) -> None:
        model = brightest(tmp_path / "m.onnx", input_layout=layout, batch=batch)
        data = saved(tmp_path / "d.npz", lit(self.LABELS), self.LABELS)
        seen: list[tuple[int, int]] = []
        report = evaluate_file(
            model, data, batch_size=3, progress=lambda *counts: seen.append(counts)
        )
        (measured,) = report.measurements
        assert isinstance(measured.evaluation, Classification)
        assert (measured.evaluation.samples, measured.evaluation.accuracy) == (7, 1)
        step = batch or 3
        assert seen == [(min(n + step, 7), 7) for n in range(0, 7, step)]
        assert measured.engine.startswith("onnxruntime (")
        assert measured.samples_per_second > 0

    def test_scores_are_in_the_order_of_the_samples(self, tmp_path: Path) -> None:
        predictor = Predictor(brightest(tmp_path / "m.onnx", batch=4))
        found = predictor.predict(lit(self.LABELS))
        assert found.shape == (7, 4)
        assert found.argmax(axis=1).tolist() == self.LABELS.tolist()

    def test_sizes_are_channels_last(self, tmp_path: Path) -> None:
        for layout in ("nchw", "nhwc"):
            path = brightest(tmp_path / f"{layout}.onnx", sizes=(3, 4, 2), input_layout=layout)
            predictor = Predictor(path)
            assert predictor.input_sizes == (3, 4, 2)
            assert predictor.output_sizes == (24,)

    @pytest.mark.parametrize("layout", ["nchw", "nhwc"])
    def test_maps_are_compared_channels_last(self, tmp_path: Path, layout: str) -> None:
        graph = Graph("half")
        image = graph.input("image", (2, 3, 4))
        graph.outputs["half"] = graph.add(Rescaling(scale=0.5), image)
        graphcnn.compile(graph, tmp_path / "m.onnx", input_layout=layout)  # type: ignore[arg-type]
        x = np.random.default_rng(0).random((5, 2, 3, 4), np.float32)
        data = saved(tmp_path / "d.npz", x, x / 2 + 1)
        (measured,) = evaluate_file(tmp_path / "m.onnx", data).measurements
        assert isinstance(measured.evaluation, Regression)
        assert measured.evaluation.mean_squared_error == pytest.approx(1)

    def test_the_first_of_several_outputs(self, tmp_path: Path) -> None:
        model = brightest(tmp_path / "m.onnx", taps=["all"])
        data = saved(tmp_path / "d.npz", lit(self.LABELS), self.LABELS)
        (measured,) = evaluate_file(model, data).measurements
        assert isinstance(measured.evaluation, Classification)

    def test_memory_is_that_of_a_batch(self, tmp_path: Path) -> None:
        predictor = Predictor(brightest(tmp_path / "m.onnx", sizes=(16, 16, 1)))
        x = lit(np.zeros(4096, np.int64), (16, 16, 1))
        predictor.predict(x[:32], 32)
        tracemalloc.start()
        found = predictor.predict(x, 32)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < found.nbytes + 10 * x[:32].nbytes * 4

    def test_the_settings_of_a_deploy_json(self, tmp_path: Path) -> None:
        model = brightest(tmp_path / "m.onnx")
        settings = Settings(threads=1, micro_batch=2)
        data = saved(tmp_path / "d.npz", lit(self.LABELS), self.LABELS)
        assert evaluate_file(model, data).tuned is None
        made = Deployment.of(model, settings, processor="a processor", measured={})
        write_deployment(tmp_path, made)
        seen: list[tuple[int, int]] = []
        report = evaluate_file(model, data, progress=lambda *counts: seen.append(counts))
        (measured,) = report.measurements
        assert isinstance(measured.evaluation, Classification)
        assert (report.tuned, measured.evaluation.accuracy) == (settings, 1)
        assert seen == [(2, 7), (4, 7), (6, 7), (7, 7)]
        assert evaluate_file(model, data, provider="cpu").tuned == settings.on("cpu")
        assert Predictor(model, Settings()).tuned is None

    def test_two_inputs(self, tmp_path: Path) -> None:
        from graphcnn.ops import Add

        graph = Graph("two")
        pair = [graph.input("a", (4,)), graph.input("b", (4,))]
        graph.outputs["sum"] = graph.add(Add(), pair)
        graphcnn.compile(graph, tmp_path / "two.onnx")
        with pytest.raises(RuntimeFailure, match="has 2 inputs: 'a', 'b'"):
            Predictor(tmp_path / "two.onnx")

    def test_no_samples(self, tmp_path: Path) -> None:
        predictor = Predictor(brightest(tmp_path / "m.onnx"))
        with pytest.raises(RuntimeFailure, match="no samples"):
            predictor.predict(np.zeros((0, 1, 2, 2), np.uint8))

    def test_an_output_without_a_batch(self, tmp_path: Path) -> None:
        import onnx

        tensor = onnx.helper.make_tensor_value_info
        body = onnx.helper.make_graph(
            [onnx.helper.make_node("ReduceMax", ["x"], ["y"], keepdims=0)],
            "all",
            [tensor("x", onnx.TensorProto.FLOAT, ["N", 4])],
            [tensor("y", onnx.TensorProto.FLOAT, None)],
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        model = onnx.helper.make_model(body, opset_imports=opset, ir_version=8)
        onnx.save(model, tmp_path / "m.onnx")
        with pytest.raises(RuntimeFailure, match=r"shape \[\] for a batch of 3"):
            Predictor(tmp_path / "m.onnx").predict(np.zeros((3, 4), np.float32))

    def test_a_split_that_is_not_there(self, tmp_path: Path) -> None:
        model = brightest(tmp_path / "m.onnx")
        data = saved(tmp_path / "d.npz", lit(self.LABELS), self.LABELS, "train")
        with pytest.raises(DataError, match="no test samples") as found:
            evaluate_file(model, data)
        assert found.value.hint == "--split train"
        assert evaluate_file(model, data, split="train").split == "train"

    def test_labels_for_maps(self, tmp_path: Path) -> None:
        graph = Graph("same")
        graph.outputs["same"] = graph.add(Rescaling(scale=1.0), graph.input("image", (1, 2, 2)))
        graphcnn.compile(graph, tmp_path / "m.onnx")
        data = saved(tmp_path / "d.npz", lit(self.LABELS), self.LABELS)
        with pytest.raises(GraphCNNError, match="labels of classes"):
            evaluate_file(tmp_path / "m.onnx", data)


class TestSamples:
    LABELS = np.arange(40) % 4

    def test_drawn_from_a_seed(self, tmp_path: Path) -> None:
        model = brightest(tmp_path / "m.onnx")
        data = saved(tmp_path / "d.npz", lit(self.LABELS), self.LABELS)
        found = predict_samples(model, data, count=8)
        assert found.probabilities.shape == (8, 4)
        assert found.probabilities.argmax(axis=1).tolist() == found.y.tolist()
        assert found.x.reshape(8, -1).argmax(axis=1).tolist() == found.y.tolist()
        again, other = (predict_samples(model, data, count=8, seed=seed) for seed in (0, 1))
        assert found.y.tolist() == again.y.tolist() != other.y.tolist()

    def test_more_than_there_are(self, tmp_path: Path) -> None:
        model = brightest(tmp_path / "m.onnx")
        data = saved(tmp_path / "d.npz", lit(self.LABELS[:5]), self.LABELS[:5])
        assert len(predict_samples(model, data, count=15).x) == 5

    def test_targets(self, tmp_path: Path) -> None:
        model = brightest(tmp_path / "m.onnx")
        data = saved(tmp_path / "d.npz", lit(self.LABELS), np.zeros((40, 4), np.float32))
        with pytest.raises(DataError, match="class labels are needed"):
            predict_samples(model, data, count=2)


class TestFeatureMaps:
    def test_none_with_height_and_width(self, tmp_path: Path) -> None:
        model = brightest(tmp_path / "m.onnx", taps=["all"])
        with pytest.raises(RuntimeFailure, match="none of its outputs") as found:
            feature_maps(model, tmp_path / "x.npy")
        assert "--taps all" in str(found.value)

    @pytest.mark.parametrize("layout", ["nchw", "nhwc"])
    def test_values(self, tmp_path: Path, layout: str) -> None:
        graph = Graph("two")
        half = graph.add(Rescaling(scale=0.5), graph.input("image", (2, 3, 4)), name="half")
        graph.outputs["quarter"] = graph.add(Rescaling(scale=0.5), half, name="quarter")
        path = tmp_path / "m.onnx"
        graphcnn.compile(graph, path, taps=["all"], input_layout=layout)  # type: ignore[arg-type]
        image = np.random.default_rng(0).random((2, 2, 3, 4), np.float32)
        np.save(tmp_path / "x.npy", image if layout == "nhwc" else np.moveaxis(image, -1, 1))
        given_, maps = feature_maps(path, tmp_path / "x.npy")
        np.testing.assert_array_equal(given_, image[0])
        assert list(maps) == ["quarter", "half"]
        np.testing.assert_array_equal(maps["half"], image[0] / 2)
        only = feature_maps(path, tmp_path / "x.npy", ["half"])[1]
        assert list(only) == ["half"]

    def test_a_layer_that_is_not_there(self, tmp_path: Path) -> None:
        graph = Graph("one")
        graph.outputs["half"] = graph.add(Rescaling(scale=0.5), graph.input("image", (2, 3, 4)))
        graphcnn.compile(graph, tmp_path / "m.onnx")
        with pytest.raises(RuntimeFailure, match="is named 'hald'") as found:
            feature_maps(tmp_path / "m.onnx", tmp_path / "x.npy", ["hald"])
        assert found.value.hint == "did you mean half?"


def test_the_first_batch_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, 102.0, 104.0])
    monkeypatch.setattr("graphcnn.evaluation.time.perf_counter", lambda: next(clock))

    def predict(tick: object) -> np.ndarray:
        for done in (2, 4, 6):
            tick(done, 6)  # type: ignore[operator]
        return np.eye(2)[[0, 1, 0, 1, 0, 1]]

    measured, predictions = measure("engine", predict, np.zeros(6, np.int64), ())
    assert measured.samples_per_second == 1
    assert predictions.shape == (6, 2)
