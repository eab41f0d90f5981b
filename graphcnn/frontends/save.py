"""A Keras model as a model file, and its weights beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphcnn.errors import ExportError
from graphcnn.files import check_target, replacing

from .keras.read import from_keras
from .write_yaml import write_model


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        model: The model file.
        weights: The file with its weights, if they were wanted and there are any.
        layers: How many layers it has.
        params: How many numbers its weights have.
    """

    model: Path
    weights: Path | None
    layers: int
    params: int


def save_model(
    source: Path,
    target: Path,
    shapes: Mapping[str, Sequence[int]] | None = None,
    *,
    weights: bool = True,
    force: bool = False,
) -> Written:
    """Write a .keras or .h5 file as a model file and a .safetensors file: both, or neither.

    Args:
        source: The file of Keras's.
        target: The model file; the weights go beside it.
        shapes: Sizes of inputs by name, channels last, in place of those of the model.
        weights: Whether to write the weights.
        force: Whether to replace existing files.

    Raises:
        ExportError: A file exists, or cannot be written.
        GraphCNNError: The model cannot be imported.
    """
    if target.suffix not in (".yaml", ".yml"):
        raise ExportError(f"{target}: a model file ends in .yaml")
    beside = target.with_suffix(".safetensors")
    for path in [target, beside] if weights else [target]:
        check_target(path, force)
    graph, store = from_keras(source, shapes)
    inputs = len(graph.inputs)
    name = source.name if source.name.isprintable() else ascii(source.name)
    comment = f"From {name}, by graphcnn import."
    has_weights = weights and len(store) > 0
    if has_weights:
        comment += f" Its weights: {beside.name}."
    text = write_model(graph, comment)
    with replacing(target) as partial:
        partial.write_text(text, encoding="utf-8")
        if has_weights:
            store.save(partial.with_name(beside.name))
    params = sum(spec.elements for spec in graph.weights.values())
    return Written(target, beside if has_weights else None, len(graph) - inputs, params)
