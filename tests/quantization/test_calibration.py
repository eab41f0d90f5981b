"""The ranges of activations, and the memory that they are measured in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphcnn
from graphcnn.errors import DataError
from graphcnn.onnx_file import read_onnx_file
from graphcnn.quantization import Method, calibration
from graphcnn.quantization.calibration import calibrate
from graphcnn.quantization.samples import Rows
from graphcnn.runtime.predict import Predictor
from tests.onnx_checks import run

from .networks import network, samples, weights

LAYERS = """
  - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: first}
  - MaxPooling2D: {pool_size: 2, name: pool}
  - Conv2D: {filters: 5, kernel_size: 3, name: second}
  - Flatten: {name: flat}
  - Dense: {units: 3, name: scores}
"""
METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy")


def file(folder: Path, **options: Any) -> Path:
    path = folder / "model.onnx"
    graph = network(folder / "model.yaml", LAYERS)
    graphcnn.compile(graph, path, weights=weights(graph), force=True, **options)
    return path


def ranges(path: Path, x: np.ndarray, method: Method = "minmax") -> dict[str, tuple[float, float]]:
    rows = Rows(x, np.arange(len(x)))
    found = calibrate(read_onnx_file(path), Predictor(path), rows, method)
    return {name: _edges(data) for name, data in found.items()}


def _edges(data: Any) -> tuple[float, float]:
    low, high = (np.asarray(edge).item() for edge in data.range_value)
    return low, high


def test_minmax_is_the_least_and_the_greatest(tmp_path: Path) -> None:
    x = samples()
    found = ranges(file(tmp_path), x)
    values = run(file(tmp_path, taps=["all"]), {"image": x}) | {"image": x}
    assert {"image", "first", "pool", "second", "flat", "scores"} <= found.keys()
    for name, data in found.items():
        if name in values:
            expected = float(values[name].min()), float(values[name].max())
            assert data == pytest.approx(expected, rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("most", [1, 5, 32])
def test_ranges_are_the_same_whatever_the_batch(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, x = file(tmp_path), samples()
    expected = ranges(path, x)
    monkeypatch.setattr(calibration, "_MOST_SAMPLES", most)
    found = ranges(path, x)
    assert found.keys() == expected.keys()
    for name, data in found.items():
        assert data == pytest.approx(expected[name], rel=1e-5, abs=1e-6)


def test_a_batch_is_cut_to_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, x, seen = file(tmp_path), samples(), list[int]()
    activations = sum(node.activation_bytes or 0 for node in read_onnx_file(path).nodes)
    monkeypatch.setattr(calibration, "_MOST_BYTES", 3 * activations)
    rows = Rows(x, np.arange(len(x)))
    calibrate(
        read_onnx_file(path), Predictor(path), rows, "minmax", lambda done, _: seen.append(done)
    )
    assert seen == list(range(3, 49, 3))


def test_a_fixed_batch_with_a_short_end(tmp_path: Path) -> None:
    x = samples()[:10]
    expected = ranges(file(tmp_path), x)
    found = ranges(file(tmp_path, batch=4), x)
    assert found.keys() == expected.keys()
    for name, data in found.items():
        assert data == pytest.approx(expected[name], rel=1e-5, abs=1e-6)


def test_rows_alone_are_measured(tmp_path: Path) -> None:
    path, x = file(tmp_path), samples()
    x[7] *= 100
    rows = Rows(x, np.delete(np.arange(len(x)), 7))
    found = calibrate(read_onnx_file(path), Predictor(path), rows, "minmax")
    assert _edges(found["image"])[1] < 10


def test_outliers_are_cut_off(tmp_path: Path) -> None:
    path, x = file(tmp_path), samples(256, 8, 8, 3)
    x[200, 3, 3, 1] = 300
    widest = ranges(path, x)["image"]
    assert widest[1] == 300
    assert ranges(path, x, "percentile")["image"][1] < 300
    assert ranges(path, x, "entropy")["image"][1] < 150


def test_joined_bins_hold_as_much() -> None:
    counts = np.arange(3000)
    edges = np.linspace(-30, 30, 3001, dtype=np.float32)
    found, joined, *rest = calibration._coarser((counts, edges, -30, 30, 30))
    assert found.sum() == counts.sum()
    assert len(found) == 1000
    assert len(joined) == 1001
    assert joined[500] == 0
    assert found[500:503].tolist() == [sum(range(n, n + 3)) for n in (1500, 1503, 1506)]
    assert rest == [-30, 30, 30]
    few = (np.arange(512), np.linspace(-1, 1, 513, dtype=np.float32), -1, 1, 1)
    assert np.array_equal(calibration._coarser(few)[0], few[0])


@pytest.mark.parametrize("method", METHODS)
def test_the_library_prints_nothing(
    method: Method, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ranges(file(tmp_path), samples(), method)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("broken", [0, 40])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_samples_that_are_not_finite(
    number: float, broken: int, method: Method, tmp_path: Path
) -> None:
    x = samples()
    x[broken, 0, 0, 0] = number
    with pytest.raises(DataError, match="samples that are not finite"):
        ranges(file(tmp_path), x, method)


@pytest.mark.parametrize("method", METHODS)
def test_values_that_are_not_finite(method: Method, tmp_path: Path) -> None:
    layers = "  - Conv2D: {filters: 2, kernel_size: 3}\n  - Conv2D: {filters: 2, kernel_size: 3}\n"
    graph = network(tmp_path / "model.yaml", layers)
    arrays = {name: np.full(spec.shape, 1e30, np.float32) for name, spec in graph.weights.items()}
    store = graphcnn.WeightStore.from_arrays(arrays)
    graphcnn.compile(graph, tmp_path / "model.onnx", weights=store, verify=False)
    with pytest.raises(DataError, match="not finite"):
        ranges(tmp_path / "model.onnx", samples(), method)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    path = file(tmp_path)
    before = sorted(tmp_path.iterdir())
    for method in METHODS:
        ranges(path, samples(), method)
    assert sorted(tmp_path.iterdir()) == before


CHILD = """
import resource, sys
import numpy as np
from pathlib import Path
from graphcnn.onnx_file import read_onnx_file
from graphcnn.quantization.calibration import calibrate
from graphcnn.quantization.samples import Rows
from graphcnn.runtime.predict import Predictor
path, data, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
x = np.load(data, mmap_mode="r")
calibrate(read_onnx_file(path), Predictor(path), Rows(x, np.arange(count)), "percentile")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    layers = "  - Conv2D: {filters: 8, kernel_size: 3}\n  - Conv2D: {filters: 8, kernel_size: 3}\n"
    graph = network(tmp_path / "model.yaml", layers, "[32, 32, 3]")
    graphcnn.compile(graph, tmp_path / "model.onnx", seed=0)
    shape = (2048, 32, 32, 3)
    data = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, shape)
    data[:] = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    del data

    def megabytes(count: int) -> int:
        command = [sys.executable, "-c", CHILD, tmp_path / "model.onnx", tmp_path / "x.npy"]
        done = subprocess.run(
            [*command, str(count)], capture_output=True, text=True, timeout=120, check=True
        )
        return int(done.stdout)

    # Activations of all samples would take 120 MB, and the samples themselves 6 as they are mapped.
    assert megabytes(2048) - megabytes(64) < 30
