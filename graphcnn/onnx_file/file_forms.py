"""The forms that a whole .onnx file has: by its inputs, its outputs, and how these belong together.

Each is a test that gives the names of the inputs and outputs that have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from graphcnn.targets import meets_image_operator

if TYPE_CHECKING:
    import onnx

_UINT8 = 2
"""What onnx calls it, which is imported where it is used."""


def _given(graph: onnx.GraphProto) -> dict[str, onnx.TypeProto.Tensor]:
    """The types of what is fed, by name."""
    weights = {tensor.name for tensor in graph.initializer}
    fed = (item for item in graph.input if item.name not in weights)
    return {item.name: item.type.tensor_type for item in fed}


def _of_inputs(holds: Callable[[onnx.TypeProto.Tensor], bool]) -> _Test:
    return lambda graph: [name for name, kind in _given(graph).items() if holds(kind)]


def _ranks(graph: onnx.GraphProto) -> list[str]:
    """The inputs, where they are of any batch and have different numbers of axes."""
    shapes = {name: kind.shape.dim for name, kind in _given(graph).items()}
    several = len(set(map(len, shapes.values()))) > 1
    free = any(not dim.dim_value for dims in shapes.values() for dim in dims[:1])
    return list(shapes) if several and free else []


def _open(kind: onnx.TypeProto.Tensor) -> bool:
    """Whether a size after the batch is open."""
    sizes = kind.shape.dim[1:]
    return not kind.HasField("shape") or not all(dim.HasField("dim_value") for dim in sizes)


def _several(kind: onnx.TypeProto.Tensor) -> bool:
    """Whether a batch is of several samples, and of no other number."""
    return any(dim.dim_value > 1 for dim in kind.shape.dim[:1])


def _passed_on(graph: onnx.GraphProto) -> set[str]:
    return {item.name for item in graph.input} & {item.name for item in graph.output}


def _batch_untold(graph: onnx.GraphProto) -> list[str]:
    """The inputs with spatial axes of which no operator tells which axis is the batch."""
    spatial = (name for name, kind in _given(graph).items() if len(kind.shape.dim) > 2)
    return [name for name in spatial if not meets_image_operator(graph.node, name)]


def _unsized(graph: onnx.GraphProto) -> list[str]:
    """The outputs of which not even the number of axes is told."""
    return [item.name for item in graph.output if not item.type.tensor_type.HasField("shape")]


def _twice(graph: onnx.GraphProto) -> list[str]:
    """The outputs that are another one, or an input, under a second name."""
    copies = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Identity"}
    inputs, seen, found = {item.name for item in graph.input}, set[str](), []
    for item in graph.output:
        value = copies.get(item.name, item.name)
        if value in seen or (item.name in copies and value in inputs):
            found.append(item.name)
        seen.add(value)
    return found


def _left_twice(graph: onnx.GraphProto) -> list[str]:
    """The constants that multiply several matrices from the left."""
    constants = {tensor.name for tensor in graph.initializer}
    lefts = Counter(node.input[0] for node in graph.node if node.op_type == "MatMul")
    return [name for name, times in lefts.items() if times > 1 and name in constants]


_Test = Callable[["onnx.GraphProto"], Iterable[str]]

FILE_FORMS: dict[str, tuple[_Test, str]] = {
    "images, and no operator of images": (_batch_untold, "a MaxPooling of 1 before all"),
    "inputs of several ranks": (_ranks, "a fixed --batch, or images of 1x1 for vectors"),
    "outputs that are one value": (_twice, "one output for it"),
    "outputs that are inputs": (_passed_on, "outputs that are layers"),
    "outputs without sizes": (_unsized, "the sizes of the outputs in the file"),
    "a batch of several samples": (_of_inputs(_several), "a batch of any size, or of 1"),
    "constants twice from the left": (_left_twice, "a copy of the constant"),
    "open height and width": (_of_inputs(_open), "sizes that are known: --input-shape"),
    "uint8 input": (
        _of_inputs(lambda kind: kind.elem_type == _UINT8),
        "float32 pixels, without --preprocess embed",
    ),
}
"""The forms that a whole file has: what has it, and what does the same."""
