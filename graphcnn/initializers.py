"""How weights get their first values, with Keras's names, arguments and distributions.

Fans follow `keras.initializers.compute_fans`: for a kernel ``(*window, in, out)`` the fan in is
``prod(window) * in`` and the fan out ``prod(window) * out``. The truncated normal is cut at two
standard deviations, and scaled by 1/0.87962566 in `VarianceScaling` so that what is left of it has
the variance asked for. Sources: Glorot and Bengio 2010; He et al. 2015; LeCun et al. 1998; Saxe et
al. 2013.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta

from .errors import OptionError
from .options import Options, choose, shorten
from .types import Array

if TYPE_CHECKING:
    import numpy as np

NonNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Numbers = float | tuple[Any, ...]

_SLICE = 2**20
"""Elements that are worked on at a time: what is beside the weight in memory stays small."""


class Initializer(Options):
    """The base of all initializers: a name in the model file, fields, and a way to draw values."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Values of the shape, as float32.

        Raises:
            OptionError: The shape cannot be filled this way.
        """

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse, by raising `OptionError`, a shape that cannot be filled this way."""

    @classmethod
    def decode(cls, value: Any) -> Initializer:
        """Read ``he_normal`` or ``{constant: 0.1}`` or ``{random_normal: {stddev: 0.1}}``."""
        example = "he_normal, or {random_normal: {stddev: 0.1}}"
        return choose(value, INITIALIZERS, "initializer", example)


@dataclass(frozen=True, kw_only=True)
class Zeros(Initializer):
    """All zeros."""

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Zeros."""
        import numpy as np

        return np.zeros(shape, np.float32)


@dataclass(frozen=True, kw_only=True)
class Ones(Initializer):
    """All ones."""

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Ones."""
        import numpy as np

        return np.ones(shape, np.float32)


@dataclass(frozen=True, kw_only=True)
class Constant(Initializer):
    """A number for every element, or nested lists of the weight's own shape.

    First and last axes of size 1 may be left out: a 3x3 list fills a kernel of one channel and
    one filter.
    """

    short: ClassVar[str | None] = "value"
    value: Numbers = 0.0

    def check(self) -> None:
        """The lists are rectangular, and hold finite numbers only; they become tuples."""
        object.__setattr__(self, "value", _frozen(self.value))
        for number in _leaves(self.value):
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise OptionError(f"expected numbers, found {shorten(number)}", path=("value",))
            if not math.isfinite(number):
                raise OptionError(f"expected finite numbers, found {number}", path=("value",))
        _nested_shape(self.value)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """The lists have the weight's shape, but for axes of size 1 that are left out."""
        given = _nested_shape(self.value)
        if given and not _fills(given, shape):
            raise OptionError(
                f"a constant of shape {list(given)} does not fill a weight of shape {list(shape)}"
            )

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """The given numbers, in the shape of the weight."""
        import numpy as np

        if not isinstance(self.value, tuple):
            return np.full(shape, self.value, np.float32)
        return np.asarray(self.value, np.float32).reshape(shape)


@dataclass(frozen=True, kw_only=True)
class RandomNormal(Initializer):
    """A normal distribution."""

    mean: float = 0.0
    stddev: NonNegative = 0.05

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Normal values."""
        import numpy as np

        return _affine(rng.standard_normal(shape, np.float32), self.stddev, self.mean)


@dataclass(frozen=True, kw_only=True)
class RandomUniform(Initializer):
    """A uniform distribution."""

    minval: float = -0.05
    maxval: float = 0.05

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Uniform values."""
        import numpy as np

        return _affine(rng.random(shape, np.float32), self.maxval - self.minval, self.minval)


