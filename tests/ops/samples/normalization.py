"""Samples of normalization and of preprocessing."""

from graphcnn.ops import (
    BatchNormalization,
    LayerNormalization,
    LocalResponseNormalization,
    Normalization,
    Rescaling,
)

from .base import no, ok

IMAGE = (4, 5, 3)

VALID = [
    ok(BatchNormalization(), IMAGE, gives=IMAGE),
    ok(BatchNormalization(), (6,), gives=(6,)),
    ok(BatchNormalization(epsilon=0.1), (5, 3), gives=(5, 3)),
    ok(BatchNormalization(axis=4), (2, 3, 4, 5), gives=(2, 3, 4, 5)),
    ok(BatchNormalization(center=False), IMAGE, gives=IMAGE),
    ok(BatchNormalization(scale=False, axis=3), IMAGE, gives=IMAGE),
    ok(BatchNormalization(scale=False, center=False), (6,), gives=(6,)),
    ok(LayerNormalization(), IMAGE, gives=IMAGE),
    ok(LayerNormalization(), (6,), gives=(6,)),
    ok(LayerNormalization(epsilon=0.1), (5, 3), gives=(5, 3)),
    ok(LayerNormalization(axis=(-2, -1)), IMAGE, gives=IMAGE),
    ok(LayerNormalization(axis=(1, 2, 3)), IMAGE, gives=IMAGE),
    ok(LayerNormalization(axis=(-1, -2)), IMAGE, gives=IMAGE),
    ok(LayerNormalization(axis=(-3, -2, -1), scale=False), IMAGE, gives=IMAGE),
    ok(LayerNormalization(center=False), IMAGE, gives=IMAGE),
    ok(LayerNormalization(scale=False, center=False), (2, 3, 4, 5), gives=(2, 3, 4, 5)),
    ok(LocalResponseNormalization(), (3, 4, 13), gives=(3, 4, 13)),
    ok(
        LocalResponseNormalization(depth_radius=2, bias=2.0, alpha=0.3, beta=0.75),
        (3, 4, 7),
        gives=(3, 4, 7),
    ),
    ok(LocalResponseNormalization(depth_radius=4, alpha=1e-4), (3, 4, 2), gives=(3, 4, 2)),
    ok(Rescaling(scale=1 / 255), IMAGE, gives=IMAGE),
    ok(Rescaling(scale=1 / 127.5, offset=-1), IMAGE, gives=IMAGE),
    ok(Rescaling(scale=1, offset=0.5), (6,), gives=(6,)),
    ok(Rescaling(scale=1), IMAGE, gives=IMAGE, identity=True),
    ok(Rescaling(scale=(1.0, 2.0, 3.0), offset=(0.1, 0.2, 0.3)), IMAGE, gives=IMAGE),
    ok(Rescaling(scale=(1.0, 2.0, 3.0)), (4, 3), gives=(4, 3)),
    ok(Normalization(), IMAGE, gives=IMAGE),
    ok(Normalization(), (6,), gives=(6,)),
    ok(Normalization(axis=None), IMAGE, gives=IMAGE),
    ok(Normalization(invert=True), IMAGE, gives=IMAGE),
    ok(Normalization(mean=0.5, variance=2.0), IMAGE, gives=IMAGE),
    ok(Normalization(axis=None, mean=0.5, variance=2.0), IMAGE, gives=IMAGE),
    ok(Normalization(mean=(0.1, 0.2, 0.3), variance=(1.0, 2.0, 3.0)), IMAGE, gives=IMAGE),
    ok(
        Normalization(mean=(0.1, 0.2, 0.3), variance=(1.0, 2.0, 3.0), invert=True),
        (4, 3),
        gives=(4, 3),
    ),
]

BAD = [
    no(BatchNormalization, IMAGE, axis=1, says="axis 1 is not the channels"),
    no(BatchNormalization, IMAGE, axis=0, says="axis 0 is the batch"),
    no(BatchNormalization, IMAGE, epsilon=-1e-3, says="epsilon"),
    no(BatchNormalization, IMAGE, axis=5, says="axis 5 does not exist"),
    no(LayerNormalization, IMAGE, axis=1, says="is not the last axis"),
    no(LayerNormalization, IMAGE, axis=(1, 3), says="is not the last axis"),
    no(LayerNormalization, IMAGE, axis=(-1, 3), says="is not the last axis"),
    no(LayerNormalization, IMAGE, axis=(), says="is not the last axis"),
    no(LayerNormalization, IMAGE, axis=(0, 1, 2, 3), says="axis 0 is the batch"),
    no(LocalResponseNormalization, (4, 3), says="expected an input of height, width and channels"),
    no(LocalResponseNormalization, IMAGE, depth_radius=0, says="depth_radius"),
    no(LocalResponseNormalization, IMAGE, alpha=0, says="alpha"),
    no(
        Rescaling, IMAGE, scale=(1.0, 2.0), says="scale has 2 numbers, and the input has 3 channels"
    ),
    no(Rescaling, IMAGE, scale=1, offset=(1.0,), says="offset has 1 numbers"),
    no(Normalization, IMAGE, mean=1.0, says="mean and variance are given together"),
    no(Normalization, IMAGE, mean=1.0, variance=-1.0, says="variance: expected no negative"),
    no(Normalization, IMAGE, mean=(1.0, 2.0), variance=1.0, says="mean has 2 numbers"),
    no(Normalization, IMAGE, axis=1, says="axis"),
    no(Normalization, (), says="last axis"),
]
