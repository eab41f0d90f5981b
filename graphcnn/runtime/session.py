"""onnxruntime sessions: which provider runs a file, and errors that say why one does not."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from graphcnn.errors import MissingExtra, RuntimeFailure

Provider = Literal["auto", "cpu", "cuda"]

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_FOLDER = "session.model_external_initializers_file_folder_path"
_CODES = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?")


def load_onnxruntime() -> ModuleType:
    """Import onnxruntime.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("onnxruntime", "cpu") from None
    return onnxruntime  # type: ignore[no-any-return]


def open_session(
    model: str | Path | bytes,
    provider: Provider = "auto",
    *,
    optimize: bool = True,
    folder: Path | None = None,
) -> Any:
    """Load a model into onnxruntime.

    Args:
        model: A file, or a serialized model.
        provider: ``auto`` takes CUDA where the installed onnxruntime can use it.
        optimize: Whether onnxruntime may rewrite the graph, plan its memory and keep it, which
            takes it long (quadratic time) and much of it, and pays over many runs.
        folder: Where the external data of a serialized model lie, if it has any.

    Raises:
        MissingExtra: onnxruntime is not installed.
        RuntimeFailure: The file is missing or damaged, or the provider is not there.
    """
    ort = load_onnxruntime()
    if isinstance(model, str | Path):
        _check_model(Path(model))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = options.enable_cpu_mem_arena = optimize
    if folder:
        options.add_session_config_entry(_FOLDER, str(folder))
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, bytes) else str(model)
    label = "the model" if isinstance(model, bytes) else str(model)
    try:
        session = ort.InferenceSession(source, options, providers=_providers(ort, provider))
    except RuntimeFailure:
        raise
    except Exception as error:
        raise RuntimeFailure(
            f"{label}: onnxruntime cannot load it: {first_line(error)}",
            hint="it may be damaged, or not an .onnx file",
        ) from error
    if provider == "cuda" and _CUDA not in session.get_providers():
        raise _no_cuda("the CUDA libraries it needs could not be loaded")
    return session


def _providers(ort: ModuleType, provider: Provider) -> list[str]:
    available = ort.get_available_providers()
    if provider == "cuda" and _CUDA not in available:
        raise _no_cuda("the installed onnxruntime has no CUDA")
    if provider == "cpu" or _CUDA not in available:
        return [_CPU]
    return [_CUDA, _CPU]


def _check_model(path: Path) -> None:
    if path.is_dir():
        raise RuntimeFailure(f"{path} is a directory", hint="name an .onnx file in it")
    if not path.exists():
        raise RuntimeFailure(f"{path}: no such file")


def _no_cuda(reason: str) -> RuntimeFailure:
    return RuntimeFailure(
        f"cuda was asked for, but {reason}",
        hint="pip uninstall onnxruntime; pip install 'graphcnn[gpu]'",
    )


def first_line(error: Exception) -> str:
    """The first line of what onnxruntime says, without its codes."""
    return _CODES.sub("", str(error).strip().split("\n")[0])
