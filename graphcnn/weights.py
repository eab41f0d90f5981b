"""Weights beside the graph: by name, with shape and dtype at once and the bytes only on `load()`.

The native form is a safetensors file, whose names are the graph's own, such as ``conv1/kernel``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import (
    ErrorGroup,
    GraphCNNError,
    OptionError,
    ShapeError,
    WeightError,
    did_you_mean,
)
from .initializers import Initializer
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


class WeightStore(Mapping[str, Weight]):
    """Weights by name.

    Args:
        weights: The weights.
        origin: Where they come from, such as ``random, seed 0`` or ``sha256:...``.
    """

    def __init__(self, weights: Mapping[str, Weight], origin: str) -> None:
        self._weights = dict(weights)
        self.origin = origin

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
    def from_arrays(cls, arrays: Mapping[str, Array], origin: str = "arrays") -> WeightStore:
        """Weights that are in memory."""
        return cls({name: _held(array) for name, array in arrays.items()}, origin)

    @classmethod
    def read(cls, path: str | Path) -> WeightStore:
        """Read a .safetensors or an .npz file, by its ending. Nothing in it is executed.

        Raises:
            WeightError: The file is missing, damaged, or of another kind.
        """
        path = Path(path)
        readers = {".safetensors": _read_safetensors, ".npz": _read_npz}
        if path.suffix not in readers:
            raise WeightError(
                f"{path}: unknown kind of weights file {path.suffix or '(no ending)'!r}",
                hint=f"one of: {', '.join(readers)}",
            )
        if not path.is_file():
            raise WeightError(f"{path}: no such file")
        try:
            weights = readers[path.suffix](path)
            return cls(weights, f"sha256:{file_digest(path)}")
        except GraphCNNError:
            raise
        except Exception as error:
            raise WeightError(f"{path}: not a readable {path.suffix} file: {error}") from error

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

    def save(self, path: str | Path) -> None:
        """Write a .safetensors file, through a file beside it that is renamed when complete.

        Raises:
            WeightError: The file cannot be written; what was there before stays.
        """
        from safetensors.numpy import save_file

        from .files import replacing

        with replacing(Path(path)) as partial:
            save_file({name: weight.load() for name, weight in self.items()}, partial)


_MOST_HINTS = 10
"""Names that are looked up among the model's, of those that are not in it."""


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


def _held(array: Array) -> Weight:
    return Weight(array.shape, array.dtype.name, lambda: array)


def _read_safetensors(path: Path) -> dict[str, Weight]:
    """What is in a file; each array is read on its own, so that no more than one is in memory."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy"):
        pass  # The header is checked against the file.
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {name: _stored(path, name, entry, 8 + length) for name, entry in header.items()}


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


def _read_npz(path: Path) -> dict[str, Weight]:
    """What is in an archive, which stays open: its index is read once."""
    import zipfile

    from numpy.lib import format as npy

    weights: dict[str, Weight] = {}
    archive = zipfile.ZipFile(path)
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
