"""Holding a network to the limits that it states for itself."""

from __future__ import annotations

from typing import Any

from graphcnn.budget import Budget, Quantity
from graphcnn.errors import CheckFailed
from graphcnn.types import is_symbolic

from .summary import Summary


def enforce_budget(budget: Budget, summary: Summary) -> None:
    """Compare a network with the budget.

    Raises:
        CheckFailed: Every limit that is passed, by how much, and the layer that weighs most.
    """
    layers = summary.layers
    peak = summary.peak.node or ""
    heaviest = max(layers, key=lambda layer: layer.params)
    busiest = max(layers, key=lambda layer: 0 if is_symbolic(layer.macs) else layer.macs)
    rows: list[tuple[str, Any, Quantity | None, str]] = [
        ("params", summary.total_params, budget.params, f"in {heaviest.name}"),
        ("macs", summary.macs, budget.macs, f"in {busiest.name}"),
        (
            "peak_activation_bytes",
            summary.peak.bytes,
            budget.peak_activation_bytes,
            f"at {peak}",
        ),
        ("model_bytes", summary.model_bytes, budget.model_bytes, f"in {heaviest.name}"),
    ]
    for name, found, limit, _ in rows:
        if limit is not None and (found is None or is_symbolic(found)):
            raise CheckFailed(f"budget: {name} depends on sizes that are not known")
    over = [
        f"budget: {name} is {found:,}, over the limit of {limit:,}; most {why}"
        for name, found, limit, why in rows
        if limit is not None and found > limit
    ]
    if over:
        raise CheckFailed("\n".join(over))
