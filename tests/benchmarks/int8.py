"""int8 against float32, on networks trained on the real data.

    python -m tests.benchmarks.int8 [MODEL ...] [--keep DIR] [--seconds 3]

For each example: `graphcnn compile` in float32 and with `--precision int8 --budget accuracy=0.002`,
`graphcnn evaluate` of both on all test images, and both timed in turns as `graphcnn bench` does it.
The goals are at least 2.5 times the throughput, at most 0.2 points of accuracy lost, and at most
0.27 of the bytes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from graphcnn.bench.timing import Ratio, compare, interleave
from graphcnn.bench.worker import Worker
from graphcnn.runtime.settings import Settings

from .common import EXAMPLES, judged, parser, report
from .trained import DATA, data_of, graphcnn, trained

BATCHES = (1, 8)
SPEED, POINTS, SIZE = 2.5, 0.2, 0.27


def main() -> None:
    """Run what is asked for, and print a table."""
    options = parser(__doc__, repeats=40)
    options.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(DATA))
    options.add_argument("--keep", type=Path, help="where weights are kept, and looked for")
    options.add_argument("--seconds", type=float, default=3.0, help="for each file and batch")
    arguments = options.parse_args()
    if unknown := set(arguments.models) - DATA.keys():
        options.error(f"unknown: {', '.join(sorted(unknown))}")
    models = arguments.models or ["cifar10_cnn", "cifar10_mobilenet"]
    with tempfile.TemporaryDirectory() as scratch:
        rows = [_row(name, Path(scratch), arguments) for name in models]
    report("int8 against float32", rows, arguments, seconds=arguments.seconds)


def _row(name: str, scratch: Path, arguments: Any) -> dict[str, Any]:
    weights = trained(name, arguments.keep or scratch)
    single, integers = scratch / f"{name}.onnx", scratch / f"{name}-int8.onnx"
    command = ["compile", str(EXAMPLES / f"{name}.yaml"), "--weights", str(weights), "-o"]
    graphcnn([*command, str(single)])
    how = ["--precision", "int8", "--data", data_of(name), "--budget", "accuracy=0.002", "--json"]
    made = json.loads(graphcnn([*command, str(integers), *how]) or "null")
    if made is None:
        sys.exit("the budget does not hold")
    accuracies = [_accuracy(path, name) for path in (single, integers)]
    points = (accuracies[0] - accuracies[1]) * 100
    size = integers.stat().st_size / single.stat().st_size
    speeds = _speeds(single, integers, arguments)
    return {
        "model": name,
        "float layers": len(made["quantization"]["float_layers"]),
        "accuracy": f"{accuracies[0]:.4f} to {accuracies[1]:.4f}",
        "lost": f"{points:+.2f} points, {judged(points, POINTS)}",
        "size": f"{size:.3f}, {judged(size, SIZE)}",
        **{
            f"speed at {batch}": f"{r.value:.2f} ({r.low:.2f} to {r.high:.2f}), "
            f"{judged(-r.value, -SPEED)}"
            for batch, r in speeds.items()
        },
    }


def _accuracy(path: Path, name: str) -> float:
    found = json.loads(graphcnn(["evaluate", str(path), "--data", data_of(name), "--json"]))
    return float(found["results"][0]["accuracy"])


def _speeds(single: Path, integers: Path, arguments: Any) -> dict[int, Ratio]:
    """How many times faster the second file is, by batch."""
    found = {}
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(path, Settings())) for path in (single, integers)]
        for batch in BATCHES:
            base, other = interleave(workers, batch, arguments.seconds, arguments.repeats)
            found[batch] = compare(base, other)
    return found


if __name__ == "__main__":
    main()
