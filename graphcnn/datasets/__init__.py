"""Readers of training and test data: IDX, CIFAR-10's batches, .npz, folders of images, by name."""

from .dataset import Dataset, Split
from .read import check_single, read_dataset, read_file_data, read_model_data

__all__ = [
    "Dataset",
    "Split",
    "check_single",
    "read_dataset",
    "read_file_data",
    "read_model_data",
]
