"""Weights out of Keras's files: what Keras writes, what it does not, and what nobody should."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import graphcnn
from graphcnn import Graph, GraphCNNError, WeightStore
from graphcnn.cli.main import main
from graphcnn.errors import MissingExtra, WeightError
from graphcnn.ops import Dense, ReLU

Array = np.ndarray[Any, np.dtype[Any]]

MODEL = """
inputs: {image: [12, 12, 3]}
blocks:
  unit:
    layers:
      - Conv2D: {filters: 4, kernel_size: 3, padding: [1, 1], use_bias: false, name: conv}
      - BatchNormalization: {name: norm}
layers:
  - Normalization: {name: scaled}
  - {repeat: 2, name: units, layers: [unit: {name: unit}]}
  - SeparableConv2D: {filters: 5, kernel_size: 3, name: separable}
  - DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2, name: depthwise}
  - Conv2DTranspose: {filters: 3, kernel_size: 2, name: transposed}
  - PReLU: {shared_axes: [1, 2], name: slope}
  - LayerNormalization: {name: layer_norm}
  - Dropout: {rate: 0.5, name: drop}
  - Flatten: {name: flat}
  - Dense: {units: 7, activation: prelu, name: hidden}
  - Dense: {units: 3, activation: softmax, name: scores}
"""


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.yaml"
    path.write_text(MODEL)
    return path


@pytest.fixture
def graph(model_file: Path) -> Graph:
    return graphcnn.load(model_file)


@pytest.fixture
def small() -> Graph:
    """Two dense layers, one in a block."""
    graph = Graph()
    x = graph.add(Dense(units=3), graph.input("x", (4,)), name="block/one")
    graph.outputs["two"] = graph.add(Dense(units=2), x, name="two")
    return graph


ONE = [np.arange(12, dtype=np.float32).reshape(4, 3), np.ones(3, np.float32)]
TWO = [np.full((3, 2), 0.5, np.float32), np.zeros(2, np.float32)]
LAYERS: dict[str, list[Array]] = {"block__one": ONE, "two": TWO}


def fill(root: Any, layers: Mapping[str, Sequence[Array]]) -> None:
    """Write layers as Keras does."""
    for number, (name, arrays) in enumerate(layers.items()):
        group = root.create_group(f"layers/dense_{number}/vars")
        group.attrs["name"] = name
        for index, array in enumerate(arrays):
            group[str(index)] = array


def h5(path: Path, layers: Mapping[str, Sequence[Array]] = LAYERS) -> Path:
    with h5py.File(path, "w") as root:
        fill(root, layers)
    return path


def archive(path: Path, content: bytes, **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("model.weights.h5", content)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return h5(tmp_path / "w.weights.h5")


def read(path: Path, graph: Graph) -> WeightStore:
    return WeightStore.read(path, graph.weights_by_node)


def refusal(path: Path, graph: Graph, kind: type[GraphCNNError] = WeightError) -> str:
    """What is said of a file that is refused, by the name of the file."""
    with pytest.raises(GraphCNNError) as caught:
        read(path, graph)
    assert all(isinstance(error, kind) for error in caught.value.errors)
    return str(caught.value)


def held(path: Path) -> dict[str, bytes]:
    model = onnx.load(path)
    return {t.name: numpy_helper.to_array(t).tobytes() for t in model.graph.initializer}


# Keras 3.15 with TensorFlow 2.21 converts its variables in a way that numpy 2 calls deprecated.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
class TestWhatKerasWrites:
    @pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
    def test_every_kind_of_layer(self, graph: Graph, tmp_path: Path, ending: str) -> None:
        from graphcnn.training import to_keras

        from .keras_twin import random_arrays

        arrays = random_arrays(graph)
        model = to_keras(graph, WeightStore.from_arrays(arrays))
        file = tmp_path / f"w{ending}"
        model.save(file) if ending == ".keras" else model.save_weights(file)
        found = read(file, graph)
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype.name)
            np.testing.assert_array_equal(found[name].load(), array)
        graphcnn.compile(graph, tmp_path / "file.onnx", weights=file)
        graphcnn.compile(graph, tmp_path / "arrays.onnx", weights=WeightStore.from_arrays(arrays))
        assert held(tmp_path / "file.onnx") == held(tmp_path / "arrays.onnx")

    def test_a_trained_model_with_models_in_it(self, tmp_path: Path) -> None:
        """The optimizer's state is no weight, and nested models are looked into."""
        from graphcnn.engine import keras

        layers = keras.layers
        inner = keras.Sequential(
            [layers.Input((6,)), layers.Dense(5, name="inner"), layers.BatchNormalization(name="n")]
        )
        x = layers.Input((6,))
        # An activation that is a layer has its weights once the model has run.
        y = layers.Dense(4, activation=layers.PReLU(name="unused"), name="outer")(inner(x))
        y = layers.Activation(layers.PReLU(), name="act")(layers.Dropout(0.5)(y))
        model = keras.Model(x, y)
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(np.ones((4, 6)), np.ones((4, 4)), verbose=0)
        model.save(tmp_path / "w.keras")

        graph = Graph()
        value = graph.input("x", (6,))
        from graphcnn.ops import Activation, BatchNormalization

        value = graph.add(Dense(units=5), value, name="inner")
        value = graph.add(BatchNormalization(), value, name="n")
        prelu: Any = "prelu"
        value = graph.add(Dense(units=4, activation=prelu), value, name="outer")
        graph.outputs["y"] = graph.add(Activation(activation=prelu), value, name="act")
        store = read(tmp_path / "w.keras", graph)
        store.check(graph.weights)
        expected = {
            "inner/kernel": inner.layers[0].weights[0],
            "n/moving_variance": inner.layers[1].weights[3],
            "outer/alpha": model.get_layer("outer").weights[2],
            "act/alpha": model.get_layer("act").weights[0],
        }
        for name, variable in expected.items():
            np.testing.assert_array_equal(store[name].load(), variable.numpy())

    @pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning")
    @pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
    def test_the_format_of_keras_2(self, small: Graph, tmp_path: Path, ending: str) -> None:
        from graphcnn.engine import keras

        layers = [keras.layers.Dense(3, name="block__one"), keras.layers.Dense(2, name="two")]
        model = keras.Sequential([keras.Input((4,)), *layers])
        model.save(tmp_path / "old.h5")
        file = (tmp_path / "old.h5").rename(tmp_path / f"w{ending}")
        store = read(file, small)
        store.check(small.weights)
        np.testing.assert_array_equal(store["two/kernel"].load(), layers[1].kernel.numpy())


