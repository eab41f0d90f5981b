"""How compilation grows with the number of nodes, over a chain and over a branching graph.

Each compilation runs in a process of its own, after a small one that does the imports. Times are
in milliseconds a node; ``compile`` is the whole of `graphcnn.compile`, ``no run`` is it without the
run in onnxruntime, as ``--no-verify`` is, and ``cpu`` is its processor time, all threads together.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from .common import Row, interleaved, judged, median_of, parser, report, say

if TYPE_CHECKING:
    from graphcnn import Graph

MOST_MILLISECONDS = 0.5

PHASES = {
    "passes": "graphcnn.compiler.apply_passes",
    "lower": "graphcnn.export.lower",
    "check": "graphcnn.export.check_structure",
    "write": "graphcnn.export.write_model",
    "run": "graphcnn.compiler._verify",
}
"""What is timed within a compilation."""


def chain(nodes: int) -> Graph:
    """Convolution, batch normalization, activation and pooling, over and over."""
    from graphcnn import Graph
    from graphcnn.ops import BatchNormalization, Conv2D, MaxPooling2D, ReLU

    cycle = [
        Conv2D(filters=4, kernel_size=3, padding="same"),
        BatchNormalization(),
        ReLU(),
        MaxPooling2D(pool_size=2, strides=1, padding="same"),
    ]
    graph = Graph("chain")
    value = graph.input("image", [8, 8, 4])
    for index in range(nodes - 1):
        value = graph.add(cycle[index % len(cycle)], value)
    graph.outputs["result"] = value
    return graph


def branching(nodes: int) -> Graph:
    """Sums and concatenations of values from anywhere before; one value has thousands of users."""
    from graphcnn import Graph
    from graphcnn.ops import Activation, ActivationFunction, Add, Concatenate, Conv2D

    graph, rng = Graph("branching"), random.Random(0)
    tanh = Activation(activation=ActivationFunction.decode("tanh"))
    hub = graph.input("image", [8, 8, 4])
    values = [hub, graph.add(tanh, hub)]
    while len(graph) + 4 <= nodes:
        joined = graph.add(Concatenate(), [values[-1], *rng.choices(values, k=3)])
        mixed = graph.add(Conv2D(filters=4, kernel_size=1), joined)
        total = graph.add(Add(), [mixed, hub, *rng.choices(values, k=2)])
        values += [mixed, graph.add(tanh, total)]
    while len(graph) < nodes:
        values.append(graph.add(Add(), [values[-1], hub]))
    graph.outputs["result"] = values[-1]
    return graph


KINDS: dict[str, Callable[[int], Graph]] = {"chain": chain, "branching": branching}


@contextmanager
def stopwatch() -> Iterator[dict[str, float]]:
    """Time the phases of what is compiled within."""
    from pkgutil import resolve_name

    import graphcnn.compiler
    import graphcnn.export  # noqa: F401

    seconds: dict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                seconds[name] += time.perf_counter() - start

        return call

    with ExitStack() as stack:
        for name, target in PHASES.items():
            stack.enter_context(patch(target, timed(name, resolve_name(target))))
        yield seconds


def once(kind: str, nodes: int) -> dict[str, float]:
    """Build and compile a graph, and return milliseconds a node by phase."""
    import graphcnn

    with tempfile.TemporaryDirectory() as folder:
        graphcnn.compile(KINDS[kind](10), Path(folder) / "small.onnx")
        start = time.perf_counter()
        graph = KINDS[kind](nodes)
        built, cpu = time.perf_counter(), time.process_time()
        with stopwatch() as seconds:
            graphcnn.compile(graph, Path(folder) / "large.onnx")
        done, cpu = time.perf_counter(), time.process_time() - cpu
    assert len(graph) == nodes
    seconds |= {"build": built - start, "compile": done - built, "cpu": cpu}
    seconds["no run"] = seconds["compile"] - seconds["run"]
    return {name: 1000 * value / nodes for name, value in seconds.items()}


def isolated(kind: str, nodes: int) -> dict[str, float]:
    """The same in a new process."""
    say(f"{kind} of {nodes:,} nodes")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(once, kind, nodes).result()


def row(kind: str, nodes: int, runs: list[dict[str, float]]) -> Row:
    """The medians of the runs of one graph."""
    columns = ("build", *PHASES, "compile", "no run", "cpu")
    medians = {name: median_of([run[name] for run in runs]) for name in columns}
    return {
        "graph": kind,
        "nodes": nodes,
        **medians,
        "target": MOST_MILLISECONDS,
        "": judged(medians["compile"], MOST_MILLISECONDS),
    }


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, repeats=5)
    options.add_argument("--nodes", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    arguments = options.parse_args()
    sizes = {f"{kind} {nodes}": (kind, nodes) for nodes in arguments.nodes for kind in KINDS}
    jobs = {name: lambda size=size: isolated(*size) for name, size in sizes.items()}
    runs = interleaved(jobs, arguments.repeats, warm_up=False)
    rows = [row(*sizes[name], found) for name, found in runs.items()]
    report("compile_scaling, ms a node", rows, arguments)


if __name__ == "__main__":
    main()
