"""Keras's files as they are written by hand: by Keras 2, with the unsupported, by an enemy."""

from __future__ import annotations

import contextlib
import json
import random
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import graphcnn
from graphcnn import Graph, GraphCNNError
from graphcnn.errors import MissingExtra
from graphcnn.frontends.keras.config import MAX_DEPTH, parse_model
from graphcnn.frontends.keras.importer import Importer
from graphcnn.ops import OPS, FollowOp

from .keras_files import (
    JSON,
    archive,
    entry,
    layer,
    legacy,
    network,
    operation,
    run,
    tensor,
)


def refusal(path: Path) -> list[str]:
    with pytest.raises(GraphCNNError) as caught:
        graphcnn.load_model(path)
    return [str(error) for error in caught.value.errors]


class TestKeras2:
    """What Keras 2.11 writes."""

    def layer(self, kind: str, name: str, *nodes: Any, **config: Any) -> JSON:
        config = {"name": name, "trainable": True, "dtype": "float32", **config}
        return {"class_name": kind, "config": config, "name": name, "inbound_nodes": [*nodes]}

    def entry(self, *sizes: int) -> JSON:
        return self.layer("InputLayer", "x", batch_input_shape=[None, *(sizes or (8, 8, 3))])

    def network(self, *layers: JSON, **config: Any) -> JSON:
        model = network(*layers, **config)
        del model["module"]
        return model

    def test_layers(self, tmp_path: Path) -> None:
        conv = {"filters": 2, "kernel_size": [3, 3], "padding": "same", "activation": "linear"}
        model = self.network(
            self.entry(),
            self.layer("Conv2D", "c", [["x", 0, 0, {}]], **conv, data_format="channels_last"),
            self.layer("BatchNormalization", "n", [["c", 0, 0, {}]], axis=[3], momentum=0.9),
            self.layer("LeakyReLU", "l", [["n", 0, 0, {"training": False}]], alpha=0.25),
            self.layer("Add", "a", [["l", 0, 0, {}], ["n", 0, 0, {}]]),
        )
        rng = np.random.default_rng(0)
        kernel = rng.standard_normal((3, 3, 3, 2)).astype(np.float32)
        arrays = {"c": [kernel, np.ones(2, np.float32)], "n": [np.ones(2, np.float32)] * 4}
        graph, store = graphcnn.load_model(legacy(tmp_path / "m.h5", model, arrays))
        assert str(graph.node("l").op.negative_slope) == "0.25"  # type: ignore[attr-defined]
        assert graph.node("a").inputs == ("l", "n")
        assert store is not None
        np.testing.assert_array_equal(store["c/kernel"].load(), kernel)

    def test_a_model_in_a_model_counts_its_calls_from_1(self, tmp_path: Path) -> None:
        inner = self.network(self.entry(), self.layer("ReLU", "r", [["x", 0, 0, {}]]))
        inner["config"]["name"] = "inner"
        inner |= {"name": "inner", "inbound_nodes": [[["x", 0, 0, {}]], [["inner", 1, 0, {}]]]}
        model = self.network(
            self.entry(),
            inner,
            self.layer("Add", "a", [["inner", 1, 0, {}], ["inner", 2, 0, {}]]),
        )
        graph, _ = graphcnn.load_model(legacy(tmp_path / "m.h5", model))
        assert graph.node("a").inputs == ("inner/r", "inner_1/r")
        assert graph.node("inner_1/r").inputs == ("inner/r",)

    def nested(self, entry: str, **kwargs: Any) -> JSON:
        """A model in a model, called with these arguments."""
        shape = [None, 8, 8, 3]
        inner = self.network(
            self.layer("InputLayer", entry, batch_input_shape=shape),
            self.layer("ReLU", "r", [[entry, 0, 0, {}]]),
        )
        inner |= {"name": "inner", "inbound_nodes": [[["x", 0, 0, kwargs]]]}
        return self.network(self.entry(), inner, output_layers=[["inner", 1, 0]])

    def test_a_model_in_a_model_whose_input_is_called_input(self, tmp_path: Path) -> None:
        graph = graphcnn.load(legacy(tmp_path / "m.h5", self.nested("input")))
        assert [*graph.outputs] == ["inner/r"]

    def test_a_model_in_a_model_that_is_training(self, tmp_path: Path) -> None:
        file = legacy(tmp_path / "m.h5", self.nested("x", training=True))
        assert "inner (Functional): is called with training=true" in refusal(file)[0]
        graphcnn.load(legacy(tmp_path / "n.h5", self.nested("x", training=False)))

    @pytest.mark.parametrize(
        ("sizes", "found"), [([-1, 6], [2, 6]), ([1, -1, 2], [1, 5, 2]), ([3, -1], [3, 5])]
    )
    def test_a_part_that_is_the_rest(
        self, tmp_path: Path, sizes: list[int], found: list[int]
    ) -> None:
        options = {"num_or_size_splits": sizes, "axis": 1}
        split = self.layer("TFOpLambda", "s", [["x", 0, 0, options]], function="split")
        outputs = [["s", 0, part] for part in range(len(sizes))]
        model = self.network(self.entry(8), split, output_layers=outputs)
        graph = graphcnn.load(legacy(tmp_path / "m.h5", model))
        assert [graph.type(name).channels for name in graph.outputs.values()] == found

    def test_functions_of_tensorflow(self, tmp_path: Path) -> None:
        def function(name: str, what: str, node: Any, kind: str = "TFOpLambda") -> JSON:
            return self.layer(kind, name, node, function=what)

        keys = [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": 3, "step": None}]
        spec = {"slice_spec": keys}
        half = ["_CONSTANT_VALUE", -1, 0.5, {"y": ["six", 0, 0]}]
        model = self.network(
            self.entry(),
            function("plus", "__operators__.add", [["x", 0, 0, {"y": 3.0, "name": None}]]),
            function("six", "nn.relu6", [["plus", 0, 0, {"name": None}]]),
            function("times", "math.multiply", [half]),
            function("both", "math.multiply", [["x", 0, 0, {"y": ["times", 0, 0], "name": None}]]),
            function("cat", "concat", [[["x", 0, 0, {"axis": -1}], ["both", 0, 0, {"axis": -1}]]]),
            function("mean", "math.reduce_mean", [["cat", 0, 0, {"axis": [1, 2]}]]),
            function("part", "__operators__.getitem", [["mean", 0, 0, spec]], "SlicingOpLambda"),
            function("split", "split", [["part", 0, 0, {"num_or_size_splits": [1, 1], "axis": 1}]]),
            function("out", "math.truediv", [["split", 0, 1, {"y": 2.0}]]),
        )  # fmt: skip
        graph, _ = graphcnn.load_model(legacy(tmp_path / "m.h5", model))
        graphcnn.compile(graph, tmp_path / "m.onnx")
        import onnxruntime

        x = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
        joined = np.concatenate([x, x * (np.clip(x + 3, 0, 6) * 0.5)], -1).mean((1, 2))
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        (found,) = session.run(None, {"x": x.transpose(0, 3, 1, 2)})
        np.testing.assert_allclose(found, joined[:, 2:3] / 2, rtol=1e-5)

    def test_a_sequential_model_without_an_input_layer(self, tmp_path: Path) -> None:
        first = {"class_name": "Flatten", "config": {"name": "f", "trainable": True}}
        first["config"]["batch_input_shape"] = [None, 4, 4, 2]  # type: ignore[index]
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": [first]}}
        graph, _ = graphcnn.load_model(legacy(tmp_path / "m.h5", model))
        assert graph.type("f").sizes == (32,)

    def test_a_sequential_model_without_any_sizes(self, tmp_path: Path) -> None:
        first = {"class_name": "Flatten", "config": {"name": "f", "trainable": True}}
        model = {"class_name": "Sequential", "config": {"name": "s", "layers": [first]}}
        file = legacy(tmp_path / "m.h5", model)
        assert "--input-shape" in refusal(file)[0]
        assert graphcnn.load(file, {"": (4, 5)}).type("f").sizes == (20,)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"activation": "hard_sigmoid"}, "hard_sigmoid is 0.2 x + 0.5 in Keras 2"),
            ({"units": 2, "training": True}, "is called with training=true"),
        ],
    )
    def test_what_means_another_thing_today(self, tmp_path: Path, options: JSON, said: str) -> None:
        kwargs = {"training": options.pop("training", None)}
        dense = self.layer("Dense", "d", [["x", 0, 0, kwargs]], **{"units": 2, **options})
        arrays = {"d": [np.ones((8, 2), np.float32), np.ones(2, np.float32)]}
        model = self.network(self.entry(8), dense)
        assert said in refusal(legacy(tmp_path / "m.h5", model, arrays))[0]
        if "activation" in options:
            graphcnn.load_model(legacy(tmp_path / "n.h5", model, arrays, version="3.0.0"))


