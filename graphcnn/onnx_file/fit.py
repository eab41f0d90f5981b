"""Whether an .onnx file fits the runtimes that it is meant for; of any tool, without its weights.

Each node is held against what was measured (`graphcnn.targets`): its operator, its form, the types
of what it takes and makes. Nothing is taken that was not measured, and where the file does not tell
a form, the node is taken to have it. onnxruntime alone takes all that ONNX has.

The graphs in a node (`If`, `Loop`, `Scan`) and the file's own functions are held by their operators
alone: the runtimes were tried with neither, so that only onnxruntime takes what has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from graphcnn.errors import ExportError
from graphcnn.export.provenance import read as read_provenance
from graphcnn.graph import Origin
from graphcnn.targets import ML, NOT_TRIED, PROFILES, Profile, Targets

from .file_forms import FILE_FORMS
from .forms import FORMS, INSTEAD, UNTRIED, forms_of
from .item import ELEMENTWISE, Item, attributes, numbers, untried_types
from .values import OnnxValue, constants, inferred

if TYPE_CHECKING:
    import onnx

    from .item import Array

_STANDARD = ("", "ai.onnx")
_FORBIDDEN = "does not take what ONNX's rules forbid"


@dataclass(frozen=True, slots=True)
class Misfit:
    """What a file has that a runtime it is meant for does not take.

    Attributes:
        node: The node, the input or the output that has it; empty where it is the file's.
        op: The node's operator.
        found: What was found.
        refusals: By runtime, what it makes of that.
        instead: What does the same and fits, where something is known.
        layers: The layers that went into the node, if graphcnn wrote the file.
        takers: The runtimes that were measured and do take it.
    """

    node: str
    op: str
    found: str
    refusals: Mapping[str, str]
    instead: str | None = None
    layers: tuple[Origin, ...] = ()
    takers: tuple[str, ...] = ()

    @property
    def error(self) -> ExportError:
        """As an error, at the place of the layer."""
        layer = self.layers[0] if self.layers else None
        reasons = "; ".join(f"{name} {reason}" for name, reason in self.refusals.items())
        takers = f"--target {','.join(self.takers)} takes it" if self.takers else None
        return ExportError(
            f"{self.found}: {reasons}",
            hint="; or ".join(filter(None, [self.instead, takers])) or None,
            location=layer.location if layer else None,
            subject=f"{layer.name} ({layer.title})" if layer else self.node or None,
        )


_Told = tuple[str, Callable[[Profile], str | None], str | None]
"""What was found, what a profile makes of it, and what does the same."""


def misfits(model: onnx.ModelProto, targets: Targets) -> list[Misfit]:
    """What of a model its targets do not take, in the order of the file.

    Args:
        model: The model; large weights may be without their elements.
        targets: The runtimes.
    """
    rows = chain(_of_file(model), _not_made(model.graph), _of_nodes(model))
    found = [_misfit(*row, targets) for row in rows]
    return [item for item in found if item]


def _misfit(place: onnx.NodeProto | str, op: str, told: _Told, targets: Targets) -> Misfit | None:
    found, refusal, instead = told
    refusals = {p.name: reason for p in targets.profiles if (reason := refusal(p))}
    if not refusals:
        return None
    if isinstance(place, str):
        name, origin = place, None
    else:
        name = place.name or next(iter(place.output), "")
        origin = read_provenance(place.doc_string)
    return Misfit(
        node=name,
        op=op,
        found=found,
        refusals=refusals,
        instead=instead,
        layers=origin.layers if origin else (),
        takers=tuple(p.name for p in PROFILES.values() if p.measured and not refusal(p)),
    )


_Found = tuple["onnx.NodeProto | str", str, _Told]
"""The node, or the name of a value, with the node's operator and what was found."""


def _of_file(model: onnx.ModelProto) -> Iterator[_Found]:
    opset, ir = _opsets(model.opset_import).get("", 0), model.ir_version
    yield "", "", (f"opset {opset}", lambda p: _most(opset, p.opset), "opset 17")
    yield "", "", (f"IR version {ir}", lambda p: _most(ir, p.ir), "IR version 8")
    for name, (values, instead) in FILE_FORMS.items():
        yield from ((value, "", _form(name, instead)) for value in values(model.graph))


def _not_made(graph: onnx.GraphProto, outer: Set[str] = frozenset()) -> Iterator[_Found]:
    """The values that are taken and that nothing makes before; `outer` are those of graphs around.

    What a file's own functions take is left to onnxruntime, which alone has any.
    """
    made = {"", *outer, *(item.name for item in (*graph.input, *graph.initializer))}
    made |= {item.values.name for item in graph.sparse_initializer}
    for node in graph.node:
        yield from ((node, node.op_type, _missing(name)) for name in node.input if name not in made)
        for inner in _graphs(node):
            yield from _not_made(inner, made)
        made.update(node.output)
    yield from (("", "", _missing(item.name)) for item in graph.output if item.name not in made)


