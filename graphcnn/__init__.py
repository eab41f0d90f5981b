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
    from .compiler import CompileReport, compile, register_pass
    from .errors import GraphCNNError
    from .frontends.yaml import load
    from .graph import Graph, Node
    from .ops import Op, register
    from .passes import Pass, Summary, summarize
    from .weights import WeightStore

_HOMES = {
    "CompileReport": "compiler",
    "Graph": "graph",
    "GraphCNNError": "errors",
    "Node": "graph",
    "Op": "ops",
    "Pass": "passes",
    "Summary": "passes",
    "WeightStore": "weights",
    "compile": "compiler",
    "load": "frontends.yaml",
    "register": "ops",
    "register_pass": "compiler",
    "summarize": "passes",
}

__all__ = [
    "CompileReport",
    "Graph",
    "GraphCNNError",
    "Node",
    "Op",
    "Pass",
    "Summary",
    "WeightStore",
    "compile",
    "load",
    "register",
    "register_pass",
    "summarize",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'graphcnn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
