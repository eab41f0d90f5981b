"""The optimizers of Keras, with its arguments and defaults.

The classes are called what Keras calls them in `keras.optimizers`, and their fields are its
arguments, but for the name and the loss scale of float16, which is not trained in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from graphcnn.errors import OptionError
from graphcnn.ops.op import Size
from graphcnn.options import Options, choose

from .fields import NonNegative, Positive, Share
from .schedules import LearningRate, Steps

Decay = Annotated[float, Meta(ge=0, lt=1)]
"""How much of a moving average is kept at each step."""

NonPositive = Annotated[float, Meta(le=0)]
Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_./-]+$")]


class Optimizer(Options):
    """The base of all optimizers: a name in the model file, and Keras's arguments."""

    learning_rate: LearningRate

    @classmethod
    def decode(cls, value: Any) -> Optimizer:
        """Read ``adam`` or ``{adam: {learning_rate: 0.001}}``."""
        return choose(value, OPTIMIZERS, "optimizer", "adam, or {adam: {learning_rate: 0.001}}")


@dataclass(frozen=True, kw_only=True)
class CommonOptions(Optimizer):
    """What every optimizer of Keras takes.

    Attributes:
        learning_rate: A number, or a schedule.
        weight_decay: How much of each weight is taken off at each step, times the learning rate.
        clipnorm: The longest gradient of one weight, as the root of the sum of its squares.
        clipvalue: The largest element of a gradient.
        global_clipnorm: The longest gradient of all weights together.
        use_ema: Keep a moving average of the weights, which replaces them when training ends.
        ema_momentum: How much of that average is kept at each step.
        ema_overwrite_frequency: Replace the weights by their average every so many steps too.
        gradient_accumulation_steps: Batches whose gradients are averaged into one step.
    """

    learning_rate: LearningRate = 0.001
    weight_decay: NonNegative | None = None
    clipnorm: Positive | None = None
    clipvalue: Positive | None = None
    global_clipnorm: Positive | None = None
    use_ema: bool = False
    ema_momentum: Share = 0.99
    ema_overwrite_frequency: Size | None = None
    gradient_accumulation_steps: Annotated[int, Meta(ge=2, lt=2**31)] | None = None

    def check(self) -> None:
        """Gradients are clipped in one way at most, and averages are kept to be put in place."""
        if self.ema_overwrite_frequency and not self.use_ema:
            raise OptionError(
                "ema_overwrite_frequency: expected use_ema beside it",
                path=("ema_overwrite_frequency",),
            )
        clips = [n for n in ("clipnorm", "clipvalue", "global_clipnorm") if vars(self)[n]]
        if len(clips) > 1:
            raise OptionError(f"expected one of {', '.join(clips)}", path=(clips[1],))


@dataclass(frozen=True, kw_only=True)
class SGD(CommonOptions):
    """Gradient descent, with momentum."""

    learning_rate: LearningRate = 0.01
    momentum: Share = 0.0
    nesterov: bool = False


@dataclass(frozen=True, kw_only=True)
class RMSprop(CommonOptions):
    """Steps divided by a moving root mean square. Source: Hinton 2012."""

    rho: Decay = 0.9
    momentum: Share = 0.0
    epsilon: NonNegative = 1e-7
    centered: bool = False


@dataclass(frozen=True, kw_only=True)
class Adadelta(CommonOptions):
    """Steps in the unit of the weights. Source: Zeiler 2012."""

    rho: Decay = 0.95
    epsilon: NonNegative = 1e-7


@dataclass(frozen=True, kw_only=True)
class Adagrad(CommonOptions):
    """Steps that shrink with the gradients so far. Source: Duchi et al. 2011."""

    initial_accumulator_value: NonNegative = 0.1
    epsilon: NonNegative = 1e-7


@dataclass(frozen=True, kw_only=True)
class MomentOptions(CommonOptions):
    """What optimizers with two moving moments take.

    Attributes:
        beta_1: How much of the mean of the gradients is kept.
        beta_2: How much of the mean of their squares is kept.
        epsilon: What keeps the division from zero.
    """

    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: NonNegative = 1e-7


@dataclass(frozen=True, kw_only=True)
class Adam(MomentOptions):
    """Steps of the mean gradient over its root mean square. Source: Kingma and Ba 2015."""

    amsgrad: bool = False


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with weight decay by default. Source: Loshchilov and Hutter 2019."""

    weight_decay: NonNegative = 0.004


class Adamax(MomentOptions):
    """Adam with the largest gradient in place of the root mean square. Source: as Adam."""


class Nadam(MomentOptions):
    """Adam with Nesterov momentum. Source: Dozat 2016."""


class Lamb(MomentOptions):
    """Adam with steps in proportion to each weight's length. Source: You et al. 2020."""


@dataclass(frozen=True, kw_only=True)
class ScheduleFreeAdamW(MomentOptions):
    """Adam that averages its weights in place of a schedule. Source: Defazio et al. 2024."""

    learning_rate: LearningRate = 0.0025
    epsilon: NonNegative = 1e-8
    warmup_steps: Steps = 0


@dataclass(frozen=True, kw_only=True)
class Adafactor(CommonOptions):
    """Second moments kept as rows and columns. Source: Shazeer and Stern 2018."""

    beta_2_decay: NonPositive = -0.8
    epsilon_1: NonNegative = 1e-30
    epsilon_2: NonNegative = 1e-3
    clip_threshold: Positive = 1.0
    relative_step: bool = True


@dataclass(frozen=True, kw_only=True)
class Ftrl(CommonOptions):
    """Follow the regularized leader. Source: McMahan et al. 2013."""

    learning_rate_power: NonPositive = -0.5
    initial_accumulator_value: NonNegative = 0.1
    l1_regularization_strength: NonNegative = 0.0
    l2_regularization_strength: NonNegative = 0.0
    l2_shrinkage_regularization_strength: NonNegative = 0.0
    beta: NonNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class Lion(CommonOptions):
    """Steps of the sign of the momentum. Source: Chen et al. 2023."""

    beta_1: Annotated[float, Meta(gt=0, le=1)] = 0.9
    beta_2: Decay = 0.99


@dataclass(frozen=True, kw_only=True)
class Muon(CommonOptions):
    """Orthogonal steps for matrices, and Adam's for all else. Source: Jordan et al. 2024.

    Attributes:
        exclude_layers: Words; a weight whose path holds one takes Adam's steps.
    """

    weight_decay: NonNegative | None = 0.004
    adam_beta_1: Decay = 0.9
    adam_beta_2: Decay = 0.999
    adam_weight_decay: NonNegative = 0.004
    adam_lr_ratio: Positive = 1.0
    epsilon: NonNegative = 1e-7
    exclude_layers: tuple[Word, ...] | None = None
    exclude_embeddings: bool = True
    muon_a: float = 3.4445
    muon_b: float = -4.775
    muon_c: float = 2.0315
    momentum: Share = 0.95
    ns_steps: Annotated[int, Meta(ge=1, le=100)] = 5
    nesterov: bool = True
    rms_rate: Positive | None = 0.2


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "adadelta": Adadelta,
    "adagrad": Adagrad,
    "adamax": Adamax,
    "adafactor": Adafactor,
    "nadam": Nadam,
    "ftrl": Ftrl,
    "lion": Lion,
    "lamb": Lamb,
    "muon": Muon,
    "schedule_free_adamw": ScheduleFreeAdamW,
}
"""Every optimizer by its name in the model file."""
