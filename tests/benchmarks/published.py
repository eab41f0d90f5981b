"""Trains the examples on the real data, and compares with the accuracy that is published.

    python -m tests.benchmarks.published [MODEL ...] [--repeats 2] [--keep DIR]

Each row is `graphcnn train` with the model file's own recipe and `graphcnn evaluate --both` on the
10,000 test images, once a seed where the training takes under five minutes. The data is looked for
in `GRAPHCNN_DATA`. With `--keep`, weights that are there are evaluated and not trained again.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .common import EXAMPLES, parser, report
from .trained import data_of, graphcnn, trained

_SLOW_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Figure:
    """What is published of a network, or asked of a recipe of ours.

    Attributes:
        accuracy: On the 10,000 test images.
        ours: There is no publication: the accuracy is what the recipe is to reach.
    """

    accuracy: float
    ours: bool = False


FIGURES = {
    "small_convnet": Figure(0.9923),
    "mnist_cnn_5x5": Figure(0.9792),
    "mnist_cnn": Figure(0.9898),
    "fashion_mnist_cnn": Figure(0.9128),
    "lenet": Figure(0.813),
    "cifar10_cnn": Figure(0.7666),
    "mnist_batchnorm": Figure(0.994, ours=True),
    "fashion_mnist_batchnorm": Figure(0.925, ours=True),
    "cifar10_batchnorm": Figure(0.85, ours=True),
    "cifar10_mobilenet": Figure(0.82, ours=True),
}


def main() -> None:
    """Run what is asked for, and print a table."""
    options = parser(__doc__, repeats=2)
    options.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(FIGURES))
    options.add_argument("--keep", type=Path, help="where weights are kept, and looked for")
    arguments = options.parse_args()
    if unknown := set(arguments.models) - FIGURES.keys():
        options.error(f"unknown: {', '.join(sorted(unknown))}")
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
    weights, run = trained(name, folder, seed), folder / "runs" / f"{name}-{seed}"
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    command = ["evaluate", str(EXAMPLES / f"{name}.yaml"), "--weights", str(weights)]
    report = json.loads(graphcnn([*command, "--data", data_of(name), "--both", "--json"]))
    return {
        **{key: report["results"][-1][key] for key in ("accuracy", "loss")},
        "seconds": sum(record["seconds"] for record in log),
        "differing": report["agreement"]["differing"],
        "largest": report["agreement"]["largest_difference"],
    }


if __name__ == "__main__":
    main()
