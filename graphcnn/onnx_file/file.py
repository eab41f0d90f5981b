r"""What an .onnx file holds, whoever wrote it: nodes, shapes, costs and origins, not its weights.

Shapes are those that onnx infers. Figures are of one sample: the first size of a shape counts as 1
where it is open or is the batch, which is the first size of the first input. With a kernel of
:math:`k` elements and an output of spatial sizes :math:`s`, a convolution multiplies and
accumulates :math:`k \prod s` times (a transposed one: over the sizes of its input); a matrix
product as often as its result has elements, times the length of a row of its left factor. Peak
memory is of a walk over the nodes as the file has them, by the rules of
`graphcnn.passes.peak_memory`; what is made of weights alone is no activation.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphcnn import metadata as keys
from graphcnn.errors import GraphCNNError, ModelFileError, did_you_mean
from graphcnn.export.provenance import Provenance
from graphcnn.export.provenance import read as read_provenance
from graphcnn.onnx_structure import read_structure
from graphcnn.passes import MemoryPeak

from .values import OPEN, OnnxValue, attribute_text, constants, inferred

if TYPE_CHECKING:
    import onnx

_KERNELS = {"Conv": 1, "FusedConv": 1, "ConvTranspose": 1, "ConvInteger": 1, "QLinearConv": 3}
"""Where convolutions take their kernel."""

_PRODUCTS = {"Gemm", "FusedGemm", "MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul"}
_UNCOUNTED = {"Attention", "DeformConv", "Einsum", "GRU", "If", "LSTM", "Loop", "RNN", "Scan"}
_STORED = {"Cast", "DequantizeLinear"}
"""What widens a weight: the nodes that take its result are said to take the weight."""

_SCALED = {"DequantizeLinear", "QuantizeLinear"}
"""Whose constants, other than a weight that is widened, are scales and zero points."""

_VIEWS = {"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
_STANDARD = ("", "ai.onnx")
_NO_PARAMETERS = {"bool", "int64", "string"}
"""Constants of these types are shapes, indices and switches."""


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node; figures are of one sample.

    Attributes:
        name: Its name, or its first result's where the file gives none, or not it alone.
        op: Its operator, with the domain where that is not ONNX's own.
        inputs: The names of what it takes, weights included; empty for one left out. What a Cast or
            a DequantizeLinear makes of a weight goes by the weight's name, and counts where it is
            used.
        outputs: What it makes.
        attributes: Its attributes in words.
        weights: The constants among its inputs.
        params: The parameters of those that no earlier node takes.
        weight_bytes: The bytes of these.
        macs: Multiply-accumulates; None where they cannot be told.
        activation_bytes: The bytes of what it makes, 0 for a view of its input; None where a size
            is open.
        origin: Where it came from, if graphcnn wrote it.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[OnnxValue, ...]
    attributes: Mapping[str, str]
    weights: tuple[OnnxValue, ...]
    params: int
    weight_bytes: int
    macs: int | None
    activation_bytes: int | None
    origin: Provenance | None

    @property
    def names(self) -> set[str]:
        """What it is called in the file: its own name and those of its results."""
        return {self.name, *(value.name for value in self.outputs)}

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that went into it."""
        return tuple(layer.name for layer in self.origin.layers) if self.origin else ()


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An .onnx file without its weights; figures are of one sample.

    Attributes:
        path: The file.
        bytes: Its size, external data included.
        external: The files of external data, relative to its folder.
        missing: Those of them that are not there.
        name: What its graph is called.
        producer: The tool that wrote it, with its version.
        ir_version: The version of the format.
        opsets: The versions of the operators, by domain.
        inputs: What it takes, with the type of each.
        outputs: What it gives, with the type of each.
        batch: The first size of its first input.
        values: The types of all values that are known, by name.
        nodes: Its nodes, in the order of the file.
        weights: Its constants, by name.
        metadata: What tools wrote into it.
        peak: The most activation memory that is live at once.
    """

    path: Path
    bytes: int
    external: tuple[str, ...]
    missing: tuple[str, ...]
    name: str
    producer: str
    ir_version: int
    opsets: Mapping[str, int]
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    batch: int | str
    values: Mapping[str, OnnxValue]
    nodes: tuple[OnnxNode, ...]
    weights: Mapping[str, OnnxValue]
    metadata: Mapping[str, str]
    peak: MemoryPeak

    @property
    def params(self) -> int:
        """The elements of all its constants but shapes, indices, switches and scales."""
        return sum(node.params for node in self.nodes)

    @property
    def macs(self) -> int | None:
        """Its multiply-accumulates; None where those of a node cannot be told."""
        return _total(node.macs for node in self.nodes)

    @property
    def makers(self) -> dict[str, OnnxNode]:
        """What makes each value, by the value's name."""
        return {value.name: node for node in self.nodes for value in node.outputs}

    @property
    def users(self) -> defaultdict[str, list[OnnxNode]]:
        """What takes each value or weight, by its name; none where nothing does."""
        found = defaultdict[str, list[OnnxNode]](list)
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node)
        return found

    @property
    def by_graphcnn(self) -> bool:
        """Whether graphcnn wrote it."""
        return self.producer.split(" ")[0] == "graphcnn"


