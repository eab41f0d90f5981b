"""The examples trained on the real data: which data, and weights kept between benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .common import EXAMPLES, graphcnn_command, say

_CIFAR = "cifar10/cifar-10-python.tar.xz"

DATA = {
    "small_convnet": "mnist",
    "mnist_cnn_5x5": "mnist",
    "mnist_cnn": "mnist",
    "fashion_mnist_cnn": "fashion_mnist",
    "lenet": "fashion_mnist",
    "cifar10_cnn": _CIFAR,
    "mnist_batchnorm": "mnist",
    "fashion_mnist_batchnorm": "fashion_mnist",
    "cifar10_batchnorm": _CIFAR,
    "cifar10_mobilenet": _CIFAR,
}
"""Where under `GRAPHCNN_DATA` the data of an example lie."""


def data_of(name: str) -> str:
    """The data of an example; ends the program where `GRAPHCNN_DATA` is unset."""
    if "GRAPHCNN_DATA" not in os.environ:
        sys.exit("GRAPHCNN_DATA is unset: it names the folder with mnist, fashion_mnist, cifar10")
    return str(Path(os.environ["GRAPHCNN_DATA"]) / DATA[name])


def trained(name: str, folder: Path, seed: int = 0) -> Path:
    """The weights of an example, trained by its own recipe unless they are in the folder."""
    weights, run = folder / f"{name}-{seed}.safetensors", folder / "runs" / f"{name}-{seed}"
    if not weights.exists():
        model, data = str(EXAMPLES / f"{name}.yaml"), data_of(name)
        command = ["train", model, "--data", data, "-o", str(weights), "--run", str(run)]
        graphcnn([*command, "--seed", str(seed), "--force"])
    return weights


def graphcnn(arguments: list[str]) -> str:
    """What a command prints on standard output; ends the program where it fails."""
    say(f"graphcnn {' '.join(arguments)}")
    done = subprocess.run(graphcnn_command(*arguments), stdout=subprocess.PIPE, text=True)
    if done.returncode > 1 or (done.returncode and not done.stdout):
        sys.exit(f"it ended with {done.returncode}")
    return done.stdout
