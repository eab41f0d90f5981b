"""`graphcnn tune` against what else could run the same network on this machine.

    python -m tests.benchmarks.tuning [MODEL ...] [--keep DIR] [--seconds 4] [--time-limit 300]

For each example, trained on the real data: what `graphcnn tune --budget accuracy=0.002` chooses;
our float32 file with onnxruntime's defaults; onnxruntime's `quantize_static` with its defaults on
that; the file that Keras exports, with its defaults; and OpenVINO on our float32 file, with its
hint for latency and float32 (by default it may compute in bfloat16). All run batch 1, in turns. A
ratio is how many times faster the tuned file is, with its interval of 95 %.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from graphcnn.bench.timing import Ratio, Runner, compare, interleave
from graphcnn.bench.worker import Worker
from graphcnn.runtime.deploy import read_deployment
from graphcnn.runtime.settings import Settings

from .common import ENVIRONMENT, EXAMPLES, ROOT, parser, report
from .trained import DATA, data_of, graphcnn, trained


def main() -> None:
    """Run what is asked for, and print a table."""
    options = parser(__doc__, repeats=40)
    options.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(DATA))
    options.add_argument("--keep", type=Path, help="where weights are kept, and looked for")
    options.add_argument("--seconds", type=float, default=4.0, help="for each of the files")
    options.add_argument("--time-limit", type=int, default=300, help="of tune, in seconds")
    arguments = options.parse_args()
    if unknown := set(arguments.models) - DATA.keys():
        options.error(f"unknown: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as scratch:
        models = arguments.models or DATA
        rows = [_row(name, Path(scratch), arguments) for name in models]
    report("tuned against rivals", rows, arguments, seconds=arguments.seconds)


def _row(name: str, scratch: Path, arguments: Any) -> dict[str, Any]:
    weights, folder = trained(name, arguments.keep or scratch), scratch / name
    model, data = str(EXAMPLES / f"{name}.yaml"), data_of(name)
    how = ["--weights", str(weights), "--data", data, "--budget", "accuracy=0.002"]
    limit = ["--time-limit", str(arguments.time_limit)]
    graphcnn(["tune", model, *how, *limit, "-o", str(folder)])
    (tuned,) = folder.glob("*.onnx")
    deployment = read_deployment(tuned)
    assert deployment
    single, peers = scratch / f"{name}.onnx", scratch / f"{name}-peers"
    graphcnn(["compile", model, "--weights", str(weights), "-o", str(single)])
    peers.mkdir()
    for rival in ("quantize_static", "export"):
        _apart(rival, str(single), model, str(weights), data, str(peers))
    files = {"float32": single, "quantize_static": peers / "int8.onnx", "Keras": peers / "k.onnx"}
    ratios = _timed(tuned, deployment.settings, files, single, arguments)
    best = min(ratios.values(), key=lambda ratio: ratio.value) if ratios else None
    return {
        "model": name,
        "accuracy": f"{deployment.measured['accuracy']:.4f}",
        "of float32": f"{deployment.measured['float32_accuracy']:.4f}",
        "size": round(tuned.stat().st_size / single.stat().st_size, 3),
        **{
            f"to {rival}": f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
            for rival, ratio in ratios.items()
        },
        "behind": "none" if best is None or best.high >= 1 else f"{(1 / best.value - 1):.0%}",
    }


def _timed(
    tuned: Path,
    settings: Settings,
    files: Mapping[str, Path],
    single: Path,
    arguments: Any,
) -> dict[str, Ratio]:
    with ExitStack() as stack:
        rivals: dict[str, Runner] = {
            name: stack.enter_context(Worker(path, Settings()))
            for name, path in files.items()
            if path.exists()
        }
        if importlib.util.find_spec("openvino"):
            rivals["OpenVINO"] = _OpenVino(single)
        runners = [stack.enter_context(Worker(tuned, settings)), *rivals.values()]
        first, *others = interleave(runners, 1, arguments.seconds, arguments.repeats)
    return {name: compare(other, first) for name, other in zip(rivals, others, strict=True)}


class _OpenVino:
    """OpenVINO on a file, in this process."""

    def __init__(self, path: Path) -> None:
        import numpy as np
        import openvino

        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        core = openvino.Core()
        model = core.read_model(path)
        self._sizes = [size.get_length() for size in model.input().partial_shape[1:]]
        self._model, self._random = core.compile_model(model, "CPU", options), np.random

    def run(self, batch: int, seconds: float) -> list[float]:
        """The seconds of each run, as many as fit, or one."""
        draw = self._random.default_rng(0).standard_normal
        feed, request = draw((batch, *self._sizes), "float32"), self._model.create_infer_request()
        found, end = list[float](), time.perf_counter() + seconds
        while not found or time.perf_counter() < end:
            start = time.perf_counter()
            request.infer([feed], share_inputs=True)
            found.append(time.perf_counter() - start)
        return found


def _apart(*arguments: str) -> None:
    """Write a rival's file in a process of its own; it may fail."""
    command = [sys.executable, "-m", "tests.benchmarks.tuning_rivals", *arguments]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT | quiet, stdout=sys.stderr)


if __name__ == "__main__":
    main()
