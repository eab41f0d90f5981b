"""Values to try on every field of a recipe, and the objects that accept them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphcnn.errors import GraphCNNError
from graphcnn.options import Options, build, option_fields
from graphcnn.recipe import CHOICES

REQUIRED: dict[str, Any] = {
    "initial_learning_rate": 0.5,
    "decay_steps": 7,
    "first_decay_steps": 7,
    "decay_rate": 0.5,
    "boundaries": [3],
    "values": [0.5, 0.25],
    "factor": 0.25,
    "height_factor": 0.25,
    "width_factor": 0.25,
    "padding": 4,
}
"""A value for each field that has no default."""

TOGETHER: dict[str, dict[str, Any]] = {
    "ema_overwrite_frequency": {"use_ema": True},
    "warmup_steps": {"warmup_target": 0.75},
    "warmup_target": {"warmup_steps": 3},
}
"""What a field needs beside it, where there is a field for that."""

VALUES: list[Any] = [
    None, True, False, 0, 1, 2, 5, 1000, 0.125, 0.75, 1.5, -0.25, -1, 2**31, "auto", "max",
    "scores", "vertical", "constant", "nearest", "PR", "minoring", "micro",
    [], [1], [0.5, 0.75], [0.5, 0.75, 1.0], [3, 5], ["scores", "block/dense"],
    {"cosine_decay": {"initial_learning_rate": 0.1}},
    {"piecewise_constant_decay": {"boundaries": [3, 5], "values": [0.5, 0.25, 0.125]}},
]  # fmt: skip
"""Values of every kind: each field accepts some of them."""

KINDS = [(what, name) for what, known in CHOICES.items() for name in known]
"""Everything that is chosen by name."""


def needed(cls: type[Options]) -> dict[str, Any]:
    """What a class cannot be made without."""
    fields = option_fields(cls)
    return {f.name: REQUIRED[f.name] for f in fields if f.default is f.default_factory}


def accepted(cls: type[Options], field: str) -> Iterator[dict[str, Any]]:
    """Options with each of `VALUES` that this field takes."""
    known = {f.name for f in option_fields(cls)}
    beside = {k: v for k, v in TOGETHER.get(field, {}).items() if k in known}
    for value in VALUES:
        options = {**needed(cls), **beside, field: value}
        try:
            build(cls, options)
        except GraphCNNError:
            continue
        yield options
