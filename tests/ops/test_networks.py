"""Small networks in which operators meet: layouts across branches, shared weights, outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import graphcnn
from graphcnn.errors import ExportError
from graphcnn.graph import Graph
from graphcnn.ops import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Clip,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Divide,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GroupNormalization,
    LayerNormalization,
    LayerScale,
    LocalResponseNormalization,
    Max,
    MaxPooling2D,
    Mean,
    Multiply,
    Normalization,
    Permute,
    Power,
    PReLU,
    Rescaling,
    Reshape,
    Resizing,
    RMSNormalization,
    Slice,
    StochasticDepth,
    Sum,
    UpSampling2D,
    ZeroPadding2D,
)
from graphcnn.types import symbol
from tests.onnx_checks import agree, check_file, run

Build = Callable[[Graph], str]
NETWORKS: list[tuple[str, Build, int, int]] = []


def network(transposes: int = 0, identities: int = 0) -> Callable[[Build], Build]:
    """Enter a network: a function that fills a graph and returns the node that is the result."""

    def enter(build: Build) -> Build:
        NETWORKS.append((build.__name__, build, transposes, identities))
        return build

    return enter


def built(build: Build) -> Graph:
    """The network's graph; its result is the output ``result``, after those it declares."""
    graph = Graph(build.__name__)
    result = build(graph)
    graph.outputs["result"] = result
    return graph


def image(graph: Graph, channels: int = 3) -> str:
    """An uneven image through a convolution, so that it lies channels first."""
    x = graph.input(f"image{len(graph)}", (6, 7, channels))
    return graph.add(Conv2D(filters=4, kernel_size=3, activation="relu"), x)


@network()
def flatten_dense(g: Graph) -> str:
    return g.add(Dense(units=5, activation="softmax"), g.add(Flatten(), image(g)), name="scores")


@network()
def names_with_scopes(g: Graph) -> str:
    x = g.add(Flatten(), image(g), name="block/1/flat")
    return g.add(Dense(units=5, activation="gelu"), x, name="block/1/dense")


@network()
def reshape_as_flatten(g: Graph) -> str:
    return g.add(Dense(units=5), g.add(Reshape(target_shape=(-1,)), image(g)))


@network()
def flatten_twice(g: Graph) -> str:
    return g.add(Dense(units=5), g.add(Flatten(), g.add(Flatten(), image(g))))


@network()
def flatten_batch_norm_dense(g: Graph) -> str:
    x = g.add(BatchNormalization(), g.add(Flatten(), image(g)))
    x = g.add(Activation(activation="tanh"), x)
    return g.add(Dense(units=5), g.add(Dropout(rate=0.5), x))


@network()
def flatten_prelu_dense(g: Graph) -> str:
    return g.add(Dense(units=5), g.add(PReLU(), g.add(Flatten(), image(g))))


@network()
def flatten_shared_prelu_dense(g: Graph) -> str:
    return g.add(Dense(units=5), g.add(PReLU(shared_axes=(1,)), g.add(Flatten(), image(g))))


@network()
def flatten_softmax_dense(g: Graph) -> str:
    x = g.add(Activation(activation="softmax"), g.add(Flatten(), image(g)))
    return g.add(Dense(units=5), x)


@network(transposes=1)
def flatten_layer_norm_dense(g: Graph) -> str:
    # The graph's order is kept for layer normalization: its weights are not reordered.
    return g.add(Dense(units=5), g.add(LayerNormalization(), g.add(Flatten(), image(g))))


@network()
def flatten_normalization_dense(g: Graph) -> str:
    return g.add(Dense(units=5), g.add(Normalization(), g.add(Flatten(), image(g))))


@network()
def concatenated_flattened(g: Graph) -> str:
    small = g.add(Flatten(), g.add(MaxPooling2D(), image(g)))
    large = g.add(Flatten(), image(g, 1))
    vector = g.add(Dense(units=3), g.input("vector", (8,)))
    return g.add(Dense(units=5), g.add(Concatenate(), [small, vector, large]))


@network()
def concatenated_in_stages(g: Graph) -> str:
    first = g.add(Concatenate(), [g.add(Flatten(), image(g)), g.add(Flatten(), image(g))])
    second = g.add(Concatenate(), [g.input("vector", (3,)), first, first])
    return g.add(Dense(units=5), g.add(PReLU(), g.add(BatchNormalization(), second)))


@network()
def flattened_twice_for_two(g: Graph) -> str:
    x = image(g)
    a = g.add(Dense(units=5), g.add(Flatten(), x))
    return g.add(Add(), [a, g.add(Dense(units=5), g.add(Flatten(), x))])


