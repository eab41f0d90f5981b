"""Weights files: names, shapes and types at once, and each array when it is asked for.

Safetensors, numpy's archives, and Keras's HDF5 files and archives. They are untrusted: nothing in
them is executed, and no more than one array is in memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ErrorGroup, GraphCNNError, OptionError, WeightError, did_you_mean
from .keras_file import (
    ARCHIVE_ENDING,
    H5_ENDINGS,
    SAVE_AGAIN,
    WEIGHTS_ENDING,
    StoredArray,
    read_keras_file,
)
from .naming import class_names, keras_name
from .types import Array

if TYPE_CHECKING:
    import zipfile


_ENDINGS = (".safetensors", ".npz", WEIGHTS_ENDING, ARCHIVE_ENDING, *H5_ENDINGS)
CLASSES = "classes"
"""The key of a .safetensors file's metadata that holds the class names, as a JSON list."""

MOST_HINTS = 10
"""Names that are looked up among the model's, of those that are not in it."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One array that is not in memory yet.

    Attributes:
        shape: Its shape.
        dtype: The name of its element type, as numpy spells it.
        load: Reads or draws it; each call may do so again.
    """

    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], Array]


def read_weights(
    path: Path, layers: Mapping[str, Sequence[str]] | None = None, partial: bool = False
) -> tuple[dict[str, Weight], tuple[str, ...]]:
    """The weights in a file, by its ending, and the names of their classes.

    Args:
        path: The file.
        layers: The weights of each node in order, for a file of Keras's.
        partial: Pass over layers of a file of Keras's that are not in it, and miss those that are
            not in the file.

    Raises:
        MissingExtra: It is Keras's, and h5py is not installed.
        WeightError: The file is missing, damaged, or of another kind.
        ErrorGroup: Every layer of a file of Keras's that does not fit.
    """
    ending = next((e for e in _ENDINGS if path.name.endswith(e)), None)
    if ending is None:
        raise WeightError(
            f"{path}: unknown kind of weights file {path.suffix or '(no ending)'!r}",
            hint=f"one of: {', '.join(_ENDINGS)}",
        )
    if not path.is_file():
        raise WeightError(f"{path}: no such file")
    try:
        return _read(path, ending, layers, partial)
    except GraphCNNError:
        raise
    except Exception as error:
        raise WeightError(f"{path}: not a readable {ending} file: {error}") from error


def _read(
    path: Path, ending: str, layers: Mapping[str, Sequence[str]] | None, partial: bool
) -> tuple[dict[str, Weight], tuple[str, ...]]:
    """The weights in a file, and the names of their classes."""
    if ending == ".safetensors":
        return _read_safetensors(path)
    if ending == ".npz":
        return _read_npz(path), ()
    if layers is None:
        raise WeightError(
            f"{path}: a file of Keras's names layers, not weights",
            hint="WeightStore.read(path, graph.weights_by_node)",
        )
    return _read_keras(path, layers, partial), ()


