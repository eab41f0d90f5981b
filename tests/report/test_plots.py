"""Pictures: what is in them, that nothing overlaps, and that files are whole and deterministic."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from graphcnn.errors import ExportError
from graphcnn.graph import Graph
from graphcnn.ops import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    SeparableConv2D,
)
from graphcnn.report.figure import (
    PLAIN,
    RIGHT,
    WRONG,
    PictureError,
    as_images,
    mosaic,
    save_figure,
    stretched,
)
from graphcnn.report.history import best_epoch, draw_history, read_history, read_monitor
from graphcnn.report.layers import convolution_kernel, draw_features, draw_kernels
from graphcnn.report.predictions import draw_confusion, draw_predictions
from graphcnn.scoring import evaluate_scores
from graphcnn.weights import WeightStore

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker")
DIGITS, HUNDRED = tuple("0123456789"), tuple(map(str, range(100)))
LONG = tuple(f"a class with a long name, number {i}" for i in range(100))


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        found += [text.get_text() for text in axes.texts]
        if legend := axes.get_legend():
            found += [text.get_text() for text in legend.get_texts()]
    return [text for text in found if text]


def tick_labels(axes: Axes) -> list[Text]:
    """The labels of the ticks that are in sight."""
    found = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks = axis.get_major_ticks()
        places = axis.get_majorticklocs()
        shown = [t for t, place in zip(ticks, places, strict=True) if low <= place <= high]
        found += [label for tick in shown for label in (tick.label1, tick.label2)]
    return [label for label in found if label.get_visible()]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """The pairs of texts that lie on each other, and the texts that leave the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = []
    for axes in figure.axes:
        labels = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        labels += tick_labels(axes) if axes.axison else []
        labels += axes.get_legend().get_texts() if axes.get_legend() else []
        boxes += [(t.get_text(), t.get_window_extent()) for t in labels if t.get_text().strip()]
    boxes += [(text.get_text(), text.get_window_extent()) for text in figure.texts]
    found = [
        (one[0], other[0])
        for one, other in combinations(boxes, 2)
        if one[1].shrunk(0.95, 0.9).overlaps(other[1].shrunk(0.95, 0.9))
    ]
    page = figure.bbox.padded(1)
    outside = [text for text, box in boxes if not (page.x0 <= box.x0 and box.x1 <= page.x1)]
    return found + [(text, "the figure's edge") for text in outside]


def probabilities(labels: np.ndarray, classes: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).random((len(labels), classes))
    rows[np.arange(len(labels)), labels] += 0.5
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


