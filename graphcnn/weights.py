"""Weights beside the graph: by name, with shape and dtype at once and the bytes only on `load()`.

The native form is a safetensors file, whose names are the graph's own, such as ``conv1/kernel``.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import (
    ErrorGroup,
    ExportError,
    GraphCNNError,
    OptionError,
    ShapeError,
    WeightError,
    did_you_mean,
)
from .initializers import Initializer
from .keras_file import (
    ARCHIVE_ENDING,
    H5_ENDINGS,
    SAVE_AGAIN,
    WEIGHTS_ENDING,
    StoredArray,
    read_keras_file,
)
from .naming import class_names, keras_name
from .types import MAX_ELEMENTS, DType, product

if TYPE_CHECKING:
    import zipfile

    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """What a layer asks of one of its weights.

    Attributes:
        shape: As Keras shapes it, such as (kernel height, kernel width, in, filters).
        initializer: Where its first values come from.
        trainable: Whether training changes it by gradient.
        dtype: The element type.
    """

    shape: tuple[int, ...]
    initializer: Initializer
    trainable: bool = True
    dtype: DType = DType.float32

    def __post_init__(self) -> None:
        if any(not isinstance(size, int) for size in self.shape):
            raise ShapeError(
                f"a weight of {list(self.shape)} needs sizes that are known",
                hint="give the sizes of the input as numbers",
            )
        if self.elements > MAX_ELEMENTS:
            raise ShapeError(
                f"a weight of {list(self.shape)} has {self.elements:,} elements, "
                f"more than the {MAX_ELEMENTS:,} that graphcnn accepts"
            )

    def in_type(self, dtype: DType) -> WeightSpec:
        """The same for a layer of another element type: its numbers have that type too."""
        if dtype == self.dtype or not (dtype.is_float and self.dtype.is_float):
            return self
        return replace(self, dtype=dtype)

    @property
    def elements(self) -> int:
        """The number of elements."""
        return product(self.shape)

    @property
    def bytes(self) -> int:
        """The number of bytes."""
        return self.elements * self.dtype.itemsize


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


@dataclass(frozen=True, slots=True)
class Derived:
    """A weight that a pass makes from others, when it is written.

    Attributes:
        sources: The weights it is made from.
        function: Makes it from their arrays; hashable, so that what is made alike is made once.
        spec: What it will be.
    """

    sources: tuple[str, ...]
    function: Callable[..., Array]
    spec: WeightSpec


class WeightStore(Mapping[str, Weight]):
    """Weights by name.

    Args:
        weights: The weights.
        origin: Where they come from, such as ``random, seed 0`` or ``sha256:...``.
        classes: The names of the classes that the network was trained to tell apart, if any.

    Attributes:
        origin: Where they come from.
        classes: The names of the classes, or none.
    """

    def __init__(
        self, weights: Mapping[str, Weight], origin: str, classes: Sequence[str] = ()
    ) -> None:
        self._weights = dict(weights)
        self.origin = origin
        self.classes = tuple(classes)

    def __getitem__(self, name: str) -> Weight:
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    @classmethod
    def random(cls, specs: Mapping[str, WeightSpec], seed: int) -> WeightStore:
        """Weights drawn by their own initializers.

        Each has a stream of its own, made from the seed and its name, so that adding a layer
        changes no other layer's weights.
        """
        return cls(
            {name: _drawn(name, spec, seed) for name, spec in specs.items()},
            f"random, seed {seed}",
        )

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], origin: str = "arrays", classes: Sequence[str] = ()
    ) -> WeightStore:
        """Weights that are in memory."""
        return cls({name: _held(array) for name, array in arrays.items()}, origin, classes)

    @classmethod
    def read(
        cls,
        path: str | Path,
        layers: Mapping[str, Sequence[str]] | None = None,
        *,
        partial: bool = False,
    ) -> WeightStore:
        """Read a weights file, by its ending. Nothing in it is executed.

        Args:
            path: A .safetensors, .npz, .weights.h5, .keras or .h5 file.
            layers: The weights of each node in order, `Graph.weights_by_node`: Keras's files have
                names for layers, not for weights.
            partial: Pass over layers of a file of Keras's that are not in the model, and miss
                those that are not in the file.

        Raises:
            MissingExtra: It is Keras's, and h5py is not installed.
            WeightError: The file is missing, damaged, or of another kind.
            ErrorGroup: Every layer of a file of Keras's that is missing, extra, or has another
                number of weights.
        """
        path = Path(path)
        ending = next((e for e in _ENDINGS if path.name.endswith(e)), None)
        if ending is None:
            raise WeightError(
                f"{path}: unknown kind of weights file {path.suffix or '(no ending)'!r}",
                hint=f"one of: {', '.join(_ENDINGS)}",
            )
        if not path.is_file():
            raise WeightError(f"{path}: no such file")
        try:
            weights, classes = _read(path, ending, layers, partial)
            return cls(weights, f"sha256:{file_digest(path)}", classes)
        except GraphCNNError:
            raise
        except Exception as error:
            raise WeightError(f"{path}: not a readable {ending} file: {error}") from error

    def check(self, specs: Mapping[str, WeightSpec]) -> None:
        """Compare with what a graph asks for.

        Raises:
            ErrorGroup: Every weight that is missing, extra, of another shape or another dtype.
        """
        errors: list[GraphCNNError] = []
        for count, name in enumerate(sorted(self.keys() - specs.keys())):
            hint = did_you_mean(name, specs) if count < _MOST_HINTS else None
            errors.append(WeightError(f"weight {name} is not in the model", hint=hint))
        for name, spec in specs.items():
            found = self._weights.get(name)
            if found is None:
                errors.append(WeightError(f"weight {name} {list(spec.shape)} is missing"))
            elif found.shape != spec.shape:
                errors.append(
                    WeightError(
                        f"weight {name} has shape {list(found.shape)}, "
                        f"and the model needs {list(spec.shape)}"
                    )
                )
            elif found.dtype != spec.dtype.label:
                errors.append(
                    WeightError(f"weight {name} is {found.dtype}, and the model needs {spec.dtype}")
                )
        if errors:
            raise ErrorGroup(sorted(errors, key=str))

    def deriving(self, derived: Mapping[str, Derived]) -> WeightStore:
        """The same weights, and those made from them; each is made anew when it is loaded.

        Args:
            derived: How, by name, each after those that it is made from.
        """
        store = WeightStore(self._weights, self.origin, self.classes)
        for name, made in derived.items():
            sources = {source: store[source] for source in made.sources}
            store._weights[name] = _made(name, made, sources)
        return store

    def save(self, path: str | Path) -> None:
        """Write a .safetensors file, through a file beside it that is renamed when complete.

        Raises:
            ExportError: The file cannot be written; what was there before stays.
        """
        metadata = {_CLASSES: json.dumps(self.classes)} if self.classes else None
        save_arrays(Path(path), {name: weight.load() for name, weight in self.items()}, metadata)


_ENDINGS = (".safetensors", ".npz", WEIGHTS_ENDING, ARCHIVE_ENDING, *H5_ENDINGS)
_CLASSES = "classes"
"""The key of a .safetensors file's metadata that holds the class names, as a JSON list."""

