"""The passes of a compilation, in order, and those that are added to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from .errors import GraphError
from .passes import (
    AssignLayout,
    DeduplicateWeights,
    DropTrainingLayers,
    EliminateCommonSubexpressions,
    EliminateDeadCode,
    FoldAffineIntoNext,
    FoldAffineIntoPrevious,
    FoldChannelOrder,
    FoldPadding,
    MergeAffine,
    MergeReshapes,
    Pass,
    RecognizeActivations,
    RemoveIdentities,
    SimplifyConcatenation,
    Step,
    check_pass_names,
    flat,
)
from .weights import WeightStore

InputLayout = Literal["nchw", "nhwc"]

_EXTRA_PASSES: list[Pass] = []

_OPTIMIZING: tuple[Pass, ...] = (
    RemoveIdentities(),
    RecognizeActivations(),
    MergeReshapes(),
    SimplifyConcatenation(),
    EliminateCommonSubexpressions(),
    FoldPadding(),
    FoldAffineIntoPrevious(),
    MergeAffine(),
    FoldAffineIntoNext(),
    FoldChannelOrder(),
    EliminateDeadCode(),
)
"""Run over and over until none changes anything; each can be switched off."""

ALL = "all"
"""What stands for every optimising pass, in `disable`."""


def register_pass(step: Pass) -> Pass:
    """Add a pass to every compilation, before the optimising ones.

    Args:
        step: The pass; its name must be new.

    Raises:
        GraphError: There is a pass of this name.
    """
    if step.name in [known.name for known in flat(pipeline("nchw"))]:
        raise GraphError(f"a pass named {step.name!r} exists")
    _EXTRA_PASSES.append(step)
    return step


def pipeline(
    input_layout: InputLayout, disable: Iterable[str] = (), weights: WeightStore | None = None
) -> list[Step]:
    """The passes of a compilation, in order.

    Args:
        input_layout: Whether inputs and outputs with spatial axes are channels first or last.
        disable: The names of the optimising passes to leave out; `ALL` is all of them.
        weights: The graph's weights, of which the equal ones are stored once.

    Raises:
        GraphError: A name in `disable` is not an optimising pass.
    """
    off = {disable} if isinstance(disable, str) else set(disable)
    once = [DeduplicateWeights(weights=weights)] if weights else []
    names = [*(step.name for step in _OPTIMIZING), DeduplicateWeights.name]
    check_pass_names(sorted(off - {ALL}), names)
    off |= set(names) if ALL in off else set()
    return [
        DropTrainingLayers(),
        *_EXTRA_PASSES,
        tuple(step for step in _OPTIMIZING if step.name not in off),
        *(step for step in once if step.name not in off),
        AssignLayout(input_layout=input_layout),
    ]