def _missing(name: str) -> _Told:
    return f"{name!r:.80}, which nothing makes", lambda profile: _FORBIDDEN, None


def _most(found: int, most: int) -> str | None:
    return f"takes at most {most}" if found > most else None


def _form(name: str, instead: str | None) -> _Told:
    return name, lambda profile: profile.refused.get(name), instead


def _untried(found: str, instead: str | None = None) -> _Told:
    """What no runtime was measured on; onnxruntime's takes what ONNX has."""
    return found, lambda profile: None if profile.every_operator else NOT_TRIED, instead


def _opsets(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    rows = sorted(imports, key=lambda item: item.version)
    return {"" if item.domain in _STANDARD else item.domain: item.version for item in rows}


def _of_nodes(model: onnx.ModelProto) -> Iterator[_Found]:
    from onnx import NodeProto

    held = {value.name: value for value in constants(model)}
    values = inferred(model) | held
    known, opsets = numbers(model), _opsets(model.opset_import)
    own = {(function.domain, function.name) for function in model.functions}
    sources = dict.fromkeys(held, "Constant")
    makers = dict.fromkeys(held, NodeProto(op_type="Constant"))
    makers |= {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        op, told = _operator(node, opsets, own)
        yield node, op, told
        item = _item(node, op, values, known, sources, makers, opsets.get("", 0))
        for row in _of_item(item, told):
            yield node, op, row
        sources |= dict.fromkeys(node.output, item.stem if op in ELEMENTWISE else op)
        yield from _inside(node, opsets, own)
    for function in model.functions:
        inner = _opsets(function.opset_import)
        for node in function.node:
            yield node, *_operator(node, inner, own)
            yield from _inside(node, inner, own)


def _item(
    node: onnx.NodeProto,
    op: str,
    values: Mapping[str, OnnxValue],
    known: Mapping[str, Array],
    sources: Mapping[str, str],
    makers: Mapping[str, onnx.NodeProto],
    opset: int,
) -> Item:
    return Item(
        op=op,
        attributes=attributes(node),
        operands=tuple(values.get(k, OnnxValue(k)) if k else None for k in node.input),
        constants=tuple(known.get(name) for name in node.input),
        results=tuple(values.get(k, OnnxValue(k)) if k else None for k in node.output),
        sources=tuple(sources.get(name, "") for name in node.input),
        makers=makers,
        known=known,
        opset=opset,
    )


def _of_item(item: Item, operator: _Told) -> Iterator[_Told]:
    """The forms and the types of a node whose operator is told of already."""
    try:
        forms = forms_of(item)
    except ValueError:
        yield "malformed", lambda profile: _FORBIDDEN, None
        return
    for name in forms:
        instead = FORMS[name].instead
        yield _untried(name, instead) if name in UNTRIED else _form(name, instead)
    for name in untried_types(item):
        yield _type(f"{name} in {item.op}", operator)


def _type(found: str, operator: _Told) -> _Told:
    """An element type, by the profiles that take the operator: the others have said enough."""
    _, untried, _ = _untried(found)
    _, refused, _ = operator
    return found, lambda profile: None if refused(profile) else untried(profile), None


def _inside(
    node: onnx.NodeProto, opsets: Mapping[str, int], own: Set[tuple[str, str]]
) -> Iterator[tuple[onnx.NodeProto, str, _Told]]:
    """The operators of the graphs in a node; it alone is refused where these were not tried."""
    for graph in _graphs(node):
        for item in graph.node:
            yield item, *_operator(item, opsets, own)
            yield from _inside(item, opsets, own)


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in a node."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def _operator(
    node: onnx.NodeProto, opsets: Mapping[str, int], own: Set[tuple[str, str]]
) -> tuple[str, _Told]:
    """A node's operator, and what profiles make of that."""
    domain = "" if node.domain in _STANDARD else node.domain
    op = f"{domain}.{node.op_type}" if domain else node.op_type
    if (node.domain, node.op_type) in own:
        return op, _untried(op)
    if domain in ("", ML) and not _exists(node.op_type, opsets.get(domain, 0), domain):
        return op, (op, lambda profile: NOT_TRIED, None)
    return op, (op, lambda profile: profile.refusal(op), INSTEAD.get(op))


@lru_cache(1024)
def _exists(op: str, version: int, domain: str) -> bool:
    """Whether ONNX has an operator in an opset."""
    from onnx import defs

    newest = max(0, min(version, 2**31 - 1))  # It is an int64 in the file, and here an int32.
    return defs.has(op, newest, domain) and not defs.get_schema(op, newest, domain).deprecated
