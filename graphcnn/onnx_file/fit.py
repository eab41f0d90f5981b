"""Whether an .onnx file fits the runtimes that it is meant for; of any tool, without its weights.

Each node is held against what was measured (`graphcnn.targets`): its operator, its form, its types.
Nothing is taken that was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphcnn.errors import ExportError
from graphcnn.export.provenance import read as read_provenance
from graphcnn.graph import Origin
from graphcnn.targets import Profile, Targets

from .forms import FILE_FORMS, FORMS, INSTEAD, Item, forms_of
from .values import OnnxValue, constants, inferred

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Array = np.ndarray[Any, np.dtype[Any]]

_STANDARD = ("", "ai.onnx")
_SMALL = 4096
"""A constant of more elements than this is a weight: no form depends on its numbers."""

_HINT = "--target onnxruntime takes it"


@dataclass(frozen=True, slots=True)
class Misfit:
    """What a file has that a runtime it is meant for does not take.

    Attributes:
        node: The node that has it; empty where it is the file's.
        op: The node's operator.
        found: What was found.
        refusals: By runtime, what it makes of that.
        instead: What does the same and fits, where something is known.
        layers: The layers that went into the node, if graphcnn wrote the file.
    """

    node: str
    op: str
    found: str
    refusals: Mapping[str, str]
    instead: str | None = None
    layers: tuple[Origin, ...] = ()

    @property
    def error(self) -> ExportError:
        """As an error, at the place of the layer."""
        layer = self.layers[0] if self.layers else None
        reasons = "; ".join(f"{name} {reason}" for name, reason in self.refusals.items())
        hint = f"{self.instead}; or {_HINT}" if self.instead else _HINT
        return ExportError(
            f"{self.found}: {reasons}",
            hint=None if "onnxruntime" in self.refusals else hint,
            location=layer.location if layer else None,
            subject=f"{layer.name} ({layer.title})" if layer else self.node or None,
        )


def misfits(model: onnx.ModelProto, targets: Targets) -> list[Misfit]:
    """What of a model its targets do not take, in the order of the file.

    Args:
        model: The model; large weights may be without their elements.
        targets: The runtimes.
    """
    return [*_of_file(model, targets.profiles), *_of_nodes(model, targets.profiles)]


def _of_file(model: onnx.ModelProto, profiles: Iterable[Profile]) -> Iterator[Misfit]:
    profiles = tuple(profiles)
    opset = max((i.version for i in model.opset_import if i.domain in _STANDARD), default=0)
    late = {p.name: f"takes at most {p.opset}" for p in profiles if opset > p.opset}
    if late:
        yield Misfit("", "", f"opset {opset}", late, "opset 17")
    newer = {p.name: f"takes at most {p.ir}" for p in profiles if model.ir_version > p.ir}
    if newer:
        yield Misfit("", "", f"IR version {model.ir_version}", newer, "IR version 8")
    for name, (holds, instead) in FILE_FORMS.items():
        refusals = {p.name: reason for p in profiles if (reason := p.refused.get(name))}
        if refusals and holds(model.graph):
            yield Misfit("", "", name, refusals, instead)


def _of_nodes(model: onnx.ModelProto, profiles: tuple[Profile, ...]) -> Iterator[Misfit]:
    known = {value.name: value for value in constants(model)}
    values, numbers = inferred(model) | known, _numbers(model)
    for node in model.graph.node:
        op = node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}"
        item = Item(
            op=op,
            attributes=_attributes(node),
            operands=tuple(values.get(name) if name else None for name in node.input),
            constants=tuple(numbers.get(name) for name in node.input),
            result=values.get(node.output[0]) or OnnxValue(node.output[0]),
        )
        origin = read_provenance(node.doc_string)
        layers = origin.layers if origin else ()
        for form in [None, *forms_of(item)]:
            refusals = {p.name: reason for p in profiles if (reason := p.refusal(op, form))}
            if refusals:
                instead = FORMS[form].instead if form else INSTEAD.get(op)
                yield Misfit(
                    node.name or item.result.name, op, form or op, refusals, instead, layers
                )


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    import onnx

    scalars = (onnx.AttributeProto.INT, onnx.AttributeProto.FLOAT, onnx.AttributeProto.STRING)
    lists = (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS)
    found: dict[str, Any] = {}
    for item in node.attribute:
        if item.type in scalars + lists:
            value = onnx.helper.get_attribute_value(item)
            found[item.name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return found


def _numbers(model: onnx.ModelProto) -> dict[str, Array]:
    """The values of the small constants that the file holds."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output:
            given = [item.t for item in node.attribute if item.name == "value"]
            tensors.update((node.output[0], tensor) for tensor in given)
    found = {}
    for name, tensor in tensors.items():
        if len(tensor.dims) > 1 or any(size > _SMALL for size in tensor.dims):
            continue
        try:
            found[name] = numpy_helper.to_array(tensor)
        except Exception:  # Its elements were left out, or lie in another file, or are damaged.
            continue
    return found
