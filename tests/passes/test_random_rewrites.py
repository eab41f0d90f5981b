"""Graphs drawn to hold what passes look for: all passes on change no result."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from graphcnn import Graph, ops
from graphcnn.errors import ShapeError
from graphcnn.ops import Activation, ActivationFunction, Op
from graphcnn.passes import DropTrainingLayers, run_passes
from tests.test_random_graphs import Network

from .equivalence import check_compiled, check_kept, onnx_nodes, optimizing

EXAMPLES = int(os.environ.get("GRAPHCNN_REWRITES", "100"))


def act(name: Any) -> Activation:
    return Activation(activation=ActivationFunction.decode(name))


class Rewritable(Network):
    """A graph that grows by pieces which passes merge, fold and remove."""

    def _steps(self) -> list[Any]:
        own = [
            self.affine_chain, self.around_convolution, self.pads, self.reshapes, self.pieces,
            self.cut_and_join, self.shared, self.twins, self.identity, self.gate, self.classify,
        ]  # fmt: skip
        return [*super()._steps(), *own, *own]

    def chain(self, name: str, *layers: Op) -> str:
        """Layers one after another; now and then a value on the way is an output too."""
        for op in layers:
            try:
                name = self.add(op, name)
            except ShapeError:
                continue  # It does not fit what was drawn before it.
            if self.draw(st.integers(0, 9)) == 0:
                self.graph.outputs[f"also {name}"] = name
        return name

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def affine(self) -> Op:
        """A product and a sum by channel."""
        return self.one_of(  # type: ignore[no-any-return]
            ops.BatchNormalization(center=self.one_of(True, False)),
            ops.Rescaling(scale=self.one_of(0.5, 1.0, -2.0, 0.0), offset=self.one_of(0.0, 0.25)),
            ops.Rescaling(scale=0.5),
            ops.Normalization(mean=0.5, variance=2.0),
            ops.Normalization(invert=self.one_of(True, False)),
        )

    def convolution(self) -> Op:
        """A linear layer with any pads, strides, dilation, groups and activation."""
        size = self.draw(st.integers(1, 3))
        window: dict[str, Any] = {
            "padding": self.one_of("same", "same", 1, ((0, 1), (2, 0))),
            "activation": self.one_of(None, None, ActivationFunction.decode("relu")),
            "use_bias": self.one_of(True, False),
        }
        spaced = self.one_of({}, {"strides": 2}, {"dilation_rate": 2})
        return self.one_of(  # type: ignore[no-any-return]
            ops.Conv2D(filters=4, kernel_size=size, **window, **spaced),
            ops.DepthwiseConv2D(kernel_size=size, depth_multiplier=2, **window, **spaced),
            ops.SeparableConv2D(filters=3, kernel_size=size, **window, **spaced),
            ops.Conv2DTranspose(filters=2, kernel_size=size, padding="same", use_bias=False),
            ops.Dense(units=3, use_bias=window["use_bias"]),
        )

    def affine_chain(self) -> None:
        """Affine layers in a row, on an image or on a vector."""
        names = self.one_of(self.images, self.vectors or self.images)
        layers = [self.affine() for _ in range(self.draw(st.integers(1, 3)))]
        names.append(self.chain(self.pick(names), *layers))

    def around_convolution(self) -> None:
        """Affine layers before and after a convolution, grouped where the channels allow it."""
        name = self.pick(self.images)
        op = self.convolution()
        if isinstance(op, ops.Conv2D) and self.graph.type(name).channels % 2 == 0:
            op = ops.Conv2D(filters=4, kernel_size=op.kernel_size, padding=op.padding, groups=2)
        before = [self.affine()] * self.one_of(0, 1)
        self.images.append(self.chain(name, *before, op, *[self.affine()] * self.one_of(0, 1, 2)))

    def pads(self) -> None:
        """Zeros and crops around, before a window or not, of what may be negative or not."""
        margins = st.integers(0, 2)
        amounts = [((self.draw(margins), self.draw(margins)), 1) for _ in range(2)]
        layers = [ops.ZeroPadding2D(padding=amounts[0])]
        layers += self.one_of([], [ops.Cropping2D(cropping=amounts[1])])
        layers += self.one_of(
            [],
            [self.convolution()],
            [ops.MaxPooling2D(pool_size=3, strides=2)],
            [ops.AveragePooling2D(pool_size=3, strides=1, padding=self.one_of("valid", "same"))],
        )
        signs = self.one_of([], [ops.ReLU()])
        self.images.append(self.chain(self.pick(self.images), *signs, *layers))

    def reshapes(self) -> None:
        """Reshapes and permutations in a row."""
        name = self.pick(self.images)
        for _ in range(self.draw(st.integers(1, 3))):
            rows, columns, channels = self.graph.type(name).sizes
            shape = self.one_of((columns, rows, channels), (rows, channels, columns), (1, 1, -1))
            order = tuple(self.draw(st.permutations([1, 2, 3])))
            name = self.chain(
                name, self.one_of(ops.Permute(dims=order), ops.Reshape(target_shape=shape))
            )
        self.images.append(name)
        self.flat.append(
            self.chain(name, self.one_of(ops.Flatten(), ops.Reshape(target_shape=(-1,))))
        )

    def scaled(self, name: str, scale: float = 1.0, offset: float = 0.0) -> str:
        return self.chain(name, ops.Rescaling(scale=scale, offset=offset))

    def pieces(self) -> None:
        """An activation written out, in one of its associations, right or a little wrong."""
        x = self.pick(self.images)
        three = self.one_of(3.0, 3.0, 2.0)
        cut = self.one_of([ops.ReLU(max_value=6.0)], [ops.Clip(min_value=0.0, max_value=6.0)],
                          [ops.ReLU(), ops.Clip(max_value=6.0)])  # fmt: skip
        gate = self.chain(self.scaled(x, 1.0, three), *cut)
        cube = self.scaled(self.chain(x, ops.Power(exponent=3.0)), 0.044715)
        inner = self.scaled(self.add(ops.Add(), x, cube), 0.7978845608)
        makers = [
            lambda: self.scaled(gate, 1 / 6),
            lambda: self.add(ops.Multiply(), x, self.scaled(gate, 1 / 6)),
            lambda: self.add(ops.Multiply(), self.scaled(x, 1 / 6), gate),
            lambda: self.scaled(self.add(ops.Multiply(), gate, x), 1 / 6),
            lambda: self.add(ops.Multiply(), self.chain(x, act("sigmoid")), x),
            lambda: self.add(ops.Multiply(), x, self.chain(x, act("softplus"), act("tanh"))),
            lambda: self.add(
                ops.Multiply(),
                self.scaled(x, 0.5),
                self.scaled(self.chain(self.scaled(x, 0.5**0.5), act("erf")), 1.0, 1.0),
            ),
            lambda: self.add(
                ops.Multiply(), x, self.scaled(self.chain(inner, act("tanh")), 0.5, 0.5)
            ),
            lambda: self.chain(x, act("tanh"), ops.Power(exponent=self.one_of(1.0, 2.0, 3.0))),
        ]  # fmt: skip
        self.images.append(self.draw(st.sampled_from(makers))())

    def cut_and_join(self) -> None:
        """Slices of a value, in pieces that are joined, and slices of what was joined."""
        name = self.pick(self.images)
        axis = self.draw(st.integers(1, 3))
        size = self.graph.type(name).sizes[axis - 1]
        ends = sorted({0, size, *self.draw(st.lists(st.integers(0, size), max_size=2))})
        parts = [self.chain(name, ops.Slice(axis=axis, start=a, stop=b)) for a, b in pairwise(ends)]
        parts += self.one_of([], [name])
        if self.draw(st.integers(0, 3)) == 0:
            parts = self.draw(st.permutations(parts))
        if len(parts) > 1:
            name = self.add(ops.Concatenate(axis=axis), *parts)
            if self.draw(st.booleans()):
                name = self.add(ops.Concatenate(axis=axis), name, parts[0])
        size = self.graph.type(name).sizes[axis - 1]
        start = self.draw(st.integers(0, size - 1))
        stop = self.draw(st.integers(start + 1, size))
        step = self.one_of(1, 1, 2)
        self.images.append(
            self.chain(name, ops.Slice(axis=axis, start=start, stop=stop, step=step))
        )

    def shared(self) -> None:
        """Two layers that share weights, each followed by something."""
        first = self.pick(self.images)
        channels = self.graph.type(first).channels
        fitting = [n for n in self.images if self.graph.type(n).channels == channels]
        op = ops.Conv2D(filters=2, kernel_size=1)
        a = self.add(op, first)
        b = self.graph.add(op, self.pick(fitting), weights=self.graph.node(a).weights)
        normalization = ops.BatchNormalization()
        c = self.add(normalization, a)
        own = self.draw(st.booleans())
        weights = {} if own else self.graph.node(c).weights
        self.images += [c, self.graph.add(normalization, b, weights=weights)]

    def twins(self) -> None:
        """A layer written twice."""
        name, op = self.pick(self.images), self._layer()
        first = self.add(op, name)
        weights = self.graph.node(first).weights
        self.images += [first, self.graph.add(op, name, weights=weights)]

    def identity(self) -> None:
        """A layer that does nothing, or nearly."""
        name = self.pick(self.images)
        sizes = self.graph.type(name).sizes
        op = self.one_of(
            ops.Rescaling(scale=1.0),
            ops.ZeroPadding2D(padding=0),
            ops.Cropping2D(cropping=0),
            ops.Reshape(target_shape=sizes),
            ops.UpSampling2D(size=1),
            ops.MaxPooling2D(pool_size=1),
            ops.Permute(dims=(2, 1, 3)),
            ops.Slice(axis=1, step=self.one_of(1, -1)),
            ops.Mean(axis=(1, 2), keepdims=True),
            ops.ReLU(),
            act("linear"),
        )
        self.images.append(self.chain(name, op))

    def gate(self) -> None:
        """Squeeze and excitation, in several spellings."""
        name = self.pick(self.images)
        channels = self.graph.type(name).channels
        kind = self.one_of(ops.GlobalAveragePooling2D(), ops.Mean(axis=(1, 2)))
        dense = [
            ops.Dense(units=2, activation=ActivationFunction.decode("relu")),
            self.one_of(ops.ReLU(), ops.BatchNormalization(), ops.PReLU()),
            ops.Dense(units=channels, activation=ActivationFunction.decode("sigmoid")),
        ]
        wide = ops.Reshape(target_shape=(1, 1, channels))
        layers = self.one_of([kind, wide, *dense], [kind, *dense, wide])
        self.images.append(self.add(ops.Multiply(), name, self.chain(name, *layers)))

    def classify(self) -> None:
        """A head: axes permuted or pooled, flattened, and dense."""
        ways = [
            [ops.Permute(dims=tuple(self.draw(st.permutations([1, 2, 3])))), ops.Flatten()],
            [ops.GlobalMaxPooling2D(keepdims=True), ops.Flatten()],
            [ops.GlobalAveragePooling2D(), ops.RepeatVector(n=self.one_of(1, 2)), ops.Flatten()],
        ]
        head = [ops.Dense(units=3), *self.one_of([], [ops.BatchNormalization()])]
        layers = [*self.draw(st.sampled_from(ways)), *head]
        self.vectors.append(self.chain(self.pick(self.images), *layers))


def drawn(data: st.DataObject, most: int) -> Graph:
    steps = data.draw(st.integers(1, most))
    return Rewritable(data.draw, clean=data.draw(st.booleans())).grow(steps)


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_all_passes_change_no_result(data: st.DataObject) -> None:
    check_compiled(drawn(data, 12))


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_each_pass_alone_keeps_every_value(data: st.DataObject) -> None:
    """One after another, over and over, as a compilation runs them."""
    graph, _ = run_passes(drawn(data, 8), [DropTrainingLayers()])
    original, nodes = graph, onnx_nodes(graph)
    for _ in range(20):
        before = graph
        for step in optimizing():
            graph, (record,) = run_passes(graph, [step])
            if record.changed:
                grown, nodes = nodes, onnx_nodes(graph)
                assert nodes <= grown, f"{step.name}: {grown} to {nodes} nodes"
        if graph is before or str(graph) == str(before):
            break
    check_kept(original, graph, *optimizing())
