"""What the page shows, as JSON values: all of it is measured elsewhere, and put together here.

Layers are known by their place in the graph's order. Figures are of one sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphcnn.graph import Graph, Node
from graphcnn.options import field_values
from graphcnn.passes import PassRecord, Step, flat, summarize
from graphcnn.report.history import History
from graphcnn.report.summary import summary_json
from graphcnn.text import non_defaults, print_options
from graphcnn.weights import WeightStore, check_finite

from .blocks import block_tree
from .layout import pictures

_DIGITS = 4
"""Significant digits of what is told of weights."""

_NO_CURVES = ("epoch", "steps", "samples", "seconds")


@dataclass(frozen=True, slots=True)
class Training:
    """A training to draw.

    Attributes:
        run: Where it was read.
        history: What `graphcnn.report.history.read_history` returns.
        best: The index of the best epoch; None where the log does not tell.
    """

    run: str
    history: History
    best: int | None


def page_data(
    graph: Graph,
    optimized: Graph,
    steps: Sequence[Step],
    records: Sequence[PassRecord],
    *,
    file: str,
    weights: WeightStore | None = None,
    training: Training | None = None,
) -> dict[str, Any]:
    """Everything that the page shows.

    Args:
        graph: The network as it was written.
        optimized: The network after the passes.
        steps: The passes.
        records: What each pass did.
        file: What the model file is called.
        weights: Its weights, if they are known.
        training: How it was trained, if that is known.

    Raises:
        MissingExtra: igraph is not installed.
        WeightError: A weight holds numbers that are not finite.
    """
    summary = summarize(graph)
    found = summary_json(summary)
    computed = {origin.name: node.name for node in optimized for origin in node.layers}
    layers = [
        {
            **row,
            **_layer(graph, node, weights),
            "live_bytes": summary.peak.timeline.get(node.name),
            "becomes": computed.get(node.name),
        }
        for row, node in zip(found["layers"], graph, strict=True)
    ]
    return {
        **found,
        "file": file,
        "layers": layers,
        "outputs": dict(graph.outputs),
        "blocks": [picture.as_json() for picture in pictures(graph, block_tree(graph))],
        "weights": weights.origin if weights else None,
        "passes": _passes(steps, records),
        "compiled_layers": len(optimized),
        "training": _training(training) if training else None,
    }


def _layer(graph: Graph, node: Node, weights: WeightStore | None) -> dict[str, Any]:
    chosen = non_defaults(node.op)
    values = field_values(node.op).items()
    options = [(name, _text(name, value), name in chosen) for name, value in values]
    scope = node.location.scope if node.location else ()
    return {
        "view": node.op.is_view,
        "scope": list(scope),
        "options": options,
        "weights": [_weight(graph, *pair, weights) for pair in node.weights.items()],
    }


def _text(name: str, value: Any) -> str:
    return print_options({name: value})[0].removeprefix(f"{name}=")


def _weight(graph: Graph, role: str, name: str, weights: WeightStore | None) -> dict[str, Any]:
    spec = graph.weight(name)
    users = [user.name for user in graph.weight_users[name]]
    return {
        "role": role,
        "name": name,
        "shape": list(spec.shape),
        "dtype": str(spec.dtype),
        "trainable": spec.trainable,
        "users": users if len(users) > 1 else [],
        "figures": _figures(weights, name) if weights else None,
    }


def _figures(weights: WeightStore, name: str) -> dict[str, float]:
    """What a weight's numbers are like, in few digits, which any machine finds the same."""
    import numpy as np

    array = np.asarray(weights[name].load(), np.float32)
    check_finite(name, array)
    found = {
        "min": array.min(),
        "max": array.max(),
        "mean": array.mean(dtype=np.float64),
        "std": array.std(dtype=np.float64),
    }
    return {label: float(f"{float(value):.{_DIGITS}g}") for label, value in found.items()}


def _passes(steps: Sequence[Step], records: Sequence[PassRecord]) -> list[dict[str, Any]]:
    said = {step.name: (step.__doc__ or "").strip().partition("\n")[0] for step in flat(steps)}
    return [
        {
            "name": record.name,
            "about": said[record.name],
            "changed": record.changed,
            "reasons": [list(reason) for reason in record.reasons],
        }
        for record in records
    ]


def _training(training: Training) -> dict[str, Any]:
    history = training.history
    return {
        "run": training.run,
        "best": training.best,
        "epochs": history["epoch"],
        "curves": {k: _finite(v) for k, v in history.items() if k not in _NO_CURVES},
    }


def _finite(values: Sequence[float]) -> list[float | None]:
    """Numbers that JSON can hold; what is none is left out of a curve."""
    return [value if math.isfinite(value) else None for value in values]