@network(transposes=1)
def flattened_in_an_activation_is_the_output(g: Graph) -> str:
    return g.add(Activation(activation="tanh"), g.add(Flatten(), image(g)))


@network(transposes=1)
def flattened_for_dense_and_in_an_output(g: Graph) -> str:
    x = g.add(BatchNormalization(), g.add(Flatten(), image(g)))
    g.outputs["features"] = g.add(Activation(activation="tanh"), x)
    return g.add(Dense(units=5), x)


@network(transposes=2)
def added_flattened(g: Graph) -> str:
    flat = [g.add(Flatten(), image(g)) for _ in range(2)]
    return g.add(Dense(units=5), g.add(Add(), flat))


@network(transposes=1)
def flattened_is_an_output_too(g: Graph) -> str:
    flat = g.add(Flatten(), image(g))
    g.outputs["features"] = flat
    return g.add(Dense(units=5), flat)


@network()
def one_channel_flattened_is_an_output(g: Graph) -> str:
    x = g.add(Conv2D(filters=1, kernel_size=2), image(g))
    g.outputs["features"] = g.add(Flatten(), x)
    return g.add(Dense(units=5), g.outputs["features"])


@network(transposes=1)
def vector_to_image(g: Graph) -> str:
    x = g.add(Dense(units=7 * 7 * 3), g.input("latent", (6,)))
    x = g.add(Reshape(target_shape=(7, 7, 3)), x)
    return g.add(Conv2DTranspose(filters=2, kernel_size=3, strides=2, padding="same"), x)


@network()
def flattened_and_back(g: Graph) -> str:
    x = g.add(Reshape(target_shape=(4, 5, 4)), g.add(Flatten(), image(g)))
    return g.add(Dense(units=5), g.add(Flatten(), g.add(Conv2D(filters=2, kernel_size=2), x)))


@network()
def rows_as_steps(g: Graph) -> str:
    x = g.add(Reshape(target_shape=(-1, 4)), image(g))
    return g.add(Conv1D(filters=3, kernel_size=3, padding="causal"), x)


@network(transposes=2)
def channels_split_by_reshape(g: Graph) -> str:
    x = g.add(Reshape(target_shape=(4, 5, 2, 2)), image(g))
    return g.add(BatchNormalization(), x)


@network(transposes=1)
def transposed_image(g: Graph) -> str:
    return g.add(Conv2D(filters=2, kernel_size=2), g.add(Permute(dims=(2, 1, 3)), image(g)))


@network(transposes=1)
def channels_moved(g: Graph) -> str:
    return g.add(Conv2D(filters=2, kernel_size=2), g.add(Permute(dims=(3, 1, 2)), image(g)))


@network()
def channels_moved_for_dense(g: Graph) -> str:
    x = g.add(Permute(dims=(3, 1, 2)), image(g))
    return g.add(Dense(units=5), g.add(Flatten(), x))


@network()
def dropout_is_the_output(g: Graph) -> str:
    return g.add(Dropout(rate=0.3), image(g))


@network(identities=1)
def dropped_and_kept_outputs(g: Graph) -> str:
    g.outputs["kept"] = image(g)
    return g.add(Dropout(rate=0.3), g.outputs["kept"])


@network(identities=1)
def dropped_and_kept_outputs_by_their_names(g: Graph) -> str:
    x = image(g)
    y = g.add(Dropout(rate=0.3), x)
    g.outputs.update({y: y, x: x})
    return g.add(Dense(units=2), g.add(GlobalAveragePooling2D(), x))


@network(identities=2)
def one_value_three_outputs(g: Graph) -> str:
    x = g.add(Dense(units=5), g.add(Flatten(), image(g)), name="scores")
    g.outputs.update({"a": x, "b": x})
    return x


@network(identities=1)
def an_input_is_an_output(g: Graph) -> str:
    x = g.input("vector", (5,))
    g.outputs["copy"] = x
    return g.add(Dense(units=5), x)


@network()
def an_input_is_an_output_by_its_name(g: Graph) -> str:
    g.outputs["vector"] = g.input("vector", (5,))
    return g.add(Dense(units=5), "vector")


@network()
def six_axes(g: Graph) -> str:
    x = g.add(Dense(units=4), g.input("x", (2, 3, 2, 2, 3)))
    return g.add(PReLU(shared_axes=(2,)), g.add(LayerNormalization(axis=(-2, -1)), x))


