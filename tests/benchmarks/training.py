"""Training through graphcnn against the same network written by hand in Keras.

    python -m tests.benchmarks.training [--repeats 3] [--samples 9600]

The network by hand is trained by Keras's `fit` on numpy arrays, as tutorials do: pixels divided by
255 beforehand. Each run is a process of its own, the kinds taking turns. Speed is that of all
epochs but the first, in which functions are traced; memory is the whole process's peak. The pixels
are random: neither depends on them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .common import EXAMPLES, ROOT, interleaved, judged, median_of, parser, report, say

_EPOCHS = 3
_NETWORKS = {"fashion_mnist_cnn": (28, 28, 1), "cifar10_cnn": (32, 32, 3)}
_KINDS = ("keras", "float32", "auto")


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    options = parser(__doc__, repeats=3)
    options.add_argument("--samples", type=int, default=9600, help="default: 9600")
    options.add_argument("--child", nargs=2, metavar=("KIND", "NETWORK"), help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.child:
        _child(*arguments.child, arguments.samples)
        return
    rows = [_row(name, arguments.samples, arguments.repeats) for name in _NETWORKS]
    report("training", rows, arguments, samples=arguments.samples)


def _row(network: str, samples: int, repeats: int) -> dict[str, Any]:
    jobs = {kind: lambda kind=kind: _measure(kind, network, samples) for kind in _KINDS}
    found = interleaved(jobs, repeats, warm_up=False)
    speed = {kind: median_of([run["speed"] for run in runs]) for kind, runs in found.items()}
    peak = {kind: median_of([run["peak"] for run in runs]) for kind, runs in found.items()}
    ratios = {kind: speed[kind] / speed["keras"] for kind in ("float32", "auto")}
    return {
        "network": network,
        "Keras samples/s": round(speed["keras"]),
        "graphcnn": round(speed["float32"]),
        "ratio": ratios["float32"],
        "at least 1": judged(1.0, ratios["float32"]),
        "--precision auto": round(speed["auto"]),
        "its ratio": ratios["auto"],
        "at least 1.6": judged(1.6, ratios["auto"]),
        "peak MB, Keras": round(peak["keras"] / 1e6),
        "graphcnn's": round(peak["float32"] / 1e6),
    }


def _measure(kind: str, network: str, samples: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.training", "--samples", str(samples)]
    done = subprocess.run(
        [*command, "--child", kind, network],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    say(f"{network}, {kind}: {found['speed']:,.0f} samples/s, {found['peak'] / 1e6:,.0f} MB")
    return found


def _child(kind: str, network: str, samples: int) -> None:
    import resource

    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (samples, *_NETWORKS[network]), np.uint8)
    y = rng.integers(0, 10, samples)
    by_hand = kind == "keras"
    seconds = _by_hand(network, x, y) if by_hand else _by_graphcnn(network, x, y, kind)
    speed = samples * (_EPOCHS - 1) / sum(seconds[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"speed": speed, "peak": peak}))


def _by_graphcnn(network: str, x: Any, y: Any, precision: str) -> list[float]:
    import graphcnn
    from graphcnn.cli.progress import EpochLines
    from graphcnn.datasets import Dataset, Split
    from graphcnn.training import RunDirectory, train

    graph = graphcnn.load(EXAMPLES / f"{network}.yaml")
    assert graph.recipe is not None
    recipe = graph.recipe.with_overrides(epochs=_EPOCHS, precision=precision, validation_split=0)
    data = Dataset("random pixels", Split(x, y), None, ())
    with tempfile.TemporaryDirectory() as folder:
        run, progress = RunDirectory(Path(folder) / "run"), EpochLines(_EPOCHS)
        history = train(graph, data, recipe, run, progress).history
    return [record["seconds"] for record in history]


def _by_hand(network: str, x: Any, y: Any) -> list[float]:
    import keras
    import numpy as np

    layers = keras.layers
    conv = {"activation": "relu"}
    if network == "cifar10_cnn":
        size = 64
        body = [
            layers.Conv2D(32, 3, padding="same", **conv),
            layers.Conv2D(32, 3, padding="same", **conv),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", **conv),
            layers.Conv2D(64, 3, padding="same", **conv),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, padding="same", **conv),
            layers.Conv2D(128, 3, padding="same", **conv),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
        ]
    else:
        size = 32
        body = [
            layers.Conv2D(64, 3, **conv),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, **conv),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
        ]
    head = layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input(_NETWORKS[network]), *body, head])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    scaled = x.astype(np.float32) / 255
    seconds = []
    for _ in range(_EPOCHS):
        start = time.perf_counter()
        model.fit(scaled, y, batch_size=size, epochs=1, verbose=0)
        seconds.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
