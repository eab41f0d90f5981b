"""Images as a model's input."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from graphcnn.errors import MissingExtra, RuntimeFailure

from .signature import Array, TensorSpec

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
"""The kinds of images that are read."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_image(path: Path, spec: TensorSpec) -> Array:
    """Read an image as one sample of an input.

    Args:
        path: A PNG, JPEG, BMP or GIF file; of several frames the first is read.
        spec: What the model asks for.

    Returns:
        uint8 of 0 to 255, with a batch of one, in the input's layout: grey, RGB (BGR where the file
        says so) or RGBA by its number of channels, and resized (bilinear, without regard to
        proportions) to its height and width where they are fixed. A rotation in EXIF data is not
        applied, as in Keras.

    Raises:
        MissingExtra: Pillow is not installed.
        RuntimeFailure: The input does not take images, or the file is damaged, of another kind, of
            more than 8 bits a channel, or so large that it may be a decompression bomb.
    """
    mode = _mode(path, spec)
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("pillow", "cpu") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                pixels = _pixels(path, image, mode, spec)
    except RuntimeFailure:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise RuntimeFailure(
            f"{path}: an image of more than {Image.MAX_IMAGE_PIXELS:,} pixels is not read"
        ) from None
    except Exception as error:
        raise RuntimeFailure(
            f"{path}: not a readable image, it may be damaged", hint=f"one of {', '.join(_FORMATS)}"
        ) from error
    return pixels


def in_colors(images: Array, spec: TensorSpec) -> Array:
    """Images, channels last, from RGB to the order of an input's colours, or back."""
    return images[..., ::-1] if spec.colors == "BGR" else images


def _mode(path: Path, spec: TensorSpec) -> str:
    """How Pillow calls images of the input's channels."""
    if spec.layout not in ("NCHW", "NHWC"):
        raise RuntimeFailure(
            f"{path} is an image, and input {spec.name!r} is {spec}", hint="give it as .npy"
        )
    channels = spec.size("C")
    if channels not in _MODES:
        raise RuntimeFailure(
            f"{path} is an image, and input {spec.name!r} has {channels} channels",
            hint="images have 1, 3 or 4 channels; give others as .npy",
        )
    return _MODES[int(channels)]


def _pixels(path: Path, image: PILImage, mode: str, spec: TensorSpec) -> Array:
    from PIL.Image import Resampling

    if image.mode.startswith(("I", "F")):
        raise RuntimeFailure(
            f"{path} has more than 8 bits a channel",
            hint="convert it to 8 bits, or give it as .npy",
        )
    converted = image.convert(mode)
    height, width = spec.size("H"), spec.size("W")
    size = (
        width if isinstance(width, int) else converted.width,
        height if isinstance(height, int) else converted.height,
    )
    pixels = np.asarray(converted.resize(size, resample=Resampling.BILINEAR))
    rows = in_colors(pixels.reshape(1, size[1], size[0], -1), spec)
    return rows.transpose(0, 3, 1, 2) if spec.layout == "NCHW" else rows