@network()
def one_number_a_sample(g: Graph) -> str:
    x = g.add(Reshape(target_shape=()), g.add(Dense(units=1), g.input("vector", (4,))))
    x = g.add(Activation(activation="sigmoid"), g.add(Rescaling(scale=2.0), x))
    return g.add(Dense(units=3), g.add(Flatten(), g.add(Add(), [x, x])))


@network()
def an_output_has_the_name_of_another_node(g: Graph) -> str:
    x = g.add(Dense(units=4), g.input("vector", (5,)), name="scores")
    y = g.add(Dense(units=3), x, name="more")
    g.outputs["scores"] = y
    return x


@network()
def inception(g: Graph) -> str:
    x = image(g)
    paths = [
        g.add(Conv2D(filters=3, kernel_size=1), x),
        g.add(Conv2D(filters=2, kernel_size=3, padding="same"), x),
        g.add(MaxPooling2D(pool_size=3, strides=1, padding="same"), x),
        g.add(AveragePooling2D(pool_size=2, strides=1, padding="same"), x),
    ]
    x = g.add(GlobalAveragePooling2D(), g.add(Concatenate(), paths))
    return g.add(Dense(units=5, activation="softmax"), x)


@network()
def residual(g: Graph) -> str:
    x = image(g)
    conv = Conv2D(filters=4, kernel_size=3, strides=2, padding="same", use_bias=False)
    y = g.add(Activation(activation="relu"), g.add(BatchNormalization(), g.add(conv, x)))
    y = g.add(BatchNormalization(), g.add(Conv2D(filters=4, kernel_size=3, padding="same"), y))
    shortcut = g.add(Conv2D(filters=4, kernel_size=1, strides=2), x)
    return g.add(Activation(activation="relu"), g.add(Add(), [y, shortcut]))


@network()
def squeeze_and_excite(g: Graph) -> str:
    x = image(g)
    gate = g.add(GlobalAveragePooling2D(keepdims=True), x)
    gate = g.add(Dense(units=4, activation="sigmoid"), g.add(Dense(units=2), gate))
    return g.add(Multiply(), [x, gate])


@network()
def squeeze_and_excite_by_reshape(g: Graph) -> str:
    x = image(g)
    gate = g.add(Dense(units=4, activation="sigmoid"), g.add(GlobalAveragePooling2D(), x))
    return g.add(Multiply(), [x, g.add(Reshape(target_shape=(1, 1, 4)), gate)])


@network()
def pooled_then_flattened(g: Graph) -> str:
    x = g.add(GlobalAveragePooling2D(keepdims=True), image(g))
    return g.add(LayerNormalization(), g.add(Flatten(), x))


@network()
def a_value_twice(g: Graph) -> str:
    x = g.add(Flatten(), image(g))
    y = g.add(Dense(units=5), g.add(Concatenate(), [x, x]))
    return g.add(Add(), [y, y, y])


@network()
def preprocessing(g: Graph) -> str:
    x = g.add(Rescaling(scale=1 / 255, offset=-0.5), g.input("pixels", (6, 6, 3)))
    x = g.add(Normalization(), g.add(ZeroPadding2D(padding=((0, 1), (2, 0))), x))
    return g.add(UpSampling2D(), g.add(Conv2D(filters=2, kernel_size=3), x))


@network()
def convnext(g: Graph) -> str:
    x = image(g)
    y = g.add(DepthwiseConv2D(kernel_size=7, padding="same"), x)
    y = g.add(LayerNormalization(epsilon=1e-3), y)
    y = g.add(Dense(units=4), g.add(Dense(units=12, activation="gelu"), y))
    y = g.add(LayerScale(init_values=1e-6, projection_dim=4), y)
    x = g.add(Add(), [x, g.add(StochasticDepth(drop_path_rate=0.1), y)])
    x = g.add(LayerNormalization(epsilon=1e-3), g.add(GlobalAveragePooling2D(), x))
    return g.add(Dense(units=3), x)


@network()
def attention_to_places(g: Graph) -> str:
    """The maximum and the mean over the channels, as a gate: CBAM, Woo et al. 2018."""
    x = image(g)
    planes = [g.add(kind(axis=-1, keepdims=True), x) for kind in (Max, Mean)]
    gate = Conv2D(filters=1, kernel_size=5, padding="same", activation="sigmoid")
    return g.add(Multiply(), [x, g.add(gate, g.add(Concatenate(), planes))])


