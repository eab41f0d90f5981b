"""Folders of images, one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphcnn.errors import DataError
from graphcnn.runtime.images import IMAGE_SUFFIXES, read_image
from graphcnn.runtime.signature import TensorSpec

from .dataset import Dataset, Split
from .fit import Sizes, spell
from .streams import allocate, listed

_SPLITS = ("train", "test")
_CHANNELS = (1, 3, 4)


def read_folders(folder: Path, sizes: Sizes) -> Dataset:
    """Read train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE, which is then all for training.

    Args:
        folder: Where the folders are. Names that begin with a dot are passed over.
        sizes: Height, width and channels, to which each image is brought.

    Returns:
        x as uint8 (samples, height, width, channels), y as int64 (samples,), in the order of the
        names of classes and files.

    Raises:
        DataError: There is something else in a folder, a class has no image, the two splits do
            not have the same classes, or the model does not take images of one size.
        MissingExtra: Pillow is not installed.
        RuntimeFailure: An image is damaged.
    """
    known = _image_sizes(folder, sizes)
    roots = {name: folder / name for name in _SPLITS if (folder / name).is_dir()}
    if roots:
        _refuse([p for p in _visible(folder) if p.name not in roots], folder, " and ".join(_SPLITS))
    images = {name: _images(root) for name, root in (roots or {"train": folder}).items()}
    names = [list(classes) for classes in images.values()]
    if names[0] != names[-1]:
        differ = set(names[0]) ^ set(names[-1])
        raise DataError(
            f"{folder}: train and test must have the same classes, and only one has "
            f"{listed(differ)}"
        )
    splits = {name: _read(folder, classes, known) for name, classes in images.items()}
    return Dataset(str(folder), splits.get("train"), splits.get("test"), tuple(names[0]))


def _image_sizes(folder: Path, sizes: Sizes) -> tuple[int, ...]:
    known = tuple(size for size in sizes if size is not None)
    if len(sizes) != 3 or sizes[-1] not in _CHANNELS:
        raise DataError(
            f"{folder} is a folder of images, and the model's input is {spell(sizes)}",
            hint="images have a height, a width and 1, 3 or 4 channels; give others as .npz",
        )
    if len(known) < len(sizes):
        raise DataError(
            f"{folder} is a folder of images, and the model's input {spell(sizes)} is of any size",
            hint="give height and width as numbers in the model: images are brought to one size",
        )
    return known


def _images(root: Path) -> dict[str, list[Path]]:
    """The images of each class, in order."""
    folders = _visible(root)
    _refuse([path for path in folders if not path.is_dir()], root, "folders, one a class")
    if not folders:
        raise DataError(f"{root}: no folders in it", hint="one folder of images a class")
    return {folder.name: _of_class(folder) for folder in folders}


def _of_class(folder: Path) -> list[Path]:
    paths = _visible(folder)
    wrong = [p for p in paths if p.suffix.lower() not in IMAGE_SUFFIXES or not p.is_file()]
    _refuse(wrong, folder, f"images ({', '.join(IMAGE_SUFFIXES)})")
    if not paths:
        raise DataError(f"{folder}: no images in it", hint="remove the folder, or fill it")
    return paths


def _refuse(paths: list[Path], folder: Path, expected: str) -> None:
    if paths:
        raise DataError(
            f"{folder}: expected {expected}, found {listed(path.name for path in paths)}",
            hint="files whose names begin with a dot are passed over",
        )


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _read(folder: Path, classes: dict[str, list[Path]], sizes: tuple[int, ...]) -> Split:
    spec = TensorSpec("image", ("N", *sizes), np.dtype(np.uint8), "NHWC")
    paths = [path for images in classes.values() for path in images]
    x = allocate((len(paths), *sizes), np.uint8, folder)
    for at, path in enumerate(paths):
        x[at] = read_image(path, spec)[0]
    counts = [len(images) for images in classes.values()]
    return Split(x, np.repeat(np.arange(len(classes)), counts))