def read_onnx_file(path: str | Path, shapes: Mapping[str, Sequence[int]] | None = None) -> OnnxFile:
    """Read what an .onnx file holds, without loading its weights.

    Args:
        path: The file; of external data beside it the size is read alone.
        shapes: Sizes of inputs by name, of one sample in the file's own layout, in place of those
            that the file has; the name of the only input can be empty.

    Raises:
        ModelFileError: The file cannot be read as ONNX, or has no input of such a name and rank.
    """
    path = Path(path)
    model = read_structure(path)
    try:
        return _Reader(path, model, shapes or {}).read()
    except GraphCNNError as error:
        raise error.explained(subject=str(path)) from None


class _Reader:
    """Turns a model without weights into an `OnnxFile`."""

    def __init__(
        self, path: Path, model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]
    ) -> None:
        self._path, self._model, graph = path, model, model.graph
        self._weights = {value.name: value for value in constants(model)}
        given = [value for value in graph.input if value.name not in self._weights]
        _set_shapes(model, given, shapes)
        self._values = inferred(model) | self._weights
        self._inputs = [self._value(value.name) for value in given]
        self._outputs = [self._value(value.name) for value in graph.output]
        self._batch = next((v.shape[0] for v in self._inputs if v.shape), OPEN)
        self._fixed = _fixed(model, self._weights)
        self._stored = {
            node.output[0]: node.input[0]
            for node in model.graph.node
            if node.op_type in _STORED
            and node.output
            and node.input
            and node.input[0] in self._weights
        }

    def read(self) -> OnnxFile:
        model = self._model
        metadata = {item.key: item.value for item in model.metadata_props}
        nodes = tuple(self._nodes())
        size, external, missing = _size(self._path, model)
        return OnnxFile(
            path=self._path,
            bytes=size,
            external=external,
            missing=missing,
            name=model.graph.name,
            producer=f"{model.producer_name} {model.producer_version}".strip(),
            ir_version=model.ir_version,
            opsets={item.domain or "ai.onnx": item.version for item in model.opset_import},
            inputs=_laid_out(self._inputs, metadata.get(keys.INPUT_LAYOUTS, "")),
            outputs=_laid_out(self._outputs, metadata.get(keys.OUTPUT_LAYOUTS, "")),
            batch=self._batch,
            values=self._values,
            nodes=nodes,
            weights=self._weights,
            metadata=metadata,
            peak=self._peak(nodes),
        )

    def _nodes(self) -> Iterator[OnnxNode]:
        protos = self._model.graph.node
        named, taken = Counter(node.name for node in protos), set[str]()
        for index, node in enumerate(protos):
            outputs = tuple(self._value(name) for name in node.output if name)
            inputs = tuple(self._stored.get(name, name) for name in node.input)
            widens = bool(outputs) and outputs[0].name in self._stored
            used = dict.fromkeys(inputs[1:] if widens else inputs)
            weights = [self._weights[name] for name in used if name in self._weights]
            own = [weight for weight in weights if weight.name not in taken]
            taken.update(weight.name for weight in own)
            spare = outputs[0].name if outputs else f"{node.op_type}#{index}"
            spare = f"{spare}#{index}" if spare in named else spare
            made = [value.name for value in outputs if value.name not in self._fixed]
            yield OnnxNode(
                name=node.name if node.name and named[node.name] == 1 else spare,
                op=node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}",
                inputs=inputs,
                outputs=outputs,
                attributes={item.name: attribute_text(item) for item in node.attribute},
                weights=tuple(weights),
                params=sum(map(_params, () if node.op_type in _SCALED else own)),
                weight_bytes=sum(weight.bytes or 0 for weight in own),
                macs=self._macs(node),
                activation_bytes=0 if node.op_type in _VIEWS else _total(map(self._bytes, made)),
                origin=read_provenance(node.doc_string),
            )

    def _value(self, name: str) -> OnnxValue:
        return self._values.get(name) or OnnxValue(name)

    def _bytes(self, name: str) -> int | None:
        return self._value(name).of_one_sample(self._batch).bytes

    def _macs(self, node: onnx.NodeProto) -> int | None:
        op, operands = node.op_type, [self._value(name) for name in node.input]
        if not operands or not node.output or op in _UNCOUNTED:
            return None if op in _UNCOUNTED else 0
        result = self._value(node.output[0]).of_one_sample(self._batch)
        if op in _KERNELS and len(operands) > _KERNELS[op]:
            over = (operands[0] if op == "ConvTranspose" else result).shape
            positions = replace(result, shape=over and over[2:]).elements
            kernel = operands[_KERNELS[op]].elements
            return None if positions is None or kernel is None else positions * kernel
        if op in _PRODUCTS:
            turned = any(item.name == "transA" and item.i for item in node.attribute)
            row = (operands[0].shape or (OPEN,))[0 if turned else -1]
            results = result.elements
            return row * results if isinstance(row, int) and results is not None else None
        return 0 if node.domain in _STANDARD else None

    def _peak(self, nodes: Sequence[OnnxNode]) -> MemoryPeak:
        """Walk the nodes once."""
        touched = [(*node.inputs, *(value.name for value in node.outputs)) for node in nodes]
        owner = {value.name: value.name for value in self._inputs}
        for node, names in zip(nodes, touched, strict=True):
            made = [value.name for value in node.outputs if value.name not in self._fixed]
            owner.update((name, name) for name in made)
            if node.op in _VIEWS and made and names[0] in owner:
                owner[made[0]] = owner[names[0]]
        sizes = {name: self._bytes(name) for name in set(owner.values())}
        known = {name: size for name, size in sizes.items() if size is not None}
        if len(known) < len(sizes):
            return MemoryPeak(None, None, {})
        used = [{owner[name] for name in names if name in owner} for names in touched]
        last = {name: step for step, names in enumerate(used) for name in names}
        last |= {owner[v.name]: len(nodes) for v in self._outputs if v.name in owner}
        held, timeline = {value.name for value in self._inputs}, dict[str, int]()
        live = sum(known[name] for name in held)
        for step, (node, now) in enumerate(zip(nodes, used, strict=True)):
            live += sum(known[name] for name in now - held)
            held |= now
            timeline[node.name] = live
            live -= sum(known[name] for name in now if last[name] == step)
        peak = max(timeline, key=timeline.__getitem__, default=None)
        return MemoryPeak(timeline[peak] if peak else 0, peak, timeline)


