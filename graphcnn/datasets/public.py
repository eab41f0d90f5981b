"""Data sets by their public names, fetched and cached by keras.datasets."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any

from graphcnn.errors import DataError

from .dataset import Dataset, Split

_FASHION = "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"
_CIFAR = "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck"

PUBLIC = {
    "mnist": (),
    "fashion_mnist": tuple(_FASHION.split(", ")),
    "cifar10": tuple(_CIFAR.split(", ")),
}
"""The names of the data sets, and of their classes where those are words."""


def read_public(name: str) -> Dataset:
    """Fetch a data set, unless Keras has it cached.

    Returns:
        x as uint8 (samples, height, width) or (samples, height, width, channels), y as uint8.

    Raises:
        MissingExtra: Keras, or TensorFlow that it runs on, is not installed.
        DataError: It cannot be fetched.
    """
    (x_train, y_train), (x_test, y_test) = _load(name)
    return Dataset(name, Split(x_train, y_train), Split(x_test, y_test), PUBLIC[name])


def _load(name: str) -> Any:
    from graphcnn.engine import keras

    try:
        # Keras prints its progress to the standard output, which is for results.
        with redirect_stdout(sys.stderr):
            return getattr(keras.datasets, name).load_data()
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"{name} cannot be fetched by keras.datasets: {reason}",
            hint="get its files yourself, and give their folder as the data",
        ) from error
