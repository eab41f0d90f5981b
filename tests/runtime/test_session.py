"""`graphcnn.Session`: what goes in, how it is taken apart, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

import graphcnn
from graphcnn.errors import RuntimeFailure
from graphcnn.graph import Graph
from graphcnn.ops import Add, Conv2D, Dense, GlobalAveragePooling2D
from graphcnn.runtime import runner
from graphcnn.runtime.settings import Settings

from .models import edit_metadata, identity_model, plain_model

Array = np.ndarray[Any, Any]
Node = tuple[tuple[str, list[str], list[str]], dict[str, Any]]


@pytest.fixture(params=["plain", "bound"])
def path_of_calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to call onnxruntime: as CUDA is called too, with the CPU for a device."""
    if request.param == "bound":
        monkeypatch.setattr(runner, "_DEVICES", {"CPUExecutionProvider": "cpu"})
    return str(request.param)


def branching(folder: Path, batch: int | None = None, **options: Any) -> Path:
    """Two inputs, a map and scores: the map is that of the sum of the images."""
    graph = Graph("branching", batch)
    pair = [graph.input("left", (5, 4, 2)), graph.input("right", (5, 4, 2))]
    both = graph.add(Add(), pair, name="both")
    graph.outputs["map"] = graph.add(Conv2D(filters=3, kernel_size=3), both, name="map")
    pooled = graph.add(GlobalAveragePooling2D(), "map", name="pooled")
    graph.outputs["scores"] = graph.add(Dense(units=7), pooled, name="scores")
    graphcnn.compile(graph, folder / "branching.onnx", seed=0, **options)
    return folder / "branching.onnx"


