"""onnxruntime sessions: which provider runs a file, and errors that say why one does not."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

from graphcnn.errors import MissingExtra, RuntimeFailure

from .settings import Provider, Settings

_CPU = "CPUExecutionProvider"
_EXTRA: dict[Provider, tuple[str, str]] = {
    "cuda": ("CUDAExecutionProvider", "pip uninstall onnxruntime; pip install 'graphcnn[gpu]'"),
    "openvino": (
        "OpenVINOExecutionProvider",
        "pip uninstall onnxruntime; pip install onnxruntime-openvino",
    ),
}
"""What onnxruntime calls a provider that not every build of it has, and how it is installed."""

_FOLDER = "session.model_external_initializers_file_folder_path"
OPTIMIZED = "optimized.onnx"
_OUTSIDE = "session.optimized_model_external_initializers_file_name"
_SPINNING = "session.intra_op.allow_spinning"
_LEVELS = {
    "disabled": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
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
    settings: Settings | None = None,
    *,
    optimize: bool = True,
    folder: Path | None = None,
    profile: Path | None = None,
) -> Any:
    """Load a model into onnxruntime.

    Args:
        model: A file, or a serialized model.
        settings: How it is run, its defaults if None. The micro-batch is the caller's.
        optimize: Whether onnxruntime may rewrite the graph, plan its memory and keep it, which
            takes it long (quadratic time) and much of it, and pays over many runs.
        folder: Where the external data of a serialized model lie, if it has any.
        profile: Where onnxruntime is to write how long each node takes, and the graph that it makes
            of the model, as `OPTIMIZED`; nowhere if None.

    Raises:
        MissingExtra: onnxruntime is not installed.
        RuntimeFailure: The file is missing or damaged, or the provider is not there.
    """
    ort = load_onnxruntime()
    settings = settings or Settings()
    if isinstance(model, str | Path):
        _check_model(Path(model))
    providers = _providers(ort, settings)
    options = _session_options(ort, settings, optimize)
    if folder:
        options.add_session_config_entry(_FOLDER, str(folder))
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile / "profile")
        options.optimized_model_filepath = str(profile / OPTIMIZED)
        options.add_session_config_entry(_OUTSIDE, "weights")
    source = model if isinstance(model, bytes) else str(model)
    label = "the model" if isinstance(model, bytes) else str(model)
    try:
        session = ort.InferenceSession(source, options, providers=providers, enable_fallback=0)
    except Exception as error:
        raise RuntimeFailure(
            f"{label}: onnxruntime cannot load it: {first_line(error)}",
            hint="it may be damaged, or not an .onnx file",
        ) from error
    if settings.provider in _EXTRA and providers[0][0] not in session.get_providers():
        raise _missing(settings.provider, "the libraries it needs could not be loaded")
    return session


def installed_providers() -> list[Provider]:
    """The providers that the installed onnxruntime can be asked for, besides ``auto``.

    Raises:
        MissingExtra: onnxruntime is not installed.
    """
    available = load_onnxruntime().get_available_providers()
    return ["cpu", *(name for name, (its_name, _) in _EXTRA.items() if its_name in available)]


def _session_options(ort: ModuleType, settings: Settings, optimize: bool) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.enable_mem_pattern = options.enable_cpu_mem_arena = optimize
    options.intra_op_num_threads = settings.threads or 0
    options.add_session_config_entry(_SPINNING, str(int(settings.spinning)))
    level = settings.optimization if optimize else "disabled"
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _LEVELS[level])
    return options


def _providers(ort: ModuleType, settings: Settings) -> list[tuple[str, dict[str, str]]]:
    """What onnxruntime is to try, in order, with the options of each."""
    available = ort.get_available_providers()
    wanted = settings.provider
    if wanted == "auto":
        wanted = "cuda" if _EXTRA["cuda"][0] in available else "cpu"
    if wanted == "cpu":
        return [(_CPU, {})]
    if _EXTRA[wanted][0] not in available:
        raise _missing(wanted, "the installed onnxruntime does not have it")
    own = {}
    if wanted == "openvino":  # It has threads of its own, which session options do not reach.
        own = {"device_type": "CPU"}
        own |= {"num_of_threads": str(settings.threads)} if settings.threads else {}
    return [(_EXTRA[wanted][0], own), (_CPU, {})]


def _check_model(path: Path) -> None:
    if path.is_dir():
        raise RuntimeFailure(f"{path} is a directory", hint="name an .onnx file in it")
    if not path.exists():
        raise RuntimeFailure(f"{path}: no such file")


def _missing(provider: Provider, reason: str) -> RuntimeFailure:
    return RuntimeFailure(f"{provider} was asked for, but {reason}", hint=_EXTRA[provider][1])


def first_line(error: Exception) -> str:
    """The first line of what onnxruntime says, without its codes."""
    return _CODES.sub("", str(error).strip().split("\n")[0])
