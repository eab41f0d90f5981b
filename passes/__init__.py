"""Passes over graphs, one file each: analyses report and change nothing, the others rewrite.

Each is imported when it is asked for: to tell shapes takes no rewrites.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from .fold_channel_order import FoldChannelOrder
    from .fold_padding import FoldPadding
    from .memory import MemoryPeak, peak_memory
    from .merge_affine import MergeAffine
    from .merge_reshapes import MergeReshapes
    from .receptive_field import ReceptiveField, receptive_fields
    from .recognize_activations import RecognizeActivations
    from .remove_identities import RemoveIdentities
    from .simplify_concatenation import SimplifyConcatenation
    from .summary import LayerSummary, Summary, summarize

_HOMES = {
    "AssignLayout": "assign_layout",
    "DeduplicateWeights": "deduplicate_weights",
    "DropTrainingLayers": "drop_training_layers",
    "EliminateCommonSubexpressions": "eliminate_common_subexpressions",
    "EliminateDeadCode": "eliminate_dead_code",
    "Explain": "base",
    "FoldAffineIntoNext": "fold_affine_into_next",
    "FoldAffineIntoPrevious": "fold_affine_into_previous",
    "FoldChannelOrder": "fold_channel_order",
    "FoldPadding": "fold_padding",
    "LayerSummary": "summary",
    "MemoryPeak": "memory",
    "MergeAffine": "merge_affine",
    "MergeReshapes": "merge_reshapes",
    "Pass": "base",
    "PassRecord": "base",
    "ReceptiveField": "receptive_field",
    "RecognizeActivations": "recognize_activations",
    "RemoveIdentities": "remove_identities",
    "SimplifyConcatenation": "simplify_concatenation",
    "Step": "base",
    "Summary": "summary",
    "apply_passes": "base",
    "check_pass_names": "base",
    "enforce_budget": "budget",
    "flat": "base",
    "peak_memory": "memory",
    "receptive_fields": "receptive_field",
    "run_passes": "base",
    "summarize": "summary",
}

__all__ = [
    "AssignLayout",
    "DeduplicateWeights",
    "DropTrainingLayers",
    "EliminateCommonSubexpressions",
    "EliminateDeadCode",
    "Explain",
    "FoldAffineIntoNext",
    "FoldAffineIntoPrevious",
    "FoldChannelOrder",
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


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'graphcnn.passes' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
