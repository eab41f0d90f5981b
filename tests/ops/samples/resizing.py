"""Samples of layers that give spatial axes other sizes."""

from graphcnn.ops import CenterCrop, Resizing, UpSampling1D, UpSampling2D, UpSampling3D
from graphcnn.types import symbol

from .base import no, ok

IMAGE = (4, 5, 3)

VALID = [
    ok(UpSampling1D(size=(2,)), (4, 2), gives=(8, 2)),
    ok(UpSampling1D(size=3), (4, 2), gives=(12, 2)),
    ok(UpSampling2D(), IMAGE, gives=(8, 10, 3)),
    ok(UpSampling2D(size=(1, 3)), IMAGE, gives=(4, 15, 3)),
    ok(UpSampling2D(interpolation="bilinear"), IMAGE, gives=(8, 10, 3)),
    ok(UpSampling2D(size=(3, 2), interpolation="bilinear"), IMAGE, gives=(12, 10, 3)),
    ok(UpSampling2D(size=5, interpolation="bilinear"), (1, 2, 2), gives=(5, 10, 2)),
    ok(UpSampling3D(size=(1, 2, 3)), (2, 3, 4, 2), gives=(2, 6, 12, 2)),
    ok(Resizing(height=8, width=10), IMAGE, gives=(8, 10, 3)),
    ok(Resizing(height=7, width=3), IMAGE, gives=(7, 3, 3)),
    ok(Resizing(height=3, width=13), IMAGE, gives=(3, 13, 3)),
    ok(Resizing(height=1, width=1), IMAGE, gives=(1, 1, 3)),
    ok(Resizing(height=4, width=5), IMAGE, gives=IMAGE, identity=True),
    ok(Resizing(height=8, width=15, interpolation="nearest"), IMAGE, gives=(8, 15, 3)),
    ok(Resizing(height=7, width=3, interpolation="nearest"), IMAGE, gives=(7, 3, 3)),
    ok(Resizing(height=2, width=9, interpolation="nearest"), IMAGE, gives=(2, 9, 3)),
    # Ties, that float32 arithmetic resolves either way.
    ok(Resizing(height=37, width=23, interpolation="nearest"), (6, 28, 2), gives=(37, 23, 2)),
    ok(Resizing(height=82, width=9, interpolation="nearest"), (4, 30, 1), gives=(82, 9, 1)),
    ok(CenterCrop(height=2, width=3), IMAGE, gives=(2, 3, 3)),
    ok(CenterCrop(height=3, width=2), IMAGE, gives=(3, 2, 3)),
    ok(CenterCrop(height=4, width=5), IMAGE, gives=IMAGE, identity=True),
]

BAD = [
    no(UpSampling1D, IMAGE, says="expected an input of 2 sizes"),
    no(UpSampling2D, IMAGE, size=0, says="size"),
    no(UpSampling2D, IMAGE, size=(2, 2, 2), says="expected 2 sizes or one for all"),
    no(UpSampling2D, IMAGE, interpolation="linear", says="bilinear"),
    no(UpSampling3D, IMAGE, says="expected an input of 4 sizes"),
    no(Resizing, (4, 3), height=2, width=2, says="expected an input of 3 sizes"),
    no(Resizing, IMAGE, height=0, width=2, says="height"),
    no(Resizing, IMAGE, height=2, width=2, interpolation="bicubic", says="bilinear or nearest"),
    no(Resizing, IMAGE, height=2, width=2, antialias=True, says="antialias is not supported"),
    no(Resizing, IMAGE, height=2, width=2, crop_to_aspect_ratio=True, says="a Cropping2D before"),
    no(Resizing, IMAGE, height=2, width=2, pad_to_aspect_ratio=True, says="a ZeroPadding2D after"),
    no(Resizing, (symbol("H"), 5, 3), height=2, width=2, says="must be known, found [H, 5]"),
    no(CenterCrop, IMAGE, height=5, width=5, says="5x5 is more than the input's 4x5"),
    no(CenterCrop, (4, symbol("W"), 3), height=2, width=2, says="must be known, found [4, W]"),
    no(CenterCrop, (4, 5), height=2, width=2, says="expected an input of 3 sizes"),
]