CONV = {"filters": 2, "kernel_size": 3, "data_format": "channels_first"}
PRELU = {"module": "keras.layers", "class_name": "PReLU", "config": {"name": "p"}}


class TestWhatIsNotSupported:
    def test_a_class_before_its_arguments(self, tmp_path: Path) -> None:
        attention = layer("MultiHeadAttention", "attention", "x", num_heads=2)
        attention["inbound_nodes"][0]["args"].append(tensor("x"))
        said = refusal(archive(tmp_path / "m.keras", network(entry(), attention)))
        assert said[0].startswith("attention (MultiHeadAttention): there is no operator for it")

    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            ("Conv2D", {"filters": 2, "kernel_size": [3, 3, 3]}),
            ("Conv2D", {"filters": 2, "kernel_size": [3]}),
            ("MaxPooling2D", {"pool_size": [2, 2, 2]}),
            ("ZeroPadding2D", {"padding": [1, 1, 1]}),
        ],
    )
    def test_lists_that_are_too_long_or_too_short(
        self, tmp_path: Path, kind: str, options: JSON
    ) -> None:
        file = archive(tmp_path / "m.keras", network(entry(), layer(kind, "d", "x", **options)))
        assert "expected" in refusal(file)[0]

    def test_sizes_of_no_input(self, tmp_path: Path) -> None:
        both = layer("Add", "sum", "a", "b")
        inputs = [["a", 0, 0], ["b", 0, 0]]
        model = network(entry("a"), entry("b"), both, input_layers=inputs)
        with pytest.raises(GraphCNNError, match=r"without a name, .* 2 inputs(.|\n)*known: a, b"):
            graphcnn.load(archive(tmp_path / "m.keras", model), {"": (8, 8, 3)})

    def test_no_description(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
            file.writestr("metadata.json", "{}")
        assert "model.save('MODEL.keras')" in refusal(tmp_path / "m.keras")[0]

    def test_what_is_no_model(self) -> None:
        with pytest.raises(GraphCNNError, match=r"expected a Keras model or the path .* found 3"):
            graphcnn.from_keras(3)

    def test_all_of_it_is_told_at_once(self, tmp_path: Path) -> None:
        model = network(
            entry(),
            layer("Lambda", "code", "x", function={"class_name": "__lambda__", "config": {}}),
            layer("LSTM", "memory", "code", units=3),
            layer("Swirl", "swirl", "x", module="my.layers", angle=3, speed=1.5),
            layer("Conv2D", "conv", "memory", filters=2, kernel_size=3, padding="reflect"),
            layer("Dense", "dense", "x", units=2, activation="swoosh"),
            layer("Dense", "double", "x", units=2, dtype="float64"),
            layer("Relu7", "seven", "dense", module="keras.src.ops.nn"),
            layer("Add", "sum", "conv", "seven", "double"),
        )
        said = refusal(archive(tmp_path / "m.keras", model))
        assert sorted(text.splitlines()[0] for text in said) == [
            "code (Lambda): is Python code, which is never run here",
            "conv (Conv2D): padding: expected same or valid, found 'reflect'",
            "dense (Dense): activation: 'swoosh' is not known",
            "double (Dense): its numbers are 'float64', expected float32",
            "memory (LSTM): there is no operator for it",
            "seven (Relu7): the operation is not supported",
            "swirl (Swirl): there is no operator for it",
        ]
        assert "class Swirl(Op) with the fields angle, speed, and weights()" in "".join(said)

    def test_nothing_is_written(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        model = network(entry(), layer("LSTM", "memory", "x", units=3))
        file = archive(tmp_path / "m.keras", model)
        for command in ("compile", "import", "infer-shapes"):
            assert run(command, str(file)) == 2
            assert "memory (LSTM): there is no operator for it" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["m.keras"]

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (layer("Dense", "d", "x", units=2, quantization_config={}), "quantization_config"),
            (layer("Dense", "d", "x", units=2, swish=True), "swish: true is not supported"),
            (layer("Dense", "d", "x", units="many"), "units: expected an integer"),
            (layer("BatchNormalization", "d", "x", axis=2), "axis"),
            (layer("BatchNormalization", "d", "x", axis=0), "the batch, axis 0"),
            (layer("RandomCrop", "d", "x", height=4, width=4), "makes 4x4 of [8, 8, 3]"),
            (layer("LayerScale", "d", "x", module="mine", projection_dim=3), "no operator for it"),
            (layer("Clip", "d", "x", module="mine.ops.special", x_min=0.0), "no operator for it"),
            (layer("Conv2D", "d", "x", **CONV, activation=PRELU), "its activation is a PReLU"),
            (operation("Mean", "x"), "reduces the batch too"),
            (operation("Reshape", "x", newshape=[-1, 4]), "one row"),
            (operation("Power", "x"), "expected"),
            (operation("Cast", "x", dtype="int32"), "casts to 'int32'"),
            (layer("Add", "d", "x", "y", kwargs=1), "which there is not"),
        ],
    )  # fmt: skip
    def test_one_thing(self, tmp_path: Path, wrong: JSON, said: str) -> None:
        file = archive(tmp_path / "m.keras", network(entry(), wrong))
        assert said in "\n".join(refusal(file))

    @pytest.mark.parametrize(
        ("config", "said"),
        [({"dtype": "int32"}, "takes 'int32'"), ({"sparse": True}, "sparse or ragged")],
    )
    def test_inputs(self, tmp_path: Path, config: JSON, said: str) -> None:
        model = network(entry("x", 8, **config), layer("ReLU", "r", "x"))
        assert said in refusal(archive(tmp_path / "m.keras", model))[0]

    def test_a_mask(self, tmp_path: Path) -> None:
        relu = layer("ReLU", "r", "x")
        relu["inbound_nodes"][0]["kwargs"] = {"mask": tensor("x")}
        file = archive(tmp_path / "m.keras", network(entry(), relu))
        assert "is called with mask=" in refusal(file)[0]

    def test_a_model_of_code(self, tmp_path: Path) -> None:
        model = {"module": "mine", "class_name": "MyModel", "config": {"name": "m"}}
        file = archive(tmp_path / "m.keras", model)
        assert "is no functional or sequential model" in refusal(file)[0]
        subclass = network(entry(), layer("ReLU", "r", "x")) | {"module": "mine"}
        assert "subclass of keras.Model" in refusal(archive(tmp_path / "s.keras", subclass))[0]

    def test_weights_that_do_not_fit(self, tmp_path: Path) -> None:
        model = network(entry("x", 4), layer("Dense", "d", "x", units=2))
        kernel, bias = np.ones((4, 2), np.float32), np.ones(2, np.float32)
        file = archive(tmp_path / "m.keras", model, {"d": [kernel]})
        assert "has 1 weights in" in refusal(file)[0]
        file = archive(tmp_path / "n.keras", model, {"d": [kernel.T.copy(), bias]})
        assert "has shape [2, 4], and the model needs [4, 2]" in refusal(file)[0]
        file = archive(tmp_path / "o.keras", model)
        assert "has no weights in" in refusal(file)[0]