_MOST_HINTS = 10
"""Names that are looked up among the model's, of those that are not in it."""


def save_arrays(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a .safetensors file whole, or leave what was there before.

    Args:
        path: The file.
        arrays: What goes into it, by name.
        metadata: Texts that go with it.

    Raises:
        ExportError: It cannot be written: the disk may be full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    from .files import replacing

    with replacing(path) as partial:
        try:
            save_file(dict(arrays), partial, dict(metadata or {}) or None)
        except SafetensorError as error:
            raise ExportError(f"{path} cannot be written: {error}") from error


def _drawn(name: str, spec: WeightSpec, seed: int) -> Weight:
    def load() -> Array:
        import numpy as np

        key = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(key, "little")))
        try:
            drawn = spec.initializer.draw(spec.shape, rng)
        except OptionError as error:
            raise WeightError(f"weight {name}: {error.message}") from error
        except MemoryError as error:
            raise WeightError(f"weight {name} of {spec.bytes:,} bytes: out of memory") from error
        return drawn.astype(spec.dtype.numpy, copy=False)

    return Weight(spec.shape, spec.dtype.label, load)


def _made(name: str, made: Derived, sources: Mapping[str, Weight]) -> Weight:
    spec = made.spec

    def load() -> Array:
        arrays = {source: weight.load() for source, weight in sources.items()}
        for source, array in arrays.items():
            check_finite(source, array)
        result = made.function(*arrays.values())
        if result.shape != spec.shape:
            found = f"{list(result.shape)}, declared as {list(spec.shape)}"
            raise WeightError(f"weight {name} was made as {found}")
        return result.astype(spec.dtype.numpy, copy=False)

    return Weight(spec.shape, spec.dtype.label, load)


def check_finite(name: str, array: Array) -> None:
    """Refuse numbers that are infinite or none.

    Raises:
        WeightError: Naming the weight, and what it holds.
    """
    import numpy as np

    if array.dtype.kind == "f" and not np.isfinite(array).all():
        found = array[~np.isfinite(array)].flat[0]
        raise WeightError(f"weight {name} holds {found}", hint="train again, or mend the file")


def _held(array: Array) -> Weight:
    return Weight(array.shape, array.dtype.name, lambda: array)


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
    return weights, _stored_classes(path, metadata.get(_CLASSES))


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
        hint = did_you_mean(layer, nodes) if count < _MOST_HINTS else None
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
