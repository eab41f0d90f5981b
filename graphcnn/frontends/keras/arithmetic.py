"""Operations on each element of tensors, and reductions: with other tensors, or fixed numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graphcnn.errors import ModelFileError
from graphcnn.options import shorten
from graphcnn.types import product

from .steps import Given, Rule, Step, Value, tensor


def arithmetic(kind: str) -> Rule:
    """Of two tensors, or of one and fixed numbers."""

    def rule(step: Step, given: Given) -> Value:
        a, b = given.get("x1"), given.get("x2")
        if isinstance(a, Value) and isinstance(b, Value):
            if step.type(a).rank != step.type(b).rank:
                raise ModelFileError(
                    f"combines {list(step.sizes(a))} and {list(step.sizes(b))}, which have "
                    "different numbers of axes",
                    hint="a Reshape before it",
                )
            pair = step.alike((a, b))
            return step.finish(kind, {}, *pair, first=any(value.first for value in pair))
        swapped = not isinstance(a, Value)
        value = tensor(given, "x2" if swapped else "x1")
        value, numbers = _numbers(step, value, a if swapped else b)
        return _with_numbers(step, kind, value, numbers, swapped)

    return rule


def _with_numbers(step: Step, kind: str, value: Value, numbers: Any, swapped: bool) -> Value:
    """``x + c`` and the like, or ``c + x`` where swapped."""
    if kind == "Divide" and swapped:
        value = step.add("reciprocal", "Activation", {"activation": "reciprocal"}, value)
        kind = "Multiply"
    if kind in ("Power", "Maximum", "Minimum"):
        if isinstance(numbers, list) or (kind == "Power" and swapped):
            raise ModelFileError("only supports one number as its second argument")
        name, field = {
            "Power": ("Power", "exponent"),
            "Maximum": ("Clip", "min_value"),
            "Minimum": ("Clip", "max_value"),
        }[kind]
        return step.finish(name, {field: numbers}, value, first=value.first)
    return step.finish("Rescaling", _scaling(kind, numbers, swapped), value, first=value.first)


def _scaling(kind: str, numbers: Any, swapped: bool) -> dict[str, Any]:
    """``x * scale + offset`` for a sum, a difference, a product or a quotient."""
    if kind == "Add":
        return {"scale": 1.0, "offset": numbers}
    if kind == "Multiply":
        return {"scale": numbers}
    if kind == "Subtract" and swapped:
        return {"scale": -1.0, "offset": numbers}
    if kind == "Subtract":
        return {"scale": 1.0, "offset": _each(numbers, lambda c: -c)}
    if 0 in (numbers if isinstance(numbers, list) else [numbers]):
        raise ModelFileError("divides by 0")
    return {"scale": _each(numbers, lambda c: 1 / c)}


def _each(numbers: Any, function: Callable[[float], float]) -> Any:
    return [function(c) for c in numbers] if isinstance(numbers, list) else function(numbers)


def _numbers(step: Step, value: Value, given: Any) -> tuple[Value, Any]:
    """A fixed number, or a list of one a channel, and the value with those channels last.

    Raises:
        ModelFileError: The numbers differ along another axis.
    """
    shape: list[int] = []
    inner = given
    while isinstance(inner, list) and inner:
        shape.append(len(inner))
        inner = inner[0]
    numbers = list(_leaves(given))
    if product(shape) != len(numbers) or any(
        isinstance(n, bool) or not isinstance(n, int | float) for n in numbers
    ):
        raise ModelFileError(f"expected numbers, found {shorten(given)}")
    if len(numbers) == 1 and len(shape) <= step.type(value).rank:
        return value, numbers[0]
    rank = step.type(value).rank
    axes = [rank - len(shape) + i for i, size in enumerate(shape) if size > 1]
    if len(axes) != 1 or axes[0] < 1:
        raise ModelFileError(f"adds or multiplies numbers of the shape {shape}, expected one axis")
    value = step.with_channels(value, axes[0])
    if step.axis(value, axes[0]) != -1:
        raise ModelFileError(f"has numbers along axis {axes[0]}, which is not the channels")
    return value, numbers


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def function(name: str, *options: str, **preset: Any) -> Rule:
    """An activation; its axis, if it has one, is renumbered."""

    def rule(step: Step, given: Given) -> Value:
        value = tensor(given)
        fields = preset | {option: given[option] for option in options if option in given}
        if "axis" in options:
            fields["axis"] = step.axis(value, fields.get("axis", -1))
        return step.finish("Activation", {"activation": {name: fields}}, value, first=value.first)

    return rule


def reduction(kind: str) -> Rule:
    """The mean and the like over some axes of each sample."""

    def rule(step: Step, given: Given) -> Value:
        value = tensor(given)
        if given.get("axis") is None:
            raise ModelFileError(
                "reduces the batch too", hint="keras.ops.mean(x, axis=(1, 2)) and the like do not"
            )
        axes = given["axis"] if isinstance(given["axis"], list) else [given["axis"]]
        found = [step.axis(value, axis) for axis in axes]
        keeps = bool(given.get("keepdims"))
        fields = {"axis": found[0] if len(found) == 1 else found, "keepdims": keeps}
        return step.finish(kind, fields, value, first=value.first and (keeps or -1 not in found))

    return rule


def same(step: Step, given: Given) -> Value:
    """What passes its input on."""
    return tensor(given)


def cast(step: Step, given: Given) -> Value:
    """A cast is none where the numbers stay floating-point: all is computed in float32."""
    if given.get("dtype") not in ("float32", "float16", "bfloat16"):
        raise ModelFileError(f"casts to {shorten(given.get('dtype'))}, expected float32")
    return tensor(given)


def clip(step: Step, given: Given) -> Value:
    """Bounds; either may be missing."""
    value = tensor(given)
    fields = {"min_value": given.get("x_min"), "max_value": given.get("x_max")}
    return step.finish("Clip", fields, value, first=value.first)
