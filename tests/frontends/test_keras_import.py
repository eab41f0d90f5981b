"""Keras models imported: what comes out computes what Keras does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphcnn
from graphcnn.errors import GraphCNNError

pytestmark = [
    # Keras 3.15 with TensorFlow 2.21 converts its variables in a way that numpy 2 calls deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning"),
]


@pytest.fixture
def layers() -> Any:
    from graphcnn.engine import keras

    keras.utils.clear_session()
    return keras.layers


def image(layers: Any, *sizes: Any, name: str = "image") -> Any:
    return layers.Input(sizes or (12, 12, 3), name=name)


def functional(inputs: Any, outputs: Any, name: str = "net") -> Any:
    from graphcnn.engine import keras

    from .keras_models import drawn

    return drawn(keras.Model(inputs, outputs, name=name))


def imported(model: Any, folder: Path, **options: Any) -> graphcnn.Graph:
    from .keras_models import check

    return check(model, folder, **options)


def chain(inputs: Any, *steps: Any) -> Any:
    """A model of layers one after another."""
    x = inputs
    for step in steps:
        x = step(x)
    return functional(inputs, x)


def names(graph: graphcnn.Graph) -> list[str]:
    return [node.name for node in graph]


def test_sequential(layers: Any, tmp_path: Path) -> None:
    from graphcnn.engine import keras

    from .keras_models import drawn

    model = keras.Sequential(
        [
            layers.Input((12, 12, 3), name="image"),
            layers.Rescaling(1 / 255, name="scaled"),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Dropout(0.5, name="drop"),
            layers.Flatten(name="flat"),
            layers.Dense(5, activation="softmax", name="scores"),
        ],
        name="small",
    )
    graph = imported(drawn(model), tmp_path)
    assert graph.name == "small"
    assert names(graph) == ["image", "scaled", "conv", "pool", "drop", "flat", "scores"]
    assert [*graph.outputs] == ["scores"]


def test_a_model_in_a_model_called_twice(layers: Any, tmp_path: Path) -> None:
    from graphcnn.engine import keras

    stem = keras.Sequential(
        [layers.Input((12, 12, 3)), layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization()],
        name="stem",
    )
    inner_in = layers.Input((10, 10, 4))
    x = layers.Conv2D(4, 1, name="conv")(inner_in)
    inner = keras.Model(inner_in, [layers.Add()([x, inner_in]), layers.ReLU()(x)], name="inner")
    a, b = image(layers, name="a"), image(layers, name="b")
    left, right = stem(a), stem(b)
    summed, positive = inner(left)
    other, _ = inner(right)
    joined = layers.Concatenate(name="joined")([summed, positive, other])
    graph = imported(functional([a, b], joined), tmp_path)
    assert "stem/conv" in graph
    assert "stem_1/conv" in graph
    assert graph.node("inner_1/conv").weights == graph.node("inner/conv").weights
    assert graph.node("inner/conv").weights["kernel"] == "inner/conv/kernel"


def test_a_model_deep_in_models_with_layers_that_are_not_trained(
    layers: Any, tmp_path: Path
) -> None:
    from graphcnn.engine import keras

    deep = keras.Sequential(
        [layers.Conv2D(4, 1, name="c"), layers.BatchNormalization(name="n")], name="deep"
    )
    frozen = layers.BatchNormalization(name="frozen")
    frozen.trainable = False
    outer = keras.Sequential(
        [layers.Input((12, 12, 3)), layers.Conv2D(3, 1, name="c"), frozen, deep], name="outer"
    )
    x = image(layers)
    graph = imported(functional(x, layers.Conv2D(2, 1, name="c")(outer(x))), tmp_path)
    assert {"c", "outer/c", "outer/deep/c", "outer/deep/n", "outer/frozen"} <= set(names(graph))


def test_a_frozen_model_in_a_model_whose_last_layer_is_not(layers: Any, tmp_path: Path) -> None:
    """All of its weights are in the order of the layers in an HDF5 file."""
    from graphcnn.engine import keras

    inner = layers.Input((12, 12, 3))
    last = layers.Conv2D(3, 1, name="b")
    base = keras.Model(inner, last(layers.Conv2D(3, 1, name="a")(inner)), name="base")
    base.trainable = False
    last.trainable = True
    x = image(layers)
    imported(functional(x, base(x)), tmp_path)


def test_archives_that_do_not_say_the_names_of_layers(layers: Any, tmp_path: Path) -> None:
    """As Keras before 3.6 wrote them."""
    import io
    import zipfile

    import h5py

    from graphcnn.engine import keras

    from .keras_models import same

    parts = [layers.Conv2D(3, 1, name="c"), layers.BatchNormalization(name="n")]
    inner = keras.Sequential([layers.Input((12, 12, 3)), *parts], name="inner")
    x = image(layers)
    y = layers.Conv2D(3, 3, padding="same", name="two")(layers.Conv2D(3, 1, name="one")(inner(x)))
    z = layers.Dense(2, activation=layers.PReLU(), name="dense")(layers.Add()([x, y]) + y)
    graph = imported(functional(x, z), tmp_path)
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    content = io.BytesIO(members["model.weights.h5"])
    with h5py.File(content, "a") as root:
        root.visititems(lambda _, item: item.attrs.pop("name", None) and None)
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as file:
        for name, data in (members | {"model.weights.h5": content.getvalue()}).items():
            file.writestr(name, data)
    _, store = graphcnn.from_keras(tmp_path / "m.keras")
    same(*graphcnn.from_keras(tmp_path / "old.keras"), graph, store)


def test_models_that_are_results(layers: Any, tmp_path: Path) -> None:
    """Keras counts the calls of a functional model from 1 here, and of a sequential one from 0."""
    from graphcnn.engine import keras

    inner_in = layers.Input((12, 12, 3))
    inner = keras.Model(inner_in, layers.Conv2D(3, 1, name="c")(inner_in), name="inner")
    outer = keras.Sequential([layers.Input((12, 12, 3)), layers.ReLU(name="r")], name="outer")
    x = image(layers)
    y, z = inner(x), outer(x)
    graph = imported(functional(x, [inner(y), outer(y), y, z]), tmp_path)
    assert [*graph.outputs] == ["inner_1/c", "outer_1/r", "inner/c", "outer/r"]


def test_a_layer_called_on_its_own_result(layers: Any, tmp_path: Path) -> None:
    x = image(layers)
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    between = layers.ReLU(name="between")
    y = between(conv(x))
    graph = imported(functional(x, between(conv(y))), tmp_path)
    assert names(graph) == ["image", "conv", "between", "conv_1", "between_1"]
    assert graph.node("conv_1").weights["kernel"] == "conv/kernel"


def test_a_layer_in_two_models(layers: Any, tmp_path: Path) -> None:
    """Keras 3.15 writes its weights once, and then cannot load what it wrote."""
    from graphcnn.engine import keras

    from .keras_models import compiled, feeds, first, results

    shared = layers.Conv2D(3, 1, name="shared")
    a_in, b_in = layers.Input((12, 12, 3)), layers.Input((12, 12, 3))
    a = keras.Model(a_in, layers.ReLU()(shared(a_in)), name="a")
    b = keras.Model(b_in, shared(b_in), name="b")
    x = image(layers)
    model = functional(x, layers.Add(name="sum")([a(x), b(x)]))
    model.save(tmp_path / "m.keras")
    with pytest.raises(GraphCNNError, match="expected 2: b/shared/kernel"):
        graphcnn.load_model(tmp_path / "m.keras")
    graph, store = graphcnn.from_keras(model)
    inputs = feeds(model)
    (found,) = compiled(graph, store, tmp_path, [first(x) for x in inputs])
    (expected,) = results(model, inputs)
    np.testing.assert_allclose(found, first(expected), atol=1e-5)


def test_a_normalization_that_was_adapted(layers: Any, tmp_path: Path) -> None:
    from graphcnn.engine import keras

    normalization = layers.Normalization(name="n")
    normalization.adapt(np.random.default_rng(0).normal(3, 2, (8, 12, 12, 3)))
    x = image(layers)
    model = keras.Model(x, layers.Conv2D(2, 3)(normalization(x)))
    graph = imported(model, tmp_path)
    assert list(graph.node("n").weights) == ["mean", "variance", "count"]


def test_several_outputs_in_mappings_and_lists(layers: Any, tmp_path: Path) -> None:
    x = image(layers)
    a, b, c = (layers.Conv2D(n, 1, name=f"c{n}")(x) for n in (1, 2, 3))
    graph = imported(functional(x, {"z": a, "b": [c, b]}), tmp_path)
    assert [*graph.outputs] == ["c3", "c2", "c1"]


def test_outputs_that_are_one_value_or_an_input(layers: Any, tmp_path: Path) -> None:
    x = image(layers)
    y = layers.Conv2D(2, 1, name="y")(x)
    graph = imported(functional(x, [y, y, x]), tmp_path)
    assert [*graph.outputs] == ["y", "y_output", "image_output"]


def test_open_sizes_become_symbols(layers: Any, tmp_path: Path) -> None:
    x = image(layers, None, None, 3)
    y = layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(4, 3, name="conv")(x))
    model = functional(x, layers.Dense(3, name="scores")(y))
    graph = imported(model, tmp_path)
    assert str(graph.type("image")) == "float32[N, H, W, 3]"
    fixed, _ = graphcnn.load_model(tmp_path / "m.keras", {"image": (20, 24, 3)})
    assert fixed.type("conv").sizes == (18, 22, 4)
    only, _ = graphcnn.load_model(tmp_path / "m.keras", {"": (9, 9, 3)})
    assert only.type("conv").sizes == (7, 7, 4)
    assert graphcnn.load(tmp_path / "m.yaml", {"": (9, 9, 3)}).type("conv").sizes == (7, 7, 4)


@pytest.mark.parametrize("shapes", [{"imag": (9, 9, 3)}, {"image": (9, 9)}])
def test_sizes_that_do_not_fit_are_refused(
    layers: Any, tmp_path: Path, shapes: dict[str, tuple[int, ...]]
) -> None:
    x = image(layers, None, None, 3)
    imported(functional(x, layers.Conv2D(4, 3, name="conv")(x)), tmp_path)
    for file in ("m.keras", "m.yaml"):
        with pytest.raises(GraphCNNError, match=r"imag|has 3 sizes, and 2 are given"):
            graphcnn.load_model(tmp_path / file, shapes)


def test_names_that_a_model_file_cannot_hold(layers: Any, tmp_path: Path) -> None:
    x = image(layers, name="my image")
    y = layers.Conv2D(2, 1, name="né:w conv")(x)
    y = layers.ReLU(name="true")(layers.ReLU(name="1e5")(layers.ReLU(name="-a..b")(y)))
    graph = imported(functional(x, layers.ReLU(name="null")(y), name="it's: a #net"), tmp_path)
    assert names(graph) == ["my_image", "n__w_conv", "_a.b", "1e5", "true", "null"]
    assert graph.name == "it's: a #net"


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "number behind": lambda x, ops: (x + 2) * 3.0 - 1.5,
    "number before": lambda x, ops: 2 - (1 / (ops.abs(x) + 4)),
    "division": lambda x, ops: x / 4 + x / (ops.square(x) + 1.0),
    "power": lambda x, ops: ops.power(ops.abs(x) + 0.5, 1.5) + x**2,
    "array by channel": lambda x, ops: x * np.array([1.0, 2.0, 3.0]) + np.ones((1, 1, 1, 3)),
    "bounds": lambda x, ops: ops.maximum(ops.minimum(x, 0.5), -0.5) + ops.clip(x, -1, 1),
    "two tensors": lambda x, ops: ops.minimum(x, -x) - ops.maximum(x, x * 0.5),
    "mean of channels": lambda x, ops: x - ops.mean(x, axis=-1, keepdims=True),
    "mean of positions": lambda x, ops: ops.mean(x, axis=(1, 2)),
    "max, min, sum": lambda x, ops: ops.max(x, axis=1) + ops.min(x, axis=1) + ops.sum(x, axis=[2]),
    "activations": lambda x, ops: ops.relu6(x) + ops.silu(x) + ops.gelu(x) + ops.leaky_relu(x),
    "more activations": lambda x, ops: ops.hard_silu(x) + ops.elu(x) + ops.gelu(x, False),
    "softmax": lambda x, ops: ops.softmax(x, axis=1) + ops.softmax(x) + ops.log_softmax(x),
    "roots": lambda x, ops: ops.sqrt(ops.exp(x)) + ops.rsqrt(ops.square(x) + 1) - ops.negative(x),
    "reshape": lambda x, ops: ops.reshape(x, (-1, 36, 12)),
    "transpose": lambda x, ops: ops.transpose(x, (0, 3, 1, 2)) * 2.0,
    "transpose twice": lambda x, ops: ops.relu(
        ops.transpose(ops.transpose(x, (0, 3, 1, 2)), (0, 2, 3, 1))
    ),
    "expand and squeeze": lambda x, ops: ops.squeeze(ops.expand_dims(ops.mean(x, 1), 2), 2),
    "expand last": lambda x, ops: ops.expand_dims(ops.mean(x, (1, 2)), -1) * 1.0,
    "concatenate": lambda x, ops: ops.concatenate([x, x * 2.0], axis=1),
    "slices": lambda x, ops: x[:, 1:-1, ::2, 1:] * 2.0,
    "index": lambda x, ops: x[:, 0] + x[:, -1],
    "ellipsis": lambda x, ops: x[..., 1:2] + x[:, ..., 0][..., None],
    "split": lambda x, ops: ops.add(*ops.split(x, 2, axis=1)) * 1.0,
    "split at": lambda x, ops: ops.split(x, [1, 4], axis=2)[1],
    "resize": lambda x, ops: ops.image.resize(x, (24, 24)),
    "pad": lambda x, ops: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))),
    "pools": lambda x, ops: ops.max_pool(x, 2) + ops.average_pool(x, 2),
    "cast": lambda x, ops: ops.cast(x, "float32") + ops.stop_gradient(x),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_operations_on_tensors(layers: Any, tmp_path: Path, case: str) -> None:
    from graphcnn.engine import keras

    x = image(layers)
    imported(functional(x, OPERATIONS[case](x, keras.ops)), tmp_path)


LAYERS: dict[str, Callable[[Any], Any]] = {
    "convolutions": lambda k: [
        k.Conv2D(4, (3, 2), strides=(2, 1), padding="same", groups=1, activation="relu"),
        k.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        k.SeparableConv2D(4, 3, activation="gelu", dilation_rate=2, padding="same"),
        k.Conv2DTranspose(3, 3, strides=2, output_padding=1),
    ],
    "activations that are layers": lambda k: [
        k.Conv2D(4, 3, activation=k.ReLU(max_value=3.0)),
        k.Conv2D(4, 3, activation=k.LeakyReLU(negative_slope=0.1)),
        k.Activation(k.ELU(alpha=0.5)),
        k.PReLU(shared_axes=[1, 2]),
        k.Softmax(axis=[2]),
        k.Activation("linear"),
    ],
    "padding, cropping, pooling": lambda k: [
        k.ZeroPadding2D(((0, 1), (2, 3))),
        k.Cropping2D((1, 2)),
        k.AveragePooling2D((3, 2), strides=2, padding="same"),
        k.UpSampling2D((2, 1), interpolation="bilinear"),
        k.GlobalMaxPooling2D(keepdims=True),
    ],
    "normalization": lambda k: [
        k.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0]),
        k.BatchNormalization(center=False),
        k.LayerNormalization(axis=[1, 2, 3]),
        k.LayerNormalization(scale=False),
        k.GroupNormalization(3),
        k.UnitNormalization(),
    ],
    "arranging": lambda k: [
        k.Permute((3, 1, 2)),
        k.Reshape((6, -1, 6)),
        k.Reshape((36, 12)),
        k.Conv1D(4, 3, padding="causal"),
        k.GlobalAveragePooling1D(),
        k.RepeatVector(3),
    ],
    "training only": lambda k: [
        k.RandomFlip("horizontal"),
        k.RandomRotation(0.1),
        k.RandomCrop(12, 12),
        k.RandomErasing(),
        k.GaussianNoise(0.1),
        k.SpatialDropout2D(0.3),
        k.Identity(),
        k.ActivityRegularization(l2=0.1),
        k.CenterCrop(9, 8),
        k.Resizing(16, 17),
    ],
}


@pytest.mark.parametrize("case", LAYERS)
def test_layers(layers: Any, tmp_path: Path, case: str) -> None:
    imported(chain(image(layers), *LAYERS[case](layers)), tmp_path)


def test_initializers_and_regularizers_are_kept(layers: Any, tmp_path: Path) -> None:
    x = image(layers)
    conv = layers.Conv2D(2, 3, kernel_initializer="he_normal", kernel_regularizer="l2", name="c")
    model = functional(x, layers.Dense(1, bias_initializer=_constant(0.5), name="d")(conv(x)))
    graph = imported(model, tmp_path)
    assert "kernel_initializer: he_normal, kernel_regularizer: l2" in written(tmp_path)
    assert "bias_initializer: {constant: 0.5}" in written(tmp_path)
    assert len(graph) == 3


def _constant(value: float) -> Any:
    from graphcnn.engine import keras

    return keras.initializers.Constant(value)


def written(folder: Path) -> str:
    return (folder / "m.yaml").read_text()


def test_what_goes_without_saying_is_not_written(layers: Any, tmp_path: Path) -> None:
    x = image(layers)
    y = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    z = layers.MaxPooling2D((2, 2), name="pool")(layers.BatchNormalization(name="norm")(y))
    imported(functional(x, [layers.Add(name="sum")([y, y]), z]), tmp_path)
    assert written(tmp_path).splitlines() == [
        "name: net",
        "inputs:",
        "  image: [12, 12, 3]",
        "layers:",
        "  - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: conv}",
        "  - BatchNormalization: {name: norm}",
        "  - Add: {name: sum, inputs: [conv, conv]}",
        "  - MaxPooling2D: {name: pool, inputs: [norm]}",
        "outputs: [sum, pool]",
    ]


def test_merging_layers_widen_values_of_fewer_axes(layers: Any, tmp_path: Path) -> None:
    x = image(layers)
    gate = layers.Dense(3, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    y = layers.Multiply()([x, gate])
    merged = [layers.Average()([x, y]), layers.Maximum()([y, x]), layers.Subtract()([x, y])]
    imported(functional(x, layers.Concatenate(axis=2)(merged)), tmp_path)


FIRST: dict[str, Callable[[Any], Any]] = {
    "image layers": lambda k: [
        k.ZeroPadding2D(1, data_format="channels_first"),
        k.Conv2D(4, 3, data_format="channels_first", padding="same", activation="softmax"),
        k.BatchNormalization(axis=1),
        k.ReLU(),
        k.MaxPooling2D(data_format="channels_first"),
        k.Conv2DTranspose(5, 3, data_format="channels_first"),
        k.UpSampling2D(data_format="channels_first"),
        k.Dropout(0.5),
        k.GlobalAveragePooling2D(data_format="channels_first"),
        k.Dense(3),
    ],
    "flatten in order": lambda k: [
        k.Conv2D(4, 3, data_format="channels_first"),
        k.Flatten(),
        k.Dense(3),
    ],
    "flatten channels last": lambda k: [
        k.Conv2D(4, 3, data_format="channels_first"),
        k.Flatten(data_format="channels_first"),
        k.Dense(3),
    ],
    "keras's own order": lambda k: [
        k.Conv2D(4, 3, data_format="channels_first"),
        k.Dense(5),
        k.PReLU(shared_axes=[1]),
        k.Reshape((10, -1)),
        k.LayerNormalization(),
    ],
    "axes": lambda k: [
        k.Conv2D(6, 3, data_format="channels_first"),
        k.LayerNormalization(axis=1),
        k.Softmax(axis=1),
        k.Softmax(axis=-1),
        k.GroupNormalization(3, axis=1),
        k.BatchNormalization(axis=-1),
    ],
    "kept": lambda k: [
        k.Conv2D(6, 3, data_format="channels_first", name="conv"),
        k.GlobalMaxPooling2D(data_format="channels_first", keepdims=True),
    ],
    "back and forth": lambda k: [
        k.Permute((2, 3, 1)),
        k.Conv2D(6, 3),
        k.Permute((3, 1, 2)),
        k.Conv2D(2, 1, data_format="channels_first"),
    ],
}


@pytest.mark.parametrize("case", FIRST)
def test_channels_first(layers: Any, tmp_path: Path, case: str) -> None:
    x = image(layers, 3, 12, 12)
    graph = imported(chain(x, *FIRST[case](layers)), tmp_path, channels_first=True)
    assert graph.type("image").sizes == (12, 12, 3)
    moved = [node for node in graph if node.op.title == "Permute"]
    free = case in ("image layers", "flatten channels last", "kept", "back and forth")
    assert bool(moved) != free


def test_a_value_in_both_orders(layers: Any, tmp_path: Path) -> None:
    """One node stands for a value with its channels last, and for another with them first."""
    x = layers.Input((300,), name="x")
    y = layers.Reshape((3, 10, 10))(x)
    conv = layers.Conv2D(4, 3, data_format="channels_first")(y)
    flat = layers.Flatten()(layers.Permute((3, 1, 2))(y))
    imported(functional(x, [conv, flat]), tmp_path, channels_first=True)


def test_channels_first_is_channels_last_turned(layers: Any, tmp_path: Path) -> None:
    """TensorFlow gets depthwise convolutions of channels first wrong on a CPU (2.21, XLA)."""
    from .keras_models import compiled, feeds, first, results

    def build(form: str, *sizes: int) -> Any:
        x = image(layers, *sizes)
        depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, data_format=form)
        y = layers.SeparableConv2D(5, 3, strides=2, data_format=form)(depthwise(x))
        return functional(x, layers.AveragePooling2D(2, padding="same", data_format=form)(y))

    last, turned = build("channels_last", 12, 12, 3), build("channels_first", 3, 12, 12)
    turned.set_weights(last.get_weights())
    turned.save(tmp_path / "m.keras")
    graph, store = graphcnn.from_keras(tmp_path / "m.keras")
    inputs = feeds(last)
    (expected,) = results(last, inputs)
    (found,) = compiled(graph, store, tmp_path, [first(x) for x in inputs])
    np.testing.assert_allclose(found, first(expected), rtol=0, atol=2e-5)


def test_operations_on_channels_first(layers: Any, tmp_path: Path) -> None:
    from graphcnn.engine import keras

    ops = keras.ops
    x = image(layers, 3, 12, 12)
    y = layers.Conv2D(4, 3, data_format="channels_first")(x)
    z = layers.Concatenate(axis=1)([y * np.ones((1, 4, 1, 1)), ops.clip(y, 0, 1) + 1])
    gate = ops.mean(z, axis=(2, 3), keepdims=True)
    means = ops.mean(z, axis=1), ops.mean(z, axis=[2, 3]), ops.max(z, axis=3)
    parts = ops.split(z * gate, 2, axis=1)
    outputs = [*means, parts[1], z[:, :, 1:3], z[:, 0], ops.softmax(z, axis=-1)]
    imported(functional(x, outputs), tmp_path, channels_first=True)


def test_the_classes_of_keras_applications(layers: Any, tmp_path: Path) -> None:
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    x = image(layers)
    y = StochasticDepth(0.2, name="depth")(LayerScale(0.3, 3, name="scale")(x))
    graph = imported(functional(x, CustomScaleLayer(0.17, name="sum")([x, y])), tmp_path)
    assert names(graph) == ["image", "scale", "depth", "sum/scaled", "sum"]


@pytest.mark.parametrize("name", ["MobileNetV3Small", "MobileNetV2"])
def test_a_network_of_keras_applications(layers: Any, tmp_path: Path, name: str) -> None:
    from graphcnn.engine import keras

    from .keras_models import drawn

    options = {"alpha": 0.35} if name == "MobileNetV2" else {}
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(64, 64, 3), classes=10, include_top=True, **options)
    graph = imported(drawn(model), tmp_path)
    assert len(graph) > 100


def test_mixed_precision_is_computed_in_float32(layers: Any, tmp_path: Path) -> None:
    x = image(layers)
    model = functional(x, layers.Conv2D(2, 3, dtype="mixed_float16", name="conv")(x))
    model.save(tmp_path / "m.keras")
    graph, store = graphcnn.load_model(tmp_path / "m.keras")
    assert str(graph.type("conv")) == "float32[N, 10, 10, 2]"
    assert store is not None
    assert store["conv/kernel"].load().dtype == np.float32