def test_a_registered_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graphcnn.weights import WeightSpec

    class Swirl(FollowOp):
        """An operator of one's own, with two weights."""

        angle: float = 0.0

        def infer(self, *inputs: Any) -> Any:
            return inputs[0]

        def cost(self, inputs: Any, output: Any) -> Any:
            raise NotImplementedError

        def lower(self, ctx: Any) -> str:
            raise NotImplementedError

        def weights(self, *inputs: Any) -> dict[str, WeightSpec]:
            from graphcnn.initializers import Zeros

            return {"b": WeightSpec((3,), Zeros()), "a": WeightSpec((2, 2), Zeros())}

    graphcnn.register(Swirl)
    monkeypatch.setitem(OPS, "Swirl", OPS.pop("Swirl"))
    model = network(entry(), layer("Swirl", "s", "x", module="mine", angle=3))
    arrays = [np.ones(3, np.float32), np.full((2, 2), 7, np.float32)]
    graph, store = graphcnn.load_model(archive(tmp_path / "m.keras", model, {"s": arrays}))
    assert graph.node("s").op.angle == 3  # type: ignore[attr-defined]
    older = json.loads(
        json.dumps(model).replace('"module": "mine", ', "").replace("Swirl", "m>Swirl")
    )
    file = legacy(tmp_path / "m.h5", older, {"s": arrays}, version="3.15.1")
    assert graphcnn.load(file).node("s").op.angle == 3  # type: ignore[attr-defined]
    assert store is not None
    np.testing.assert_array_equal(store["s/a"].load(), arrays[1])