def _read_safetensors(path: Path) -> tuple[dict[str, Weight], tuple[str, ...]]:
    """What is in a file; each array is read on its own, so that no more than one is in memory."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy"):
        pass  # The header is checked against the file.
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    weights = {name: _stored(path, name, entry, 8 + length) for name, entry in header.items()}
    return weights, _stored_classes(path, metadata.get(CLASSES))


def _stored_classes(path: Path, text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    try:
        return class_names(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise WeightError(f"{path}: its class names are not JSON: {error}") from error
    except OptionError as error:
        raise WeightError(f"{path}: {error.message}", hint=error.hint) from error


_SAFETENSORS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
_SAFETENSORS |= {"I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8"}


def _stored(path: Path, name: str, entry: Mapping[str, Any], start: int) -> Weight:
    shape = tuple(entry["shape"])
    dtype = _SAFETENSORS.get(entry["dtype"], entry["dtype"])
    offset = start + entry["data_offsets"][0]

    def load() -> Array:
        import numpy as np

        with _reading(path, name):
            return np.fromfile(path, dtype, math.prod(shape), offset=offset).reshape(shape)

    return Weight(shape, dtype, load)


def _read_keras(
    path: Path, layers: Mapping[str, Sequence[str]], partial: bool
) -> dict[str, Weight]:
    """The arrays of a file of Keras's, by the names that the graph has for them.

    Nodes that share all their weights are one layer there, called after one of them. An activation
    with weights may be a layer of its own. A layer of a model in the model is ``outer/inner``; its
    own name will do where no other layer has it.
    """
    nodes = _nodes_by_layer(layers)
    stored = read_keras_file(path)
    if place := next((name for name in stored if name.startswith("/")), None):
        raise WeightError(f"{path}: {place} does not say which layer it is of", hint=SAVE_AGAIN)
    ends = Counter(name.rpartition("/")[2] for name in stored)
    inside = {end: name for name in stored if ends[end := name.rpartition("/")[2]] == 1}
    weights: dict[str, Weight] = {}
    errors: list[GraphCNNError] = []
    absent = []
    for layer, node in nodes.items():
        key = next((k for k in (layer, node, inside.get(layer)) if k in stored), "")
        names, arrays = layers[node], stored.pop(key, [])
        if (activation := f"{layer}__activation") not in nodes:
            arrays = [*arrays, *stored.pop(activation, [])]
        if not arrays:
            absent.append(layer)
        elif len(arrays) != len(names):
            errors.append(
                WeightError(
                    f"layer {layer} has {len(arrays)} weights in the file, "
                    f"and the model needs {len(names)}: {', '.join(names)}"
                )
            )
        elif twice := weights.keys() & set(names):
            errors.append(WeightError(f"layer {layer} has {min(twice)} once more in the file"))
        else:
            rows = zip(names, arrays, strict=True)
            weights |= {name: stored_by_keras(path, name, array) for name, array in rows}
    for layer in () if partial else absent:
        if not weights.keys() >= set(layers[nodes[layer]]):
            errors.append(WeightError(f"layer {layer} is missing in the file"))
    for count, layer in enumerate(() if partial else stored):
        hint = did_you_mean(layer, nodes) if count < MOST_HINTS else None
        errors.append(WeightError(f"layer {layer} of the file is not in the model", hint=hint))
    if errors:
        raise ErrorGroup(sorted(errors, key=str))
    return weights


def _nodes_by_layer(layers: Iterable[str]) -> dict[str, str]:
    """Each node by the name that its layer has in Keras."""
    nodes: dict[str, str] = {}
    for node in layers:
        other = nodes.setdefault(keras_name(node), node)
        if other != node:
            raise WeightError(
                f"{other} and {node} are both {keras_name(node)} in Keras", hint="rename one"
            )
    return nodes


def stored_by_keras(path: Path, name: str, array: StoredArray) -> Weight:
    """An array of a file of Keras's, whose integers are int64 or int32 by the backend.

    Args:
        path: The file.
        name: What messages call the weight.
        array: Where it lies.
    """
    import numpy as np

    stored = np.dtype(array.dtype)
    dtype = np.dtype("int32") if stored.kind == "i" else stored.newbyteorder("=")

    def load() -> Array:
        with _reading(path, name):
            count = math.prod(array.shape)
            found = np.fromfile(path, stored, count, offset=array.offset).reshape(array.shape)
            if stored.kind == "i" and (found != found.astype(dtype)).any():
                raise ValueError(f"its numbers do not fit {dtype}")
            return found.astype(dtype, copy=False)

    return Weight(array.shape, dtype.name, load)


class _LeftOpen(io.FileIO):
    """A file that closes when nobody has it any more, also where a cycle of references ends."""

    def __del__(self) -> None:
        self.close()


def _read_npz(path: Path) -> dict[str, Weight]:
    """What is in an archive, which stays open: its index is read once."""
    import zipfile

    from numpy.lib import format as npy

    weights: dict[str, Weight] = {}
    archive = zipfile.ZipFile(_LeftOpen(path))
    for member in archive.namelist():
        with archive.open(member) as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version[0] == 1 else npy.read_array_header_2_0
            shape, _, dtype = read(file)
        name = member.removesuffix(".npy")
        if name in weights:
            raise WeightError(f"{path}: two arrays are called {name}")
        weights[name] = Weight(shape, dtype.name, _npz_reader(path, archive, name, member))
    return weights


def _npz_reader(
    path: Path, archive: zipfile.ZipFile, name: str, member: str
) -> Callable[[], Array]:
    def load() -> Array:
        from numpy.lib import format as npy

        with _reading(path, name), archive.open(member) as file:
            array: Array = npy.read_array(file, allow_pickle=False)
            if file.read(1):  # Reading to the end is what compares the checksum.
                raise ValueError("there is more behind the array")
            return array

    return load


@contextmanager
def _reading(path: Path, name: str) -> Iterator[None]:
    """Say which weight of which file is damaged."""
    try:
        yield
    except Exception as error:
        raise WeightError(f"{path}: weight {name} cannot be read: {error}") from error


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
