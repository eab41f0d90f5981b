r"""The receptive field of every value: which input positions one of its positions depends on.

Along an axis, output position :math:`p` of a layer depends on input positions
:math:`s p + l` to :math:`s p + h` (`Reach`). Composing with what the layer's input depends on,
:math:`S q + L` to :math:`S q + H`, gives stride :math:`S s`, and the interval from :math:`S l + L`
to :math:`S h + H`. Where branches meet, the field is the hull of theirs. A value that depends on
every position (after Flatten, global pooling) has no stride. Source: Araujo et al. 2019,
"Computing receptive fields of convolutional neural networks".

Upsampling makes strides fractions. Where several follow each other the size is an upper bound: the
slack of each interval's rounding adds up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from graphcnn.graph import Graph, Node
from graphcnn.ops import Input, Reach
from graphcnn.types import Dim


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """By spatial axis of the input.

    Attributes:
        size: Input positions that one position depends on; more than the input has where pads are
            counted. A value that depends on everything has the input's own size.
        stride: Input positions between two neighbours; None where it depends on everything.
        offset: The first input position that position 0 depends on; negative in the pads.
    """

    size: tuple[Dim, ...]
    stride: tuple[Fraction, ...] | None
    offset: tuple[Fraction, ...]


Field = tuple[Reach, ...] | None


def receptive_fields(graph: Graph) -> dict[str, ReceptiveField | None]:
    """The receptive field of every value by name; None where the input has no spatial axes.

    With several inputs, positions are those of the first with spatial axes.
    """
    fields: dict[str, Field] = {}
    for node in graph:
        fields[node.name] = _field(graph, node, fields)
    extents = [graph.type(node.name).spatial for node in graph.inputs]
    extent = next((sizes for sizes in extents if sizes), ())
    return {name: _report(field, extent) for name, field in fields.items()}


def _field(graph: Graph, node: Node, fields: dict[str, Field]) -> Field:
    own = node.op.reach(*graph.input_types(node))
    if isinstance(node.op, Input):
        return own or None
    given = [fields[name] for name in node.inputs]
    if own is None or any(field is None for field in given):
        return None
    known = [field for field in given if field]
    if any(len(field) != len(own) for field in known):
        return None
    return tuple(
        _hull([_compose(field[axis], step) for field in known]) for axis, step in enumerate(own)
    )


def _compose(outer: Reach, step: Reach) -> Reach:
    return Reach(
        outer.scale * step.scale,
        outer.scale * step.low + outer.low,
        outer.scale * step.high + outer.high,
    )


def _hull(reaches: list[Reach]) -> Reach:
    return Reach(
        max(r.scale for r in reaches), min(r.low for r in reaches), max(r.high for r in reaches)
    )


def _report(field: Field, extent: tuple[Dim, ...]) -> ReceptiveField | None:
    if not extent:
        return None
    if field is None or len(field) != len(extent):
        return ReceptiveField(extent, None, (Fraction(0),) * len(extent))
    return ReceptiveField(
        tuple(math.floor(reach.high - reach.low) + 1 for reach in field),
        tuple(reach.scale for reach in field),
        tuple(reach.low for reach in field),
    )
