"""Graph in, .onnx out: lowering to ONNX nodes, checking, and writing weights as they are read."""

from .builder import Initializer, Lowered, lower
from .check import check_structure
from .writer import SizeLimit, write_model

__all__ = ["Initializer", "Lowered", "SizeLimit", "check_structure", "lower", "write_model"]
