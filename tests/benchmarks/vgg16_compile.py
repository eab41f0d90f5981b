"""Time and peak memory of ``graphcnn compile examples/vgg16.yaml`` with random weights.

With ``--with-keras``, Keras's own export of the same network too, killed at a memory limit: it
has been seen to pass 20 GB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .common import (
    ChildFailed,
    Row,
    Run,
    graphcnn_command,
    interleaved,
    judged,
    measure,
    median_of,
    parser,
    report,
)

MOST_SECONDS = 5.0
LARGEST_TENSOR = 25088 * 4096 * 4
MOST_BYTES = LARGEST_TENSOR + 250_000_000

KERAS = """
import os, sys
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy
model = keras.applications.VGG16(weights=None)
model(numpy.zeros((1, 224, 224, 3), "float32"))
model.export(sys.argv[1], format="onnx", verbose=False)
"""


def compiled(folder: Path, *options: str) -> Run:
    """One compilation to a new file."""
    target = folder / "vgg16.onnx"
    target.unlink(missing_ok=True)
    command = ("compile", "examples/vgg16.yaml", "-o", str(target), *options)
    return measure(graphcnn_command(*command))


def row(name: str, runs: list[Run]) -> Row:
    """The figures of a command that has targets."""
    seconds, peak = median_of([run.seconds for run in runs]), max(run.peak_bytes for run in runs)
    return {
        "command": name,
        "seconds": seconds,
        "least": min(run.seconds for run in runs),
        "cpu s": median_of([run.cpu_seconds for run in runs]),
        "target s": MOST_SECONDS,
        "in time": judged(seconds, MOST_SECONDS),
        "peak MB": peak / 1e6,
        "target MB": MOST_BYTES / 1e6,
        "in memory": judged(peak, MOST_BYTES),
    }


def keras_row(folder: Path, arguments: argparse.Namespace) -> Row:
    """The figures of Keras's export, or why it has none."""
    command = [sys.executable, "-c", KERAS, str(folder / "keras.onnx")]
    most = int(arguments.keras_gigabytes * 1e9)
    try:
        run = measure(command, most_bytes=most, most_seconds=arguments.keras_seconds)
    except ChildFailed as error:
        return {"command": f"keras export: {error}"}
    return {"command": "keras export", "seconds": run.seconds, "peak MB": run.peak_bytes / 1e6}


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, repeats=5)
    options.add_argument("--with-keras", action="store_true", help="measure Keras's export, once")
    options.add_argument("--keras-gigabytes", type=float, default=12, help="default: 12")
    options.add_argument("--keras-seconds", type=float, default=900, help="default: 900")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = {
            "compile": lambda: compiled(folder),
            "compile --no-verify": lambda: compiled(folder, "--no-verify"),
        }
        runs = interleaved(jobs, arguments.repeats)
        rows = [row(command, found) for command, found in runs.items()]
        if arguments.with_keras:
            rows.append(keras_row(folder, arguments))
    report("vgg16_compile", rows, arguments)


if __name__ == "__main__":
    main()
