"""The child that runs a file: what it says, and that it never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphcnn.bench.child import sizes_of
from graphcnn.bench.worker import Worker
from graphcnn.errors import RuntimeFailure
from graphcnn.runtime.settings import Settings
from graphcnn.runtime.signature import TensorSpec

from .models import write_network
from .processes import gone

ONE = Settings(threads=1)

SCRIPT = """
import sys, time
from graphcnn.bench.worker import Worker
from graphcnn.runtime.settings import Settings
with Worker(sys.argv[1], Settings(threads=1)) as worker:
    print(worker._process.pid, flush=True)
    worker.run(1, 60)
"""


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "network.onnx")


def test_runs(network: Path) -> None:
    with Worker(network, ONE) as worker:
        assert worker.load_seconds > 0
        loaded = worker.peak_bytes
        assert loaded >= worker.baseline_bytes > 2**20
        assert len(worker.run(3, 0)) == 1
        found = worker.run(3, 0.05)
        assert len(found) > 1
        assert all(seconds > 0 for seconds in found)
        assert worker.peak_bytes >= loaded
        pid = worker._process.pid
    assert gone(pid)


def test_imports_little(network: Path) -> None:
    code = "import sys; import graphcnn.bench.child; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    heavy = {"onnx", "keras", "tensorflow", "matplotlib", "rich", "sympy", "networkx", "h5py"}
    assert not heavy & set(done.stdout.split())


def test_micro_batches(network: Path) -> None:
    with Worker(network, Settings(threads=1, micro_batch=2)) as worker:
        assert len(worker.run(5, 0)) == 1


@pytest.mark.parametrize(
    ("shape", "given", "sizes"),
    [
        (("N", 3, "H", "W"), {"": (8, 9, 3)}, (2, 3, 8, 9)),
        (("N", 3, "H", "W"), {"x": (8, 9, 3)}, (2, 3, 8, 9)),
        (("N", 3, 8, 9), {}, (2, 3, 8, 9)),
        ((2, 7), {}, (2, 7)),
        ((), {}, ()),
    ],
)
def test_sizes(
    shape: tuple[int | str, ...], given: dict[str, tuple[int, ...]], sizes: tuple[int, ...]
) -> None:
    spec = TensorSpec("x", shape, np.dtype("float32"), "NCHW" if len(shape) == 4 else "")
    assert sizes_of("f.onnx", spec, 2, given) == sizes


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "its sizes are not given"),
        ({"": (8, 3)}, "[3, 8] is given"),
        ({"x": (8, 8, 4)}, "[4, 8, 8] is given"),
    ],
)
def test_sizes_that_do_not_fit(given: dict[str, tuple[int, ...]], found: str) -> None:
    spec = TensorSpec("x", ("N", 3, "H", "W"), np.dtype("float32"), "NCHW")
    with pytest.raises(RuntimeFailure) as caught:
        sizes_of("f.onnx", spec, 2, given)
    assert f"f.onnx: the input x is float32[N, 3, H, W], and {found}" in str(caught.value)
    assert "--input-shape" in str(caught.value)


def test_an_unknown_input(network: Path) -> None:
    named = pytest.raises(RuntimeFailure, match="no input named 'picture'")
    with Worker(network, ONE, {"picture": (8, 8, 3)}) as worker, named:
        worker.run(1, 0)


def test_a_fixed_batch(tmp_path: Path) -> None:
    path = write_network(tmp_path / "fixed.onnx", batch=4)
    with Worker(path, Settings(threads=1, micro_batch=2)) as worker:
        assert len(worker.run(4, 0)) == 1
        with pytest.raises(RuntimeFailure) as caught:
            worker.run(8, 0)
    assert f"{path}: its batch is 4, and 8 is asked for" in str(caught.value)
    assert "--batch 4" in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match="no such file"):
        Worker(tmp_path / "no.onnx", ONE).__enter__()


def test_no_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("text")
    worker = Worker(path, ONE)
    with pytest.raises(RuntimeFailure, match="onnxruntime cannot load it"):
        worker.__enter__()
    assert worker._process.returncode is not None


def test_a_killed_child(network: Path) -> None:
    with Worker(network, ONE) as worker:
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(RuntimeFailure) as caught:
            worker.run(1, 0)
    assert f"{network}: the process that ran it was killed by signal 9" in str(caught.value)


def test_a_hanging_child(network: Path) -> None:
    with Worker(network, ONE, limit=60) as worker:
        worker._limit = 0.3
        os.kill(worker._process.pid, signal.SIGSTOP)
        with pytest.raises(RuntimeFailure) as caught:
            worker.run(1, 0)
        pid = worker._process.pid
    assert f"{network}: no answer for 0.3 s" in str(caught.value)
    assert gone(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_parent_that_ends_leaves_none(network: Path, number: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, network],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(number)
        assert parent.wait(30) != 0
    assert gone(pid)
