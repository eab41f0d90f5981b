"""An .onnx file in onnxruntime: ours, a model file lowered as it is written, or another tool's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from graphcnn import metadata as keys
from graphcnn.comparison import ROUNDED
from graphcnn.errors import RuntimeFailure, SourceLocation
from graphcnn.export import provenance
from graphcnn.onnx_structure import read_structure
from graphcnn.runtime.session import first_line, open_session
from graphcnn.runtime.settings import Provider, Settings
from graphcnn.runtime.signature import Array, TensorSpec, read_signature
from graphcnn.types import FIRST, LAST, DType

from .side import Runner, Side, Value, check_batched, sample_sizes


class OnnxSide(Side):
    """An .onnx file.

    Args:
        path: The file.
        provider: What runs it.
        model: How the user named it; the file itself if empty.
        note: What to add to the engine's name.
        optimize: Whether onnxruntime may rewrite it where its outputs are asked for; where layers
            are, it never may.

    Raises:
        RuntimeFailure: The file cannot be loaded.
        VerificationError: An input has no batch.
    """

    def __init__(
        self,
        path: Path,
        provider: Provider,
        *,
        model: str = "",
        note: str = "",
        optimize: bool = True,
    ) -> None:
        self.model = model or str(path)
        self._path, self._settings = path, Settings(provider=provider)
        self._session = open_session(path, self._settings, optimize=optimize)
        signature = read_signature(self._session)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.layouts_known = keys.INPUT_LAYOUTS in metadata
        self.precision = metadata.get(keys.PRECISION, self.precision)
        note += f", {self.precision}" if self.precision in ROUNDED else ""
        self.engine = f"onnxruntime ({self._session.get_providers()[0]}{note})"
        self.inputs, self.tops = signature.inputs, signature.tops
        self.outputs = tuple(self._output(spec) for spec in signature.outputs)
        check_batched(self)

    def layers(self) -> list[Value]:
        """The layers that its provenance names; where it has none, every value of a node."""
        nodes = read_structure(self._path).graph.node
        held = {value.held for value in self.outputs}
        found = [value for node in nodes if (value := _layer(node, held))]
        if not found:
            self.foreign = True
            found = [Value(name, name) for node in nodes for name in node.output if name]
        distinct = list({value.name: value for value in reversed(found)}.values())[::-1]
        session = self._opened(distinct)
        shapes = {item.name: item.shape for item in session.get_outputs()}
        return [replace(value, sizes=_sizes(shapes[value.held])) for value in distinct]

    def runner(self, values: Sequence[Value] | None = None) -> Runner:
        """A session whose outputs are the values."""
        session = self._session if values is None else self._opened(values)
        names = [value.held for value in (self.outputs if values is None else values)]

        def run(feeds: Mapping[str, Array]) -> list[Array]:
            try:
                found: list[Array] = session.run(names, dict(feeds))
            except Exception as error:
                reason = first_line(error)
                raise RuntimeFailure(f"{self.model}: onnxruntime cannot run it: {reason}") from None
            return found

        return run

    def _output(self, spec: TensorSpec) -> Value:
        stated = FIRST if spec.order == "channels first" else LAST
        layout = stated if self.layouts_known else None
        return Value(spec.name, spec.name, sample_sizes(spec), layout)

    def _opened(self, values: Sequence[Value]) -> Any:
        """A session that gives these values too, computed as the file says.

        Protocol buffers merge where they follow each other: the outputs come after the file's own.
        """
        declared = {value.held for value in self.outputs}
        more = onnx.ModelProto()
        for value in values:
            if value.held not in declared:
                more.graph.output.add(name=value.held)
        model = self._path.read_bytes() + more.SerializeToString()
        return open_session(model, self._settings, optimize=False, folder=self._path.parent)


def _layer(node: onnx.NodeProto, outputs: Set[str]) -> Value | None:
    """The layer whose value a node of ours yields, if it does: of some, a pass has left a part.

    The value has the layer's name, or is an output, or has given its name to one in another layout
    or element type.
    """
    origin = provenance.read(node.doc_string)
    if origin is None or origin.layout is None:
        return None
    layer, held = origin.layers[0], node.output[0]
    kinds = (str(origin.layout).replace(" ", "_"), DType.float16)
    displaced = tuple(f"{layer.name}/{kind}" for kind in kinds)
    if held != layer.name and held not in outputs and not held.startswith(displaced):
        return None
    return Value(layer.name, held, None, origin.layout, _place(layer.location))


def _place(location: SourceLocation | None) -> str:
    if location is None:
        return ""
    scope = f" in {' > '.join(location.scope)}" if location.scope else ""
    return f"{location}{scope}"


def _sizes(shape: Sequence[Any]) -> tuple[int | None, ...] | None:
    """The sizes of a sample; None where onnxruntime does not know the rank."""
    if not shape:
        return None
    return tuple(size if isinstance(size, int) else None for size in shape[1:])
