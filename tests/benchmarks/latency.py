"""Our files against those that Keras's export writes for the same networks and weights.

For each example both files are written in a process of its own, since Keras's export may fail or
take all memory. Then both are run in one process, in turns, with onnxruntime's spinning threads
off, since those of one session slow the other. Ratios are ours to Keras's: below 1 is better.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .common import EXAMPLES, ChildFailed, Row, measure, median_of, parser, report, say

LARGE = ("alexnet", "vgg16", "zfnet")
BATCHES = (1, 8)
ROUND_SECONDS = 0.05
"""How long each file runs in a turn, at least."""


def export(example: str, ours: str, theirs: str) -> None:
    """Write both files of an example, with the same random weights."""
    import graphcnn
    from graphcnn.training import to_keras
    from tests.keras_twin import random_arrays, random_feeds

    graph = graphcnn.load(EXAMPLES / f"{example}.yaml")
    weights = graphcnn.WeightStore.from_arrays(random_arrays(graph))
    graphcnn.compile(graph, ours, weights=weights, target="onnxruntime")
    model = to_keras(graph, weights)
    model(random_feeds(graph))
    model.export(theirs, format="onnx", verbose=False)


def session(path: Path, threads: int) -> Any:
    """A session whose threads do not spin, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def runner(found: Any, batch: int, first: bool) -> Callable[[], Any]:
    """What runs a session on random input of a batch, the same for both files.

    Args:
        found: The session.
        batch: The number of samples.
        first: Its inputs are channels first; the random numbers are drawn channels last.
    """
    import numpy as np

    rng, feeds = np.random.default_rng(0), {}
    for item in found.get_inputs():
        sizes = item.shape[1:]
        sizes = [*sizes[1:], sizes[0]] if first and len(sizes) > 1 else sizes
        drawn = rng.standard_normal((batch, *sizes), np.float32)
        moved = np.moveaxis(drawn, -1, 1) if first and len(sizes) > 1 else drawn
        feeds[item.name] = np.ascontiguousarray(moved)
    return partial(found.run, None, feeds)


def difference(ours: Callable[[], Any], theirs: Callable[[], Any]) -> float:
    """The largest difference of any output, relative to the largest value."""
    import numpy as np

    most = 0.0
    for mine, other in zip(ours(), theirs(), strict=True):
        placed = np.moveaxis(mine, 1, -1) if mine.ndim > 2 else mine
        most = max(most, float(np.abs(placed - other).max() / np.abs(other).max()))
    return most


def seconds(function: Callable[[], Any], times: int) -> float:
    """The mean time of some calls."""
    start = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - start) / times


def turns(
    ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int
) -> list[tuple[float, float]]:
    """The seconds of both, in turns, who begins changing each time."""
    times = max(1, round(ROUND_SECONDS / min(seconds(ours, 3), seconds(theirs, 3))))
    found = []
    for turn in range(repeats):
        if turn % 2:
            late = seconds(theirs, times)
            found.append((seconds(ours, times), late))
        else:
            found.append((seconds(ours, times), seconds(theirs, times)))
    return found


def nodes(path: Path) -> int:
    """The number of nodes in a file."""
    import onnx

    return len(onnx.load(path, load_external_data=False).graph.node)


def compared(folder: Path, example: str, repeats: int, threads: int) -> list[Row]:
    """The rows of an example whose two files are there."""
    ours, theirs = folder / "ours.onnx", folder / "keras.onnx"
    counts, sizes = (nodes(ours), nodes(theirs)), (ours.stat().st_size, theirs.stat().st_size)
    mine, other = session(ours, threads), session(theirs, threads)
    rows: list[Row] = []
    for batch in BATCHES:
        run, run_other = runner(mine, batch, first=True), runner(other, batch, first=False)
        apart = difference(run, run_other)
        pairs = turns(run, run_other, repeats)
        ratios = [a / b for a, b in pairs]
        rows.append(
            {
                "example": example,
                "batch": batch,
                "ms": 1000 * median_of([a for a, _ in pairs]),
                "keras ms": 1000 * median_of([b for _, b in pairs]),
                "ratio": median_of(ratios),
                "least": min(ratios),
                "most": max(ratios),
                "nodes": f"{counts[0]}/{counts[1]}",
                "bytes": f"{sizes[0]:,}/{sizes[1]:,}",
                "apart": apart,
            }
        )
    return rows


def example_rows(example: str, arguments: argparse.Namespace) -> list[Row]:
    """The rows of an example, or one that says why Keras's file is missing."""
    say(example)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [str(folder / "ours.onnx"), str(folder / "keras.onnx")]
        command = [sys.executable, "-m", "tests.benchmarks.latency", "--export", example, *paths]
        most = int(arguments.gigabytes * 1e9)
        try:
            measure(command, most_bytes=most, most_seconds=arguments.seconds)
        except ChildFailed as error:
            return [{"example": f"{example}: no file from Keras: {error}"}]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            job = pool.submit(compared, folder, example, arguments.repeats, arguments.threads)
            return job.result()


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, repeats=21)
    options.add_argument("--export", nargs=3, metavar=("EXAMPLE", "OURS", "KERAS"))
    options.add_argument("--examples", nargs="+", help="default: all but the large ones")
    options.add_argument("--large", action="store_true", help=f"with {', '.join(LARGE)}")
    options.add_argument("--threads", type=int, default=1, help="of onnxruntime; default: 1")
    options.add_argument("--gigabytes", type=float, default=10, help="for an export; default: 10")
    options.add_argument("--seconds", type=float, default=600, help="for an export; default: 600")
    arguments = options.parse_args()
    if arguments.export:
        export(*arguments.export)
        return
    known = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
    chosen = arguments.examples or [n for n in known if arguments.large or n not in LARGE]
    rows = [row for example in chosen for row in example_rows(example, arguments)]
    report("latency, ours to Keras's", rows, arguments, threads=arguments.threads)


if __name__ == "__main__":
    main()
