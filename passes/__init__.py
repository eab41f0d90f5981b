"""Passes over graphs, one file each: analyses report and change nothing, the others rewrite."""

from .assign_layout import AssignLayout
from .base import (
    Explain,
    Pass,
    PassRecord,
    Step,
    apply_passes,
    check_pass_names,
    flat,
    run_passes,
)
from .budget import enforce_budget
from .deduplicate_weights import DeduplicateWeights
from .drop_training_layers import DropTrainingLayers
from .eliminate_common_subexpressions import EliminateCommonSubexpressions
from .eliminate_dead_code import EliminateDeadCode
from .fold_affine_into_next import FoldAffineIntoNext
from .fold_affine_into_previous import FoldAffineIntoPrevious
from .fold_padding import FoldPadding
from .memory import MemoryPeak, peak_memory
from .merge_affine import MergeAffine
from .merge_reshapes import MergeReshapes
from .receptive_field import ReceptiveField, receptive_fields
from .recognize_activations import RecognizeActivations
from .remove_identities import RemoveIdentities
from .simplify_concatenation import SimplifyConcatenation
from .summary import LayerSummary, Summary, summarize

__all__ = [
    "AssignLayout",
    "DeduplicateWeights",
    "DropTrainingLayers",
    "EliminateCommonSubexpressions",
    "EliminateDeadCode",
    "Explain",
    "FoldAffineIntoNext",
    "FoldAffineIntoPrevious",
    "FoldPadding",
    "LayerSummary",
    "MemoryPeak",
    "MergeAffine",
    "MergeReshapes",
    "Pass",
    "PassRecord",
    "ReceptiveField",
    "RecognizeActivations",
    "RemoveIdentities",
    "SimplifyConcatenation",
    "Step",
    "Summary",
    "apply_passes",
    "check_pass_names",
    "enforce_budget",
    "flat",
    "peak_memory",
    "receptive_fields",
    "run_passes",
    "summarize",
]
