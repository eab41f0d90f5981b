"""Tables and JSON of measured files and layers, on given numbers."""

from __future__ import annotations

import json
import math
from typing import Any

from rich.console import Console

from graphcnn.bench.files import FileTiming
from graphcnn.bench.layers import Layer, LayerReport, bounded
from graphcnn.bench.machine import Roof
from graphcnn.bench.profile import Kernel, Profile
from graphcnn.bench.timing import Ratio, Timing
from graphcnn.report.bench import files_json, files_table, layers_json, layers_table
from graphcnn.runtime.settings import Settings

ROOF = Roof(float32=100e9, int8=400e9, bandwidth=20e9)


def rendered(table: Any) -> list[str]:
    console = Console(width=240)
    with console.capture() as capture:
        console.print(table)
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def timed(name: str, ratio: Ratio | None) -> FileTiming:
    timing = Timing(8, ((0.002, 0.004), (0.002, 0.002)))
    return FileTiming(name, Settings(), timing, 0.5, 3 * 2**20, 2**20, ratio)


def test_ratios_say_what_they_show() -> None:
    found = [
        timed("a", None),
        timed("b", Ratio(2.0, 1.5, 2.5)),
        timed("c", Ratio(0.5, 0.4, 0.6)),
        timed("d", Ratio(1.1, 0.9, 1.2)),
        timed("\x1b[2J", Ratio(2.0, 0.0, math.inf)),
    ]
    lines = rendered(files_table(found))
    assert lines[2].startswith("a 8 2 ms 4 ms 4 ms 3,200 500 ms 3.0 MiB 1.0 MiB 1 the first file")
    assert lines[3].endswith("2.00 (1.50 to 2.50) faster")
    assert lines[4].endswith("0.50 (0.40 to 0.60) slower")
    assert lines[5].endswith("1.10 (0.90 to 1.20) no difference shown")
    assert lines[6].endswith("2.00 (too few rounds) no difference shown")
    assert "\x1b" not in "".join(lines)
    ratios = [one["ratio"] for one in files_json(found)]
    assert ratios[0] is None
    assert ratios[4] == {"value": 2.0, "low": 0.0, "high": None}
    json.dumps(files_json(found), allow_nan=False)


def test_one_file_has_no_ratio() -> None:
    assert "fast" not in rendered(files_table([timed("a", None)]))[0]


def test_layers() -> None:
    def layer(name: str, macs: int, moved: int, seconds: float) -> Layer:
        ops = ("Conv", "Relu")
        return bounded(Layer(name, "m.yaml:3:1", (), ops, "float32", seconds, macs, moved), ROOF)

    layers = (
        layer("conv", 10**8, 10**7, 0.004),
        layer("pool", 0, 10**7, 0.0004),
        layer("dense", 10**5, 100, 0.0016),
        layer("flatten", 0, 0, 0.0),
    )
    kernels = tuple(Kernel(str(i), "Conv", 0.003, 1, "float32") for i in range(2))
    profile = Profile(4, 9, 0.008, kernels)
    report = LayerReport("m.onnx", Settings(), 4, 0.005, profile, ROOF, layers, 100_100_000)
    lines = rendered(layers_table(report))
    assert lines[0] == "m.onnx, batch 4"
    assert "100 GFLOP/s in float32 and 400 in int8" in lines[1]
    assert "conv m.yaml:3:1 Conv, Relu 4 ms 66.7% 50.0 9.5 MiB 20.0 50% compute" in lines
    assert "pool m.yaml:3:1 Conv, Relu 400 µs 6.7% - 9.5 MiB - 125% memory" in lines
    assert "dense m.yaml:3:1 Conv, Relu 1.6 ms 26.7% 0.1 100 B 2000.0 0% neither" in lines
    assert "flatten m.yaml:3:1 Conv, Relu 0 µs 0.0% - 0 B - 0% neither" in lines
    text = "\n".join(lines)
    assert "a run takes 5 ms, and 8 ms under the profiler (+60%); the layers add up to 6 ms" in text
    assert "so with it each kernel seems 500 µs longer than it is, or more" in text
    assert "reaches 40.0 GFLOP/s, 40% of the peak" in text
    assert "over 100%: it reads from a cache" in text
    found = layers_json(report)
    assert [row["bound"] for row in found["layers"]] == ["compute", "memory", "neither", "neither"]
    assert found["kernel_seconds"] == 0.006
    json.dumps(found, allow_nan=False)