def drawn(count: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {name: rng.random((count, 2, 5, 4), np.float32) for name in ("left", "right")}


def counted(session: graphcnn.Session) -> list[int]:
    """The samples of each run from now on."""
    sizes: list[int] = []
    inner: Callable[..., list[Array]] = session._call

    def call(names: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        sizes.append(len(next(iter(feeds.values()))))
        return inner(names, feeds)

    session._call = call
    return sizes


class TestWhatItIs:
    def test_named_inputs_and_outputs(self, tmp_path: Path) -> None:
        session = graphcnn.Session(branching(tmp_path))
        assert {name: str(spec) for name, spec in session.inputs.items()} == {
            "left": "float32[N, 2, 5, 4]",
            "right": "float32[N, 2, 5, 4]",
        }
        assert [(name, spec.layout) for name, spec in session.outputs.items()] == [
            ("map", "NCHW"),
            ("scores", ""),
        ]
        assert (session.settings, session.tuned, session.step) == (Settings(), False, None)
        assert session.provider.endswith("ExecutionProvider")

    def test_classes(self, classifier: Path) -> None:
        assert graphcnn.Session(classifier).classes == ()
        edit_metadata(classifier, classes='["cat", "dog"]')
        assert graphcnn.Session(str(classifier)).classes == ("cat", "dog")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeFailure, match="no such file"):
            graphcnn.Session(tmp_path / "m.onnx")


@pytest.mark.usefixtures("path_of_calls")
class TestSteps:
    @pytest.mark.parametrize(
        ("micro_batch", "sizes"),
        [(None, [7]), (1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])],
    )
    def test_micro_batches(self, tmp_path: Path, micro_batch: int | None, sizes: list[int]) -> None:
        path, feeds = branching(tmp_path), drawn(7)
        expected = graphcnn.Session(path).run(feeds)
        session = graphcnn.Session(path, Settings(micro_batch=micro_batch))
        seen = counted(session)
        found = session.run(feeds)
        assert (seen, list(found)) == (sizes, ["map", "scores"])
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(("count", "runs"), [(1, 1), (3, 1), (4, 1), (5, 2), (8, 2), (10, 3)])
    def test_a_fixed_batch(self, tmp_path: Path, count: int, runs: int) -> None:
        expected = graphcnn.Session(branching(tmp_path)).run(drawn(count))
        path = branching(tmp_path, batch=4, force=True)
        session = graphcnn.Session(path, Settings(micro_batch=2))
        assert session.step == 4
        seen = counted(session)
        found = session.run(drawn(count))
        assert seen == [4] * runs
        for name, values in expected.items():
            assert found[name].shape == values.shape
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)

    def test_other_sizes_one_after_the_other(self, tmp_path: Path) -> None:
        session = graphcnn.Session(branching(tmp_path), Settings(micro_batch=3))
        whole = session.run(drawn(8))
        for count in (8, 2, 4, 1, 8):
            for name, values in session.run(cut(drawn(8), count)).items():
                np.testing.assert_allclose(values, whole[name][:count], rtol=1e-5, atol=1e-6)

    def test_what_was_given_back_stays(self, tmp_path: Path) -> None:
        """Memory that a session keeps is nobody's input or output."""
        session = graphcnn.Session(identity_model(tmp_path / "m.onnx", (2, 2, 1)))
        one, two = (np.full((2, 1, 2, 2), value, np.float32) for value in (1, 2))
        first = session.run(one)["same"]
        second = session.run(two)["same"]
        assert (one == 1).all()
        assert (first == 1).all()
        assert (second == 2).all()

    def test_taps(self, tmp_path: Path) -> None:
        path = branching(tmp_path, taps=["all"])
        session = graphcnn.Session(path, Settings(micro_batch=2))
        assert {"both", "map", "pooled", "scores"} <= set(session.run(drawn(5)))
        found = session.run(drawn(5), ["pooled", "both"])
        assert {name: values.shape for name, values in found.items()} == {
            "pooled": (5, 3),
            "both": (5, 2, 5, 4),
        }
        feeds = drawn(5)
        np.testing.assert_array_equal(found["both"], feeds["left"] + feeds["right"])

    @pytest.mark.parametrize("kind", ["UINT8", "FLOAT16", "BOOL", "INT64", "DOUBLE"])
    def test_element_types(self, tmp_path: Path, kind: str) -> None:
        path = plain_model(tmp_path / "m.onnx", ("N", 3), getattr(TensorProto, kind), "Identity")
        x = np.random.default_rng(0).integers(0, 2, (5, 3), np.uint8)
        found = graphcnn.Session(path, Settings(micro_batch=2)).run(x)["y"]
        assert found.dtype == graphcnn.Session(path).inputs["x"].dtype
        np.testing.assert_array_equal(found, x)

    @pytest.mark.parametrize("kind", [np.uint8, np.float16, np.int32])
    def test_inputs_of_other_types(self, tmp_path: Path, kind: type) -> None:
        path = identity_model(tmp_path / "m.onnx", (3, 2, 1))
        x: Array = np.random.default_rng(0).integers(0, 100, (5, 1, 3, 2)).astype(kind)
        found = graphcnn.Session(path, Settings(micro_batch=2)).run(x)["same"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, x)

    def test_a_view_that_is_not_contiguous(self, tmp_path: Path) -> None:
        path = identity_model(tmp_path / "m.onnx", (3, 2, 1))
        x = np.random.default_rng(0).random((2, 3, 1, 10), np.float32).T[::2]
        found = graphcnn.Session(path, Settings(micro_batch=2)).run(x)["same"]
        np.testing.assert_array_equal(found, x)

    def test_an_image_with_a_fixed_batch(self, tmp_path: Path) -> None:
        from PIL import Image

        pixels = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
        Image.fromarray(pixels).save(tmp_path / "x.png")
        path = identity_model(tmp_path / "m.onnx", (4, 2, 3), batch=3)
        found = graphcnn.Session(path).run(tmp_path / "x.png")["same"]
        np.testing.assert_array_equal(found, pixels.transpose(2, 0, 1)[None])


def cut(feeds: Mapping[str, Array], count: int) -> dict[str, Array]:
    return {name: values[:count] for name, values in feeds.items()}


def made_by_hand(
    path: Path, nodes: Sequence[Node], inputs: Sequence[Any], outputs: Sequence[str]
) -> Path:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(*node[0], **node[1]) for node in nodes],
        "hand",
        [value(name, 1, shape) for name, shape in inputs],
        [value(name, 1, None) for name in outputs],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


