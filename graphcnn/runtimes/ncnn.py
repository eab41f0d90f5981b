"""ncnn on CPU, from the files that pnnx makes of an .onnx file.

ncnn has no batch: samples are run one by one. pnnx asks for all sizes: it is given those of one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from graphcnn.errors import RuntimeFailure
from graphcnn.runtime.signature import Array

from .adapter import PythonAdapter


class NCNN(PythonAdapter):
    """ncnn, through pnnx."""

    name = "ncnn"
    packages = (("ncnn",), ("pnnx",))
    install = "pip install 'graphcnn[ncnn]'; pip install --no-deps pnnx"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """See `PythonAdapter.execute`."""
        import ncnn

        sizes = ",".join(str([1, *values.shape[1:]]).replace(" ", "") for values in feeds.values())
        copy = shutil.copy(path, scratch / "model.onnx")
        command = [str(_pnnx()), str(copy), f"inputshape={sizes}", "fp16=0"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        written = scratch / "model.ncnn.param"
        if done.returncode or not written.exists():
            raise RuntimeFailure(f"pnnx cannot convert it: {_cause(done)}")
        network = ncnn.Net()
        for kind in ("packed", "storage", "arithmetic"):
            setattr(network.opt, f"use_fp16_{kind}", False)
        network.opt.use_vulkan_compute = False
        if network.load_param(str(written)) or network.load_model(str(scratch / "model.ncnn.bin")):
            left = ", ".join(re.findall(r"^todo (\S+)", done.stderr, re.MULTILINE))
            reason = f": it has nothing for {left}" if left else ""
            raise RuntimeFailure(f"ncnn cannot load what pnnx has made of it{reason}")
        rows = [
            _one(ncnn, network, [values[row] for values in feeds.values()], len(outputs))
            for row in range(len(next(iter(feeds.values()))))
        ]
        return [np.stack(values) for values in zip(*rows, strict=True)]


def _cause(done: subprocess.CompletedProcess[str]) -> str:
    """The last that pnnx said that is neither a setting nor the name of a step."""
    said = (line.strip() for line in reversed(done.stderr.splitlines()))
    told = (line for line in said if line and " = " not in line and "###" not in line)
    return next(told, f"exit status {done.returncode}")


def _one(ncnn: ModuleType, network: Any, sample: Sequence[Array], outputs: int) -> list[Array]:
    """The outputs of one sample, without the axis of the batch."""
    with network.create_extractor() as extractor:
        for place, values in enumerate(sample):
            extractor.input(f"in{place}", ncnn.Mat(values).clone())
        found = []
        for place in range(outputs):
            status, value = extractor.extract(f"out{place}")
            if status:
                raise RuntimeFailure(f"ncnn stops with {status}")
            found.append(np.array(value))
        return found


def _pnnx() -> Path:
    """The program; importing its package asks for PyTorch, which it does not need."""
    spec = find_spec("pnnx")
    assert spec
    assert spec.origin
    return Path(spec.origin).with_name("pnnx")