@network()
def response_of_each_channel(g: Graph) -> str:
    """Global response normalization: ConvNeXt V2, Woo et al. 2023."""
    x = image(g)
    energy = g.add(Sum(axis=(1, 2), keepdims=True), g.add(Power(exponent=2), x))
    energy = g.add(Activation(activation="sqrt"), energy)
    share = g.add(Divide(), [energy, g.add(Mean(axis=-1, keepdims=True), energy)])
    return g.add(Add(), [x, g.add(Multiply(), [x, share])])


@network()
def averaged_by_an_operation(g: Graph) -> str:
    x = g.add(Mean(axis=[1, 2]), image(g))
    return g.add(Dense(units=3), g.add(Clip(min_value=-0.5, max_value=0.5), x))


@network()
def operations_on_flattened(g: Graph) -> str:
    x = g.add(Flatten(), image(g, channels=2))
    x = g.add(Clip(min_value=-1), g.add(Power(exponent=3), x))
    x = g.add(LayerScale(init_values=1, projection_dim=g.type(x).sizes[0]), x)
    return g.add(Dense(units=3), x)


@network()
def outputs_of_two_ranks(g: Graph) -> str:
    g.outputs["map"] = image(g)
    return g.add(GlobalAveragePooling2D(), g.outputs["map"])


@network()
def one_layer_for_two_images(g: Graph) -> str:
    shared = {"kernel": "tower/kernel", "bias": "tower/bias"}
    conv = Conv2D(filters=3, kernel_size=2)
    a = g.add(conv, image(g), weights=shared)
    b = g.add(conv, image(g), weights=shared)
    return g.add(Add(), [a, b])


@network()
def one_dense_for_flattened_and_plain(g: Graph) -> str:
    # The same kernel is needed in two orders: that of a flattened image, and as it is.
    shared = {"kernel": "head/kernel", "bias": "head/bias"}
    head = Dense(units=5)
    a = g.add(head, g.add(Flatten(), image(g)), weights=shared)
    b = g.add(head, g.input("vector", (80,)), weights=shared)
    return g.add(Add(), [a, b])


@pytest.mark.parametrize(
    ("build", "transposes", "identities"),
    [entry[1:] for entry in NETWORKS],
    ids=[entry[0] for entry in NETWORKS],
)
def test_network_agrees_with_keras(
    build: Build, transposes: int, identities: int, tmp_path: Path
) -> None:
    from tests.keras_twin import compare

    compare(built(build), tmp_path, transposes=transposes, identities=identities)


@pytest.mark.parametrize("opset", [13, 17, 18, 22])
def test_every_opset_agrees_with_keras(opset: int, tmp_path: Path) -> None:
    from tests.keras_twin import compare

    graph = Graph("opset")
    x = graph.add(LayerNormalization(axis=(-2, -1)), image(graph))
    x = graph.add(AveragePooling2D(pool_size=2, strides=1, padding="same"), x)
    x = graph.add(UpSampling2D(interpolation="bilinear"), graph.add(BatchNormalization(), x))
    graph.outputs["y"] = graph.add(Dense(units=4, activation="hard_swish"), x)
    compare(graph, tmp_path, opsets=[opset])
    model = onnx.load(tmp_path / f"{opset}-nchw.onnx")
    assert [entry.version for entry in model.opset_import] == [opset]


def test_taps_are_what_keras_computes(tmp_path: Path) -> None:
    from tests.keras_twin import evaluate, random_arrays, random_feeds

    graph = built(residual)
    arrays, feeds = random_arrays(graph), random_feeds(graph)
    values = evaluate(graph, arrays, feeds)
    values["result"] = values[graph.outputs["result"]]
    named = ["conv2d", "batch_normalization"]
    model = check_file(graph, tmp_path, arrays, feeds, values, taps=named)
    assert [output.name for output in model.graph.output] == ["result", *named]
    model = check_file(graph, tmp_path, arrays, feeds, values, taps=["all"], identities=1)
    assert len(model.graph.output) == len(graph)


def test_shared_weights_are_written_once_in_each_order(tmp_path: Path) -> None:
    def held(build: Build) -> list[str]:
        path = tmp_path / f"{build.__name__}.onnx"
        graphcnn.compile(built(build), path, target="onnxruntime")
        return [tensor.name for tensor in onnx.load(path).graph.initializer]

    assert [name for name in held(one_layer_for_two_images) if "tower" in name] == [
        "tower/kernel",
        "tower/bias",
    ]
    both = [name for name in held(one_dense_for_flattened_and_plain) if "head" in name]
    assert sorted(both) == ["head/bias", "head/kernel", "head/kernel_2"]


