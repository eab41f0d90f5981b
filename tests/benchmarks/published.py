"""Trains the examples on the real data, and compares with the accuracy that is published.

    python -m tests.benchmarks.published [MODEL ...] [--repeats 2] [--keep DIR]

Each row is `graphcnn train` with the model file's own recipe and `graphcnn evaluate --both` on the
10,000 test images, once a seed where the training takes under five minutes. The data is looked for
in `GRAPHCNN_DATA`. With `--keep`, weights that are there are evaluated and not trained again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .common import EXAMPLES, graphcnn_command, parser, report, say

_CIFAR = "cifar10/cifar-10-python.tar.xz"
_SLOW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Figure:
    """What is published of a network, or asked of a recipe of ours.

    Attributes:
        data: The data set's path under `GRAPHCNN_DATA`.
        accuracy: On the 10,000 test images.
        ours: There is no publication: the accuracy is what the recipe is to reach.
    """

    data: str
    accuracy: float
    ours: bool = False


FIGURES = {
    "small_convnet": Figure("mnist", 0.9923),
    "mnist_cnn_5x5": Figure("mnist", 0.9792),
    "mnist_cnn": Figure("mnist", 0.9898),
    "fashion_mnist_cnn": Figure("fashion_mnist", 0.9128),
    "lenet": Figure("fashion_mnist", 0.813),
    "cifar10_cnn": Figure(_CIFAR, 0.7666),
    "mnist_batchnorm": Figure("mnist", 0.994, ours=True),
    "fashion_mnist_batchnorm": Figure("fashion_mnist", 0.925, ours=True),
    "cifar10_batchnorm": Figure(_CIFAR, 0.85, ours=True),
}


def main() -> None:
    """Run what is asked for, and print a table."""
    options = parser(__doc__, repeats=2)
    options.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(FIGURES))
    options.add_argument("--keep", type=Path, help="where weights are kept, and looked for")
    arguments = options.parse_args()
    if unknown := set(arguments.models) - FIGURES.keys():
        options.error(f"unknown: {', '.join(sorted(unknown))}")
    if "GRAPHCNN_DATA" not in os.environ:
        sys.exit("GRAPHCNN_DATA is unset: it names the folder with mnist, fashion_mnist, cifar10")
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        models = arguments.models or FIGURES
        rows = [_row(name, folder, arguments.repeats) for name in models]
    report("published figures", rows, arguments)


def _row(name: str, folder: Path, seeds: int) -> dict[str, Any]:
    found = [_measure(name, folder, 0)]
    if found[0]["seconds"] < _SLOW_SECONDS:
        found += [_measure(name, folder, seed) for seed in range(1, seeds)]
    count, figure = len(found), FIGURES[name]
    return {
        "model": name,
        "asked for" if figure.ours else "published": f"{figure.accuracy:.4f}",
        "test accuracy": f"{sum(f['accuracy'] for f in found) / count:.4f}",
        "loss": f"{sum(f['loss'] for f in found) / count:.4f}",
        "each seed": ", ".join(f"{f['accuracy']:.4f}" for f in found),
        "seconds": max(f["seconds"] for f in found),
        "predictions that differ": sum(f["differing"] for f in found),
        "largest difference": f"{max(f['largest'] for f in found):.1e}",
    }


def _measure(name: str, folder: Path, seed: int) -> dict[str, Any]:
    """Train with a seed, unless that was done, and evaluate in TensorFlow and onnxruntime."""
    model = EXAMPLES / f"{name}.yaml"
    data = str(Path(os.environ["GRAPHCNN_DATA"]) / FIGURES[name].data)
    weights, run = folder / f"{name}-{seed}.safetensors", folder / "runs" / f"{name}-{seed}"
    if not weights.exists():
        command = ["train", str(model), "--data", data, "-o", str(weights), "--run", str(run)]
        _graphcnn([*command, "--seed", str(seed), "--force"])
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    command = ["evaluate", str(model), "--weights", str(weights), "--data", data, "--both"]
    report = json.loads(_graphcnn([*command, "--json"]))
    return {
        **{key: report["results"][-1][key] for key in ("accuracy", "loss")},
        "seconds": sum(record["seconds"] for record in log),
        "differing": report["agreement"]["differing"],
        "largest": report["agreement"]["largest_difference"],
    }


def _graphcnn(arguments: list[str]) -> str:
    say(f"graphcnn {' '.join(arguments)}")
    done = subprocess.run(graphcnn_command(*arguments), stdout=subprocess.PIPE, text=True)
    if done.returncode > 1 or (done.returncode and not done.stdout):
        sys.exit(f"it ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
