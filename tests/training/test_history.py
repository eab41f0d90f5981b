"""Early stopping is Keras's, and the best epoch is the first of the best."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graphcnn.errors import TrainingError
from graphcnn.recipe import EarlyStopping
from graphcnn.recipe.history import best_epoch, should_stop

VALUES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.25])


def epochs_by_keras(values: list[float], stopping: EarlyStopping) -> int:
    """After how many epochs Keras's callback stops."""
    from graphcnn.engine import keras
    from graphcnn.options import field_values

    callback = keras.callbacks.EarlyStopping(**field_values(stopping))
    model: Any = SimpleNamespace(stop_training=False, metrics=[])
    callback._model = model
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {stopping.monitor: value})
        if model.stop_training:
            return epoch + 1
    return len(values)


def epochs_here(values: list[float], stopping: EarlyStopping) -> int:
    history = [{stopping.monitor: value} for value in values]
    for count in range(len(values)):
        if should_stop(history[:count], stopping):
            return count
    return len(values)


@given(
    values=st.lists(VALUES, min_size=1, max_size=12),
    patience=st.integers(0, 4),
    min_delta=st.sampled_from([0.0, 0.25, 0.3]),
    mode=st.sampled_from(["min", "max"]),
    baseline=st.none() | VALUES,
    start=st.integers(0, 3),
)
@example([1.0, 1.0, 1.0], 0, 0.0, "min", None, 0)
@example([1.0, 0.5, 0.25, 0.0], 1, 0.0, "min", 0.25, 0)
def test_stops_where_keras_stops(
    values: list[float],
    patience: int,
    min_delta: float,
    mode: Any,
    baseline: float | None,
    start: int,
) -> None:
    stopping = EarlyStopping(
        monitor="val_loss",
        patience=patience,
        min_delta=min_delta,
        mode=mode,
        baseline=baseline,
        start_from_epoch=start,
    )
    assert epochs_here(values, stopping) == epochs_by_keras(values, stopping)


@pytest.mark.parametrize(
    ("monitor", "rising"),
    [
        ("val_loss", False),
        ("loss", False),
        ("val_accuracy", True),
        ("val_top_k_categorical_accuracy", True),
        ("auc", True),
        ("val_precision_2", True),
        ("val_mean_squared_error", False),
    ],
)
def test_what_is_better_goes_by_the_name(monitor: str, rising: bool) -> None:
    history = [{monitor: value} for value in (0.5, 0.75, 0.25, 0.75, 0.25)]
    assert best_epoch(history, monitor) == (2 if rising else 3)
    up = EarlyStopping(monitor=monitor, patience=2)
    assert should_stop([{monitor: value} for value in (0.1, 0.2, 0.3)], up) != rising


def test_the_best_epoch() -> None:
    both = [{"val_accuracy": 0.5, "val_loss": 0.1}, {"val_accuracy": 0.6, "val_loss": 0.2}]
    assert best_epoch(both, None) == 2
    assert best_epoch(both, "val_loss") == 1
    assert best_epoch([{"val_loss": v} for v in (0.3, 0.1, 0.2)], None) == 2
    assert best_epoch([{"loss": v} for v in (0.1, 0.2, 0.3)], None) == 3
    assert best_epoch([], None) == best_epoch([], "val_loss") == 0
    assert best_epoch([{"auc": math.nan}, {"auc": 0.1}], "auc") == 2


def test_nothing_of_that_name() -> None:
    with pytest.raises(TrainingError, match="there is no val_los to go by") as caught:
        best_epoch([{"val_loss": 1.0}], "val_los")
    assert caught.value.hint == "did you mean val_loss?"
    with pytest.raises(TrainingError, match="there is no val_loss to go by"):
        should_stop([{"loss": 1.0}], EarlyStopping())