class TestNames:
    def test_blocks(self, small: Graph, weights: Path) -> None:
        store = read(weights, small)
        assert store.keys() == small.weights.keys()
        np.testing.assert_array_equal(store["block/one/kernel"].load(), ONE[0])

    def test_nodes_that_share_weights_are_one_layer(self, tmp_path: Path) -> None:
        graph = Graph()
        x = graph.input("x", (3,))
        first = graph.add(Dense(units=3), x, name="a")
        shared = {"kernel": "a/kernel", "bias": "a/bias"}
        graph.outputs["y"] = graph.add(Dense(units=3), first, name="b", weights=shared)
        arrays = [np.eye(3, dtype=np.float32), np.ones(3, np.float32)]
        for layer in ("a", "b"):
            store = read(h5(tmp_path / f"{layer}.weights.h5", {layer: arrays}), graph)
            store.check(graph.weights)
        both = h5(tmp_path / "both.weights.h5", {"a": arrays, "b": arrays})
        assert "layer b has a/bias once more in the file" in refusal(both, graph)

    def test_two_names_that_keras_cannot_tell_apart(self, weights: Path) -> None:
        layers = {"a/b": ["a/b/kernel"], "a__b": ["a__b/kernel"]}
        with pytest.raises(WeightError, match="a/b and a__b are both a__b in Keras"):
            WeightStore.read(weights, layers)

    def test_a_file_needs_the_graph(self, weights: Path) -> None:
        with pytest.raises(WeightError, match="names layers") as caught:
            WeightStore.read(weights)
        assert "graph.weights_by_node" in str(caught.value)

    def test_everything_wrong_with_layers_comes_at_once(self, small: Graph, tmp_path: Path) -> None:
        file = h5(tmp_path / "w.weights.h5", {"block__one": ONE[:1], "tow": TWO, "gone": ONE})
        assert refusal(file, small).splitlines() == [
            "layer block__one has 1 weights in the file, and the model needs 2: "
            "block/one/kernel, block/one/bias",
            "layer gone of the file is not in the model",
            "  hint     known: block__one, two",
            "layer tow of the file is not in the model",
            "  hint     did you mean two?",
            "layer two is missing in the file",
        ]

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((2, 3), np.float32), r"weight two/kernel has shape [2, 3], and"),
            (np.zeros((3, 2), np.float16), "weight two/kernel is float16, and the model needs"),
            (np.zeros((3, 2), np.float64), "weight two/kernel is float64, and the model needs"),
            (np.zeros((3, 2), np.int32), "weight two/kernel is int32, and the model needs"),
        ],
    )
    def test_wrong_arrays(self, small: Graph, tmp_path: Path, array: Array, message: str) -> None:
        file = h5(tmp_path / "w.weights.h5", {**LAYERS, "two": [array, TWO[1]]})
        with pytest.raises(GraphCNNError) as caught:
            graphcnn.compile(small, tmp_path / "w.onnx", weights=file)
        assert message in str(caught.value)
        assert not (tmp_path / "w.onnx").exists()

    def test_integers_of_any_backend(self, tmp_path: Path) -> None:
        layers = {"n": ["n/count"]}
        for number, good in ((7, True), (2**31, False)):
            file = h5(tmp_path / "w.weights.h5", {"n": [np.array(number, np.int64)]})
            weight = WeightStore.read(file, layers)["n/count"]
            assert (weight.shape, weight.dtype) == ((), "int32")
            if good:
                assert weight.load() == 7
            else:
                with pytest.raises(WeightError, match="its numbers do not fit int32"):
                    weight.load()

    def test_the_other_byte_order(self, small: Graph, tmp_path: Path) -> None:
        swapped = [array.astype(">f4") for array in ONE]
        store = read(h5(tmp_path / "w.weights.h5", {**LAYERS, "block__one": swapped}), small)
        found = store["block/one/kernel"].load()
        assert found.dtype == np.dtype("<f4")
        np.testing.assert_array_equal(found, ONE[0])