def test_fixed_batch_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "fixed.onnx"
    graphcnn.compile(built(flatten_dense), path, batch=3)
    body = onnx.load(path).graph
    batches = [v.type.tensor_type.shape.dim[0].dim_value for v in (*body.input, *body.output)]
    assert batches == [3, 3]


def test_heights_and_widths_left_open_agree_with_keras(tmp_path: Path) -> None:
    from tests.keras_twin import loaded_twin, random_arrays, run_twin

    graph = Graph("open")
    x = graph.input("x", (symbol("H"), symbol("W"), 3))
    x = graph.add(Conv2D(filters=4, kernel_size=3, padding="same", activation="relu"), x)
    x = graph.add(MaxPooling2D(), x)
    x = graph.add(GroupNormalization(groups=2), graph.add(LayerNormalization(), x))
    x = graph.add(Slice(axis=2, start=1, stop=-1), graph.add(RMSNormalization(), x))
    y = graph.add(UpSampling2D(), graph.add(Conv2D(filters=2, kernel_size=2, strides=2), x))
    graph.outputs["map"] = graph.add(ZeroPadding2D(), y)
    graph.outputs["mean"] = graph.add(Mean(axis=(1, 2), keepdims=True), y)
    graph.outputs["scores"] = graph.add(Dense(units=3), graph.add(GlobalAveragePooling2D(), y))
    arrays = random_arrays(graph)
    twin = loaded_twin(graph, arrays)
    path = tmp_path / "open.onnx"
    weights = graphcnn.WeightStore.from_arrays(arrays)
    graphcnn.compile(graph, path, weights=weights, target="onnxruntime")
    for sizes in ((12, 17), (9, 8)):
        feed = np.random.default_rng(0).standard_normal((2, *sizes, 3), np.float32)
        expected = run_twin(twin, {"x": feed})
        for name, result in run(path, {"x": feed}).items():
            agree(result, expected[name], name)


def test_layer_normalization_is_one_operator_where_that_moves_nothing(tmp_path: Path) -> None:
    counts = []
    for opset in (16, 17):
        path = tmp_path / f"{opset}.onnx"
        graphcnn.compile(built(convnext), path, opset=opset)
        nodes = onnx.load(path).graph.node
        counts.append([node.op_type for node in nodes].count("LayerNormalization"))
    assert counts == [0, 1]


def test_nearest_is_a_repetition_where_it_can_be(tmp_path: Path) -> None:
    kinds = []
    for height in (12, 13):
        op = Resizing(height=height, width=6, interpolation="nearest")
        graph = Graph("nearest")
        graph.outputs["y"] = graph.add(op, graph.input("x", (6, 6, 1)))
        graphcnn.compile(graph, tmp_path / f"{height}.onnx", target="onnxruntime")
        kinds += [node.op_type for node in onnx.load(tmp_path / f"{height}.onnx").graph.node]
    assert kinds == ["Resize", "Gather"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_saves_and_loads_what_it_has_no_layer_for(tmp_path: Path) -> None:
    from graphcnn.engine import keras
    from graphcnn.training import to_keras

    graph = Graph("saved")
    x = graph.input("x", (8, 7, 3))
    x = graph.add(AveragePooling2D(padding=((0, 1), (1, 0)), count_include_pad=True), x)
    x = graph.add(MaxPooling2D(pool_size=3, strides=1, padding=1), x)
    x = graph.add(Conv2D(filters=4, kernel_size=1, activation="abs"), x)
    x = graph.add(LocalResponseNormalization(), graph.add(Slice(axis=1, stop=-1), x))
    x = graph.add(LayerScale(init_values=0.5, projection_dim=4), x)
    x = graph.add(StochasticDepth(drop_path_rate=0.5), graph.add(Clip(min_value=-1), x))
    graph.outputs["y"] = graph.add(Mean(axis=[1, 2]), x)
    model = to_keras(graph)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    feed = np.random.default_rng(0).standard_normal((6, 8, 7, 3), np.float32)
    np.testing.assert_array_equal(loaded(feed), model(feed))
    drops = np.asarray(model(feed, training=True)) / np.asarray(model(feed))
    assert {float(drop) for drop in np.round(drops, 4).flat} <= {0.0, 2.0}
    assert (drops == drops[:, :1]).all()


def test_an_output_may_not_have_the_name_of_an_input(tmp_path: Path) -> None:
    graph = Graph("clash")
    graph.outputs["x"] = graph.add(Dense(units=2), graph.input("x", (3,)))
    with pytest.raises(ExportError, match="'x' has the name of an input"):
        graphcnn.compile(graph, tmp_path / "clash.onnx")
    assert not list(tmp_path.iterdir())
