"""Networks drawn at random: branches that meet, flattened values, several inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from graphcnn import ops
from graphcnn.graph import Graph
from graphcnn.ops import Op

from .onnx_checks import check_file

pytestmark = pytest.mark.filterwarnings("ignore:.*softmax over axis:UserWarning")

ACTIVATIONS = ["relu", "relu6", "leaky_relu", "tanh", "sigmoid", "gelu", "hard_swish", "softmax"]

STEADY = 0.1
"""Layer normalization's epsilon. Keras computes x / s - m / s, in which the rounding of x counts
1 / sqrt(epsilon) times where a vector hardly varies, as one of a single channel does."""

GENTLE = 0.01
"""Local response normalization's alpha. onnxruntime slides its sum of squares along the channels:
what is left of a large one that it adds and takes away again counts alpha times."""

KINDS = st.sampled_from(["nearest", "bilinear"])
"""Kinds of interpolation."""


class Network:
    """A graph that grows by drawn steps.

    Args:
        draw: Hypothesis's function.
        clean: Only draw what can be written without moving data: flattened values go to layers
            that take them in any order, and images are not reordered.
    """

    def __init__(self, draw: Any, clean: bool) -> None:
        self.draw = draw
        self.clean = clean
        self.graph = Graph("random")
        self.images: list[str] = []
        self.flat: list[str] = []
        self.vectors: list[str] = []

    def grow(self, steps: int) -> Graph:
        """Inputs, steps and outputs."""
        sizes = st.tuples(st.integers(4, 8), st.integers(4, 8), st.integers(1, 4))
        for index in range(self.draw(st.integers(1, 2))):
            self.images.append(self.graph.input(f"image{index}", self.draw(sizes)))
        if self.draw(st.booleans()):
            self.vectors.append(self.graph.input("vector", (self.draw(st.integers(2, 6)),)))
        for _ in range(steps):
            self.draw(st.sampled_from(self._steps()))()
        self._finish()
        return self.graph

    def _steps(self) -> list[Any]:
        steps = [self.spatial, self.spatial, self.merge, self.concatenate, self.flatten, self.pool]
        steps += [self.dense, self.dense] if self.vectors or self.flat else []
        steps += [self.concatenate_flat, self.follow_flat] if self.flat else []
        return steps if self.clean else [*steps, self.move]

    def add(self, op: Op, *inputs: str) -> str:
        """Add a node."""
        return self.graph.add(op, inputs)

    def pick(self, names: list[str]) -> str:
        """One of the values."""
        return str(self.draw(st.sampled_from(names)))

    def spatial(self) -> None:
        """A layer on an image."""
        op, name = self._layer(), self.pick(self.images)
        # One number normalized is beta alone, which Keras reaches by a cancellation.
        value = self.graph.type(name)
        assume(not isinstance(op, ops.LayerNormalization) or value.channels > 1)
        assume(not isinstance(op, ops.GroupNormalization) or value.elements > 1)
        self.images.append(self.add(op, name))

    def _layer(self) -> Op:
        function = self.draw(st.none() | st.sampled_from(ACTIVATIONS))
        window: dict[str, Any] = {
            "strides": self.draw(st.integers(1, 2)),
            "padding": "same",
        }
        filters, size = self.draw(st.integers(1, 5)), self.draw(st.integers(1, 4))
        choices = [
            ops.Conv2D(filters=filters, kernel_size=size, activation=function, **window),
            ops.DepthwiseConv2D(kernel_size=size, activation=function, **window),
            ops.SeparableConv2D(filters=filters, kernel_size=size, **window),
            ops.Conv2DTranspose(filters=filters, kernel_size=size, padding="same"),
            ops.MaxPooling2D(pool_size=size, **window),
            ops.AveragePooling2D(pool_size=size, **window),
            ops.BatchNormalization(scale=self.draw(st.booleans())),
            ops.LayerNormalization(epsilon=STEADY),
            ops.GroupNormalization(groups=1, epsilon=STEADY),
            ops.RMSNormalization(epsilon=STEADY),
            ops.LocalResponseNormalization(depth_radius=size, alpha=GENTLE),
            ops.Dense(units=filters, activation=function),
            ops.ZeroPadding2D(padding=((0, 1), (size, 0))),
            ops.UpSampling2D(interpolation=self.draw(KINDS)),
            ops.Activation(activation=self.draw(st.sampled_from([*ACTIVATIONS, "prelu"]))),
            ops.Dropout(rate=0.5),
            ops.Mean(axis=self.draw(st.integers(1, 3)), keepdims=True),
            ops.Slice(axis=self.draw(st.integers(1, 3)), step=-1),
            ops.Resizing(height=size, width=filters, interpolation=self.draw(KINDS)),
            ops.Clip(min_value=-1.0, max_value=2.0),
            ops.StochasticDepth(drop_path_rate=0.5),
            ops.Rescaling(scale=0.5, offset=0.25),
        ]
        return self.draw(st.sampled_from(choices))

    def _alike(self, names: list[str], axes: slice) -> list[str]:
        """Two to four values whose sizes agree on some axes, one perhaps twice."""
        sizes = self.graph.type(self.pick(names)).sizes[axes]
        fitting = [name for name in names if self.graph.type(name).sizes[axes] == sizes]
        return self.draw(st.lists(st.sampled_from(fitting), min_size=2, max_size=4))

    def merge(self) -> None:
        """Arithmetic on images of one size."""
        op = self.draw(st.sampled_from([ops.Add, ops.Multiply, ops.Average, ops.Maximum]))
        self.images.append(self.add(op(), *self._alike(self.images, slice(None))))

    def concatenate(self) -> None:
        """Channels of images of one height and width."""
        self.images.append(self.add(ops.Concatenate(), *self._alike(self.images, slice(0, 2))))

    def flatten(self) -> None:
        """An image as a vector, in one of two spellings."""
        op = self.draw(st.sampled_from([ops.Flatten(), ops.Reshape(target_shape=(-1,))]))
        self.flat.append(self.add(op, self.pick(self.images)))

    def pool(self) -> None:
        """An image as one number a channel, or as an image of one pixel."""
        keep = self.draw(st.booleans())
        kind = self.draw(st.sampled_from([ops.GlobalMaxPooling2D, ops.GlobalAveragePooling2D]))
        value = self.add(kind(keepdims=keep), self.pick(self.images))
        (self.images if keep else self.vectors).append(value)

    def dense(self) -> None:
        """A dense layer on a vector."""
        function = self.draw(st.none() | st.sampled_from([*ACTIVATIONS, "prelu"]))
        op = ops.Dense(units=self.draw(st.integers(1, 6)), activation=function)
        self.vectors.append(self.add(op, self.pick(self.flat + self.vectors)))

    def concatenate_flat(self) -> None:
        """Flattened images and vectors in a row."""
        names = st.lists(st.sampled_from(self.flat + self.vectors), min_size=2, max_size=3)
        self.flat.append(self.add(ops.Concatenate(), *self.draw(names)))

    def follow_flat(self) -> None:
        """A layer that takes a flattened image in any order."""
        choices = [
            ops.BatchNormalization(),
            ops.Dropout(rate=0.2),
            ops.PReLU(),
            ops.PReLU(shared_axes=(1,)),
            ops.Activation(activation=self.draw(st.sampled_from(ACTIVATIONS))),
        ]
        self.flat.append(self.add(self.draw(st.sampled_from(choices)), self.pick(self.flat)))

    def move(self) -> None:
        """Something that needs the graph's own order of elements."""
        if self.flat and self.draw(st.booleans()):
            name = self.pick(self.flat)
            size = self.graph.type(name).channels
            if self.draw(st.booleans()):
                self.flat.append(self.add(ops.LayerNormalization(epsilon=STEADY), name))
            else:
                self.images.append(self.add(ops.Reshape(target_shape=(1, size, 1)), name))
            return
        name = self.pick(self.images)
        rows, columns, channels = self.graph.type(name).sizes
        choices = [
            ops.Permute(dims=tuple(self.draw(st.permutations([1, 2, 3])))),
            ops.Reshape(target_shape=(columns, rows, channels)),
            ops.Reshape(target_shape=(rows, channels, columns)),
        ]
        self.images.append(self.add(self.draw(st.sampled_from(choices)), name))

    def _finish(self) -> None:
        """Dense layers on what is flattened, and outputs: all that is unused, and some others."""
        if self.clean:
            for name in self.flat:
                if not self.graph.users(name):
                    self.vectors.append(self.add(ops.Dense(units=2), name))
        ends = [node.name for node in self.graph if not self.graph.users(node.name)]
        allowed = [*self.images, *self.vectors, *([] if self.clean else self.flat)]
        more = self.draw(st.lists(st.sampled_from(allowed), max_size=2))
        for index, name in enumerate(dict.fromkeys([*ends, *more])):
            self.graph.outputs[self.draw(st.sampled_from([name, f"result{index}"]))] = name


