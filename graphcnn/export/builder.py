"""Lowering: each node of a graph to ONNX nodes, by the operator's own rule.

The result holds the model without its weights, and beside it the weights as arrays yet to load.
Names are the graph's own: a node's result is named like the node, what its operator makes on the
way is named ``NODE/optype``, and every ONNX node says which line it came from.

Weights can be stored in half precision and computed with in float32: a Cast stands between, one for
each weight. The same Casts give an operator float32 that is too wide for float16 (`Op.wide`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from graphcnn.errors import ExportError, GraphCNNError, WeightError
from graphcnn.graph import Graph, Node
from graphcnn.naming import unused_name
from graphcnn.ops import Input
from graphcnn.ops.arrange import ChannelsFirstRows, ChannelsLeading, Then
from graphcnn.targets import PORTABLE, Targets, meets_image_operator, targets
from graphcnn.types import Dim, DType, Layout, TensorType, product
from graphcnn.weights import WeightStore

from . import provenance

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]
    View = Callable[[Array], Array]

OPSETS = range(13, 24)
"""The opsets that can be written."""

DEFAULT_OPSET = 17
"""What every edge runtime that was measured accepts, with IR version 8."""

_BASE_IR = 8
_IR_OF_OPSET = {19: 9, 20: 9, 21: 10, 22: 10, 23: 11}


@dataclass(frozen=True, slots=True)
class Initializer:
    """A constant of the model, read when it is written.

    Attributes:
        name: Its name in the file.
        dims: Its shape in the file.
        dtype: Its element type; float32 numbers are rounded to float16 as they are written.
        load: Returns an array whose elements, in C order, are the ones to write. Its own shape may
            differ from `dims`, so that a rearranged weight need not be copied.
        fixed: It is no weight but the operator's own numbers, on which shapes may depend.
        layer: The first node that has it, if it is a weight.
    """

    name: str
    dims: tuple[int, ...]
    dtype: DType
    load: Callable[[], Array]
    fixed: bool = False
    layer: Node | None = None

    @property
    def bytes(self) -> int:
        """Its size."""
        return product(self.dims) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Lowered:
    """A model whose weights have yet to be read.

    Attributes:
        model: The model without initializers.
        initializers: They, in the order of their first use.
    """

    model: onnx.ModelProto
    initializers: tuple[Initializer, ...]

    @property
    def weight_bytes(self) -> int:
        """The bytes of all initializers."""
        return sum(item.bytes for item in self.initializers)


def lower(
    graph: Graph,
    weights: WeightStore,
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
    *,
    half_weights: bool = False,
    target: Targets | None = None,
) -> Lowered:
    """Lower a graph whose layouts are assigned.

    Args:
        graph: The graph, after the layout pass.
        weights: A weight for each that the graph asks for.
        opset: The version of ONNX's operators.
        metadata: What to write into the model beside it.
        half_weights: Whether float32 weights are stored as float16, and cast where they are used.
        target: The runtimes whose forms are written; all that were measured if None.

    Raises:
        ExportError: The opset is not one that can be written.
    """
    if opset not in OPSETS:
        raise ExportError(
            f"opset {opset} cannot be written",
            hint=f"{OPSETS[0]} to {OPSETS[-1]}; {DEFAULT_OPSET} runs on the most runtimes",
        )
    builder = _Builder(graph, weights, opset, half_weights, target or targets(PORTABLE))
    body = builder.build()
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=_IR_OF_OPSET.get(opset, _BASE_IR),
        producer_name="graphcnn",
    )
    helper.set_model_props(model, dict(sorted((metadata or {}).items())))
    return Lowered(model, tuple(builder.initializers.values()))


@dataclass(slots=True)
class _Builder:
    graph: Graph
    weights: WeightStore
    opset: int
    half_weights: bool
    target: Targets
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, Initializer] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    makers: dict[str, tuple[str, bool]] = field(default_factory=dict)
    shared: dict[Any, str] = field(default_factory=dict)
    casts: dict[str, str] = field(default_factory=dict)
    several: dict[Any, onnx.NodeProto] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def build(self) -> onnx.GraphProto:
        """Lower every node, and declare inputs and outputs."""
        names = _value_names(self.graph)
        self.taken.update(names.values(), self.graph.outputs)
        for node in self.graph:
            name = names[node.name]
            if isinstance(node.op, Input):
                self.values[node.name] = name
                continue
            self.values[node.name] = _Context(self, node).run(name)
        given = {*self.graph.outputs, *(node.name for node in self.graph.inputs)}
        for output, source in self.graph.outputs.items():
            value = self.values[source]
            if value != output:
                self.nodes.append(self._copy(self.graph.node(source), output, again=value in given))
                given.add(value)
        if not self.target.takes("images, and no operator of images"):
            self._tell_batch()
        return helper.make_graph(
            self.nodes,
            self.graph.name,
            [self._declare(node.name, node.name) for node in self.graph.inputs],
            [self._declare(name, source) for name, source in self.graph.outputs.items()],
        )

    def _tell_batch(self) -> None:
        """Put a maximum over one position behind images that no operator of images takes."""
        for node in self.graph.inputs:
            axes = len(self.graph.type(node.name).spatial)
            if axes not in (1, 2) or not self.graph.type(node.name).dtype.is_float:
                continue
            if meets_image_operator(self.nodes, node.name):
                continue
            image, told = node.name, self.unused(f"{node.name}/image")
            for user in self.nodes:
                user.input[:] = [told if name == image else name for name in user.input]
            ones, none = [1] * axes, [0] * 2 * axes
            pool = helper.make_node(
                "MaxPool", [image], [told], told, kernel_shape=ones, strides=ones, pads=none
            )
            pool.doc_string = provenance.write(node)
            self.nodes.insert(0, pool)

    def _copy(self, node: Node, output: str, again: bool) -> onnx.NodeProto:
        computed = again and not self.target.takes("outputs that are one value")
        op, times = ("Max", 2) if computed else ("Identity", 1)
        made = helper.make_node(op, [self.values[node.name]] * times, [output], name=output)
        made.doc_string = provenance.write(node)
        return made

    def _declare(self, name: str, source: str) -> onnx.ValueInfoProto:
        type_ = self.graph.type(source)
        sizes = [_dim(size) for size in self.graph.node(source).layout.sizes(type_)]
        batch = "N" if self.graph.batch is None else self.graph.batch
        return helper.make_tensor_value_info(name, type_.dtype.onnx, [batch, *sizes])

    def unused(self, stem: str) -> str:
        """A new name for a value or an initializer."""
        name = unused_name(stem, self.taken, self.counts, first=2)
        self.taken.add(name)
        return name

    def share(self, key: Any, stem: str, make: Callable[[str], Initializer]) -> str:
        """The name of the initializer for this key, made if it is new."""
        if key not in self.shared:
            name = self.unused(stem)
            self.shared[key] = name
            self.initializers[name] = make(name)
        return self.shared[key]


class _Context:
    """The `Lowering` that one node's operator is given."""

    def __init__(self, builder: _Builder, node: Node) -> None:
        self._builder = builder
        self._node = node
        self._emitted: list[onnx.NodeProto] = []
        self._doc = provenance.write(node)
        graph = builder.graph
        self.operands = tuple(builder.values[source] for source in node.inputs)
        self.inputs = graph.input_types(node)
        self.output = graph.type(node.name)
        self._widens = node.op.wide and self.output.dtype == DType.float16
        if self._widens:
            self.operands = tuple(self._cast(x, DType.float32) for x in self.operands)
            self.inputs = tuple(replace(x, dtype=DType.float32) for x in self.inputs)
            self.output = replace(self.output, dtype=DType.float32)
        self.layouts = tuple(graph.node(source).layout for source in node.inputs)
        self.layout = node.layout
        self.users = tuple(user.op for user in graph.users(node.name))
        self.opset = builder.opset

    def run(self, name: str) -> str:
        """Lower the node and return the value that holds its result, called `name` if it is new."""
        try:
            result = self._node.op.lower(self)
            result = self._cast(result, DType.float16) if self._widens else result
        except GraphCNNError as error:
            raise self._builder.graph.explained(error, self._node) from None
        made = [node for node in self._emitted if result in node.output]
        self._builder.nodes.extend(self._emitted)
        holders = made or [n for n in self._builder.several.values() if result in n.output]
        for node in holders:
            node.output[:] = [name if value == result else value for value in node.output]
        for node in self._emitted:
            scaled = not self._builder.initializers.keys().isdisjoint(node.input)
            self._builder.makers.update((value, (node.op_type, scaled)) for value in node.output)
        if not made:
            return name if holders else result
        for node in self._emitted:
            node.input[:] = [name if value == result else value for value in node.input]
        made[0].name = name
        if self._node.layers[0].name == self._node.name:
            layout = provenance.layout_line(self.layout, self.output.rank)
            made[0].doc_string = f"{self._doc}\n{layout}"
        return name

    def emit(self, op_type: str, operands: Sequence[str], **attributes: Any) -> str:
        name = self._builder.unused(f"{self._node.name}/{op_type.lower()}")
        node = helper.make_node(
            op_type, operands, [name], name=name, doc_string=self._doc, **attributes
        )
        self._emitted.append(node)
        return name

    def emit_part(
        self, op_type: str, operands: Sequence[str], part: int, parts: int, **attributes: Any
    ) -> str:
        key = (op_type, *operands, *sorted(attributes.items()))
        node = self._builder.several.get(key)
        if node is None:
            self.emit(op_type, operands, **attributes)
            node = self._builder.several[key] = self._emitted[-1]
            stem = node.output[0]
            node.output.extend(self._builder.unused(stem) for _ in range(1, parts))
        found: str = node.output[part]
        return found

    def maker(self, value: str) -> tuple[str, bool]:
        return self._builder.makers.get(value, ("", False))

    def takes(self, name: str) -> bool:
        return self._builder.target.takes(name)

    def prefers(self, name: str) -> bool:
        return self._builder.target.prefers(name)

    def _cast(self, value: str, dtype: DType) -> str:
        return self.emit("Cast", [value], to=dtype.onnx)

    def weight(self, role: str, view: View | None = None, dims: Sequence[int] = ()) -> str:
        name = self._node.weights[role]
        weight = self._builder.weights[name]
        spec = self._builder.graph.weight(name)
        shape = tuple(dims) or _viewed_shape(spec.shape, view)

        def load() -> Array:
            array = weight.load()
            if array.shape != spec.shape:
                found = f"{list(array.shape)}, declared as {list(spec.shape)}"
                raise WeightError(f"weight {name} was read as {found}")
            return view(array) if view else array

        narrow = self._builder.half_weights and spec.dtype == DType.float32
        dtype = DType.float16 if narrow else spec.dtype
        stored = self._builder.share(
            (name, view, shape),
            name,
            lambda unused: Initializer(unused, shape, dtype, load, layer=self._node),
        )
        if dtype == DType.float16 and self.output.dtype == DType.float32:
            casts = self._builder.casts
            casts[stored] = casts.get(stored) or self._cast(stored, DType.float32)
            return casts[stored]
        return stored

    def broadcast(self, role: str, function: View | None = None) -> str:
        shape = self._builder.graph.weight(self._node.weights[role]).shape
        view, dims = _spread(shape, self.output, self.layout)
        if function and view:
            return self.weight(role, Then(function, view), dims)
        return self.weight(role, function or view, dims)

    def constant(self, values: Any, dtype: DType | None = None, *, shared: bool = True) -> str:
        dtype = dtype or self.output.dtype
        array = _constant(values, dtype)
        return self._builder.share(
            (array.shape, dtype, array.tobytes(), "" if shared else self._node.name),
            "constant",
            lambda name: Initializer(name, array.shape, dtype, lambda: array, fixed=True),
        )

    def channel_constant(self, values: Any) -> str:
        array = np.asarray(values)
        view, dims = _spread(array.shape, self.output, self.layout)
        return self.constant(view(array).reshape(dims) if view else array)


