"""How the learning rate changes from step to step, with Keras's names, arguments and formulas.

A step is one batch. The classes are called what Keras calls them in
`keras.optimizers.schedules`, and hold nothing but its arguments. Sources: Keras; Loshchilov and
Hutter 2017 (cosine decay, with and without restarts).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from msgspec import Meta

from graphcnn.errors import OptionError
from graphcnn.ops.op import Size
from graphcnn.options import Options, Read, choose, shorten

from .fields import NonNegative, Positive, Share, is_number

Steps = Annotated[int, Meta(ge=0, lt=2**31)]


class Schedule(Options):
    """The base of all schedules: a name in the model file, and Keras's arguments."""

    def with_steps(self, total: int) -> Schedule:
        """The schedule for a training of this many steps; most do not depend on it."""
        return self

    @classmethod
    def decode(cls, value: Any) -> Schedule:
        """Read ``{cosine_decay: {initial_learning_rate: 0.1}}``."""
        example = "{cosine_decay: {initial_learning_rate: 0.1}}"
        return choose(value, SCHEDULES, "schedule", example)


@dataclass(frozen=True, kw_only=True)
class CosineDecay(Schedule):
    """Half a cosine from the initial rate down to `alpha` of it, after an optional warmup.

    Attributes:
        initial_learning_rate: The rate at step 0.
        decay_steps: The steps of the decay, without the warmup; None: all of the training's.
        alpha: The last rate, as a share of the rate that the decay begins with.
        warmup_target: The rate that the warmup climbs to, and the decay begins with.
        warmup_steps: The steps of the warmup.
    """

    initial_learning_rate: NonNegative
    decay_steps: Size | None = None
    alpha: Share = 0.0
    warmup_target: Positive | None = None
    warmup_steps: Steps = 0

    def check(self) -> None:
        """A warmup has a target and a length, and there is a rate to decay from."""
        if self.warmup_steps and self.warmup_target is None:
            raise OptionError(
                "warmup_steps: expected warmup_target beside it, the rate after the warmup",
                path=("warmup_steps",),
                hint="Keras ignores one without the other",
            )
        if self.warmup_target is not None and not self.warmup_steps:
            raise OptionError(
                "warmup_target: expected warmup_steps of 1 or more beside it",
                path=("warmup_target",),
                hint="Keras ignores one without the other",
            )
        if self.initial_learning_rate == 0 and self.warmup_target is None:
            raise OptionError(
                "initial_learning_rate: expected a number above 0 where there is no warmup",
                path=("initial_learning_rate",),
            )

    def with_steps(self, total: int) -> CosineDecay:
        """Decay until the last step of the training, unless `decay_steps` says otherwise."""
        return replace(self, decay_steps=self.decay_steps or max(1, total - self.warmup_steps))


@dataclass(frozen=True, kw_only=True)
class CosineDecayRestarts(Schedule):
    """Cosine decays one after another.

    Attributes:
        initial_learning_rate: The rate at step 0.
        first_decay_steps: The steps of the first decay.
        t_mul: How many times as long each decay is as the one before.
        m_mul: How many times as high each decay begins as the one before.
        alpha: The last rate of a decay, as a share of its first.
    """

    initial_learning_rate: Positive
    first_decay_steps: Size
    t_mul: Positive = 2.0
    m_mul: Positive = 1.0
    alpha: Share = 0.0


@dataclass(frozen=True, kw_only=True)
class ExponentialDecay(Schedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Attributes:
        initial_learning_rate: The rate at step 0.
        decay_steps: The steps in which the rate is multiplied by `decay_rate` once.
        decay_rate: The factor.
        staircase: Change it every `decay_steps` only.
    """

    initial_learning_rate: Positive
    decay_steps: Size
    decay_rate: Positive
    staircase: bool = False


class InverseTimeDecay(ExponentialDecay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``."""


@dataclass(frozen=True, kw_only=True)
class PiecewiseConstantDecay(Schedule):
    """Constant rates, each up to and with a step.

    Attributes:
        boundaries: The last step of each rate but the last, ascending.
        values: The rates: one more than there are boundaries.
    """

    boundaries: tuple[Steps, ...]
    values: tuple[Positive, ...]

    def check(self) -> None:
        """The boundaries ascend, and lie between the values."""
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise OptionError(
                f"boundaries: expected ascending steps, found {shorten(self.boundaries)}",
                path=("boundaries",),
            )
        if len(self.values) != len(self.boundaries) + 1:
            raise OptionError(
                f"values: expected {len(self.boundaries) + 1}, one more than boundaries, "
                f"found {len(self.values)}",
                path=("values",),
            )


@dataclass(frozen=True, kw_only=True)
class PolynomialDecay(Schedule):
    """A polynomial from the initial rate to `end_learning_rate`; a line for power 1.

    Attributes:
        initial_learning_rate: The rate at step 0.
        decay_steps: The steps of the decay; None: all of the training's.
        end_learning_rate: The last rate.
        power: The degree of the polynomial.
        cycle: Begin again, more slowly, when the end is reached.
    """

    initial_learning_rate: Positive
    decay_steps: Size | None = None
    end_learning_rate: NonNegative = 0.0001
    power: Positive = 1.0
    cycle: bool = False

    def with_steps(self, total: int) -> PolynomialDecay:
        """Decay until the last step of the training, unless `decay_steps` says otherwise."""
        return replace(self, decay_steps=self.decay_steps or max(1, total))


SCHEDULES: dict[str, type[Schedule]] = {
    "cosine_decay": CosineDecay,
    "cosine_decay_restarts": CosineDecayRestarts,
    "exponential_decay": ExponentialDecay,
    "inverse_time_decay": InverseTimeDecay,
    "piecewise_constant_decay": PiecewiseConstantDecay,
    "polynomial_decay": PolynomialDecay,
}
"""Every schedule by its name in the model file."""


def _learning_rate(value: Any) -> float | Schedule:
    """Read ``0.001`` or what `Schedule.decode` reads."""
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, int | float):
        return Schedule.decode(value)
    if is_number(value) and value > 0:
        return float(value)
    raise OptionError(f"expected a number above 0, or a schedule, found {shorten(value)}")


LearningRate = Annotated[float | Schedule, Read(_learning_rate)]
"""A number above 0, or a schedule."""
