"""A float32 file with QuantizeLinear and DequantizeLinear in it, where onnxruntime's library says.

The library decides scales, zero points and the format. Around it, this module keeps what the file
says of itself: an activation that vanishes into the range of its producer leaves its source line
there, scores that only float nodes take are not rounded to bytes on their way out, and a layer that
is to be in float stays there: onnxruntime puts the weights of any layer between bytes into bytes, a
tensor at a time, so a sum of one operand, which is a copy, goes in between.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphcnn.export import provenance
from graphcnn.metadata import PREFIX

from .placement import COMPUTING, PASSING
from .processor import Arithmetic

if TYPE_CHECKING:
    import onnx

_FLOAT_RESULTS = {"Gemm", "MatMul"}
"""What onnxruntime computes from bytes to float numbers in one kernel."""

_QUANTIZED_ANYWAY = {"Conv", "ConvTranspose", "Gemm"}
"""What its WeightBiasQuantization turns to bytes, wherever it is between bytes."""

_CLIPPING = {"Clip", "Relu"}


def insert(
    path: Path, ranges: Any, arithmetic: Arithmetic, integers: Collection[str]
) -> onnx.ModelProto:
    """Put a file into integers.

    Args:
        path: A float32 file.
        ranges: The ranges of its activations.
        arithmetic: The integers.
        integers: The names of the nodes to compute in integers; what is between them follows.

    Returns:
        The model with its weights.
    """
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

    source = load_model_with_shape_infer(path)
    producer, metadata = source.producer_name, list(source.metadata_props)
    before = [_copied(node) for node in source.graph.node]
    floats = [n.name for n in before if n.op_type in COMPUTING and n.name not in integers]
    _unshare(source.graph, floats)
    # An output keeps its own range, not that of an activation which is all that takes it.
    given = {value.name for value in source.graph.output}
    floats += [n.name for n in before if n.op_type in _CLIPPING and n.input[0] in given]
    quantizer = QDQQuantizer(
        source,
        per_channel=True,
        reduce_range=arithmetic.reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if arithmetic.signed_activations else QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=None,
        nodes_to_exclude=floats,
        op_types_to_quantize=sorted(COMPUTING | PASSING),
        extra_options={},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    model: onnx.ModelProto = quantizer.model.model
    model.producer_name = producer
    del model.metadata_props[:]
    model.metadata_props.extend(item for item in metadata if item.key.startswith(PREFIX))
    model.graph.ClearField("value_info")
    clipped = _keep_origins(model, before)
    _unround_scores(model, integers, clipped)
    _hold_floats(model, integers)
    _share_zero_points(model.graph)
    return model


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = type(node)()
    copy.CopyFrom(node)
    return copy


def _unshare(graph: onnx.GraphProto, floats: Collection[str]) -> None:
    """Give nodes in float weights of their own, where others take the same."""
    users = Counter(name for node in graph.node for name in set(node.input))
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for index, name in enumerate(node.input if node.name in floats else ()):
            if name in weights and users[name] > 1:
                own = graph.initializer.add()
                own.CopyFrom(weights[name])
                own.name = node.input[index] = f"{node.name}/{name}"


def _keep_origins(model: onnx.ModelProto, before: Sequence[onnx.NodeProto]) -> list[str]:
    """Write the layers of nodes that are gone into those that yield their values now.

    Returns:
        The names of these: the range of their results does what the others did.
    """
    nodes = {node.name: node for node in model.graph.node}
    gone = {node.input[0]: node for node in before if node.name not in nodes}
    yielding = []
    for node in before:
        if node.name not in nodes or node.output[0] not in gone:
            continue
        texts, value = [node.doc_string], node.output[0]
        while value in gone:
            texts.insert(0, gone[value].doc_string)
            value = gone[value].output[0]
        nodes[node.name].doc_string = provenance.merged(texts)
        yielding.append(node.name)
    return yielding


def _unround_scores(
    model: onnx.ModelProto, integers: Collection[str], clipped: Collection[str]
) -> None:
    """Take the bytes out between a matrix product and nodes that all compute in float."""
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    given = {value.name for value in graph.output}
    users = _users(graph)
    removed = set[str]()
    for quantize in [node for node in graph.node if node.op_type == "QuantizeLinear"]:
        maker = makers.get(quantize.input[0])
        backs = users[quantize.output[0]]
        takers = [taker for back in backs for taker in users[back.output[0]]]
        if maker is None or maker.op_type not in _FLOAT_RESULTS or len(backs) != 1:
            continue
        if maker.name in clipped or any(_in_integers(taker, integers) for taker in takers):
            continue
        rounded, plain = backs[0].output[0], maker.output[0]
        if rounded in given:  # An output keeps its name, and others take it by that.
            maker.output[0] = rounded
        else:
            for taker in takers:
                taker.input[:] = [plain if name == rounded else name for name in taker.input]
        removed |= {quantize.name, backs[0].name}
    _remove(graph, removed)


def _hold_floats(model: onnx.ModelProto, integers: Collection[str]) -> None:
    """Keep layers with weights in float where they take bytes and yield bytes."""
    from onnx import helper

    graph = model.graph
    users = _users(graph)
    backs = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    held = []
    for node in graph.node:
        if (
            node.op_type in _QUANTIZED_ANYWAY
            and node.name not in integers
            and node.input[0] in backs
            and _yields_bytes(node, users)
        ):
            copy = f"{node.name}/float"
            held.append(helper.make_node("Sum", [node.input[0]], [copy], copy))
            node.input[0] = copy
        held.append(node)
    del graph.node[:]
    graph.node.extend(held)


def _users(graph: onnx.GraphProto) -> defaultdict[str, list[onnx.NodeProto]]:
    """What takes each value, by its name."""
    found = defaultdict[str, list["onnx.NodeProto"]](list)
    for node in graph.node:
        for name in node.input:
            found[name].append(node)
    return found


def _yields_bytes(node: onnx.NodeProto, users: Mapping[str, Sequence[onnx.NodeProto]]) -> bool:
    takers = users.get(node.output[0], ())
    return any(
        taker.op_type == "QuantizeLinear"
        or (taker.op_type in _CLIPPING and _yields_bytes(taker, users))
        for taker in takers
    )


def _in_integers(node: onnx.NodeProto, integers: Collection[str]) -> bool:
    return node.name in integers or node.op_type in PASSING


def _share_zero_points(graph: onnx.GraphProto) -> None:
    """Store equal zero points once: one a channel, and most are zeros."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    first: dict[bytes, str] = {}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        unnamed = type(tensors[node.input[2]])()
        unnamed.CopyFrom(tensors[node.input[2]])
        unnamed.ClearField("name")
        content = unnamed.SerializeToString(deterministic=True)
        node.input[2] = first.setdefault(content, node.input[2])
    _drop_unused(graph)


def _remove(graph: onnx.GraphProto, names: Collection[str]) -> None:
    """Remove nodes, and the constants that nothing uses any more."""
    kept = [node for node in graph.node if node.name not in names]
    del graph.node[:]
    graph.node.extend(kept)
    _drop_unused(graph)


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(constants)