def _set_shapes(
    model: onnx.ModelProto,
    given: Sequence[onnx.ValueInfoProto],
    shapes: Mapping[str, Sequence[int]],
) -> None:
    """Give inputs other sizes, and forget the sizes that followed from their own."""
    if not shapes:
        return
    inputs = {value.name: value for value in given}
    only = next(iter(inputs)) if len(inputs) == 1 else ""
    for name, sizes in ((name or only, sizes) for name, sizes in shapes.items()):
        if name not in inputs:
            hint = did_you_mean(name, inputs)
            raise ModelFileError(f"there is no input named {name!r:.80}", hint=hint)
        dims = inputs[name].type.tensor_type.shape.dim[1:]
        if len(dims) != len(sizes):
            found = f"{len(dims)} sizes after the batch, and {len(sizes)} are given"
            raise ModelFileError(f"the input {name} has {found}")
        for dim, size in zip(dims, sizes, strict=True):
            if dim.WhichOneof("value") == "dim_value" and dim.dim_value != size:
                raise ModelFileError(
                    f"the input {name} has the size {dim.dim_value}, and {size} is given",
                    hint="only sizes that the file leaves open can be given",
                )
            dim.dim_value = size
    model.graph.ClearField("value_info")
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def _fixed(model: onnx.ModelProto, weights: Iterable[str]) -> set[str]:
    """The values that are made of weights alone.

    Raises:
        ModelFileError: A value is made twice.
    """
    fixed, made = set(weights), {value.name for value in model.graph.input}
    for node in model.graph.node:
        results = [name for name in node.output if name]
        if len(set(results)) < len(results) or not made.isdisjoint(results):
            raise ModelFileError(f"the node {node.name!r:.80} makes a value that is there already")
        made.update(results)
        if all(name in fixed for name in node.input if name):
            fixed.update(results)
    return fixed


def _size(path: Path, model: onnx.ModelProto) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """The bytes of the file and of its external data, the files of that, and those missing."""
    size, missing = path.stat().st_size, []
    entries = (item for tensor in model.graph.initializer for item in tensor.external_data)
    places = tuple(dict.fromkeys(item.value for item in entries if item.key == "location"))
    for place in places:
        if Path(place).is_absolute() or ".." in Path(place).parts or not place.isprintable():
            hint = "external data must lie in the folder of the model"
            raise ModelFileError(f"its weights are said to be in {place!r:.80}", hint=hint)
        data = path.parent / place
        if data.is_file():
            size += data.stat().st_size
        else:
            missing.append(place)
    return size, places, tuple(missing)


def _laid_out(values: Iterable[OnnxValue], stated: str) -> tuple[OnnxValue, ...]:
    """The values with the layouts that the metadata states, which may be anyone's text."""
    try:
        found: Any = json.loads(stated or "{}")
    except (ValueError, RecursionError):
        found = {}
    layouts = found if isinstance(found, dict) else {}
    return tuple(
        replace(value, layout=layout if isinstance(layout, str) and layout.isalpha() else "")
        for value, layout in ((value, layouts.get(value.name)) for value in values)
    )


def _params(weight: OnnxValue) -> int:
    return 0 if weight.dtype in _NO_PARAMETERS else weight.elements or 0


def _total(sizes: Iterable[int | None]) -> int | None:
    """The sum; None where one is not known."""
    found = list(sizes)
    known = [size for size in found if size is not None]
    return sum(known) if len(known) == len(found) else None
