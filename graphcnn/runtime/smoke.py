"""One run of a new file on random input, to see that it runs and gives the shapes inferred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from graphcnn.errors import CheckFailed

from .session import open_session

_SYMBOLIC_SIZE = 64
"""What stands for a height or width that is not known."""


def smoke_test(model: str | Path | bytes, batch: int | None) -> None:
    """Run a model once on random input and compare each output's shape with the declared one.

    Args:
        model: A file, or a serialized model.
        batch: The number of samples in a batch; None is any number.

    Raises:
        CheckFailed: An output has another shape than the file declares.
        RuntimeFailure: onnxruntime cannot load or run it.
    """
    session = open_session(model, "cpu", optimize=False)
    rng = np.random.default_rng(0)
    feeds = {
        item.name: _random(rng, _concrete(item.shape, batch), item.type)
        for item in session.get_inputs()
    }
    declared = {item.name: item.shape for item in session.get_outputs()}
    for (name, shape), found in zip(declared.items(), session.run(None, feeds), strict=True):
        if not _agree(shape, found.shape, batch):
            raise CheckFailed(
                f"output {name} was inferred as {shape}, and onnxruntime gives {list(found.shape)}"
            )


def _concrete(shape: list[Any], batch: int | None) -> list[int]:
    sizes = [size if isinstance(size, int) else _SYMBOLIC_SIZE for size in shape]
    return [batch or 1, *sizes[1:]]


def _agree(declared: list[Any], found: tuple[int, ...], batch: int | None) -> bool:
    expected = [batch or 1, *declared[1:]]
    return len(expected) == len(found) and all(
        not isinstance(size, int) or size == actual
        for size, actual in zip(expected, found, strict=True)
    )


def _random(rng: np.random.Generator, shape: list[int], kind: str) -> Any:
    if kind == "tensor(float)":
        return rng.standard_normal(shape, np.float32)
    dtype = {"tensor(float16)": np.float16, "tensor(uint8)": np.uint8}.get(kind, np.int64)
    return rng.integers(0, 2, shape).astype(dtype)
