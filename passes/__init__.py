"""Passes over graphs, one file each: analyses report and change nothing, the others rewrite.

Each is imported when it is asked for: to tell shapes takes no rewrites.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assign_layout import AssignLayout as AssignLayout
    from .base import Explain as Explain
    from .base import Pass as Pass
    from .base import PassRecord as PassRecord
    from .base import Step as Step
    from .base import apply_passes as apply_passes
    from .base import check_pass_names as check_pass_names
    from .base import flat as flat
    from .base import run_passes as run_passes
    from .budget import enforce_budget as enforce_budget
    from .deduplicate_weights import DeduplicateWeights as DeduplicateWeights
    from .drop_training_layers import DropTrainingLayers as DropTrainingLayers
    from .eliminate_common_subexpressions import (
        EliminateCommonSubexpressions as EliminateCommonSubexpressions,
    )
    from .eliminate_dead_code import EliminateDeadCode as EliminateDeadCode
    from .fold_affine_into_next import FoldAffineIntoNext as FoldAffineIntoNext
    from .fold_affine_into_previous import FoldAffineIntoPrevious as FoldAffineIntoPrevious
    from .fold_channel_order import FoldChannelOrder as FoldChannelOrder
    from .fold_padding import FoldPadding as FoldPadding
    from .memory import MemoryPeak as MemoryPeak
    from .memory import peak_memory as peak_memory
    from .merge_affine import MergeAffine as MergeAffine
    from .merge_reshapes import MergeReshapes as MergeReshapes
    from .receptive_field import ReceptiveField as ReceptiveField
    from .receptive_field import receptive_fields as receptive_fields
    from .recognize_activations import RecognizeActivations as RecognizeActivations
    from .remove_identities import RemoveIdentities as RemoveIdentities
    from .simplify_concatenation import SimplifyConcatenation as SimplifyConcatenation
    from .summary import LayerSummary as LayerSummary
    from .summary import Summary as Summary
    from .summary import summarize as summarize

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

__all__ = list(_HOMES)


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'graphcnn.passes' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
