"""What an .onnx file holds, and where its nodes came from: for people, and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from graphcnn import metadata as keys
from graphcnn.file_signature import signature_of
from graphcnn.graph import Origin
from graphcnn.onnx_file import Found, OnnxFile, OnnxNode, OnnxValue
from graphcnn.runtime.signature import TensorSpec

from . import format as fmt

_PIXELS = 0, 255
"""The range of bytes."""

_MOST_NAMES = 10

_MOST_KINDS = 12
"""Of more kinds of nodes than this the rarest are counted together."""


def file_json(file: OnnxFile) -> dict[str, Any]:
    """An .onnx file as JSON values; what is not known, or is any number, is null or a name."""
    signature = signature_of(file)
    inputs = {spec.name: spec for spec in signature.inputs}
    return {
        "file": str(file.path),
        "bytes": file.bytes,
        "missing_external_data": list(file.missing),
        "by_graphcnn": file.by_graphcnn,
        "producer": file.producer,
        "name": file.name,
        "ir_version": file.ir_version,
        "opsets": dict(file.opsets),
        "inputs": [_input_json(value, inputs.get(value.name)) for value in file.inputs],
        "outputs": [
            {**_value_json(value), "classes_of": signature.tops.get(value.name)}
            for value in file.outputs
        ],
        "classes": list(signature.classes),
        "nodes": len(file.nodes),
        "nodes_by_type": dict(_kinds(file)),
        "params": file.params,
        "macs": file.macs,
        "peak_activation_bytes": file.peak.bytes,
        "peak_activation_node": file.peak.node,
        "metadata": dict(file.metadata),
    }


def nodes_json(file: OnnxFile, found: Found) -> dict[str, Any]:
    """Nodes of an .onnx file as JSON values, and how they were found."""
    return {
        "file": str(file.path),
        "notes": list(found.notes),
        "nodes": [_node_json(file, node) for node in found.nodes],
    }


def _node_json(file: OnnxFile, node: OnnxNode) -> dict[str, Any]:
    origin = node.origin
    return {
        "name": node.name,
        "op": node.op,
        "attributes": dict(node.attributes),
        "inputs": [_value_json(value) for value in _operands(file, node)],
        "outputs": [_value_json(value) for value in node.outputs],
        "weights": [_value_json(value) for value in node.weights],
        "params": node.params,
        "macs": node.macs,
        "activation_bytes": node.activation_bytes,
        "layers": [_layer_json(layer) for layer in origin.layers] if origin else None,
        "passes": list(origin.passes) if origin else None,
        "layout": _layout(node) or None,
    }


def _layer_json(layer: Origin) -> dict[str, Any]:
    where = layer.location
    return {
        "name": layer.name,
        "op": layer.title,
        "source": str(where) if where else None,
        "within": list(where.scope) if where else [],
    }


def _value_json(value: OnnxValue) -> dict[str, Any]:
    return {
        "name": value.name,
        "dtype": value.dtype or None,
        "shape": None if value.shape is None else list(value.shape),
        "layout": value.layout or None,
    }


def _input_json(value: OnnxValue, spec: TensorSpec | None) -> dict[str, Any]:
    return {
        **_value_json(value),
        "range": list(_PIXELS) if value.dtype == "uint8" else None,
        "colors": (spec and spec.colors) or None,
        "resized_to": spec and spec.resized,
    }


def _taken(value: OnnxValue, spec: TensorSpec | None) -> str:
    """An input in words: its type, layout, colours, range, and what the file does to it."""
    words = [_described(value)]
    words += [spec.colors] if spec and spec.colors else []
    words += ["{} to {}".format(*_PIXELS)] if value.dtype == "uint8" else []
    words += ["resized to {}x{}".format(*spec.resized)] if spec and spec.resized else []
    return ", ".join(words)


def _given(value: OnnxValue, tops: Mapping[str, str], best: Set[str]) -> str:
    """An output in words: its type, and what it has of another."""
    text = _described(value)
    if value.name in tops:
        return f"{text}, the classes of {tops[value.name]}"
    return f"{text}, the highest scores" if value.name in best else text


def file_table(file: OnnxFile) -> Group:
    """An .onnx file as a rich renderable."""
    metadata, signature = file.metadata, signature_of(file)
    inputs = {spec.name: spec for spec in signature.inputs}
    tops, best = signature.tops, set(signature.tops.values())
    author = f"graphcnn {metadata.get(keys.VERSION, '')}".strip()
    if not file.by_graphcnn:
        author = f"{file.producer or 'a tool that it does not name'}, not by graphcnn"
    where = f" at {file.peak.node}" if file.peak.node else " (a size is open)"
    rows: list[tuple[str, str | list[str]]] = [
        ("written by", author),
        ("format", f"opset {_opsets(file)}; IR version {file.ir_version}"),
        ("inputs", [_taken(value, inputs.get(value.name)) for value in file.inputs]),
        ("outputs", [_given(value, tops, best) for value in file.outputs]),
        ("nodes", f"{len(file.nodes):,}: {_kinds_in_words(file)}"),
        ("parameters", fmt.count(file.params)),
        ("multiply-accumulates", f"{fmt.count(file.macs)} (a sample)"),
        ("peak activation memory", f"{fmt.size_in_bytes(file.peak.bytes)}{where}"),
        ("size", f"{fmt.size_in_bytes(file.bytes)} ({file.bytes:,} bytes)"),
        ("missing", [f"{name} (external data)" for name in file.missing]),
        ("weights", metadata.get(keys.WEIGHTS, "")),
        ("precision", metadata.get(keys.PRECISION, "")),
        ("quantization", _facts(metadata.get(keys.QUANTIZATION, ""))),
        ("model file", metadata.get(keys.MODEL, "")),
        ("classes", _classes(signature.classes)),
    ]
    return Group(Text(fmt.printable(str(file.path)), style="bold"), _grid(rows))


def nodes_table(file: OnnxFile, found: Found) -> Group:
    """Nodes of an .onnx file as a rich renderable, and how they were found."""
    parts: list[RenderableType] = [Text(fmt.printable(note), style="dim") for note in found.notes]
    for node in found.nodes:
        head = Text(fmt.printable(node.name), style="bold").append(f"  {fmt.printable(node.op)}")
        parts += [head, _grid(_node_rows(file, node))]
    return Group(*parts)


def _node_rows(file: OnnxFile, node: OnnxNode) -> list[tuple[str, str | list[str]]]:
    origin = node.origin
    return [
        ("attributes", [f"{key}: {text}" for key, text in node.attributes.items()]),
        ("inputs", [_described(value) for value in _operands(file, node)]),
        ("outputs", [_described(value) for value in node.outputs]),
        ("weights", [_described(value) for value in node.weights]),
        ("parameters", fmt.count(node.params)),
        ("multiply-accumulates", fmt.count(node.macs)),
        ("layers", list(map(_written, origin.layers)) if origin else "the file does not say"),
        ("passes", ", ".join(origin.passes) if origin else ""),
        ("layout", _layout(node)),
    ]


def _grid(rows: Sequence[tuple[str, str | list[str]]]) -> Table:
    """Labelled lines; a label without any is left out."""
    grid = Table.grid(padding=(0, 2))
    for label, text in rows:
        lines = [text] if isinstance(text, str) else text
        for number, line in enumerate(line for line in lines if line):
            grid.add_row(Text(f"  {label}" if not number else ""), Text(fmt.printable(line)))
    return grid


def _operands(file: OnnxFile, node: OnnxNode) -> list[OnnxValue]:
    """What a node takes, without its weights."""
    names = [name for name in node.inputs if name and name not in file.weights]
    return [file.values.get(name) or OnnxValue(name) for name in names]


def _described(value: OnnxValue) -> str:
    return f"{value.name}: {value} {value.layout}".rstrip()


def _written(layer: Origin) -> str:
    """A layer as the file says it: where it was written, its name, its operator, its blocks."""
    where = layer.location
    within = f" in {' > '.join(where.scope)}" if where and where.scope else ""
    return f"{where or ''} {layer.name} ({layer.title}){within}".lstrip()


def _layout(node: OnnxNode) -> str:
    layout = node.origin.layout if node.origin else None
    shape = node.outputs[0].shape if node.outputs else None
    if layout is None:
        return ""
    return layout.letters(len(shape)) if shape and not layout.segments else str(layout)


def _opsets(file: OnnxFile) -> str:
    others = [f"{name} {number}" for name, number in file.opsets.items() if name != "ai.onnx"]
    return ", ".join([str(file.opsets.get("ai.onnx", "unknown")), *others])


def _kinds(file: OnnxFile) -> list[tuple[str, int]]:
    return Counter(node.op for node in file.nodes).most_common()


def _kinds_in_words(file: OnnxFile) -> str:
    kinds = _kinds(file)
    words = [f"{count} {op}" for op, count in kinds[:_MOST_KINDS]]
    rest = sum(count for _, count in kinds[_MOST_KINDS:])
    return ", ".join([*words, f"{rest} others"] if rest else words)


def _facts(text: str) -> list[str]:
    """JSON that `graphcnn.quantization` wrote, or anyone else, a line for each fact."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict):
        return []
    return [f"{key.replace('_', ' ')}: {_fact(value)}" for key, value in found.items()]


def _fact(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "unknown" if value is None else str(value)


def _classes(names: Sequence[str]) -> str:
    """How many class names there are, and the first of them, which may be anyone's text."""
    if not names:
        return ""
    more = ", ..." if len(names) > _MOST_NAMES else ""
    listed = ", ".join(f"{name:.40}" for name in names[:_MOST_NAMES])
    return f"{len(names):,}: {listed}{more}"
