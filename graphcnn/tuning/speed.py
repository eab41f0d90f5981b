"""Which layers of a file are slower in integers than in float, by onnxruntime's profile of both.

A kernel may do the work of several layers, and others in float than in integers: layers that share
a kernel in either file are compared together. A QuantizeLinear counts for the layers that take what
it gives, and a DequantizeLinear for the layer whose value it takes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from graphcnn.bench.layers import Layer as Row
from graphcnn.bench.layers import attribute
from graphcnn.bench.profile import Kernel, ProfiledWorker
from graphcnn.bench.timing import interleave
from graphcnn.onnx_file import OnnxFile, OnnxNode, read_onnx_file
from graphcnn.quantization.placement import Layer, quantizable
from graphcnn.runtime.settings import Settings

_SECONDS, _ROUNDS = 1.0, 10
_CONVERSION = re.compile(r"(.+)_(QuantizeLinear|DequantizeLinear)\b.*")


def slower_in_integers(
    original: Path,
    integers: Path,
    floats: Collection[str],
    batch: int,
    tick: Callable[[int, int], None],
) -> list[Layer]:
    """The layers that take longer in integers, conversions included, on the CPU.

    Args:
        original: The float32 file.
        integers: The same with layers in integers.
        floats: The nodes that are in float there too.
        batch: The samples of a run.
        tick: Called with the turns done so far, and in all.

    Raises:
        RuntimeFailure: A file does not run.
    """
    settings = Settings(provider="cpu")
    with ProfiledWorker(original, settings) as first, ProfiledWorker(integers, settings) as second:
        interleave([first, second], batch, _SECONDS, _ROUNDS, tick)
        profiles = first.read(batch), second.read(batch)
    file = read_onnx_file(original)
    before = attribute(file, profiles[0])
    after = attribute(read_onnx_file(integers), profiles[1])
    return slower(file, floats, before, after, profiles[1].kernels)


def slower(
    file: OnnxFile,
    floats: Collection[str],
    before: Sequence[Row],
    after: Sequence[Row],
    kernels: Sequence[Kernel],
) -> list[Layer]:
    """The layers that take longer in integers.

    Args:
        file: The float32 file.
        floats: The nodes that are in float in the other file too.
        before: The times of its layers.
        after: The times of the layers of the other file.
        kernels: The kernels of that.
    """
    together = _Together((row.name, *row.layers) for row in (*before, *after))
    gained = defaultdict[str, float](float)
    for row in before:
        gained[together.head(row.name)] += row.seconds
    for row in after:
        gained[together.head(row.name)] -= row.seconds
    layers = [layer for layer in quantizable(file) if layer.node not in floats]
    walk = _Walk(file, layers)
    for kernel in kernels:
        payers = walk.payers(kernel)
        for layer in payers:
            gained[together.head(layer.name)] -= kernel.seconds / len(payers)
    return [layer for layer in layers if gained[together.head(layer.name)] < 0]


class _Together:
    """Names that share kernels."""

    def __init__(self, groups: Iterable[Sequence[str]]) -> None:
        self._heads: dict[str, str] = {}
        for first, *others in groups:
            for name in others:
                self._heads[self.head(name)] = self.head(first)

    def head(self, name: str) -> str:
        """The name that stands for all that belong to this one."""
        while (head := self._heads.get(name, name)) != name:
            name = head
        return name


class _Walk:
    """Finds the layers in integers that a conversion is made for."""

    def __init__(self, file: OnnxFile, layers: Iterable[Layer]) -> None:
        self._layers = {layer.node: layer for layer in layers}
        self._stops = {layer.node for layer in quantizable(file)}
        self._makers, self._users = file.makers, file.users

    def payers(self, kernel: Kernel) -> list[Layer]:
        """The layers whose being in integers a kernel is for; none where it is no conversion."""
        match = _CONVERSION.fullmatch(kernel.name)
        if match is None or kernel.op != match[2]:
            return []
        step = self._after if kernel.op == "QuantizeLinear" else self._before
        left, seen, found = [match[1]], set[str](), list[Layer]()
        while left:
            for node in step(left.pop()):
                if node.name in seen:
                    continue
                seen.add(node.name)
                if node.name in self._layers:
                    found.append(self._layers[node.name])
                elif node.name not in self._stops:
                    left += self._beyond(node, step)
        return found

    def _after(self, value: str) -> list[OnnxNode]:
        return self._users[value]

    def _before(self, value: str) -> list[OnnxNode]:
        return [self._makers[value]] if value in self._makers else []

    def _beyond(self, node: OnnxNode, step: Callable[[str], list[OnnxNode]]) -> list[str]:
        if step == self._before:
            return [name for name in node.inputs if name in self._makers]
        return [value.name for value in node.outputs]
