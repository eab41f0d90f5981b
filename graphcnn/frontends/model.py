"""Any model that graphcnn reads: a model file, or a file of Keras's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphcnn.errors import ModelFileError
from graphcnn.graph import Graph
from graphcnn.keras_file import ARCHIVE_ENDING, H5_ENDINGS
from graphcnn.weights import WeightStore


def load_model(
    path: str | Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> tuple[Graph, WeightStore | None]:
    """Read a model, and its weights where the file has them.

    Args:
        path: A model file, or a .keras or .h5 file.
        shapes: Sizes of inputs by name, channels last, in place of those of the model; the name
            of the only input can be empty.

    Returns:
        The network, inferred and verified, and its weights; None for a model file.

    Raises:
        GraphCNNError: Of the kind that says what is wrong; an `ErrorGroup` of all that is.
    """
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        raise ModelFileError(
            f"{path} is a compiled file, and not a model: expected YAML, .keras or .h5",
            hint=f"graphcnn inspect {path} tells what is in it",
        )
    if path.name.endswith((ARCHIVE_ENDING, *H5_ENDINGS)):
        from .keras.read import load_keras

        return load_keras(path, shapes)
    from .yaml import load as load_yaml

    return load_yaml(path, shapes), None


def load(path: str | Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """The network of any model that `load_model` reads, without its weights."""
    return load_model(path, shapes)[0]
