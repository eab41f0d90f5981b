"""Finding out what kind of data a user has named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from graphcnn.errors import DataError, GraphError
from graphcnn.graph import Graph
from graphcnn.runtime.predict import Predictor
from graphcnn.types import is_symbolic

from .cifar import ARCHIVE_SUFFIXES, find_cifar, read_cifar
from .dataset import Dataset
from .fit import Sizes, fit_dataset
from .folders import read_folders
from .idx import find_idx, read_idx
from .npz import read_npz
from .public import PUBLIC, read_public
from .streams import listed

_KINDS = (
    "a folder of IDX files (train-images-idx3-ubyte.gz, ...), CIFAR-10's python batches (a folder, "
    f"{', '.join(ARCHIVE_SUFFIXES)}), an .npz file with x_train, y_train, x_test, y_test, "
    f"a folder of class folders of images, or one of {', '.join(PUBLIC)}"
)


def read_model_data(source: str, graph: Graph) -> Dataset:
    """Read data, as `read_dataset` does, for a model of one input and one output.

    Raises:
        GraphError: It has more.
    """
    check_single(graph)
    taken = graph.type(graph.inputs[0].name).sizes
    given = [size for source in graph.outputs.values() for size in graph.type(source).sizes]
    return read_dataset(
        source,
        tuple(None if is_symbolic(size) else size for size in taken),
        None if any(map(is_symbolic, given)) else tuple(given),
    )


def read_file_data(source: str, predictor: Predictor) -> Dataset:
    """Read data for an .onnx file: `read_dataset` for its input and its output."""
    camera = predictor.input.resized is not None
    return read_dataset(source, predictor.input_sizes, predictor.output_sizes, camera)


def check_single(graph: Graph) -> None:
    """Refuse a model that data of one kind of input and one truth is not for.

    Raises:
        GraphError: It has several inputs or outputs.
    """
    for kind, names in (("inputs", [n.name for n in graph.inputs]), ("outputs", [*graph.outputs])):
        if len(names) != 1:
            raise GraphError(
                f"the model has {len(names)} {kind}, {', '.join(names)}, and data are for one"
            )


def read_dataset(
    source: str, sizes: Sizes, outputs: tuple[int, ...] | None = None, camera: bool = False
) -> Dataset:
    """Read data to train or test a model on, and check it against the model.

    Args:
        source: A path, or a public name where no file has it: a folder of IDX files, CIFAR-10's
            python batches in a folder or an archive, an .npz file with x_train, y_train, x_test
            and y_test, a folder of class folders of images; mnist, fashion_mnist or cifar10.
        sizes: The sizes of one sample of the model's input, channels last; None where any will do.
        outputs: The sizes of one sample of the model's output, if that is to be checked.
        camera: Whether the sizes are those of a camera's images, which the model resizes.

    Returns:
        The splits that are there. x is in the type it was stored in, with the axis of a single
        channel; y is int64 labels, or float32 targets of the output's sizes.

    Raises:
        DataError: There is nothing of these kinds, a file is damaged, or it does not fit the model.
        MissingExtra: A package is needed that is not installed.
        RuntimeFailure: An image of a folder cannot be read.
    """
    try:
        found = _read(source, Path(source), sizes)
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror or error}") from error
    return fit_dataset(replace(found, source=source), sizes, outputs, camera)


def _read(source: str, path: Path, sizes: Sizes) -> Dataset:
    if path.is_dir():
        return _read_folder(path, sizes)
    if path.is_file():
        return _read_file(path)
    if source in PUBLIC:
        return read_public(source)
    raise DataError(f"{source}: no such file or folder", hint=f"expected {_KINDS}")


def _read_folder(folder: Path, sizes: Sizes) -> Dataset:
    if find_idx(folder):
        return read_idx(folder)
    if batches := find_cifar(folder):
        return read_cifar(batches)
    there = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if any(path.is_dir() for path in there):
        return read_folders(folder, sizes)
    files = sorted(path for path in there if _is_data(path))
    raise DataError(
        f"{folder}: no data of a known kind in it, found {listed(path.name for path in there)}",
        hint=f"name the file itself: {files[0]}" if files else f"expected {_KINDS}",
    )


def _read_file(path: Path) -> Dataset:
    if not _is_data(path):
        raise DataError(f"{path}: not a known kind of data", hint=f"expected {_KINDS}")
    return read_npz(path) if path.suffix == ".npz" else read_cifar(path)


def _is_data(path: Path) -> bool:
    return path.name.endswith((".npz", *ARCHIVE_SUFFIXES))
