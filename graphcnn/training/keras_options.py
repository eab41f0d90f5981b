"""What a recipe asks Keras for: its optimizer, and what layers compute in."""

from __future__ import annotations

from typing import Any

from graphcnn.engine import keras, tf
from graphcnn.options import field_values
from graphcnn.recipe import Optimizer, Recipe, Schedule


def compute_dtype(recipe: Recipe) -> str:
    """What the layers compute in, as Keras calls it."""
    return "mixed_bfloat16" if recipe.precision == "auto" and has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Whether the machine multiplies bfloat16 matrices in hardware."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())


def make_optimizer(optimizer: Optimizer, steps: int) -> Any:
    """Keras's optimizer for a training of this many steps."""
    fields = field_values(optimizer)
    rate = fields["learning_rate"]
    if isinstance(rate, Schedule):
        rate = rate.with_steps(steps)
        schedule = getattr(keras.optimizers.schedules, type(rate).__name__)
        fields["learning_rate"] = schedule(**field_values(rate))
    return getattr(keras.optimizers, type(optimizer).__name__)(**fields)
