"""What an operator is: one class with its fields, shape rule, weights, costs, layout and lowering.

An operator declares everything in one place. `@register` makes it a word of the model file; a class
that lacks a rule cannot be registered. Values are channels last and semantics are Keras's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Protocol,
    TypeVar,
    dataclass_transform,
)

from msgspec import Meta

from graphcnn.errors import ErrorGroup, GraphCNNError, GraphError, OptionError, ShapeError
from graphcnn.options import Options
from graphcnn.types import FIRST, LAST, Dim, DType, Layout, TensorType, spatial_layout
from graphcnn.weights import WeightSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Size = Annotated[int, Meta(gt=0, lt=2**31)]
"""A positive size."""

Sizes = Size | tuple[Size, ...]
"""One size for every spatial axis, or a list of one each."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The arithmetic of one layer on one sample, at inference.

    Attributes:
        macs: Multiply-accumulates of convolutions and matrix products.
        other: Every other operation: bias additions, comparisons, divisions, function calls.
    """

    macs: Dim = 0
    other: Dim = 0

    @property
    def flops(self) -> Dim:
        """A multiply-accumulate is two floating-point operations; the others are one each."""
        return 2 * self.macs + self.other

    def __add__(self, more: Cost) -> Cost:
        return Cost(self.macs + more.macs, self.other + more.other)


@dataclass(frozen=True, slots=True)
class Reach:
    """Which input positions an output position depends on, along one spatial axis.

    Output position ``p`` depends on input positions ``scale * p + low`` to ``scale * p + high``.
    """

    scale: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Placement:
    """What an operator is shown to choose layouts.

    Attributes:
        inputs: The input types.
        layouts: The layouts that the inputs have.
        output: The result's type.
        absorbed: Every user of the result can take it in flattened channels-first order.
    """

    inputs: tuple[TensorType, ...]
    layouts: tuple[Layout, ...]
    output: TensorType
    absorbed: bool


Placed = tuple[tuple[Layout, ...], Layout]
"""The layouts that the inputs must have, and that of the result."""


class Lowering(Protocol):
    """What an operator is given to lower itself to ONNX.

    Attributes:
        operands: The names of the ONNX values that hold the inputs.
        inputs: Their types.
        output: The type of the result.
        layouts: How the inputs lie in memory.
        layout: How the result must lie in memory.
        users: The operators that take the result.
        opset: The version of ONNX's operators to write.
    """

    @property
    def operands(self) -> tuple[str, ...]: ...
    @property
    def inputs(self) -> tuple[TensorType, ...]: ...
    @property
    def output(self) -> TensorType: ...
    @property
    def layouts(self) -> tuple[Layout, ...]: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def users(self) -> tuple[Op, ...]: ...
    @property
    def opset(self) -> int: ...

    def takes(self, name: str) -> bool:
        """Whether all runtimes that the file is meant for take an ONNX operator, or a form of one.

        Args:
            name: The operator, or the form as `graphcnn.onnx_file.forms` calls it.
        """
        ...

    def prefers(self, name: str) -> bool:
        """Whether all of them have an operator whole that can be written in pieces too."""
        ...

    def emit(self, op_type: str, operands: Sequence[str], **attributes: Any) -> str:
        """Add one ONNX node and return the name of its value."""
        ...

    def maker(self, value: str) -> tuple[str, bool]:
        """The ONNX operator that a value is the result of, and whether it takes a constant too.

        Of an input that is an empty name.
        """
        ...

    def emit_part(
        self, op_type: str, operands: Sequence[str], part: int, parts: int, **attributes: Any
    ) -> str:
        """Add an ONNX node of several values, and return the name of one of them.

        Layers that ask for other parts of the same share one node.
        """
        ...

    def weight(
        self, role: str, view: Callable[[Array], Array] | None = None, dims: Sequence[int] = ()
    ) -> str:
        """Add a weight of this layer as an initializer, and return its name.

        Args:
            role: The weight's key in `Op.weights`.
            view: Rearranges the array without a copy where it can; hashable, so that layers which
                share a weight in the same arrangement share the initializer too.
            dims: The shape to declare, where it differs from the weight's own.
        """
        ...

    def broadcast(self, role: str, function: Callable[[Array], Array] | None = None) -> str:
        """Add a weight that broadcasts against the result, in the result's layout.

        Args:
            role: The weight's key; it has one number a channel, or the rank of a sample.
            function: Computes what to store from the weight, element by element; hashable.
        """
        ...

    def constant(self, values: Any, dtype: DType | None = None, *, shared: bool = True) -> str:
        """Add small fixed numbers, of the result's own type unless given, as an initializer.

        Args:
            values: The numbers.
            dtype: Their element type.
            shared: Whether other layers may use the same initializer.
        """
        ...

    def channel_constant(self, values: Any) -> str:
        """Add fixed numbers, one for each channel or one for all, in the result's layout."""
        ...