class TestFiles:
    @pytest.fixture
    def figure(self) -> Figure:
        return draw_kernels(np.arange(9.0).reshape(3, 3, 1, 1), "kernels of $conv_1$ 漢字")

    @pytest.mark.parametrize("ending", [".png", ".svg", ".PNG"])
    def test_the_same_bytes(self, figure: Figure, tmp_path: Path, ending: str) -> None:
        written = []
        for name in ("a", "b"):
            save_figure(figure, tmp_path / f"{name}{ending}")
            written.append((tmp_path / f"{name}{ending}").read_bytes())
        assert written[0] == written[1]
        assert written[0].startswith(b"<?xml" if ending == ".svg" else b"\x89PNG")
        assert not list(tmp_path.glob(".*"))

    def test_a_dollar_is_a_dollar(self, figure: Figure) -> None:
        assert figure.texts[0].get_text() == "kernels of $conv_1$ 漢字"
        assert not figure.texts[0].get_parse_math()

    @pytest.mark.parametrize("length", [3, 70, 100, 1000])
    def test_a_title_fits(self, length: int) -> None:
        title = "a title of Words/"[:length] * (length // 17 + 1)
        history = draw_history({"epoch": [1], "loss": [1]}, title, None)
        for figure in (draw_kernels(np.ones((3, 3, 1, 1)), title), history):
            assert overlaps(figure) == []
            assert title.endswith((figure.texts[0].get_text()).removeprefix("…"))

    def test_another_ending(self, figure: Figure, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="unknown kind of picture"):
            save_figure(figure, tmp_path / "a.jpg")

    def test_no_folder(self, figure: Figure, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="is not a directory"):
            save_figure(figure, tmp_path / "no" / "a.png")

    def test_a_matplotlibrc_changes_nothing(self, tmp_path: Path) -> None:
        import matplotlib

        pages = []
        for size in (9, 30):
            with matplotlib.rc_context({"font.size": size, "axes.facecolor": "red"}):
                figure = draw_history({"epoch": [1], "loss": [2]}, "one", None)
                save_figure(figure, tmp_path / f"{size}.png")
            pages.append((tmp_path / f"{size}.png").read_bytes())
        assert pages[0] == pages[1]


class TestPixels:
    def test_bytes_are_not_stretched(self) -> None:
        pixels = np.array([0, 51, 102, 51], np.uint8).reshape(1, 2, 2, 1)
        np.testing.assert_allclose(as_images(pixels)[0], [[0, 0.2], [0.4, 0.2]])

    def test_floats_are(self) -> None:
        found = as_images(np.linspace(-3, 5, 12).reshape(1, 2, 2, 3))
        assert (found.shape, found.min(), found.max()) == ((1, 2, 2, 3), 0, 1)

    @pytest.mark.parametrize("shape", [(1, 4), (1, 2, 2, 2), (1, 2, 2, 5)])
    def test_no_pictures(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(PictureError, match="are no pictures"):
            as_images(np.zeros(shape))

    def test_stretched(self) -> None:
        values = np.array([[2, 4, 3], [5, 5, 5], [1, np.inf, np.nan], [np.nan] * 3])
        expected = [[0, 1, 0.5], [0, 0, 0], [0, np.nan, np.nan], [np.nan] * 3]
        np.testing.assert_array_equal(stretched(values, (1,)), expected)

    def test_a_mosaic_row_by_row(self) -> None:
        tiles = np.arange(3.0)[:, None, None] * np.ones((3, 32, 32))
        found = mosaic(tiles, 2)
        assert found.shape == (66, 66)
        assert (found[5, 5], found[5, 60], found[60, 5]) == (0, 1, 2)
        assert np.isnan([found[33, 5], found[5, 33], found[60, 60]]).all()

    def test_small_tiles_are_enlarged(self) -> None:
        found = mosaic(np.arange(4.0).reshape(1, 2, 2), 1)
        assert found.shape == (32, 32)
        assert (found[0, 0], found[15, 16], found[31, 31]) == (0, 1, 3)


class TestHistory:
    @staticmethod
    def log(path: Path, *lines: dict[str, Any]) -> Path:
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return path

    def test_a_run_or_its_log(self, tmp_path: Path) -> None:
        lines = [{"epoch": 1, "loss": 0.5, "note": "x"}, {"epoch": 2, "loss": 0.25, "auc": 1}]
        log = self.log(tmp_path / "log.jsonl", *lines)
        found = read_history(tmp_path)
        assert found["epoch"] == [1, 2]
        assert found["loss"] == [0.5, 0.25]
        np.testing.assert_array_equal(found["auc"], [math.nan, 1])
        assert "note" not in found
        assert read_history(log)["loss"] == found["loss"]

    def test_an_epoch_that_was_done_again(self, tmp_path: Path) -> None:
        lines = [{"epoch": n, "loss": loss} for n, loss in ((1, 4), (2, 3), (2, 2), (3, 1))]
        found = read_history(self.log(tmp_path / "log", *lines))
        assert found == {"epoch": [1, 2, 3], "loss": [4, 2, 1]}

    def test_a_line_that_is_being_written(self, tmp_path: Path) -> None:
        log = self.log(tmp_path / "log", {"epoch": 1, "loss": 1})
        with log.open("a") as file:
            file.write('{"epoch": 2, "lo')
        assert read_history(log)["epoch"] == [1]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no epoch is finished yet"),
            ("{}\n", ":1: expected an object"),
            ('{"epoch": 1}\n[1]\n', ":2: expected an object"),
            ('{"epoch": "1"}\n', ":1: expected an object"),
            ("{'epoch': 1}\n", ":1: not JSON"),
            ("[" * 100_000 + "\n", ":1: not JSON"),
            ("\0\udcff", "cannot be read"),
        ],
    )
    def test_what_is_no_log(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "log").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(PictureError, match=message):
            read_history(tmp_path / "log")

    def test_no_log(self, tmp_path: Path) -> None:
        with pytest.raises(PictureError, match="no such file"):
            read_history(tmp_path)

    def test_no_loss(self) -> None:
        with pytest.raises(PictureError, match="the log has no loss"):
            draw_history({"epoch": [1], "auc": [1]}, "x", None)

    @pytest.mark.parametrize(
        ("history", "monitor", "best"),
        [
            ({"val_loss": [3, 1, 2], "val_accuracy": [0.1, 0.2, 0.3]}, None, 2),
            ({"val_loss": [3, 1, 2], "val_accuracy": [0.1, 0.2, 0.3]}, "val_loss", 1),
            ({"val_loss": [3, math.nan, 2]}, None, 2),
            ({"loss": [3, 1, 2]}, None, None),
            ({"loss": [3, 1, 2]}, "loss", 1),
            ({"val_auc": [0.5, 0.9, 0.9]}, "val_auc", 1),
            ({"val_accuracy": [0.5, 0.5]}, None, 0),
        ],
    )
    def test_the_best_epoch(
        self, history: dict[str, list[float]], monitor: str | None, best: int | None
    ) -> None:
        assert best_epoch(history, monitor) == best

    @pytest.mark.parametrize(
        ("text", "monitor"),
        [
            ('{"train": {"monitor": "val_auc"}}', "val_auc"),
            ('{"train": {"monitor": null}}', None),
            ("{", None),
            ("[]", None),
        ],
    )
    def test_the_monitor(self, tmp_path: Path, text: str, monitor: str | None) -> None:
        (tmp_path / "config.json").write_text(text)
        assert read_monitor(tmp_path) == monitor
        assert read_monitor(tmp_path / "config.json") is None

    @pytest.mark.parametrize("epochs", [1, 2, 10, 200])
    @pytest.mark.parametrize("validation", [True, False])
    def test_panels(self, epochs: int, validation: bool) -> None:
        numbers = [float(n) for n in range(1, epochs + 1)]
        history = {"epoch": numbers, "loss": [1 / n for n in numbers]}
        history["accuracy"] = [1 - 0.5 / n for n in numbers]
        if validation:
            history |= {"val_loss": history["loss"], "val_accuracy": history["accuracy"]}
        figure = draw_history(history, "runs/lenet", best_epoch(history))
        loss, accuracy = figure.axes
        assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
        assert overlaps(figure) == []
        labels = [text.get_text() for text in loss.get_legend().get_texts()]
        expected = ["training", "validation", f"best epoch, {epochs}: {1 / epochs:.4g}"]
        assert labels == expected if validation else expected[:1]
        ticks = [tick for tick in loss.get_xticks() if 1 <= tick <= epochs]
        assert ticks == [round(tick) for tick in ticks] != []

    def test_without_accuracy(self) -> None:
        figure = draw_history({"epoch": [1, 2], "loss": [2, 1]}, "x", None)
        assert [axes.get_ylabel() for axes in figure.axes] == ["loss"]


