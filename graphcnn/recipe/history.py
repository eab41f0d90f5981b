"""What the records of a run say: which epoch was the best, and whether to stop.

Both are questions to the history alone, so that a run that is resumed answers them as it did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from graphcnn.errors import TrainingError, did_you_mean

from .recipe import EarlyStopping

LOG, CONFIG = "log.jsonl", "config.json"
"""The files of a run's directory that say how it went and what it was asked for."""

Record = Mapping[str, Any]
"""What a run's log says of an epoch."""

_RISING = (
    "accuracy",
    "auc",
    "precision",
    "recall",
    "f1_score",
    "fbeta_score",
    "r2_score",
    "cosine",
)
"""Words in the names of what is better when it is more."""


def best_epoch(history: Sequence[Record], monitor: str | None) -> int:
    """The number of the best epoch, from 1; 0 where there is none.

    Args:
        history: The records so far.
        monitor: What to go by; None: the validation accuracy, or else the validation loss, or,
            where nothing is held back for validation, the last epoch.

    Raises:
        TrainingError: The records have nothing of this name.
    """
    if not history:
        return 0
    key = monitor or next((k for k in ("val_accuracy", "val_loss") if k in history[0]), None)
    if key is None:
        return len(history)
    sign = -1.0 if is_rising(key) else 1.0
    values = [sign * _value(record, key) for record in history]
    known = [math.inf if math.isnan(value) else value for value in values]
    return known.index(min(known)) + 1


def should_stop(history: Sequence[Record], stopping: EarlyStopping | None) -> bool:
    """Whether as many epochs as the patience allows went by without improvement.

    Source: keras.callbacks.EarlyStopping.

    Raises:
        TrainingError: The records have nothing of the monitored name.
    """
    if stopping is None:
        return False
    sign = -1.0 if is_rising(stopping.monitor, stopping.mode) else 1.0
    baseline = math.inf if stopping.baseline is None else sign * stopping.baseline
    best, waited, stop = math.inf, 0, False
    for number, record in enumerate(history):
        if number < stopping.start_from_epoch:
            continue
        value = sign * _value(record, stopping.monitor)
        waited += 1
        better = value < best - stopping.min_delta
        if better:
            best = value
            waited = 0 if value < baseline - stopping.min_delta else waited
        stop = not better and waited >= stopping.patience and number > 0
    return stop


def is_rising(key: str, mode: Literal["auto", "min", "max"] = "auto") -> bool:
    """Whether more is better."""
    if mode != "auto":
        return mode == "max"
    return key.removeprefix("val_").startswith(_RISING) or key.endswith("accuracy")


def _value(record: Record, key: str) -> float:
    if key not in record:
        raise TrainingError(
            f"there is no {key} to go by",
            hint=did_you_mean(key, record) or "validation_split holds samples back for val_...",
        )
    return float(record[key])