class Op(Options, ABC):
    """The base of all operators.

    Three rules are required: `infer`, `cost` and `lower`. The others have safe defaults.

    Attributes:
        arity: The fewest and the most inputs; None for no limit.
        is_view: The result shares its input's memory, so it adds no activation bytes.
        training_only: The operator passes its input through at inference.
        any_dtype: The operator moves elements and computes nothing, so it takes integers too.
        reordering: What the operator does with a flattened value whose elements are in
            channels-first order: ``absorbs`` it (by reordering a weight), ``passes`` it on, or
            ``refuses`` it.
        wide: Its squares and long sums leave what float16 holds, though its result need not: of
            float16 values it is computed in float32.
    """

    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    is_view: ClassVar[bool] = False
    training_only: ClassVar[bool] = False
    any_dtype: ClassVar[bool] = False
    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "refuses"
    wide: ClassVar[bool] = False

    @abstractmethod
    def infer(self, *inputs: TensorType) -> TensorType:
        """The type of the result.

        Raises:
            ShapeError: The inputs do not fit.
        """

    @abstractmethod
    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        """The arithmetic on one sample."""

    @abstractmethod
    def lower(self, ctx: Lowering) -> str:
        """Emit ONNX nodes, and return the name of the value that holds the result."""

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        """The weights by role, in Keras's order."""
        return {}

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        """What a result's position depends on, by spatial axis; None is the whole input."""
        return None

    def place(self, value: Placement) -> Placed:
        """Choose layouts: those that the inputs must have, and that of the result."""
        return (LAST,) * len(value.inputs), LAST

    @property
    def title(self) -> str:
        """The operator's name in the model file."""
        return type(self).__name__


OPS: dict[str, type[Op]] = {}
"""Every operator that a model file can name."""

O = TypeVar("O", bound=type[Op])  # noqa: E741


@dataclass_transform(frozen_default=True, kw_only_default=True)
def register(cls: O) -> O:
    """Class decorator: make an operator a word of the model file.

    Raises:
        TypeError: A rule is missing, or the name is taken.
    """
    if cls.__abstractmethods__:
        raise TypeError(f"{cls.__name__} lacks {', '.join(sorted(cls.__abstractmethods__))}")
    if cls.__name__ in OPS:
        raise TypeError(f"an operator named {cls.__name__} exists")
    OPS[cls.__name__] = as_dataclass(cls)
    return cls


def as_dataclass(cls: O) -> O:
    """Make a class a frozen dataclass, unless it adds no field to one that is.

    Making one takes most of a millisecond, and there are a hundred operators.
    """
    own = vars(cls).get("__annotations__", {})
    adds = any(not str(hint).startswith("ClassVar") for hint in own.values())
    if hasattr(cls, "__dataclass_fields__") and not adds:
        return cls
    return dataclass(frozen=True, kw_only=True)(cls)  # type: ignore[return-value]


class SpatialOp(Op):
    """An operator that works on channels first wherever there are spatial axes."""

    def place(self, value: Placement) -> Placed:
        return tuple(map(spatial_layout, value.inputs)), spatial_layout(value.output)


def own_position(x: TensorType) -> tuple[Reach, ...]:
    """The reach of an operator whose result at a position depends on the same one alone."""
    return (Reach(),) * len(x.spatial)


class FollowOp(Op):
    """An operator that works in any layout, as long as all its inputs lie alike.

    Positions are their own, unless `reach` says more.
    """

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return own_position(inputs[0])

    def place(self, value: Placement) -> Placed:
        layout = FIRST if FIRST in value.layouts else value.layouts[0]
        return (layout,) * len(value.inputs), layout


def per_axis(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """One number for each of `rank` axes."""
    return (value,) * rank if isinstance(value, int) else value


def check_axes(op: Options, rank: int, *names: str) -> None:
    """Refuse lists whose length is not the number of spatial axes.

    Raises:
        OptionError: Naming the field.
    """
    errors: list[GraphCNNError] = []
    for name in names:
        value = getattr(op, name)
        if isinstance(value, tuple) and len(value) != rank:
            text = f"{name}: expected {rank} sizes or one for all, found {len(value)}"
            errors.append(OptionError(text, path=(name,)))
    if errors:
        raise ErrorGroup(errors)


def check_arity(op: Op, count: int) -> None:
    """Refuse a number of inputs that the operator does not take.

    Raises:
        GraphError: With what it takes.
    """
    fewest, most = op.arity
    if fewest <= count and (most is None or count <= most):
        return
    if most is None:
        expected = f"{fewest} inputs or more"
    else:
        expected = f"{fewest} input{'s' * (fewest != 1)}" if fewest == most else f"{fewest}-{most}"
    hint = "inputs: [a, b] names them" if fewest > 1 else None
    raise GraphError(f"takes {expected}, found {count}", hint=hint)


def check_dtypes(op: Op, types: tuple[TensorType, ...]) -> None:
    """Refuse inputs of different element types, or of one that the operator cannot compute with.

    Raises:
        ShapeError: With what was found.
    """
    found = sorted({str(value.dtype) for value in types})
    if len(found) > 1:
        raise ShapeError(f"its inputs have different element types: {', '.join(found)}")
    if types and not types[0].dtype.is_float and not op.any_dtype:
        raise ShapeError(f"computes with floating-point numbers, found {found[0]}")


def check_rank(x: TensorType, spatial: int) -> None:
    """Refuse a value that does not have this many spatial axes.

    Raises:
        ShapeError: Naming the rank.
    """
    if len(x.spatial) == spatial:
        return
    names = {1: "steps", 2: "height, width", 3: "depth, height, width"}[spatial]
    raise ShapeError(
        f"expected an input of {spatial + 1} sizes ({names}, channels), "
        f"found {len(x.sizes)}: {list(x.sizes)}",
        hint=f"a layer for {len(x.spatial)} spatial axes, or a Reshape before it"
        if 0 < len(x.spatial) < 4
        else "a Reshape before it",
    )


def known_channels(x: TensorType) -> int:
    """The number of channels, which must be a number since weights depend on it.

    Raises:
        ShapeError: The channels are symbolic, or there is no axis for them.
    """
    if not x.sizes:
        raise ShapeError("expected an input with a last axis, found one number a sample")
    if not isinstance(x.channels, int):
        raise ShapeError(f"the number of channels must be known, found {x.channels}")
    return x.channels
