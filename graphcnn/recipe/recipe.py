"""The ``train:`` section of a model file: how the model is trained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from graphcnn.errors import ErrorGroup, GraphCNNError, OptionError, did_you_mean
from graphcnn.ops.op import Size
from graphcnn.options import Options, Read, build, option_fields, shorten

from .augmentation import AUGMENTATIONS, Augmentations
from .fields import NonNegative, is_number
from .losses import LOSSES, Loss
from .metrics import METRICS, Metrics
from .optimizers import OPTIMIZERS, Adam, Optimizer
from .schedules import SCHEDULES

CHOICES: dict[str, Mapping[str, type[Options]]] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
    "metric": METRICS,
    "augmentation": AUGMENTATIONS,
}
"""What is chosen by name in a recipe: the classes by name, by what they are."""

ClassName = str | int
"""A class's name, or its index."""

_NAMES = {
    cls: name for known in CHOICES.values() for name, cls in reversed([*known.items()])
}  # The first of a class's names.


@dataclass(frozen=True, kw_only=True)
class EarlyStopping(Options):
    """When to stop before the last epoch. Source: keras.callbacks.EarlyStopping.

    Attributes:
        monitor: What has to improve: a key of the log, such as ``val_loss``.
        min_delta: The least change that is an improvement.
        patience: The epochs without improvement that are waited.
        mode: Whether less (min) or more (max) is better; auto goes by the name.
        baseline: What has to be passed before anything is an improvement.
        start_from_epoch: The epochs at the beginning that do not count.
    """

    monitor: str = "val_loss"
    min_delta: NonNegative = 0.0
    patience: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    mode: Literal["auto", "min", "max"] = "auto"
    baseline: float | None = None
    start_from_epoch: Annotated[int, Meta(ge=0, lt=2**31)] = 0


def _stopping(value: Any) -> EarlyStopping | None:
    """Read ``{patience: 3}``; msgspec would pass over unknown keys."""
    if value is None or isinstance(value, EarlyStopping):
        return value
    if not isinstance(value, Mapping):
        raise OptionError(
            f"expected a mapping, found {shorten(value)}", hint="for example: {patience: 3}"
        )
    return build(EarlyStopping, value)


_INDEX = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)


def _class_weight(value: Any) -> Literal["balanced"] | Mapping[ClassName, float] | None:
    """Read ``balanced``, or ``{shirt: 2, 0: 0.5}``.

    Keys in digits are integers, since JSON has text alone for keys.
    """
    if value is None or value == "balanced":
        return value  # type: ignore[no-any-return]
    if not isinstance(value, Mapping):
        hint = did_you_mean(value, ["balanced"]) if isinstance(value, str) else None
        text = "expected balanced, or a mapping from classes to numbers"
        raise OptionError(f"{text}, found {shorten(value)}", hint=hint)
    weights: dict[ClassName, float] = {}
    errors: list[GraphCNNError] = []
    for key, number in value.items():
        name = int(key) if isinstance(key, str) and _INDEX.fullmatch(key) else key
        if isinstance(name, bool) or not isinstance(name, str | int) or name in weights:
            text = f"expected each class once, by its name or its index, found {shorten(key)}"
            errors.append(OptionError(text, path=(key,)))
        elif not is_number(number) or number < 0:
            text = f"{key}: expected a number of 0 or more, found {shorten(number)}"
            errors.append(OptionError(text, path=(key,)))
        else:
            weights[name] = float(number)
    if errors:
        raise ErrorGroup(errors)
    return weights


Stopping = Annotated[EarlyStopping | None, Read(_stopping)]
ClassWeight = Annotated[Literal["balanced"] | Mapping[ClassName, float] | None, Read(_class_weight)]


@dataclass(frozen=True, kw_only=True)
class Recipe(Options):
    """How a model is trained.

    Attributes:
        optimizer: The optimizer, with its learning rate or schedule.
        loss: The loss; None: the one that the output asks for.
        metrics: What is reported beside the loss, and beside the accuracy that labels allow.
        epochs: How often the training data is gone through.
        batch_size: Samples in a batch.
        steps_per_epoch: Batches in an epoch; None: all that the training data makes.
        validation_split: The share of the training samples, or their number, that is held back
            for validation.
        seed: What all randomness starts from.
        augmentation: Changes to the images, applied in order, in training only.
        early_stopping: When to stop before the last epoch.
        class_weight: How much a sample of each class counts; ``balanced``: in inverse proportion
            to the class's number of samples. A class is its name or its index, and 1 if left out;
            a whole number is an index where no class has it for a name.
        precision: What the layers compute in; auto is bfloat16 where the machine has it. Weights
            are float32 always.
        monitor: What the best epoch is chosen by, such as ``val_accuracy``; None: what there is.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    loss: Loss | None = None
    metrics: Metrics = ()
    epochs: Size = 10
    batch_size: Size = 32
    steps_per_epoch: Size | None = None
    validation_split: Annotated[float, Meta(ge=0, lt=1)] | Annotated[int, Meta(ge=0, lt=2**31)] = 0
    seed: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    augmentation: Augmentations = ()
    early_stopping: Stopping = None
    class_weight: ClassWeight = None
    precision: Literal["float32", "auto"] = "float32"
    monitor: str | None = None

    def with_overrides(self, **given: Any) -> Recipe:
        """This recipe with other fields on top, read as `build` reads them.

        Raises:
            ErrorGroup: What is wrong with them.
        """
        return build(Recipe, {**vars(self), **given})

    def to_plain(self) -> dict[str, Any]:
        """Every field as JSON data, defaults included, from which `build` makes it again."""
        plain: dict[str, Any] = _plain(self)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Options):
        fields = {f.name: _plain(getattr(value, f.name)) for f in option_fields(type(value))}
        name = _NAMES.get(type(value))
        return fields if name is None else {name: fields}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    return value
