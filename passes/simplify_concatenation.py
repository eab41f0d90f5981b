r"""Simplify what concatenation and slicing do to each other.

Along one axis, with :math:`[a : b : s]` the elements :math:`a, a + s, \dots` before :math:`b`:

- a concatenation of concatenations is one of all their inputs;
- the slices :math:`x[a : b], x[b : c], \dots` joined in order are :math:`x[a : c]`, and if they are
  all of :math:`x` they are :math:`x`;
- a slice of a concatenation that falls within one of its inputs is a slice of that input;
- a slice of a slice is one slice: its elements are again evenly spaced.

Guards: an inner concatenation has no other user and is no output; the sizes along the axis are
known; slices that count backwards stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from graphcnn.graph import Graph, Node
from graphcnn.ops import Concatenate
from graphcnn.ops.reshaping import Slice
from graphcnn.types import is_symbolic, sample_axis

from .base import Explain, Pass
from .rewriting import erase_unused, kept_by, merged

_UNKNOWN = "a size is not known, or one of them counts backwards"


@dataclass(frozen=True, kw_only=True)
class SimplifyConcatenation(Pass):
    """Simplify what concatenation and slicing do to each other."""

    name: ClassVar[str] = "simplify-concatenation"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once, from its end; nested concatenations join two by two."""
        changed = False
        for node in reversed(list(graph)):
            if node.name in graph and isinstance(node.op, Concatenate):
                changed |= _join(graph, node, explain)
                changed |= _unite(graph, graph.node(node.name), explain)
            elif node.name in graph and isinstance(node.op, Slice):
                changed |= _slice(graph, node, explain)
        return changed


def _axis(graph: Graph, node: Node) -> int:
    """The axis that a slice or a concatenation is along, as an index into the sizes."""
    assert isinstance(node.op, Concatenate | Slice)
    return sample_axis(node.op.axis, graph.type(node.name).rank)


def _taken(graph: Graph, node: Node) -> range | None:
    """The positions that a node takes of its input if it is a slice that counts forwards."""
    if not isinstance(node.op, Slice):
        return None
    size = graph.type(node.inputs[0]).sizes[_axis(graph, node)]
    if is_symbolic(size):
        return None
    taken = range(size)[node.op.start : node.op.stop : node.op.step]
    return taken if taken.step > 0 else None


def _sliced(axis: int, taken: range) -> Slice:
    """The slice that takes these positions."""
    return Slice(axis=axis + 1, start=taken[0], stop=taken[-1] + 1, step=taken.step)


def _join(graph: Graph, node: Node, explain: Explain) -> bool:
    """Take the inputs of inner concatenations in their place."""
    inputs: list[str] = []
    inner: list[Node] = []
    for source in map(graph.node, node.inputs):
        found = isinstance(source.op, Concatenate) and _axis(graph, source) == _axis(graph, node)
        if found and (reason := kept_by(graph, source, node)):
            explain(node.name, f"not joined with {source.subject}: {reason}")
            found = False
        inputs += source.inputs if found else [source.name]
        inner += [source] * found
    if not inner:
        return False
    changes = merged(SimplifyConcatenation.name, node, *inner)
    graph.replace(node.name, inputs=tuple(inputs), **changes)
    for name in dict.fromkeys(source.name for source in inner):
        graph.erase(name)
        explain(node.name, f"joined with {name}")
    return True


@dataclass(slots=True)
class _Run:
    """Inputs of a concatenation that are slices of one value, each from where the last ended.

    Attributes:
        value: The value; for what is no slice, the input itself.
        taken: The positions that they take of it; empty for what is no slice.
        parts: The slices.
    """

    value: str
    taken: range = range(0)
    parts: list[Node] = field(default_factory=list)


def _runs(graph: Graph, node: Node) -> list[_Run]:
    """The inputs in order, consecutive slices together."""
    runs = [_Run("")]
    for part in map(graph.node, node.inputs):
        taken, last = _taken(graph, part), runs[-1]
        if taken is None or taken.step > 1 or _axis(graph, part) != _axis(graph, node):
            runs.append(_Run(part.name))
        elif last.parts and (last.value, last.taken.stop) == (part.inputs[0], taken.start):
            last.taken = range(last.taken.start, taken.stop)
            last.parts.append(part)
        else:
            runs.append(_Run(part.inputs[0], taken, [part]))
    return runs[1:]


def _unite(graph: Graph, node: Node, explain: Explain) -> bool:
    """Take consecutive slices for what they were cut from."""
    axis, runs = _axis(graph, node), _runs(graph, node)
    parts: list[Node] = []
    inputs: list[str] = []
    for run in runs:
        whole = len(run.taken) == graph.type(run.value).sizes[axis]
        if len(run.parts) > 1 and (whole or len(runs) == 1):
            parts += run.parts
            inputs.append(run.value)
            explain(node.name, f"joins what was sliced of {run.value}")
            continue
        inputs += [part.name for part in run.parts] or [run.value]
        if len(run.parts) > 1:
            explain(node.name, f"not simplified: it joins a part of {run.value}")
    if not parts:
        return False
    op = node.op if len(inputs) > 1 else _sliced(axis, runs[0].taken)
    changes = merged(SimplifyConcatenation.name, node, *parts)
    graph.replace(node.name, op=op, inputs=tuple(inputs), **changes)
    erase_unused(graph, parts)
    return True


def _slice(graph: Graph, node: Node, explain: Explain) -> bool:
    """Slice what the input was made of, where the slice reaches into one value only."""
    source, taken = graph.node(node.inputs[0]), _taken(graph, node)
    if not isinstance(source.op, Slice | Concatenate) or _axis(graph, source) != _axis(graph, node):
        return False
    found: tuple[str, range] | None = None
    if isinstance(source.op, Concatenate) and taken:
        found = _within(graph, source, taken)
    elif taken and (first := _taken(graph, source)):
        found = source.inputs[0], first[taken[0] : taken[-1] + 1 : taken.step]
    if found is None:
        several = taken and isinstance(source.op, Concatenate)
        why = "it reaches over several inputs" if several else _UNKNOWN
        explain(node.name, f"not merged with {source.subject}: {why}")
        return False
    name, positions = found
    changes = merged(SimplifyConcatenation.name, node, source)
    op = _sliced(_axis(graph, node), positions)
    graph.replace(node.name, op=op, inputs=(name,), **changes)
    erase_unused(graph, [source])
    explain(node.name, f"merged with {source.subject}: a slice of {name}")
    return True


def _within(graph: Graph, node: Node, taken: range) -> tuple[str, range] | None:
    """The input of a concatenation that holds all these positions, and which they are there."""
    start, axis = 0, _axis(graph, node)
    for name in node.inputs:
        size = graph.type(name).sizes[axis]
        if start <= taken[0] and taken[-1] < start + size:
            return name, range(taken[0] - start, taken[-1] - start + 1, taken.step)
        start += size
    return None
