"""Compiling holds one tensor at a time, however many there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MODEL = """
inputs: {{features: [4096]}}
layers:
  - repeat: {layers}
    layers: [Dense: {{units: 4096, name: fc}}]
"""

TENSOR = 4096 * 4096 * 4


def peak_bytes(layers: int, folder: Path, precision: str = "fp32") -> int:
    """The peak memory of a process that compiles so many layers."""
    model = folder / f"{layers}.yaml"
    model.write_text(MODEL.format(layers=layers))
    options = ["--no-verify", "--precision", precision, "--force"]
    command = ["-m", "graphcnn", "compile", str(model), *options]
    child = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    stored = TENSOR if precision == "fp32" else TENSOR // 2
    assert model.with_suffix(".onnx").stat().st_size > layers * stored
    return usage.ru_maxrss * 1024


def test_peak_does_not_grow_with_the_number_of_tensors(tmp_path: Path) -> None:
    one, eight = peak_bytes(1, tmp_path), peak_bytes(8, tmp_path)
    assert eight - one < TENSOR // 2


def test_rounding_to_half_takes_no_second_tensor(tmp_path: Path) -> None:
    full, half = (peak_bytes(1, tmp_path, precision) for precision in ("fp32", "fp16"))
    assert half - full < TENSOR // 4
