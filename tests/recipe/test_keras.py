"""A recipe's classes against the Keras that is installed: names, arguments, defaults, and use.

A class that this Keras does not have yet is left out; everything else that differs fails.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import MISSING
from typing import Any

import pytest

from graphcnn.options import Options, build, option_fields
from graphcnn.recipe import CHOICES, EarlyStopping, Loss, Metric, Schedule
from graphcnn.recipe.losses import LOSSES
from graphcnn.recipe.metrics import Accuracy, F1Score
from graphcnn.recipe.optimizers import OPTIMIZERS
from graphcnn.recipe.schedules import SCHEDULES, CosineDecay, PolynomialDecay

from .samples import needed


@pytest.fixture(scope="module")
def keras() -> Any:
    from graphcnn.engine import keras

    return keras


def distinct(what: str) -> list[type[Any]]:
    return list(dict.fromkeys(CHOICES[what].values()))


def by_name(cls: type[Any]) -> str:
    return cls.__name__


def keras_class(module: Any, cls: type[Options]) -> Any:
    found = getattr(module, cls.__name__, None)
    if found is None:
        pytest.skip(f"this Keras has no {cls.__name__}")
    return found


def arguments(cls: Any, without: set[str]) -> dict[str, Any]:
    """Keras's arguments with their defaults, MISSING where there is none."""
    found = inspect.signature(cls).parameters.values()
    return {
        p.name: MISSING if p.default is p.empty else p.default
        for p in found
        if p.name not in without and p.kind is not p.VAR_KEYWORD
    }


def fields(cls: type[Options]) -> dict[str, Any]:
    return {field.name: field.default for field in option_fields(cls)}


def made(module: Any, options: Options) -> Any:
    """Keras's object, as training makes it."""
    given = {name: getattr(options, name) for name in fields(type(options))}
    return keras_class(module, type(options))(**given)


def public(module: Any, base: Any) -> set[str]:
    classes = inspect.getmembers(module, inspect.isclass)
    return {name for name, cls in classes if issubclass(cls, base) and cls is not base}


@pytest.mark.parametrize("cls", distinct("optimizer"), ids=by_name)
def test_optimizers(keras: Any, cls: type[Options]) -> None:
    found = keras_class(keras.optimizers, cls)
    assert fields(cls) == arguments(found, {"name", "loss_scale_factor"})
    assert made(keras.optimizers, cls())


def test_every_optimizer_of_one_model_is_there(keras: Any) -> None:
    known = {cls.__name__ for cls in OPTIMIZERS.values()}
    others = {"LossScaleOptimizer", "MultiOptimizer"}
    assert public(keras.optimizers, keras.optimizers.Optimizer) - others <= known


@pytest.mark.parametrize("cls", distinct("schedule"), ids=by_name)
def test_schedules(keras: Any, cls: type[Schedule]) -> None:
    module = keras.optimizers.schedules
    expected = arguments(keras_class(module, cls), {"name"})
    if cls in (CosineDecay, PolynomialDecay):
        assert expected["decay_steps"] is MISSING
        expected["decay_steps"] = None
    assert fields(cls) == expected
    schedule = made(module, build(cls, needed(cls)).with_steps(10))
    assert float(schedule(0)) == pytest.approx(0.5)


def test_every_schedule_is_there(keras: Any) -> None:
    module = keras.optimizers.schedules
    known = {cls.__name__ for cls in SCHEDULES.values()}
    assert public(module, module.LearningRateSchedule) <= known


def test_a_schedule_over_the_whole_training(keras: Any) -> None:
    module = keras.optimizers.schedules
    warm = CosineDecay(initial_learning_rate=0.0, warmup_target=0.5, warmup_steps=20)
    cosine = made(module, warm.with_steps(100))
    rates = [float(cosine(step)) for step in (0, 20, 60, 99, 100)]
    last = 0.5 * (1 + math.cos(math.pi * 79 / 80)) / 2
    assert rates == pytest.approx([0.0, 0.5, 0.25, last, 0.0], abs=1e-6)
    line = PolynomialDecay(initial_learning_rate=0.5, end_learning_rate=0.0).with_steps(100)
    rates = [float(made(module, line)(step)) for step in (0, 25, 100)]
    assert rates == pytest.approx([0.5, 0.375, 0.0])


LOSS_ARGUMENTS_LEFT_OUT = {"from_logits", "reduction", "name", "dtype", "axis", "ignore_class"}


@pytest.mark.parametrize("cls", distinct("loss"), ids=by_name)
def test_losses(keras: Any, cls: type[Loss]) -> None:
    found = keras_class(keras.losses, cls)
    assert fields(cls) == arguments(found, LOSS_ARGUMENTS_LEFT_OUT)
    assert cls.logits == ("from_logits" in arguments(found, set()))
    assert math.isfinite(float(made(keras.losses, cls())(*sample(cls.labels))))


def test_every_loss_for_images_is_there(keras: Any) -> None:
    known = {cls.__name__ for cls in LOSSES.values()}
    assert public(keras.losses, keras.losses.Loss) - {"CTC", "Circle"} <= known


@pytest.mark.parametrize("cls", [c for c in distinct("metric") if c is not Accuracy], ids=by_name)
def test_metrics(keras: Any, cls: type[Metric]) -> None:
    expected = arguments(keras_class(keras.metrics, cls), set())
    defaults = fields(cls)
    if issubclass(cls, F1Score):
        assert (expected.pop("average"), defaults.pop("average")) == (None, "macro")
    assert defaults.items() <= expected.items()
    metric = made(keras.metrics, cls())
    metric.update_state(*sample(cls.labels))
    assert math.isfinite(float(metric.result()))


def sample(labels: str) -> tuple[Any, Any]:
    """Three samples of four classes, as these labels and as what a softmax says of them."""
    import numpy as np

    integers = np.array([2, 0, 1])
    rows = np.eye(4, dtype=np.float32)[integers]
    probabilities = (rows + np.float32(0.25)) / 2
    return integers if labels == "sparse" else rows, probabilities


def test_a_loss_of_integers_and_one_of_rows_agree(keras: Any) -> None:
    values = [
        float(made(keras.losses, LOSSES[name]())(*sample(LOSSES[name].labels)))
        for name in ("sparse_categorical_crossentropy", "categorical_crossentropy")
    ]
    assert values == pytest.approx([-math.log(0.625)] * 2)


@pytest.mark.parametrize(
    "cls", [c for c in distinct("augmentation") if c.__name__ != "RandomCrop"], ids=by_name
)
def test_augmentations(keras: Any, cls: type[Options]) -> None:
    found = keras_class(keras.layers, cls)
    assert fields(cls) == arguments(found, {"data_format"})
    layer = made(keras.layers, build(cls, needed(cls)))
    images = keras.ops.ones((2, 6, 6, 3))
    assert layer(images, training=True).shape == images.shape
    assert keras.ops.all(layer(images, training=False) == images)


def test_early_stopping(keras: Any) -> None:
    ours = {"verbose", "restore_best_weights"}
    assert fields(EarlyStopping) == arguments(keras.callbacks.EarlyStopping, ours)
    assert made(keras.callbacks, EarlyStopping(patience=3)).patience == 3
