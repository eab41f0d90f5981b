"""Training in TensorFlow, and weights out of it and into it.

TensorFlow is imported with this package, and nowhere else.
"""

from .build import to_keras
from .fit import Progress, TrainResult, train
from .predict import predict
from .run_directory import RunDirectory

__all__ = ["Progress", "RunDirectory", "TrainResult", "predict", "to_keras", "train"]