class TestFilesOfOtherTools:
    @pytest.mark.parametrize("shape", [["N", 4], [4, 4]])
    def test_an_output_without_a_batch(self, tmp_path: Path, shape: list[int | str]) -> None:
        node: Node = (("ReduceMax", ["x"], ["y"]), {"keepdims": 0})
        path = made_by_hand(tmp_path / "m.onnx", [node], [("x", shape)], ["y"])
        session = graphcnn.Session(path, Settings(micro_batch=4))
        x = np.arange(20, dtype=np.float32).reshape(5, 4)
        assert session.run(x[:4])["y"] == 15
        with pytest.raises(RuntimeFailure, match=r"output 'y' has shape \[\] for a batch of 4"):
            session.run(x)

    def test_inputs_of_other_batches_run_at_once(self, tmp_path: Path) -> None:
        node: Node = (("Add", ["x", "bias"], ["y"]), {})
        path = made_by_hand(tmp_path / "m.onnx", [node], [("x", ["N", 4]), ("bias", [1, 4])], ["y"])
        session = graphcnn.Session(path, Settings(micro_batch=2))
        assert session.step is None
        found = session.run({"x": np.ones((5, 4)), "bias": np.ones((1, 4))})["y"]
        assert (found == 2).all()
        assert found.shape == (5, 4)

    def test_sizes_without_names_run_at_once_where_they_differ(self, tmp_path: Path) -> None:
        node: Node = (("MatMul", ["x", "w"], ["y"]), {})
        inputs = [("x", [None, 4]), ("w", [None, 4])]
        path = made_by_hand(tmp_path / "m.onnx", [node], inputs, ["y"])
        session = graphcnn.Session(path, Settings(micro_batch=3))
        seen = counted(session)
        found = session.run({"x": np.ones((5, 4)), "w": np.eye(4)})["y"]
        assert (found == 1).all()
        assert seen == [5]

    def test_a_file_without_inputs(self, tmp_path: Path) -> None:
        node: Node = (("Constant", [], ["y"]), {"value_float": 3.0})
        session = graphcnn.Session(made_by_hand(tmp_path / "m.onnx", [node], [], ["y"]))
        assert session.run({})["y"] == 3

    def test_a_scalar_input(self, tmp_path: Path) -> None:
        node: Node = (("Neg", ["x"], ["y"]), {})
        path = made_by_hand(tmp_path / "m.onnx", [node], [("x", [])], ["y"])
        assert graphcnn.Session(path, Settings(micro_batch=2)).run(3.0)["y"] == -3


class TestRefusals:
    @pytest.mark.parametrize("batch", [None, 4])
    def test_inputs_that_do_not_fit(self, tmp_path: Path, batch: int | None) -> None:
        session = graphcnn.Session(branching(tmp_path, batch), Settings(micro_batch=2))
        left, right = drawn(5).values()
        with pytest.raises(RuntimeFailure, match="'left' has 5 samples, and 'right' has 4"):
            session.run({"left": left, "right": right[:4]})
        with pytest.raises(RuntimeFailure, match="no array for 'right'"):
            session.run({"left": left, "wrong": right})
        with pytest.raises(RuntimeFailure, match="one array for a model of 2 inputs"):
            session.run(left)
        with pytest.raises(RuntimeFailure, match=r"expected float32\[.*\] \(channels first\)"):
            session.run({"left": left, "right": right.transpose(0, 2, 3, 1)})

    def test_an_output_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeFailure, match="no output is named 'score'") as caught:
            graphcnn.Session(branching(tmp_path)).run(drawn(1), ["score"])
        assert caught.value.hint == "did you mean scores?"

    @pytest.mark.usefixtures("path_of_calls")
    def test_a_file_that_fails_as_it_runs(self, tmp_path: Path) -> None:
        node: Node = (("Add", ["a", "b"], ["c"]), {})
        inputs = [("a", ["N", "K"]), ("b", ["N", "L"])]
        path = made_by_hand(tmp_path / "m.onnx", [node], inputs, ["c"])
        with pytest.raises(RuntimeFailure, match=r"m\.onnx: onnxruntime cannot run it: "):
            graphcnn.Session(path).run({"a": np.ones((2, 3)), "b": np.ones((2, 2))})


class TestBinding:
    def test_memory_of_the_device_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runner, "_DEVICES", {"CPUExecutionProvider": "cpu"})
        path = identity_model(tmp_path / "m.onnx", (2, 2, 1))
        session = graphcnn.Session(path, Settings(micro_batch=3))
        made: list[tuple[int, ...]] = []
        kind = onnxruntime.OrtValue
        inner = kind.ortvalue_from_shape_and_type

        def noted(shape: tuple[int, ...], *rest: Any) -> Any:
            made.append(shape)
            return inner(shape, *rest)

        monkeypatch.setattr(kind, "ortvalue_from_shape_and_type", noted)
        x = np.random.default_rng(0).random((9, 1, 2, 2), np.float32)
        np.testing.assert_array_equal(session.run(x)["same"], x)
        assert made == [(3, 1, 2, 2)]
