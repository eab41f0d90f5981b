"""Where an ONNX node came from, in its ``doc_string``: written here, and read back.

One line for each layer that went into the node, the one whose value it computes first; then the
passes that did it; then, on the node that yields the layer's value, how that lies in memory::

    model.yaml:14:5 bn2 (BatchNormalization) in stem
    model.yaml:13:5 conv2 (Conv2D) in stem
    passes: fold-affine-into-previous
    layout: NCHW
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from graphcnn.errors import SourceLocation
from graphcnn.graph import Node, Origin
from graphcnn.types import FIRST, LAST, Layout

_LAYER = re.compile(
    r"(?:(?P<file>.+):(?P<line>\d+):(?P<column>\d+) )?"
    r"(?P<name>\S.*?) \((?P<title>\w+)\)(?: in (?P<scope>.+))?"
)
_PASSES, _LAYOUT, _FLATTENED = "passes: ", "layout: ", "flattened from "


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a node's ``doc_string`` says.

    Attributes:
        layers: The layers that went into it, the one whose value it computes first. Files are
            named without their folder.
        passes: The passes that made or changed it.
        layout: How the layer's value lies in memory, where the node yields it.
    """

    layers: tuple[Origin, ...]
    passes: tuple[str, ...] = ()
    layout: Layout | None = None


def write(node: Node) -> str:
    """What is known of a node's layers and passes, without the layout."""
    lines = [_written(layer) for layer in node.layers]
    if node.passes:
        lines.append(_PASSES + ", ".join(dict.fromkeys(node.passes)))
    return "\n".join(lines)


def layout_line(layout: Layout, rank: int) -> str:
    """How a value of this rank lies in memory."""
    if not layout.segments:
        return f"{_LAYOUT}{layout.letters(rank)}"
    pieces = ("x".join(map(str, sizes)) for sizes in layout.segments)
    return f"{_LAYOUT}{_FLATTENED}{', '.join(pieces)}"


def read(text: str) -> Provenance | None:
    """Read a ``doc_string`` back; None where graphcnn did not write it."""
    found = Provenance(())
    for line in text.splitlines():
        if line.startswith(_PASSES):
            found = replace(found, passes=tuple(line.removeprefix(_PASSES).split(", ")))
        elif line.startswith(_LAYOUT):
            found = replace(found, layout=_layout(line.removeprefix(_LAYOUT)))
        elif match := _LAYER.fullmatch(line):
            found = replace(found, layers=(*found.layers, _layer(match)))
        else:
            return None
    return found if found.layers else None


def merged(texts: Sequence[str]) -> str:
    """What a node says that does what several did, the one whose value it yields first."""
    lines = [line for text in texts for line in text.splitlines()]
    last = [line for line in texts[0].splitlines() if line.startswith(_LAYOUT)]
    layers = [line for line in lines if not line.startswith((_PASSES, _LAYOUT))]
    found = [line.removeprefix(_PASSES) for line in lines if line.startswith(_PASSES)]
    passes = dict.fromkeys(name for line in found for name in line.split(", "))
    said = [_PASSES + ", ".join(passes)] if passes else []
    return "\n".join([*dict.fromkeys(layers), *said, *last])


def _written(layer: Origin) -> str:
    where = layer.location
    place = f"{PurePath(where.file).name}:{where.line}:{where.column} " if where else ""
    within = f" in {' > '.join(where.scope)}" if where and where.scope else ""
    return f"{place}{layer.name} ({layer.title}){within}"


def _layer(match: re.Match[str]) -> Origin:
    name, title, scope = match["name"], match["title"], match["scope"]
    if match["file"] is None:
        return Origin(name, title)
    within = tuple(scope.split(" > ")) if scope else ()
    place = SourceLocation(match["file"], int(match["line"]), int(match["column"]), within)
    return Origin(name, title, place)


def _layout(text: str) -> Layout | None:
    if text.startswith(_FLATTENED):
        pieces = text.removeprefix(_FLATTENED).split(", ")
        if not all(re.fullmatch(r"\d+(x\d+)*", piece) for piece in pieces):
            return None
        return Layout(segments=tuple(tuple(map(int, piece.split("x"))) for piece in pieces))
    return FIRST if text.startswith("NC") and len(text) > 2 else LAST