Damage = Callable[[Any, Path], None]


def link(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = h5py.ExternalLink(str(h5(folder / "other.h5")), "/layers")


def soft(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = h5py.SoftLink("/layers/dense_0/vars/1")


def circle(root: Any, folder: Path) -> None:
    root["layers/dense_1/again"] = root


def twice(root: Any, folder: Path) -> None:
    root["layers/dense_1/again"] = root["layers/dense_0"]


def virtual(root: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((2,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (2,))
    root.create_virtual_dataset("layers/dense_1/vars/1", layout)


def elsewhere(root: Any, folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(8))
    place = [(str(folder / "secret"), 0, 8)]
    root.create_dataset("layers/dense_1/vars/1", (2,), np.float32, external=place)


def compressed(root: Any, folder: Path) -> None:
    root.create_dataset("layers/dense_1/vars/1", data=TWO[1], compression="gzip")


def unwritten(root: Any, folder: Path) -> None:
    root.create_dataset("layers/dense_1/vars/1", (2**45,), np.float32)


def objects(root: Any, folder: Path) -> None:
    root.create_dataset("layers/dense_1/vars/1", data=["a", "b"], dtype=h5py.string_dtype())


def nothing(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = h5py.Empty(np.float32)


def a_group(root: Any, folder: Path) -> None:
    root.create_group("layers/dense_1/vars/1")


def bfloat16(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = np.zeros(2, "V2")
    root["layers/dense_1/vars/1"].attrs["dtype"] = "bfloat16"


def a_word(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/bias"] = TWO[1]


def a_gap(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/2"] = TWO[1]


def stray(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = TWO[1]
    root["layers/stray"] = TWO[1]


def nameless(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = TWO[1]
    del root["layers/dense_1/vars"].attrs["name"]


def long_name(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = TWO[1]
    root["layers/dense_1/vars"].attrs.create("name", b"x" * 5000, dtype="S5000")


def escape_codes(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = TWO[1]
    root["layers/dense_1/vars"].attrs["name"] = "\x1b[2J"


def namesakes(root: Any, folder: Path) -> None:
    root["layers/dense_1/vars/1"] = TWO[1]
    root["layers/dense_1/vars"].attrs["name"] = "block__one"


DAMAGE: list[tuple[Damage, str]] = [
    (link, "'1' in /layers/dense_1/vars is a link"),
    (soft, "'1' in /layers/dense_1/vars is a link"),
    (circle, "/layers/dense_1/again is in another place too"),
    (twice, "is in another place too"),
    (virtual, "/layers/dense_1/vars/1 [2] does not lie in the file as one piece"),
    (elsewhere, "/layers/dense_1/vars/1 [2] does not lie in the file as one piece"),
    (compressed, "/layers/dense_1/vars/1 [2] does not lie in the file as one piece"),
    (unwritten, "/layers/dense_1/vars/1 [35184372088832] does not lie in the file as one piece"),
    (objects, "/layers/dense_1/vars/1 holds object, expected float32"),
    (nothing, "/layers/dense_1/vars/1 is no array"),
    (a_group, "/layers/dense_1/vars/1 is no array"),
    (bfloat16, "/layers/dense_1/vars/1 holds bfloat16, expected float32"),
    (a_word, "/layers/dense_1/vars holds ['0', 'bias'], expected variables numbered from 0"),
    (a_gap, "/layers/dense_1/vars holds ['0', '2'], expected variables numbered from 0"),
    (stray, "/layers/stray is in no layer's vars"),
    (nameless, "/layers/dense_1 does not say which layer it is of"),
    (long_name, "/layers/dense_1 does not say which layer it is of"),
    (escape_codes, "/layers/dense_1 does not say which layer it is of"),
    (namesakes, "two layers are called block__one"),
]


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("damage", "message"), DAMAGE, ids=lambda x: getattr(x, "__name__", "")
    )
    def test_what_keras_does_not_write(
        self, small: Graph, tmp_path: Path, damage: Damage, message: str
    ) -> None:
        file = tmp_path / "w.weights.h5"
        with h5py.File(file, "w") as root:
            fill(root, {"block__one": ONE, "two": TWO[:1]})
            damage(root, tmp_path)
        text = refusal(file, small)
        assert message in text
        assert text.startswith(f"{file}: ")
        kept = archive(tmp_path / "w.keras", file.read_bytes())
        assert message in refusal(kept, small)

    @pytest.mark.parametrize("left", [0, 4, 100, 0.25, 0.5, 0.9, 0.999])
    def test_what_is_cut_short(self, small: Graph, weights: Path, left: float) -> None:
        raw = weights.read_bytes()
        weights.write_bytes(raw[: int(left * len(raw)) if isinstance(left, float) else left])
        assert "not a readable .weights.h5 file" in refusal(weights, small)

    def test_a_file_that_shrinks_after_it_was_read(self, small: Graph, weights: Path) -> None:
        store = read(weights, small)
        weights.write_bytes(weights.read_bytes()[:2000])
        with pytest.raises(WeightError, match="weight two/kernel cannot be read"):
            store["two/kernel"].load()

    def test_a_text_of_no_size(self, small: Graph, weights: Path) -> None:
        """HDF5 itself would walk over it for ever."""
        raw = bytearray(weights.read_bytes())
        heap = raw.find(b"GCOL")
        free = heap + 16 + (16 + 16) + (16 + 8)  # Behind "block__one" and "two".
        assert int.from_bytes(raw[free + 8 : free + 16], "little") == 4096 - (free - heap)
        raw[free + 8 : free + 16] = bytes(8)
        weights.write_bytes(bytes(raw))
        assert "a text in it has no size" in refusal(weights, small)

    def test_flipped_bytes(self, small: Graph, weights: Path) -> None:
        """Whatever a damaged byte of the structure does, it ends in a message or in an array."""
        raw = weights.read_bytes()
        for place in range(0, len(raw), 31):
            weights.write_bytes(raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :])
            try:
                store = read(weights, small)
                store.check(small.weights)
                for weight in store.values():
                    weight.load()
            except GraphCNNError:
                continue

    def test_without_h5py(
        self, small: Graph, weights: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "h5py", None)
        text = refusal(weights, small, MissingExtra)
        assert "pip install 'graphcnn[keras]'" in text

    @pytest.mark.parametrize("name", ["w.h6", "w.weights.json", "w"])
    def test_other_endings(self, small: Graph, tmp_path: Path, name: str) -> None:
        assert "unknown kind of weights file" in refusal(tmp_path / name, small)


class TestArchives:
    def test_what_is_stored(self, small: Graph, weights: Path, tmp_path: Path) -> None:
        store = read(archive(tmp_path / "w.keras", weights.read_bytes()), small)
        np.testing.assert_array_equal(store["two/kernel"].load(), TWO[0])

    def test_more_before_the_archive(self, small: Graph, weights: Path, tmp_path: Path) -> None:
        """An archive may begin anywhere in its file."""
        file = archive(tmp_path / "w.keras", weights.read_bytes())
        file.write_bytes(b"#!/bin/sh\n" + file.read_bytes())
        np.testing.assert_array_equal(read(file, small)["two/kernel"].load(), TWO[0])

    def test_a_bomb(self, small: Graph, tmp_path: Path) -> None:
        """A gigabyte of zeros in a megabyte is refused by what it declares."""
        file = archive(tmp_path / "w.keras", bytes(2**24), compression=zipfile.ZIP_DEFLATED)
        assert file.stat().st_size < 2**16
        assert "model.weights.h5 is compressed in it" in refusal(file, small)

    def test_a_size_that_is_a_lie(self, small: Graph, weights: Path, tmp_path: Path) -> None:
        file = archive(tmp_path / "w.keras", weights.read_bytes())
        raw, size = file.read_bytes(), weights.stat().st_size
        declared = size.to_bytes(4, "little") * 2
        assert raw.count(declared) == 2
        file.write_bytes(raw.replace(declared, (2**31).to_bytes(4, "little") * 2))
        assert "not a readable .keras file" in refusal(file, small)

    def test_damage_is_found_by_the_checksum(
        self, small: Graph, weights: Path, tmp_path: Path
    ) -> None:
        file = archive(tmp_path / "w.keras", weights.read_bytes())
        raw = bytearray(file.read_bytes())
        raw[raw.find(ONE[0].tobytes()) + 5] ^= 1
        file.write_bytes(bytes(raw))
        assert "Bad CRC-32" in refusal(file, small)

    def test_no_weights_in_it(self, small: Graph, tmp_path: Path) -> None:
        file = tmp_path / "w.keras"
        with zipfile.ZipFile(file, "w") as content:
            content.writestr("../model.weights.h5", b"")
            content.writestr("config.json", json.dumps({"class_name": "Functional"}))
        assert "there is no model.weights.h5 in it" in refusal(file, small)

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(100)])
    def test_no_archive(self, small: Graph, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "w.keras"
        file.write_bytes(content)
        assert "not a readable .keras file" in refusal(file, small)

    def test_an_archive_within(self, small: Graph, tmp_path: Path) -> None:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as content:
            content.writestr("x", "y")
        file = archive(tmp_path / "w.keras", inner.getvalue())
        assert "not a readable .keras file" in refusal(file, small)


def test_the_command(
    model_file: Path, graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rng = np.random.default_rng(0)
    layers = {
        node.replace("/", "__"): [
            rng.uniform(0.1, 1, graph.weight(n).shape).astype(graph.weight(n).dtype.numpy)
            for n in names
        ]
        for node, names in graph.weights_by_node.items()
    }
    file = h5(tmp_path / "w.weights.h5", layers)
    command = ["graphcnn", "compile", str(model_file), "--weights", str(file)]
    monkeypatch.setattr(sys, "argv", [*command, "--disable", "all"])
    main()
    assert "sha256:" in capsys.readouterr().err
    kernel = layers["units_1__unit__conv"][0].transpose(3, 2, 0, 1)
    assert held(model_file.with_suffix(".onnx"))["units_1/unit/conv/kernel"] == kernel.tobytes()


def test_nodes_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", (3,))
    graph.outputs["y"] = graph.add(Dense(units=2), x, name="y")
    lost = graph.add(ReLU(), x, name="lost")
    with pytest.raises(GraphCNNError, match="leads to no output"):
        graphcnn.compile(graph, tmp_path / "y.onnx")
    graphcnn.compile(graph, tmp_path / "tapped.onnx", taps=[lost])
    graph.erase(lost)
    graphcnn.compile(graph, tmp_path / "y.onnx")
