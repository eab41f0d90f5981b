"""Metrics against figures worked by hand and scikit-learn's; files over made-up data."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphcnn
from graphcnn.classes import common_classes
from graphcnn.errors import DataError, GraphCNNError, RuntimeFailure
from graphcnn.evaluation import (
    Classification,
    EvaluationError,
    Regression,
    class_probabilities,
    compare,
    evaluate,
    evaluate_file,
    evaluate_scores,
    evaluate_targets,
    measure,
    predict_samples,
    score_kind,
)
from graphcnn.graph import Graph
from graphcnn.ops import Flatten, Rescaling, Softmax
from graphcnn.runtime.deploy import Deployment, write_deployment
from graphcnn.runtime.predict import Predictor, feature_maps
from graphcnn.runtime.settings import Settings

SCORES = np.array(
    [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], np.float32
)
LABELS = np.array([0, 0, 1, 1])


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


class TestScores:
    def test_worked_by_hand(self) -> None:
        found = evaluate_scores(SCORES, LABELS, ["a", "b", "c"])
        assert (found.samples, found.kind, found.accuracy) == (4, "probabilities", 0.5)
        assert found.classes == ("a", "b", "c")
        assert found.loss == pytest.approx((2 * math.log(2) + 2 * math.log(4)) / 4)
        assert found.confusion.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
        assert found.confusion.dtype == np.int64
        assert found.support.tolist() == [2, 2, 0]
        np.testing.assert_array_equal(found.precision, [0.5, 0.5, math.nan])
        np.testing.assert_array_equal(found.recall, [0.5, 0.5, math.nan])

    def test_rows_of_the_confusion_matrix_are_true_classes(self) -> None:
        found = evaluate_scores(np.eye(3)[[2, 2, 1]], np.array([0, 2, 1]))
        assert found.confusion.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1]]
        assert found.precision.tolist()[1:] == [1, 0.5]
        assert found.recall.tolist() == [0, 1, 1]

    @given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.booleans())
    def test_as_scikit_learn(self, seed: int, classes: int, logits: bool) -> None:
        from sklearn import metrics

        rng = np.random.default_rng(seed)
        labels = rng.integers(0, classes, 60)
        scores = rng.normal(size=(60, classes)).astype(np.float32)
        rows = class_probabilities(scores)
        found = evaluate_scores(scores if logits else rows, labels)
        predicted, known = scores.argmax(axis=1), {"labels": range(classes)}
        assert found.kind == ("logits" if logits else "probabilities")
        assert found.loss == pytest.approx(metrics.log_loss(labels, rows, **known), rel=1e-5)
        assert found.accuracy == metrics.accuracy_score(labels, predicted)
        expected = metrics.precision_recall_fscore_support(
            labels, predicted, zero_division=np.nan, **known
        )
        for mine, theirs in zip((found.precision, found.recall), expected, strict=False):
            np.testing.assert_allclose(mine, theirs)
        confusion = metrics.confusion_matrix(labels, predicted, **known)
        np.testing.assert_array_equal(found.confusion, confusion)

    def test_a_probability_of_zero_has_a_finite_loss(self) -> None:
        found = evaluate_scores(np.array([[1.0, 0.0]], np.float32), np.array([1]))
        assert found.loss == pytest.approx(-math.log(1e-7))

    def test_large_logits_have_a_finite_loss(self) -> None:
        found = evaluate_scores(np.array([[1e4, -1e4, 0]], np.float32), np.array([1]))
        assert (found.kind, found.loss) == ("logits", 20_000)

    def test_half_precision(self) -> None:
        rows = class_probabilities(np.random.default_rng(0).normal(size=(9, 10)))
        found = evaluate_scores(rows.astype(np.float16), np.arange(9))
        assert found.kind == "probabilities"
        assert found.loss == pytest.approx(evaluate_scores(rows, np.arange(9)).loss, rel=1e-3)

    def test_labels_of_few_bits_do_not_overflow(self) -> None:
        labels = np.arange(200).astype(np.uint8)
        assert evaluate_scores(np.eye(200), labels).accuracy == 1

    @pytest.mark.parametrize("logits", [False, True])
    def test_one_column_is_two_classes(self, logits: bool) -> None:
        z = np.array([[-2.0], [0.5], [3.0]])
        p = 1 / (1 + np.exp(-z))
        found = evaluate_scores(z if logits else p, np.array([0, 0, 1]), ["no", "yes"])
        assert found.kind == ("logits" if logits else "probabilities")
        assert found.loss == pytest.approx(-np.log([1 - p[0], 1 - p[1], p[2]]).mean())
        assert found.confusion.tolist() == [[1, 1], [0, 1]]
        np.testing.assert_allclose(class_probabilities(z), np.hstack([1 - p, p]))

    def test_a_sigmoid_at_the_threshold_is_the_first_class(self) -> None:
        assert evaluate_scores(np.array([[0.5]]), np.array([0])).accuracy == 1

    @pytest.mark.parametrize(
        ("scores", "kind"),
        [
            ([[0.5, 0.5]], "probabilities"),
            ([[0.5, 0.5005]], "probabilities"),
            ([[0.5, 0.51]], "logits"),
            ([[1.5, -0.5]], "logits"),
            ([[0.2]], "probabilities"),
            ([[1.2]], "logits"),
        ],
    )
    def test_what_scores_are(self, scores: list[list[float]], kind: str) -> None:
        assert score_kind(np.array(scores)) == kind

    @pytest.mark.parametrize(
        ("scores", "labels", "classes", "message"),
        [
            (SCORES, LABELS[:3], "", "4 predictions for 3 samples"),
            (SCORES[:0], LABELS[:0], "", "no samples"),
            (SCORES, LABELS + 2, "", "3 classes, and there is a label 3"),
            (SCORES, LABELS - 1, "", "a label -1"),
            (SCORES, LABELS, "ab", "scores for 3 classes, and the data have 2"),
            (SCORES[:, :1], LABELS + 1, "", "2 classes, and there is a label 2"),
            (SCORES[:, :, None], LABELS, "", "gives 3x1 numbers a sample"),
            (SCORES[:, 0], LABELS, "", "gives one number a sample"),
            (SCORES * [[1], [math.nan], [1], [math.inf]], LABELS, "", "2 of 4 .* sample 1"),
        ],
    )
    def test_what_does_not_fit(
        self, scores: np.ndarray, labels: np.ndarray, classes: str, message: str
    ) -> None:
        with pytest.raises(EvaluationError, match=message):
            evaluate_scores(scores, labels, classes)


class TestTargets:
    def test_worked_by_hand(self) -> None:
        outputs = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], np.float32)
        found = evaluate(outputs, outputs + np.float32([[[1], [0]], [[-3], [0]]]))
        assert found == Regression(2, 2.5, 1.0)

    def test_one_number_a_sample_is_not_broadcast(self) -> None:
        found = evaluate_targets(np.array([[1.0], [2.0]]), np.array([1.0, 2.0]))
        assert found == Regression(2, 0, 0)

    def test_another_shape(self) -> None:
        with pytest.raises(EvaluationError, match="2 numbers a sample, and the targets are 3"):
            evaluate_targets(np.zeros((4, 2)), np.zeros((4, 3)))

    def test_not_finite(self) -> None:
        with pytest.raises(EvaluationError, match="1 of 2 predictions are not finite"):
            evaluate_targets(np.array([[1], [math.inf]]), np.zeros((2, 1)))


class TestAgreement:
    def test_scores(self) -> None:
        other = SCORES.copy()
        other[2] = [0.125, 0.5, 0.375]
        found = compare(SCORES, other, LABELS)
        assert (found.samples, found.differing.tolist()) == (4, [2])
        assert found.largest_difference == pytest.approx(0.375)

    def test_logits_differ_by_their_probabilities(self) -> None:
        found = compare(np.array([[0.0, 100]]), np.array([[0.0, 200]]), np.array([1]))
        assert (len(found.differing), found.largest_difference < 1e-9) == (0, True)

    def test_outputs(self) -> None:
        outputs = np.ones((3, 2, 2))
        other = outputs + np.array([0, 5e-5, 5e-4])[:, None, None]
        found = compare(outputs, other, np.zeros((3, 2, 2)))
        assert found.differing.tolist() == [2]
        assert found.largest_difference == pytest.approx(5e-4)

    def test_other_shapes(self) -> None:
        with pytest.raises(EvaluationError, match=r"\[4, 3\] and the other \[4, 2\]"):
            compare(SCORES, SCORES[:, :2], LABELS)

    def test_not_finite(self) -> None:
        with pytest.raises(EvaluationError, match="not finite"):
            compare(SCORES, SCORES * np.nan, LABELS)


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
