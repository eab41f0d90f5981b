"""Runtimes that .onnx files are run on: one file each, each an optional extra."""

from __future__ import annotations

from graphcnn.errors import RuntimeFailure, did_you_mean

from .adapter import Adapter, Missing
from .mnn import MNN
from .ncnn import NCNN
from .node import OnnxRuntimeNode, OnnxRuntimeWeb
from .onnxruntime import OnnxRuntime
from .opencv import OpenCV
from .openvino import OpenVINO
from .tract import Tract
from .tvm import TVM

_KINDS = (
    OnnxRuntime,
    OnnxRuntimeNode,
    OnnxRuntimeWeb,
    OpenVINO,
    OpenCV,
    Tract,
    MNN,
    NCNN,
    TVM,
)
RUNTIMES: dict[str, type[Adapter]] = {kind.name: kind for kind in _KINDS}
"""The adapters by name."""


def find_runtime(name: str) -> type[Adapter]:
    """The adapter of a name.

    Raises:
        RuntimeFailure: There is none.
    """
    if name not in RUNTIMES:
        hint = did_you_mean(name, RUNTIMES)
        raise RuntimeFailure(f"no runtime is named {name!r}", hint=hint)
    return RUNTIMES[name]


__all__ = ["RUNTIMES", "Adapter", "Missing", "find_runtime"]