class TestPredictions:
    @pytest.mark.parametrize("count", [1, 2, 7])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_every_sample(self, count: int, channels: int) -> None:
        labels = np.arange(count) % 8
        x = np.zeros((count, 6, 4, channels), np.uint8)
        figure = draw_predictions(x, probabilities(labels, 8), labels, FASHION, "some")
        assert len(figure.axes) == 2 * count
        assert overlaps(figure) == []

    def test_right_and_wrong(self) -> None:
        rows = np.array([[0.9, 0.06, 0.04], [0.2, 0.3, 0.5]])
        x = np.zeros((2, 4, 4, 1), np.uint8)
        figure = draw_predictions(x, rows, np.array([0, 1]), "abc", "two")
        right, right_bars, wrong, wrong_bars = figure.axes
        assert (right.get_title(), right.get_xlabel()) == ("✓ a (90%)", "true: a")
        assert (wrong.get_title(), wrong.get_xlabel()) == ("✗ c (50%)", "true: b")
        assert (right.title.get_color(), wrong.title.get_color()) == (RIGHT, WRONG)
        for axes, colours, true in (
            (right_bars, [RIGHT, PLAIN, PLAIN], "a"),
            (wrong_bars, [PLAIN, PLAIN, WRONG], "b"),
        ):
            (bars,) = axes.containers
            assert [to_hex(bar.get_facecolor()) for bar in bars] == colours
            bold = [t.get_text() for t in axes.get_yticklabels() if t.get_weight() == "bold"]
            assert bold == [true]

    def test_of_many_classes_the_likeliest(self) -> None:
        rows = np.full((2, 100), 0.005)
        rows[:, 7], rows[1, 42] = 0.5, 0.3
        x = np.zeros((2, 4, 4, 3), np.uint8)
        names = [str(n) for n in range(100)]
        figure = draw_predictions(x, rows, np.array([99, 42]), names, "many")
        shown = [[t.get_text() for t in axes.get_yticklabels()] for axes in figure.axes[1::2]]
        assert shown == [["7", "0", "1", "2", "3", "99"], ["7", "42", "0", "1", "2"]]

    def test_long_names(self) -> None:
        labels = np.arange(6)
        x = np.zeros((6, 4, 4, 3), np.uint8)
        figure = draw_predictions(x, probabilities(labels, 100), labels, LONG, "long")
        assert overlaps(figure) == []
        assert "true: a class… number 3" not in texts(figure)
        assert any(
            text.startswith("true: ") and text.endswith("number 3") for text in texts(figure)
        )

    def test_too_many(self) -> None:
        x, labels = np.zeros((900, 1, 1, 1), np.uint8), np.zeros(900, np.int64)
        with pytest.raises(PictureError, match="661 inches high"):
            draw_predictions(x, probabilities(labels, 2), labels, "ab", "many")


