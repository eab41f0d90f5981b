"""Which nodes of an .onnx file a name leads to, as a profiler or a model file spells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from graphcnn.errors import ModelFileError, did_you_mean

from .file import OnnxFile, OnnxNode

_RUNTIME = re.compile(
    r"^fused (?P<fused>.+)$"
    r"|^(?P<plain>.+)(_kernel_time|_fence_before|_fence_after|_token_\d+|_nchwc)$"
)
"""What onnxruntime adds to the name of a node that it rewrites or measures."""

_REORDER = re.compile(r"Reorder(Input|Output)")


@dataclass(frozen=True, slots=True)
class Found:
    """The nodes that a name leads to.

    Attributes:
        nodes: They, in the order of the file.
        notes: How the name leads to them, where it is not their own.
    """

    nodes: tuple[OnnxNode, ...]
    notes: tuple[str, ...] = ()


def find_nodes(file: OnnxFile, name: str) -> Found:
    """Find what a profiler, an error message or a model file calls by a name.

    Args:
        file: The file.
        name: A node, a value, an input, a weight or a layer, also as onnxruntime spells it.

    Raises:
        ModelFileError: Nothing is called so.
    """
    for spelling in spellings(name):
        found = _nodes_of(file, spelling)
        if found is None:
            continue
        if spelling == name:
            return found
        note = f"{name} is what onnxruntime makes of {spelling}"
        return Found(found.nodes, (note, *found.notes))
    if _REORDER.fullmatch(spelling):
        hint = "onnxruntime puts it between nodes of two layouts; it is no part of the file"
        raise ModelFileError(f"{file.path} has no {name!r:.80}", hint=hint)
    known = {known for node in file.nodes for known in (*node.names, *node.layers)}
    raise ModelFileError(
        f"{file.path} has no node, value or layer named {name!r:.80}",
        hint=did_you_mean(spelling, known),
    )


def spellings(name: str) -> Iterator[str]:
    """The name, and what is left of it without each thing that onnxruntime adds."""
    yield name
    while match := _RUNTIME.fullmatch(name):
        name = match["fused"] or match["plain"]
        yield name


def _nodes_of(file: OnnxFile, name: str) -> Found | None:
    nodes = tuple(node for node in file.nodes if name in node.names or name in node.layers)
    if nodes:
        went = f"{name} went into {', '.join(node.name for node in nodes)}"
        return Found(nodes, () if any(name in node.names for node in nodes) else (went,))
    if name not in file.weights and name not in {value.name for value in file.inputs}:
        return None
    users = tuple(node for node in file.nodes if name in node.inputs)
    kind = "a weight" if name in file.weights else "an input"
    return Found(users, (f"{name} is {kind}; these nodes take it",)) if users else None