@dataclass(frozen=True, kw_only=True)
class TruncatedNormal(Initializer):
    """A normal distribution, drawn again beyond two standard deviations."""

    mean: float = 0.0
    stddev: NonNegative = 0.05

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Normal values within two standard deviations."""
        import numpy as np

        values = rng.standard_normal(shape, np.float32)
        flat = values.reshape(-1)
        for start in range(0, flat.size, _SLICE):
            part = flat[start : start + _SLICE]
            outside = np.flatnonzero(np.abs(part) > 2)
            while outside.size:
                part[outside] = rng.standard_normal(outside.size, np.float32)
                outside = outside[np.abs(part[outside]) > 2]
        return _affine(values, self.stddev, self.mean)


@dataclass(frozen=True, kw_only=True)
class VarianceScaling(Initializer):
    """A distribution whose variance is ``scale / fan``."""

    scale: Positive = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "truncated_normal"

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Values of the distribution."""
        fan_in, fan_out = _fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return RandomUniform(minval=-limit, maxval=limit).draw(shape, rng)
        if self.distribution == "untruncated_normal":
            return RandomNormal(stddev=math.sqrt(variance)).draw(shape, rng)
        return TruncatedNormal(stddev=math.sqrt(variance) / 0.87962566103423978).draw(shape, rng)


@dataclass(frozen=True, kw_only=True)
class Preset(Initializer):
    """A `VarianceScaling` with a name of its own, and no arguments."""

    scaling: ClassVar[VarianceScaling]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Values of the distribution."""
        return self.scaling.draw(shape, rng)


class GlorotUniform(Preset):
    """Uniform, variance ``1 / mean fan``: Keras's default for kernels."""

    scaling = VarianceScaling(mode="fan_avg", distribution="uniform")


class GlorotNormal(Preset):
    """Truncated normal, variance ``1 / mean fan``."""

    scaling = VarianceScaling(mode="fan_avg")


class HeUniform(Preset):
    """Uniform, variance ``2 / fan in``."""

    scaling = VarianceScaling(scale=2.0, distribution="uniform")


class HeNormal(Preset):
    """Truncated normal, variance ``2 / fan in``."""

    scaling = VarianceScaling(scale=2.0)


class LecunUniform(Preset):
    """Uniform, variance ``1 / fan in``."""

    scaling = VarianceScaling(distribution="uniform")


class LecunNormal(Preset):
    """Truncated normal, variance ``1 / fan in``."""

    scaling = VarianceScaling()


@dataclass(frozen=True, kw_only=True)
class Orthogonal(Initializer):
    """Orthonormal columns (or rows, where there are fewer) over all axes but the last."""

    gain: float = 1.0

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """There are two axes or more."""
        if len(shape) < 2:
            raise OptionError(f"orthogonal needs two axes or more, the weight has {list(shape)}")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """The orthogonal factor of a random matrix, its signs made unique."""
        import numpy as np

        rows, columns = math.prod(shape[:-1]), shape[-1]
        matrix = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(matrix)
        q *= np.sign(np.diag(r))
        q = q if rows >= columns else q.T
        return (self.gain * q).reshape(shape).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Identity(Initializer):
    """The identity matrix, for a weight of two axes."""

    gain: float = 1.0

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """There are two axes."""
        if len(shape) != 2:
            raise OptionError(f"identity needs two axes, the weight has {list(shape)}")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Ones on the diagonal."""
        import numpy as np

        return (self.gain * np.eye(shape[0], shape[1])).astype(np.float32)


INITIALIZERS: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
    "identity": Identity,
}
"""Every initializer by its name in the model file."""


def _affine(values: Array, scale: float, shift: float) -> Array:
    """Scale and shift in place: the largest kernel of a network exists once."""
    values *= scale
    if shift:
        values += shift
    return values


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _leaves(value: Any) -> Any:
    if not isinstance(value, tuple):
        yield value
        return
    for item in value:
        yield from _leaves(item)


def _nested_shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple):
        return ()
    inner = {_nested_shape(item) for item in value}
    if len(inner) != 1:
        raise OptionError("expected lists of equal length at each level", path=("value",))
    return (len(value), *inner.pop())


def _fills(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a shape is the given one with axes of size 1 before or after it."""
    left = len(shape) - len(given)
    return any(shape == (1,) * n + given + (1,) * (left - n) for n in range(left + 1))
