"""Weights beside the graph: by name, with shape and dtype at once and the bytes only on `load()`.

The native form is a safetensors file, whose names are the graph's own, such as ``conv1/kernel``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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
from .types import MAX_ELEMENTS, Array, DType, product
from .weight_files import CLASSES, MOST_HINTS, Weight, file_digest, read_weights


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
        weights, classes = read_weights(path, layers, partial)
        return cls(weights, f"sha256:{file_digest(path)}", classes)

    def check(self, specs: Mapping[str, WeightSpec]) -> None:
        """Compare with what a graph asks for.

        Raises:
            ErrorGroup: Every weight that is missing, extra, of another shape or another dtype.
        """
        errors: list[GraphCNNError] = []
        for count, name in enumerate(sorted(self.keys() - specs.keys())):
            hint = did_you_mean(name, specs) if count < MOST_HINTS else None
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
            sources = [(source, store[source]) for source in made.sources]
            store._weights[name] = _made(name, made, sources)
        return store

    def save(self, path: str | Path) -> None:
        """Write a .safetensors file, through a file beside it that is renamed when complete.

        Raises:
            ExportError: The file cannot be written; what was there before stays.
        """
        metadata = {CLASSES: json.dumps(self.classes)} if self.classes else None
        save_arrays(Path(path), {name: weight.load() for name, weight in self.items()}, metadata)


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


def _made(name: str, made: Derived, sources: Sequence[tuple[str, Weight]]) -> Weight:
    spec = made.spec

    def load() -> Array:
        import numpy as np

        arrays = [weight.load() for _, weight in sources]
        for (source, _), array in zip(sources, arrays, strict=True):
            check_finite(source, array)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            result = made.function(*arrays)
        if not np.isfinite(result).all():
            names = ", ".join(source for source, _ in sources)
            raise WeightError(
                f"weight {name}, made of {names}, is not finite",
                hint="a variance may be negative, or a scale too small",
            )
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
