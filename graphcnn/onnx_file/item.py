"""One node of an .onnx file as its forms are told by: what it says, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .values import OnnxValue

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, np.dtype[Any]]

POOLS = ("AveragePool", "MaxPool")
CONVOLUTIONS = ("Conv", "ConvTranspose")
REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
    "ReduceSumSquare",
)

ELEMENTWISE = frozenset(
    """
    Abs Add BatchNormalization Cast Celu Clip Div Dropout Elu Erf Exp Floor Gelu HardSigmoid
    HardSwish Identity LeakyRelu Log Max Min Mish Mul Neg PRelu Pow Reciprocal Relu Selu Sigmoid Sin
    Softplus Softsign Sqrt Sub Sum Swish Tanh ThresholdedRelu
    """.split()  # noqa: SIM905
)
"""The functions of each element."""

_SMALL = 4096
"""A constant of more elements than this is a weight: no form depends on its numbers."""

_PARAMETERS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys((*REDUCTIONS, "Expand", "Gather", "Reshape", "Split", "Squeeze"), (1,)),
    **dict.fromkeys(("Pad", "Tile", "TopK", "Unsqueeze"), (1,)),
    "Slice": (1, 2, 3, 4),
    "Resize": (3,),
}
"""The operands that are int64, by operator: sizes, places and axes."""

_KINDS = ("int", "ints", "float", "floats")
"""Of a Constant's attributes those that are numbers."""

_FLOATS = frozenset({"float16", "float32"})
_BYTES = frozenset({"int8", "uint8"})


class NotKnown(Exception):
    """The file does not say what a form depends on."""


@dataclass(frozen=True, slots=True)
class Item:
    """One node as a form sees it.

    Attributes:
        op: Its operator.
        attributes: Its attributes as Python values, texts as `str`.
        operands: What it takes; None for one that is left out.
        constants: The values of those operands that are small constants, None for the others.
        results: What it makes; None for one that is left out.
        sources: The operators that the operands stem from, past functions of each element;
            Constant of a weight too.
        makers: The nodes of the file, by what they make; an initializer's is a Constant.
        known: The values of the file's small constants, by name.
        opset: The file's; 0 where it does not say.
    """

    op: str
    attributes: Mapping[str, Any]
    operands: tuple[OnnxValue | None, ...]
    constants: tuple[Array | None, ...]
    results: tuple[OnnxValue | None, ...]
    sources: tuple[str, ...] = ()
    makers: Mapping[str, onnx.NodeProto] = field(default_factory=dict)
    known: Mapping[str, Array] = field(default_factory=dict)
    opset: int = 0

    @property
    def shape(self) -> tuple[int | str, ...]:
        """The sizes of its input.

        Raises:
            NotKnown: Not even their number is known.
        """
        return self.shape_of(0)

    @property
    def rank(self) -> int:
        """How many axes its input has."""
        return len(self.shape)

    @property
    def spatial(self) -> int:
        """How many axes its input has after the batch and the channels."""
        windowed = self.op in CONVOLUTIONS + POOLS
        return len(self.kernel) if windowed else self.rank - 2

    @property
    def kernel(self) -> list[int]:
        """The sizes of a window, which a convolution may leave to its weight.

        Raises:
            NotKnown: They are not in the file.
        """
        sizes = list(self.attributes.get("kernel_shape", ())) or list(self.shape_of(1)[2:])
        if not all(isinstance(size, int) for size in sizes):
            raise NotKnown
        return [int(size) for size in sizes]

    @property
    def windows(self) -> dict[str, list[int]]:
        """The attributes of a convolution or a pool, with what is left out filled in.

        Raises:
            ValueError: They are not one of each, or two, to an axis; or not positive.
        """
        kernel = self.kernel
        defaults = {"strides": [1] * len(kernel), "dilations": [1] * len(kernel)}
        found = {"kernel_shape": kernel, "pads": [0] * 2 * len(kernel), **defaults}
        found |= {
            key: list(self.attributes[key]) for key in found if self.attributes.get(key, []) != []
        }
        steps = [*kernel, *found["strides"], *found["dilations"]]
        if min(steps, default=1) < 1 or any(
            len(values) != len(kernel) * (1 + (key == "pads")) for key, values in found.items()
        ):
            raise ValueError
        return found

    def has(self, index: int) -> bool:
        """Whether an operand is there."""
        return index < len(self.operands) and self.operands[index] is not None

    def shape_of(self, index: int) -> tuple[int | str, ...]:
        """The sizes of an operand.

        Raises:
            IndexError: There is none.
            NotKnown: Not even their number is known.
        """
        value = self.operands[index]
        if value is None or value.shape is None:
            raise NotKnown
        return value.shape

    @property
    def stem(self) -> str:
        """The operator that its result stems from, if it is a function of each element."""
        given = [of for of, value in zip(self.sources, self.operands, strict=True) if value]
        if set(given) == {"Constant"}:
            return "Constant"
        return next((source for source in given if source not in ("", "Constant")), self.op)

    def roots(self, name: str, *ops: str) -> list[str]:
        """What a value is made of by some operators, the last first; empty if by others."""
        maker = self.makers.get(name)
        if maker is None or maker.op_type != ops[0]:
            return []
        given = list(maker.input)
        return [root for x in given for root in self.roots(x, *ops[1:])] if ops[1:] else given

    def maker(self, index: int) -> tuple[str, bool]:
        """The operator that an operand is the result of, and whether it takes a constant too."""
        value = self.operands[index]
        node = self.makers.get(value.name) if value else None
        if node is None:
            return "", False
        return node.op_type, any(self._is_constant(name) for name in node.input)

    def _is_constant(self, name: str) -> bool:
        maker = self.makers.get(name)
        return maker is not None and maker.op_type == "Constant"

    def above_zero(self, index: int) -> bool:
        """Whether an operand is the result of a Clip or a Max with a bound above zero."""
        value = self.operands[index]
        node = self.makers.get(value.name) if value else None
        if node is None or node.op_type not in ("Clip", "Max"):
            return False
        bounds = [self.known.get(name) for name in node.input[node.op_type == "Clip" : 2]]
        return any(bound is not None and (bound > 0).all() for bound in bounds)

    def number(self, key: str, index: int) -> list[float]:
        """Numbers that are an attribute, or since a later opset an input.

        Raises:
            NotKnown: They are an input that is not a small constant.
        """
        if key in self.attributes:
            given = self.attributes[key]
            return list(given) if isinstance(given, list | tuple) else [given]
        if not self.has(index):
            return []
        values = self.constants[index]
        if values is None:
            raise NotKnown
        return list(values.reshape(-1).tolist())

    def text(self, key: str, default: str) -> str:
        """An attribute that is a text."""
        return str(self.attributes.get(key, default))


