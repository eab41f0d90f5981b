"""Passes over graphs, one file each: analyses report and change nothing, the others rewrite."""

from .assign_layout import AssignLayout
from .base import Explain, Pass, PassRecord, apply_passes, run_passes
from .budget import enforce_budget
from .drop_training_layers import DropTrainingLayers
from .memory import MemoryPeak, peak_memory
from .receptive_field import ReceptiveField, receptive_fields
from .summary import LayerSummary, Summary, summarize

__all__ = [
    "AssignLayout",
    "DropTrainingLayers",
    "Explain",
    "LayerSummary",
    "MemoryPeak",
    "Pass",
    "PassRecord",
    "ReceptiveField",
    "Summary",
    "apply_passes",
    "enforce_budget",
    "peak_memory",
    "receptive_fields",
    "run_passes",
    "summarize",
]
