r"""The time of a file's layers against what this machine can do: a roofline.

A kernel of onnxruntime belongs to the node of the file whose name it has, as `find_nodes` reads it.
Nodes that have none went into another: the next that does, along what is made of them, or else the
last before. The layer is the one that the file says the node came from, or the node itself. Kernels
that only change layouts or types, if they are no layer, have a row by their operator, and so have
those that belong to no node.

A layer of :math:`m` multiply-accumulates that moves :math:`b` bytes takes at least
:math:`\max(2m / p, b / w)`, where :math:`p` is the peak of arithmetic on its type and :math:`w`
that of memory; the share of the roof is that time in parts of its own. Above 1 it was quicker than
memory: what it read lay in a cache.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from graphcnn.onnx_file import OnnxFile, OnnxNode, read_onnx_file, spellings
from graphcnn.runtime.settings import Settings

from .machine import Roof, measure_roof
from .profile import Kernel, Profile, ProfiledWorker
from .timing import Progress, interleave
from .worker import Worker

_CONVERSIONS = {
    "Cast",
    "DequantizeLinear",
    "QuantizeLinear",
    "ReorderInput",
    "ReorderOutput",
    "Transpose",
}

NEAR = 0.1
"""A layer that reaches less than this of its roof is held up by something else."""

Bound = Literal["compute", "memory", "neither"]


@dataclass(frozen=True, slots=True)
class Layer:
    """What a layer takes, of a run of a whole batch.

    Attributes:
        name: The layer; for kernels of none, their operator in brackets.
        source: Where the model file has it, if the file says so.
        layers: The layers that went into it, if the file says so.
        ops: The kernels' operators, in the order in which they run.
        dtype: The element type that its arithmetic reads.
        seconds: The time of its kernels.
        macs: Multiply-accumulates.
        bytes: What its kernels read and write, weights included.
        least: The seconds that this machine needs at least.
        roof: Whether that is the time of its arithmetic or of its bytes; None where it has neither.
    """

    name: str
    source: str | None
    layers: tuple[str, ...]
    ops: tuple[str, ...]
    dtype: str
    seconds: float
    macs: int
    bytes: int
    least: float = 0.0
    roof: Literal["compute", "memory"] | None = None

    @property
    def flops(self) -> float:
        """Operations a second."""
        return 2 * self.macs / self.seconds if self.seconds else 0.0

    @property
    def intensity(self) -> float | None:
        """Operations a byte; None where nothing is moved."""
        return 2 * self.macs / self.bytes if self.bytes else None

    @property
    def roof_share(self) -> float:
        """The least time in parts of its own; 0 where it is too short to be measured."""
        return self.least / self.seconds if self.seconds else 0.0

    @property
    def bound(self) -> Bound:
        """What it waits for: the roof that it is below, where it comes near to that."""
        return self.roof if self.roof and self.roof_share >= NEAR else "neither"


@dataclass(frozen=True, slots=True)
class LayerReport:
    """A file's layers against this machine.

    Attributes:
        path: The file.
        settings: How onnxruntime ran it.
        batch: The samples of a run.
        seconds: The median time of a run without the profiler.
        profile: What the profiler said.
        roof: What this machine can do.
        layers: In the order in which they run.
        macs: Multiply-accumulates of a run, by the file; None where those of a node are not known.
    """

    path: str
    settings: Settings
    batch: int
    seconds: float
    profile: Profile
    roof: Roof
    layers: tuple[Layer, ...]
    macs: int | None

    @property
    def kernel_seconds(self) -> float:
        """The time of all layers."""
        return sum(layer.seconds for layer in self.layers)

    @property
    def flops(self) -> float | None:
        """Operations a second of a run without the profiler."""
        return None if self.macs is None else 2 * self.macs / self.seconds

    @property
    def peak_share(self) -> float:
        """The time that its arithmetic takes at the peak of its types, in parts of a run."""
        peak = (2 * layer.macs / self.roof.peak(layer.dtype) for layer in self.layers)
        return sum(peak) / self.seconds


def measure_layers(
    path: str | Path,
    settings: Settings,
    batch: int,
    seconds: float,
    roof: Roof | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    progress: Progress = lambda done, total: None,
) -> LayerReport:
    """Measure the layers of a file, and how long it runs without the profiler.

    Args:
        path: The file.
        settings: How onnxruntime runs it; a batch is run at once, or where it has a micro-batch at
            most that.
        batch: The samples of a run.
        seconds: How long it runs with the profiler, and in turns with that without.
        roof: What this machine can do with these settings; measured if None.
        shapes: Sizes of inputs that the file leaves open, by name, channels last.
        progress: Called with the turns done so far, and in all.

    Raises:
        GraphCNNError: It cannot be read, or does not run on the CPU.
    """
    batch = min(batch, settings.micro_batch or batch)
    whole = replace(settings, micro_batch=None)
    with Worker(path, whole, shapes) as plain, ProfiledWorker(path, whole, shapes) as profiled:
        timing, _ = interleave([plain, profiled], batch, seconds, progress=progress)
        found = profiled.read(batch)
    file = read_onnx_file(path, found.shapes if shapes else {})
    roof = roof or measure_roof(whole)
    layers = tuple(bounded(layer, roof) for layer in attribute(file, found))
    macs = None if file.macs is None else file.macs * batch
    return LayerReport(str(path), settings, batch, timing.p50, found, roof, layers, macs)


def attribute(file: OnnxFile, found: Profile) -> list[Layer]:
    """Add kernels up by the layers of the file that they were made of.

    Args:
        file: The file.
        found: Its kernels.

    Returns:
        The layers, without what the machine can do, in the order in which they run.
    """
    nodes = file.makers | {node.name: node for node in file.nodes}
    owners = [_owner(kernel, nodes) for kernel in found.kernels]
    homes = _homes(file, {node.name for node in owners if node})
    heads = {home: _head(home, members) for home, members in homes.items()}
    rows = defaultdict[str, list[Kernel]](list)
    for kernel, owner in zip(found.kernels, owners, strict=True):
        rows[_label(heads[owner.name]) if owner else f"({kernel.op})"].append(kernel)
    macs = Counter[str]()
    for home, members in homes.items():
        macs[_label(heads[home])] += found.batch * sum(node.macs or 0 for node in members)
    named = {_label(node): node for node in heads.values()}
    return [_layer(name, named.get(name), row, macs[name]) for name, row in rows.items()]


def _owner(kernel: Kernel, nodes: Mapping[str, OnnxNode]) -> OnnxNode | None:
    if kernel.op in _CONVERSIONS:
        own = nodes.get(kernel.name)
        return own if own and own.origin else None
    names = (*spellings(kernel.name), *kernel.outputs)
    return next((nodes[name] for name in names if name in nodes), None)


def _homes(file: OnnxFile, run: Set[str]) -> dict[str, list[OnnxNode]]:
    """The nodes that went into each node that is run, itself among them, by its name."""
    makers, users = file.makers, file.users

    def after(node: OnnxNode) -> list[OnnxNode]:
        return [user for value in node.outputs for user in users[value.name]]

    def before(node: OnnxNode) -> list[OnnxNode]:
        return [makers[name] for name in node.inputs if name in makers]

    homes = defaultdict[str, list[OnnxNode]](list)
    for node in file.nodes:
        home = _nearest(node, after, run) or _nearest(node, before, run)
        if home:
            homes[home].append(node)
    return homes


def _nearest(
    node: OnnxNode, step: Callable[[OnnxNode], list[OnnxNode]], run: Set[str]
) -> str | None:
    left, seen = deque([node]), {node.name}
    while left:
        found = left.popleft()
        if found.name in run:
            return found.name
        fresh = [other for other in step(found) if other.name not in seen]
        seen.update(other.name for other in fresh)
        left.extend(fresh)
    return None


def _head(home: str, members: Sequence[OnnxNode]) -> OnnxNode:
    """The node that a kernel is called by: what multiplies most, or that whose name it has."""
    return max(members, key=lambda node: (node.macs or 0, node.name == home))


def _label(node: OnnxNode) -> str:
    return node.layers[0] if node.layers else node.name


def _layer(name: str, node: OnnxNode | None, kernels: Sequence[Kernel], macs: int) -> Layer:
    place = node.origin.layers[0].location if node and node.origin else None
    return Layer(
        name=name,
        source=str(place) if place else None,
        layers=node.layers if node else (),
        ops=tuple(dict.fromkeys(kernel.op for kernel in kernels)),
        dtype=max(kernels, key=lambda kernel: kernel.seconds).dtype,
        seconds=sum(kernel.seconds for kernel in kernels),
        macs=macs,
        bytes=sum(kernel.bytes for kernel in kernels),
    )


def bounded(layer: Layer, roof: Roof) -> Layer:
    """The layer with what the machine can do."""
    arithmetic = 2 * layer.macs / roof.peak(layer.dtype)
    memory = layer.bytes / roof.bandwidth
    if not (least := max(arithmetic, memory)):
        return layer
    return replace(layer, least=least, roof="compute" if arithmetic > memory else "memory")