class TestConfusion:
    @pytest.mark.parametrize("classes", [FASHION[:2], FASHION, LONG[:16], LONG, DIGITS, HUNDRED])
    def test_nothing_overlaps(self, classes: tuple[str, ...]) -> None:
        labels = np.arange(300) % len(classes)
        found = evaluate_scores(probabilities(labels, len(classes)), labels, classes)
        assert overlaps(draw_confusion(found, "confusion")) == []

    def test_counts(self) -> None:
        rows = np.eye(3)[[0, 0, 1, 2, 2, 2]]
        found = evaluate_scores(rows, np.array([0, 1, 1, 0, 2, 2]), FASHION[:3])
        axes, _ = draw_confusion(found, "confusion").axes
        shown = {text.get_position(): text.get_text() for text in axes.texts}
        assert shown == {
            (predicted, true): str(count)
            for (true, predicted), count in np.ndenumerate(found.confusion)
        }
        np.testing.assert_allclose(axes.images[0].get_array()[0], [0.5, 0, 0.5])
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")

    def test_thousands(self) -> None:
        labels = np.arange(1000)
        found = evaluate_scores(np.eye(1000), labels)
        axes, _ = (figure := draw_confusion(found, "confusion")).axes
        assert (len(axes.texts), len(axes.get_xticks())) == (0, 50)
        assert overlaps(figure) == []