def untried_types(item: Item) -> list[str]:
    """The element types of a node's operands and results that no probe had there.

    Returns:
        Their names; ``an unknown type`` for one that the file does not tell.
    """
    found = [
        *(_untried(item, place, value, "operand") for place, value in enumerate(item.operands)),
        *(_untried(item, place, value, "result") for place, value in enumerate(item.results)),
    ]
    return list(dict.fromkeys(filter(None, found)))


def _untried(item: Item, place: int, value: OnnxValue | None, role: str) -> str | None:
    """The type of an operand or a result, if it is none that was measured."""
    if value is None or value.dtype in _measured(item.op, place, role):
        return None
    return value.dtype or "an unknown type"


def _measured(op: str, place: int, role: str) -> frozenset[str]:
    if role == "operand" and place in _PARAMETERS.get(op, ()):
        return frozenset({"int64"})
    match op, role, place:
        case "Constant", "result", _:
            return _FLOATS | _BYTES | {"int32", "int64"}
        case "TopK", "result", 1:
            return frozenset({"int64"})
        case "Cast", "operand", _:
            return _FLOATS | {"uint8"}
        case ("QuantizeLinear", "operand", 2) | ("QuantizeLinear", "result", _):
            return _BYTES
        case "DequantizeLinear", "operand", 0 | 2:
            return _BYTES | {"int32"}
    return _FLOATS


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes that are numbers and texts, as Python values."""
    import onnx

    scalars = (onnx.AttributeProto.INT, onnx.AttributeProto.FLOAT, onnx.AttributeProto.STRING)
    lists = (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS)
    found: dict[str, Any] = {}
    for item in node.attribute:
        if item.type in scalars + lists:
            value = onnx.helper.get_attribute_value(item)
            found[item.name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return found


def numbers(model: onnx.ModelProto) -> dict[str, Array]:
    """The values of the small constants that the file holds, by name."""
    import numpy as np
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[str, Array] = {}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output:
            given = [item.t for item in node.attribute if item.name == "value"]
            tensors.update((node.output[0], tensor) for tensor in given)
            rows = (attributes(node).get(f"value_{kind}") for kind in _KINDS)
            found.update((node.output[0], np.array(row)) for row in rows if row is not None)
    for name, tensor in tensors.items():
        if len(tensor.dims) > 1 or any(size > _SMALL for size in tensor.dims):
            continue
        try:
            found[name] = numpy_helper.to_array(tensor)
        except Exception:  # Its elements were left out, or lie in another file, or are damaged.
            continue
    return found
