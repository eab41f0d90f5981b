"""How two model files, or two .onnx files, differ: layer by layer, and in what they cost."""

from .compare import Change, Difference, LayerChange, compare, open_model
from .side import Costs, Layer, Model

__all__ = [
    "Change",
    "Costs",
    "Difference",
    "Layer",
    "LayerChange",
    "Model",
    "compare",
    "open_model",
]