class TestFeatures:
    def test_sections(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        maps = {
            "conv1": rng.normal(size=(8, 8, 5)),
            "conv2": rng.normal(size=(4, 12, 70)),
            "pool": rng.normal(size=(1, 1, 17)),
            "dead": np.full((4, 4, 1), np.nan),
        }
        figure = draw_features(rng.integers(0, 255, (8, 8, 3)), maps, "features")
        assert texts(figure) == [
            "features",
            "input: 8x8",
            "conv1: 5 maps of 8x8",
            "conv2: first 64 of 70 maps of 4x12",
            "pool: 17 maps of 1x1",
            "dead: 1 map of 4x4",
        ]
        pool = figure.axes[3].images[0].get_array()
        assert (np.nanmin(pool), np.nanmax(pool)) == (0, 1)
        assert overlaps(figure) == []
        save_figure(figure, tmp_path / "features.png")
        with Image.open(tmp_path / "features.png") as picture:
            assert picture.height > picture.width / 3

    def test_each_channel_alone(self) -> None:
        maps = {"conv": np.stack([np.eye(32), np.eye(32) * 9 + 1], axis=-1)}
        figure = draw_features(np.zeros((8, 8, 2)), maps, "x")
        (axes,) = figure.axes
        picture = axes.images[0].get_array()
        np.testing.assert_array_equal(picture[:, :32], picture[:, 34:])

    def test_too_many_layers(self) -> None:
        maps = {str(n): np.zeros((2, 2, 64)) for n in range(200)}
        with pytest.raises(PictureError, match="can be drawn"):
            draw_features(np.zeros((2, 2, 1)), maps, "x")


class TestKernels:
    @staticmethod
    def graph() -> tuple[Graph, WeightStore]:
        graph = Graph("net")
        x = graph.input("image", (16, 16, 3))
        x = graph.add(Conv2D(filters=6, kernel_size=(3, 2)), x, name="first")
        x = graph.add(DepthwiseConv2D(kernel_size=3, depth_multiplier=2), x, name="depth")
        x = graph.add(SeparableConv2D(filters=4, kernel_size=3), x, name="apart")
        x = graph.add(Conv2DTranspose(filters=5, kernel_size=2), x, name="back")
        graph.outputs["y"] = graph.add(Dense(units=2), graph.add(Flatten(), x), name="dense")
        return graph, WeightStore.random(graph.weights, 0)

    @pytest.mark.parametrize(
        ("layer", "name", "shape"),
        [
            (None, "first", (3, 2, 3, 6)),
            ("depth", "depth", (3, 3, 1, 12)),
            ("apart", "apart", (3, 3, 1, 12)),
            ("back", "back", (2, 2, 4, 5)),
        ],
    )
    def test_every_convolution(self, layer: str | None, name: str, shape: tuple[int, ...]) -> None:
        graph, weights = self.graph()
        found, kernel = convolution_kernel(graph, weights, layer)
        assert (found, kernel.shape) == (name, shape)

    def test_filters_stay_whole(self) -> None:
        graph, weights = self.graph()
        stored = weights["back/kernel"].load()
        _, kernel = convolution_kernel(graph, weights, "back")
        np.testing.assert_array_equal(kernel[:, :, 1, 2], stored[:, :, 2, 1])
        stored = weights["depth/kernel"].load()
        _, kernel = convolution_kernel(graph, weights, "depth")
        np.testing.assert_array_equal(kernel[:, :, 0, 3], stored[:, :, 1, 1])

    def test_a_layer_that_is_not_there(self) -> None:
        graph, weights = self.graph()
        with pytest.raises(PictureError, match="no convolution named 'frist'") as found:
            convolution_kernel(graph, weights, "frist")
        assert found.value.hint == "did you mean first?"

    def test_no_convolution(self) -> None:
        graph = Graph("net")
        x = graph.add(Conv1D(filters=2, kernel_size=2), graph.input("x", (4, 2)))
        graph.outputs["y"] = x
        with pytest.raises(PictureError, match="no two-dimensional convolution"):
            convolution_kernel(graph, WeightStore.random(graph.weights, 0))

    @pytest.mark.parametrize(
        ("shape", "note", "axes"),
        [
            ((3, 3, 1, 1), "3x3; 1 filter", 2),
            ((3, 3, 1, 300), "3x3; first 256 of 300 filters", 2),
            ((5, 5, 3, 6), "5x5; 6 filters", 1),
            ((1, 2, 2, 5), "1x2; down: 5 filters; across: 2 input channels", 2),
            (
                (3, 3, 64, 32),
                "3x3; down: first 16 of 32 filters; across: first 16 of 64 input channels",
                2,
            ),
        ],
    )
    def test_tiles(self, shape: tuple[int, ...], note: str, axes: int, tmp_path: Path) -> None:
        figure = draw_kernels(np.random.default_rng(0).normal(size=shape), "kernels")
        assert texts(figure)[:2] == ["kernels", note]
        assert len(figure.axes) == axes
        assert overlaps(figure) == []
        save_figure(figure, tmp_path / "kernels.svg")

    def test_greys_are_on_one_scale(self) -> None:
        kernel = np.zeros((32, 32, 1, 2))
        kernel[0, 0, 0] = [-4, 2]
        picture = draw_kernels(kernel, "kernels").axes[0].images[0]
        assert picture.get_clim() == (-4, 4)
        assert (picture.get_array()[0, 0], picture.get_array()[0, 34]) == (-4, 2)

    def test_pairs_are_a_row_a_filter(self) -> None:
        kernel = np.zeros((32, 32, 2, 2))
        kernel[:, :, 1, 0] = 7
        picture = draw_kernels(kernel, "kernels").axes[0].images[0].get_array()
        assert (picture[0, 40], picture[40, 0]) == (7, 0)

    def test_zeros(self) -> None:
        assert draw_kernels(np.zeros((3, 3, 1, 1)), "x").axes[0].images[0].get_clim() == (-1, 1)

    def test_not_finite(self) -> None:
        with pytest.raises(PictureError, match="NaN or infinity"):
            draw_kernels(np.full((3, 3, 1, 1), np.nan), "x")