def agrees(graph: Graph, data: st.DataObject, transposes: int | None) -> None:
    """A drawn graph, in a form of file that is drawn too, gives what Keras's layers give."""
    from .keras_twin import evaluate, random_arrays, random_feeds

    arrays, feeds = random_arrays(graph), random_feeds(graph)
    expected = evaluate(graph, arrays, feeds)
    for node in graph:
        assert expected[node.name].shape[1:] == graph.type(node.name).sizes, node.name
    expected |= {name: expected[source] for name, source in graph.outputs.items()}
    layout: Any = data.draw(st.sampled_from(["nchw", "nchw", "nhwc"]), label="layout")
    with TemporaryDirectory() as folder:
        check_file(
            graph,
            Path(folder),
            arrays,
            feeds,
            expected,
            layout=layout,
            transposes=transposes if layout == "nchw" else None,
            identities=None,
            optimizers=[data.draw(st.booleans(), label="optimize")],
        )


@pytest.mark.parametrize("part", range(2))
@settings(max_examples=75)
@given(data=st.data())
def test_random_graph_without_transposes_agrees_with_keras(part: int, data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, 6) if part == 0 else st.integers(7, 16))
    agrees(Network(data.draw, clean=True).grow(steps), data, transposes=0)


@settings(max_examples=75)
@given(data=st.data())
def test_random_graph_that_moves_data_agrees_with_keras(data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, 12))
    agrees(Network(data.draw, clean=False).grow(steps), data, transposes=None)
