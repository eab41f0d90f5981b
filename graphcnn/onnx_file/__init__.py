"""Any tool's .onnx file, looked into without its weights: nodes, shapes, costs and origins."""

from .file import OnnxFile, OnnxNode, read_onnx_file
from .names import Found, find_nodes, spellings
from .values import OnnxValue

__all__ = [
    "Found",
    "OnnxFile",
    "OnnxNode",
    "OnnxValue",
    "find_nodes",
    "read_onnx_file",
    "spellings",
]
