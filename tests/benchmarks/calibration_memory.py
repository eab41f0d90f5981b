"""The memory that int8 takes: whatever the number of calibration samples, and on a large network.

    python -m tests.benchmarks.calibration_memory

Peak memory of `graphcnn compile --precision int8`, a process of its own, on random images in a .npy
file: mnist_cnn by each method of calibration with 100, 1,000 and 10,000 samples, and VGG-16, whose
peak is to stay within 2 GB over the bytes of its weights. A mapped file's pages that were read
count as memory, here 8 MB of 10,000 images.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from .common import EXAMPLES, graphcnn_command, judged, measure, parser, report, say

_COUNTS = (100, 1_000, 10_000)
_METHODS = ("minmax", "percentile", "entropy")
_VGG_WEIGHTS = 138_357_544 * 4
_OVER = 2e9


def main() -> None:
    """Measure, and print two tables."""
    arguments = parser(__doc__, repeats=1).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = [_digits(folder, method) for method in _METHODS]
        report("peak memory by calibration samples (MB)", rows, arguments)
        report("peak memory of int8 (MB)", [_large(folder)], arguments)


def _digits(folder: Path, method: str) -> dict[str, Any]:
    images = folder / "digits.npy"
    if not images.exists():
        _draw(images, 2 * _COUNTS[-1], 28, 1)
    found = {count: _peak("mnist_cnn", images, count, folder, method) for count in _COUNTS}
    return {
        "calibration": method,
        **{f"{count:,} samples": round(peak / 1e6, 1) for count, peak in found.items()},
        "most to least": round(found[_COUNTS[-1]] / found[_COUNTS[0]], 3),
    }


def _large(folder: Path) -> dict[str, Any]:
    images = folder / "photos.npy"
    _draw(images, 32, 224, 3)
    peak = _peak("vgg16", images, 16, folder, "minmax")
    over = peak - _VGG_WEIGHTS
    return {
        "model": "vgg16",
        "peak": round(peak / 1e6),
        "weights": round(_VGG_WEIGHTS / 1e6),
        "over the weights": f"{over / 1e6:,.0f}, {judged(over, _OVER)}",
    }


def _draw(path: Path, count: int, size: int, channels: int) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    np.save(path, rng.integers(0, 256, (count, size, size, channels), np.uint8))


def _peak(model: str, images: Path, count: int, folder: Path, method: str) -> int:
    command = ["compile", str(EXAMPLES / f"{model}.yaml"), "--precision", "int8"]
    how = ["--data", str(images), "--calibration-samples", str(count), "--calibration", method]
    say(f"{model}: {method} of {count:,} samples")
    target = ["-o", str(folder / "int8.onnx"), "--force"]
    return measure(graphcnn_command(*command, *how, *target)).peak_bytes


if __name__ == "__main__":
    main()
