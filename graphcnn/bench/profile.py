"""What onnxruntime's own profiler says of a file: how long each of its kernels takes.

A kernel is a node of the graph that onnxruntime makes of the file, so its names, types and weights
are those of that graph. The first runs, in which it takes its memory, are left out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Self

from graphcnn.errors import RuntimeFailure
from graphcnn.onnx_file import OnnxNode, read_onnx_file
from graphcnn.runtime.session import OPTIMIZED

from .timing import FIRST_RUNS
from .worker import Worker

_KERNEL = "_kernel_time"
_VIEWS = {"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
"""These move nothing: their result is what they are given, in its place."""

Pick = Callable[[Iterable[float]], float]

_DTYPES = {"float": "float32", "double": "float64"}
_CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A node that onnxruntime runs.

    Attributes:
        name: What onnxruntime calls it.
        op: Its operator.
        seconds: How long it takes in a run.
        bytes: What it reads and writes, weights included, in the types that are really used.
        dtype: The element type of its first input.
        outputs: The names of what it makes, where onnxruntime's graph tells.
    """

    name: str
    op: str
    seconds: float
    bytes: int
    dtype: str
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """A file's kernels.

    Attributes:
        batch: The samples of a run.
        runs: How many runs were measured.
        seconds: How long a run takes while the profiler looks on.
        kernels: In the order in which they run.
        shapes: The sizes of each input of a sample, in the file's own layout.
    """

    batch: int
    runs: int
    seconds: float
    kernels: tuple[Kernel, ...]
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)


class ProfiledWorker(Worker):
    """A `Worker` that onnxruntime's profiler looks at."""

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="graphcnn-")
        self._options["profile"] = self._folder.name
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._folder.cleanup()

    def read(self, batch: int, pick: Pick = median) -> Profile:
        """End the profile of what `interleave` ran, and read it.

        Args:
            batch: The samples of a run.
            pick: What is taken for the time of a kernel, of its times in all runs.

        Raises:
            RuntimeFailure: It did not run on the CPU: of other devices the profiler tells how long
                it takes to give them their work.
        """
        found = self.ask("profile")
        if found["provider"] != _CPU:
            raise RuntimeFailure(
                f"{self.path}: the time of each layer is measured on the CPU alone, "
                f"and {found['provider']} runs it",
                hint="--provider cpu",
            )
        events = json.loads(Path(found["path"]).read_bytes())
        nodes = read_onnx_file(Path(self._folder.name) / OPTIMIZED).nodes
        return replace(read_profile(events, batch, nodes, pick), shapes=found["shapes"])


def read_profile(
    events: Sequence[Mapping[str, Any]], batch: int, nodes: Sequence[OnnxNode], pick: Pick = median
) -> Profile:
    """Read what onnxruntime's profiler wrote.

    Args:
        events: Its events, in its order.
        batch: The samples of a run.
        nodes: The graph that onnxruntime ran, for the weights: the profiler leaves out those that
            it stores in another order.
        pick: What is taken for the time of a kernel, of its times in all runs.
    """
    runs = list(_runs(events))[FIRST_RUNS:]
    times = defaultdict[int, list[float]](list)
    last: dict[int, Mapping[str, Any]] = {}
    for kernels, _ in runs:
        for event in kernels:
            index = int(event["args"]["node_index"])
            times[index].append(event["dur"] / 1e6)
            last[index] = event
    known = {node.name: node for node in nodes}
    found = [_kernel(event, pick(times[index]), known) for index, event in last.items()]
    seconds = pick(whole["dur"] / 1e6 for _, whole in runs)
    return Profile(batch, len(runs), seconds, tuple(found))


def _runs(
    events: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[list[Mapping[str, Any]], Mapping[str, Any]]]:
    """The kernels of each run, and the run itself, which ends after them."""
    kernels: list[Mapping[str, Any]] = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            kernels.append(event)
        elif event["name"] == "model_run":
            yield kernels, event
            kernels = []


def _kernel(event: Mapping[str, Any], seconds: float, known: Mapping[str, OnnxNode]) -> Kernel:
    facts, name = event["args"], event["name"].removesuffix(_KERNEL)
    node = known.get(name)
    weights = sum(w.bytes or 0 for w in node.weights) if node else int(facts["parameter_size"])
    moved = int(facts["activation_size"]) + int(facts["output_size"]) + weights
    op = facts["op_name"]
    dtype = next((kind for given in facts["input_type_shape"] for kind in given), "")
    return Kernel(
        name=name,
        op=op,
        seconds=seconds,
        bytes=0 if op in _VIEWS else moved,
        dtype=_DTYPES.get(dtype, dtype),
        outputs=tuple(value.name for value in node.outputs) if node else (),
    )
