"""graphcnn: a static-graph compiler and ONNX export toolkit for convolutional networks.

    import graphcnn

    graph = graphcnn.load("model.yaml")
    print(graphcnn.summarize(graph).total_params)
    graphcnn.compile(graph, "model.onnx", seed=0)

Names are imported when they are first used, so that ``graphcnn --help`` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import VerifyReport
    from .compiler import CompileReport, compile
    from .embedding import Camera
    from .errors import GraphCNNError
    from .frontends.keras.read import from_keras
    from .frontends.model import load, load_model
    from .graph import Graph, Node
    from .ops import Op, register
    from .passes import Pass, Summary, summarize
    from .pipeline import register_pass
    from .runtime.runner import Session
    from .verification import verify
    from .weights import WeightStore

_HOMES = {
    "Camera": "embedding",
    "CompileReport": "compiler",
    "Graph": "graph",
    "GraphCNNError": "errors",
    "Node": "graph",
    "Op": "ops",
    "Pass": "passes",
    "Session": "runtime.runner",
    "Summary": "passes",
    "VerifyReport": "comparison",
    "WeightStore": "weights",
    "compile": "compiler",
    "from_keras": "frontends.keras.read",
    "load": "frontends.model",
    "load_model": "frontends.model",
    "register": "ops",
    "register_pass": "pipeline",
    "summarize": "passes",
    "verify": "verification",
}

__all__ = [
    "Camera",
    "CompileReport",
    "Graph",
    "GraphCNNError",
    "Node",
    "Op",
    "Pass",
    "Session",
    "Summary",
    "VerifyReport",
    "WeightStore",
    "compile",
    "from_keras",
    "load",
    "load_model",
    "register",
    "register_pass",
    "summarize",
    "verify",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'graphcnn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