def _constant(values: Any, dtype: DType) -> Array:
    """Fixed numbers in an element type; what float16 would round to zero stays above it.

    An epsilon that vanishes would let a zero divide.

    Raises:
        ExportError: A number is more than float16 holds.
    """
    if dtype != DType.float16:
        return np.asarray(values, dtype.numpy)
    wide = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        array = wide.astype(dtype.numpy)
    lost = np.isinf(array) & np.isfinite(wide)
    if lost.any():
        raise ExportError(
            f"it computes with {wide[lost].flat[0]:g}, and float16 holds no more "
            f"than {np.finfo(np.float16).max:,.0f}",
            hint="--precision fp32, or fp16, which computes in float32",
        )
    smallest = np.copysign(np.finfo(np.float16).smallest_subnormal, wide)
    return np.where((array == 0) & (wide != 0), smallest, array).astype(dtype.numpy)


def _spread(
    shape: tuple[int, ...], value: TensorType, layout: Layout
) -> tuple[View | None, tuple[int, ...]]:
    """How an array that broadcasts against a sample is arranged for the sample's layout."""
    if layout.segments and product(shape) > 1:
        return ChannelsFirstRows(layout.segments), shape
    if layout.channels_first and shape:
        rank = len(value.sizes)
        full = (1,) * (rank - len(shape)) + shape
        return ChannelsLeading(rank), (full[-1], *full[:-1])
    return None, shape


def _viewed_shape(shape: tuple[int, ...], view: View | None) -> tuple[int, ...]:
    if view is None:
        return shape
    return tuple(view(np.broadcast_to(np.empty((), np.uint8), shape)).shape)


def _dim(size: Dim) -> int | str:
    return size if isinstance(size, int) else str(size)


def _value_names(graph: Graph) -> dict[str, str]:
    """What each node's value is called in the file: its own name, or that of the output it is."""
    names = {node.name: node.name for node in graph}
    inputs = {node.name for node in graph.inputs}
    for output, source in graph.outputs.items():
        if output in inputs and output != source:
            raise ExportError(f"output {output!r} has the name of an input, and is not that input")
        if output in names and output != source:
            kind = str(graph.node(output).layout).replace(" ", "_")
            if graph.type(output).dtype != graph.type(source).dtype:
                kind = graph.type(output).dtype.label
            names[output] = graph.unused(f"{output}/{kind}")
    settled = {source for output, source in graph.outputs.items() if output == source} | inputs
    for output, source in graph.outputs.items():
        if source not in settled:
            names[source] = output
            settled.add(source)
    return names
