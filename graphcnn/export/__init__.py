"""Graph in, .onnx out: lowering to ONNX nodes, checking, and writing weights as they are read."""

from .builder import Initializer, Lowered, lower
from .check import check_structure, stand_in, structure
from .half import in_half
from .writer import SizeLimit, data_path, plan_file, write_model

__all__ = [
    "Initializer",
    "Lowered",
    "SizeLimit",
    "check_structure",
    "data_path",
    "in_half",
    "lower",
    "plan_file",
    "stand_in",
    "structure",
    "write_model",
]
