"""How a model is trained: the `train:` section of a model file, as data that is checked.

Nothing here imports TensorFlow. `graphcnn.training` makes Keras's objects from these, whose classes
are called what Keras's are. The classes are in `optimizers`, `schedules`, `losses`, `metrics` and
`augmentation`.
"""

from .augmentation import AUGMENTATIONS, Augmentation, RandomCrop, RandomErasing
from .losses import LOSSES, Loss
from .metrics import METRICS, Metric
from .optimizers import OPTIMIZERS, Optimizer
from .recipe import CHOICES, EarlyStopping, Recipe
from .schedules import SCHEDULES, Schedule

__all__ = [
    "AUGMENTATIONS",
    "CHOICES",
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Augmentation",
    "EarlyStopping",
    "Loss",
    "Metric",
    "Optimizer",
    "RandomCrop",
    "RandomErasing",
    "Recipe",
    "Schedule",
]