ODD: list[Any] = [
    *(None, True, 0, -1, 7, 10**30, 1.5, "", "x", "softmax", "channels_first"),
    *([], [[]], [None], [1, 2], {}, {"a": 1}, tensor("s"), tensor("x", 1), tensor("c", 0, 1)),
    {"class_name": "__slice__", "config": {"start": 1, "stop": "a", "step": 0}},
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list or mapping in a value, with each of its keys."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in list(keys):
        yield value, key
        yield from places(value[key])


class TestNames:
    def test_those_that_are_valid_stay(self, tmp_path: Path) -> None:
        """A name that is cleaned, or that a second call gets, is no other layer's."""
        shared = layer("ReLU", "r", "a_b")
        shared["inbound_nodes"].append({"args": [tensor("r")], "kwargs": {}})
        model = network(
            entry("x y"),
            layer("ReLU", "a b", "x y"),
            layer("ReLU", "a_b", "a b"),
            shared,
            layer("Add", "r_1", "a_b", "x_y"),
            layer("ReLU", "x_y", "r"),
            output_layers=[["r", 1, 0], ["r_1", 0, 0]],
        )
        graph = graphcnn.load(archive(tmp_path / "m.keras", model))
        assert {node.name for node in graph} == {"x_y_1", "a_b_1", "a_b", "r", "r_2", "r_1", "x_y"}
        assert graph.node("a_b").inputs == ("a_b_1",)
        assert graph.node("r_2").inputs == ("r",)

    @pytest.mark.parametrize(
        "wrong",
        [
            layer("Dense", "a\x1b[31m\nb", "x", units="many"),
            layer("Dense\x1b[31m\n", "d", "x"),
            layer("Mine", "d", "x", **{"\x1b[31m\n": 1}),
            layer("Dense", "d", "x", units=2, **{"\x1b[31m\n": 1}),
            layer("ReLU", "d", "\x1b[31m\n"),
            layer("Dense", "n" * 10**5, "x", units="many"),
            layer("K" * 10**5, "d", "x"),
        ],
    )
    def test_messages_hold_no_command_for_a_terminal(self, tmp_path: Path, wrong: JSON) -> None:
        file = archive(tmp_path / "m.keras", network(entry(), wrong))
        (said,) = refusal(file)
        assert all(line.isprintable() for line in said.splitlines())
        assert f"  file     {file}" in said
        assert all(line[:2] == "  " for line in said.splitlines()[1:])
        assert len(said) < 1000


class TestHostileFiles:
    def test_no_such_file(self, tmp_path: Path) -> None:
        assert "no such file" in refusal(tmp_path / "m.keras")[0]

    @pytest.mark.parametrize("name", ["m.keras", "m.h5"])
    def test_another_kind_of_file(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"not a file of Keras's")
        assert "not a readable Keras file" in refusal(tmp_path / name)[0]

    def test_weights_alone(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "m.h5", "w") as root:
            root.create_group("layers")
        assert "there is no model in it, only weights" in refusal(tmp_path / "m.h5")[0]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "7",
            "{",
            '{"class_name": "Functional"}',
            '{"class_name": "Functional", "config": {"input_layers": 3, "layers": []}}',
            '{"class_name": "Functional", "config": {"input_layers": [], "layers": [{}]}}',
            '{"class_name": "Sequential", "config": {"name": 3, "layers": []}}',
            '{"class_name": NaN}',
            "[" * 10**6,
            '{"a":' * 10**5,
            "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
            '{"class_name": "Sequential", "config": ' + "9" * 10**5 + "}",
        ],
    )
    def test_what_is_no_description(self, tmp_path: Path, text: str) -> None:
        said = refusal(archive(tmp_path / "m.keras", text))
        assert "the description of the model" in said[0] or "this is no functional" in said[0]

    def test_a_description_that_swells(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("graphcnn.keras_file.MAX_CONFIG_BYTES", 1000)
        with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("config.json", " " * 10**7)
        assert "config.json is larger than 1,000 bytes" in refusal(tmp_path / "m.keras")[0]

    def test_names_that_are_paths(self, tmp_path: Path) -> None:
        model = network(entry("../x"), layer("ReLU", "/etc/r", "../x"))
        file = archive(tmp_path / "m.keras", model)
        graph, _ = graphcnn.load_model(file)
        assert [node.name for node in graph] == ["_/x", "_etc/r"]

    @pytest.mark.parametrize("ref", [["r", 0, 1], ["r", 1, 0], ["q", 0, 0], ["r", -1, 0]])
    def test_results_that_there_are_not(self, tmp_path: Path, ref: list[Any]) -> None:
        model = network(entry(), layer("ReLU", "r", "x"), output_layers=[["r", 0, 0], ref])
        said = refusal(archive(tmp_path / "m.keras", model))[0]
        assert "which there is not" in said or "that none of its layers makes" in said

    def test_a_circle(self, tmp_path: Path) -> None:
        model = network(entry(), layer("ReLU", "a", "b"), layer("ReLU", "b", "a"))
        assert "go round in a circle" in refusal(archive(tmp_path / "m.keras", model))[0]

    def test_two_layers_of_one_name(self, tmp_path: Path) -> None:
        model = network(entry(), layer("ReLU", "a", "x"), layer("ReLU", "a", "x"))
        assert "have one name" in refusal(archive(tmp_path / "m.keras", model))[0]

    def test_models_that_multiply(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each model calls the one in it twice: 2 ** 10 calls in all."""
        monkeypatch.setattr("graphcnn.frontends.keras.importer.MAX_CALLS", 500)
        inner = network(entry("x", 4), layer("ReLU", "m", "x"))
        for _ in range(10):
            calls = [{"args": [tensor("x")], "kwargs": {}}, {"args": [tensor("m")], "kwargs": {}}]
            nested = inner | {"name": "m", "inbound_nodes": calls}
            inner = network(entry("x", 4), nested, output_layers=[["m", 2, 0]])
        assert "more than 500 calls" in refusal(archive(tmp_path / "m.keras", inner))[0]

    @pytest.mark.parametrize("seed", range(200))
    def test_any_damage(self, seed: int) -> None:
        """Whatever is put in whatever place, it loads or is refused."""
        rng = random.Random(seed)
        inner = network(entry("a"), layer("Softmax", "s", "a", axis=[-1]), name="inner")
        inner |= {"name": "inner", "inbound_nodes": [{"args": [tensor("x")], "kwargs": {}}]}
        model = network(
            entry(),
            layer("Conv2D", "c", "x", filters=2, kernel_size=[3, 3], data_format="channels_first"),
            inner,
            operation("Mean", "inner", axis=[1, 2], keepdims=True),
            layer("Multiply", "m", "inner", "d"),
        )
        for _ in range(rng.choice([1, 1, 2])):
            here, key = rng.choice(list(places(model)))
            here[key] = rng.choice(ODD)
        with contextlib.suppress(GraphCNNError):
            parsed = parse_model(json.dumps(model), seed % 3 == 0)
            Importer(Graph(), parsed, {}, seed % 3 == 0).run()

    def test_h5py_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = archive(tmp_path / "m.keras", network(entry(), layer("ReLU", "r", "x")))
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(MissingExtra, match="h5py"):
            graphcnn.load_model(file)

    def test_links_in_the_older_format(self, tmp_path: Path) -> None:
        old = TestKeras2()
        model = old.network(old.entry(4), old.layer("ReLU", "r", [["x", 0, 0, {}]]))
        file = legacy(tmp_path / "m.h5", model, {"r": [np.ones(2, np.float32)]})
        with h5py.File(file, "a") as root:
            del root["model_weights/r/r/0:0"]
            root["model_weights/r/r/0:0"] = h5py.ExternalLink("/etc/passwd", "/")
        assert "is a link" in refusal(file)[0]
