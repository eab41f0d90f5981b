"""TensorFlow and Keras: imported here and nowhere else, by what trains and what fetches data.

TensorFlow reads its environment when it is imported, so Keras's backend is set before. Its start-up
notes go to the process's standard error whatever its log level, so that is held back meanwhile.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .errors import MissingExtra, TrainingError

Array = np.ndarray[Any, np.dtype[Any]]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what is written to standard error; print it if there is an exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


try:
    with _quiet():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
except ModuleNotFoundError:
    raise MissingExtra("tensorflow", "train") from None

if keras.backend.backend() != "tensorflow":
    raise TrainingError(
        f"Keras runs on {keras.backend.backend()}, and graphcnn trains on tensorflow",
        hint="unset KERAS_BACKEND",
    )


def as_array(variable: Any) -> Array:
    """What a variable or a tensor holds, also where there is a copy of it on each device."""
    array: Array = np.asarray(tf.convert_to_tensor(getattr(variable, "value", variable)))
    return array


def load_model(path: Path) -> Any:
    """A model from a .keras or .h5 file, not compiled: no code of the file's own is run.

    Raises:
        Exception: Whatever Keras raises for a file that it cannot read, or will not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return keras.saving.load_model(path, compile=False, safe_mode=True)


__all__ = ["as_array", "keras", "load_model", "tf"]
