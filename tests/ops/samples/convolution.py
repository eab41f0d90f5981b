"""Samples of convolutions and dense layers."""

from graphcnn.ops import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)

from .base import no, ok

VALID = [
    # Conv1D: valid, uneven same, causal, dilated, explicit pads, groups.
    ok(Conv1D(filters=4, kernel_size=3), (10, 2), gives=(8, 4)),
    ok(Conv1D(filters=4, kernel_size=4, strides=3, padding="same"), (11, 2), gives=(4, 4)),
    ok(Conv1D(filters=3, kernel_size=3, padding="causal"), (7, 2), gives=(7, 3)),
    ok(Conv1D(filters=3, kernel_size=3, padding="causal", dilation_rate=2), (7, 2), gives=(7, 3)),
    ok(Conv1D(filters=3, kernel_size=2, padding="causal", strides=3), (8, 2), gives=(3, 3)),
    ok(Conv1D(filters=3, kernel_size=4, padding="same", dilation_rate=3), (9, 2), gives=(9, 3)),
    ok(Conv1D(filters=3, kernel_size=3, padding=((2, 1),)), (6, 2), gives=(7, 3)),
    ok(Conv1D(filters=6, kernel_size=3, groups=3, use_bias=False), (6, 9), gives=(4, 6)),
    # Conv2D: kernels and strides that differ by axis, every padding, strides over kernels.
    ok(Conv2D(filters=4, kernel_size=3), (7, 6, 3), gives=(5, 4, 4)),
    ok(Conv2D(filters=1, kernel_size=1), (1, 1, 1), gives=(1, 1, 1)),
    ok(Conv2D(filters=5, kernel_size=(2, 3), use_bias=False), (5, 5, 1), gives=(4, 3, 5)),
    ok(Conv2D(filters=4, kernel_size=3, strides=2, padding="same"), (7, 8, 2), gives=(4, 4, 4)),
    ok(Conv2D(filters=4, kernel_size=2, strides=2, padding="same"), (7, 5, 2), gives=(4, 3, 4)),
    ok(Conv2D(filters=4, kernel_size=4, padding="same"), (5, 6, 2), gives=(5, 6, 4)),
    ok(
        Conv2D(filters=4, kernel_size=(5, 2), strides=(3, 1), padding="same"),
        (7, 7, 2),
        gives=(3, 7, 4),
    ),
    ok(Conv2D(filters=4, kernel_size=2, strides=3, padding="same"), (8, 8, 2), gives=(3, 3, 4)),
    ok(Conv2D(filters=4, kernel_size=1, strides=3), (8, 7, 2), gives=(3, 3, 4)),
    ok(Conv2D(filters=4, kernel_size=1, strides=2, padding="same"), (7, 7, 2), gives=(4, 4, 4)),
    ok(Conv2D(filters=4, kernel_size=3, padding="same"), (1, 2, 2), gives=(1, 2, 4)),
    ok(Conv2D(filters=4, kernel_size=3, dilation_rate=2), (9, 8, 2), gives=(5, 4, 4)),
    ok(
        Conv2D(filters=4, kernel_size=(2, 3), dilation_rate=(3, 2), padding="same"),
        (9, 8, 2),
        gives=(9, 8, 4),
    ),
    ok(Conv2D(filters=4, kernel_size=3, padding=1), (5, 6, 2), gives=(5, 6, 4)),
    ok(
        Conv2D(filters=4, kernel_size=3, padding=(1, (0, 2)), strides=2), (6, 6, 2), gives=(3, 3, 4)
    ),
    ok(Conv2D(filters=6, kernel_size=3, groups=2), (6, 6, 4), gives=(4, 4, 6)),
    ok(
        Conv2D(filters=8, kernel_size=3, groups=4, strides=2, padding="same"),
        (5, 7, 4),
        gives=(3, 4, 8),
    ),
    ok(Conv2D(filters=4, kernel_size=3, groups=4), (5, 5, 4), gives=(3, 3, 4)),
    ok(Conv2D(filters=2, kernel_size=(3, 5), strides=(3, 4)), (8, 8, 1), gives=(2, 1, 2)),
    # Conv3D.
    ok(Conv3D(filters=3, kernel_size=2), (4, 5, 6, 2), gives=(3, 4, 5, 3)),
    ok(
        Conv3D(filters=3, kernel_size=(2, 3, 4), strides=(1, 2, 3), padding="same"),
        (4, 5, 6, 2),
        gives=(4, 3, 2, 3),
    ),
    ok(Conv3D(filters=3, kernel_size=2, dilation_rate=2), (4, 5, 6, 2), gives=(2, 3, 4, 3)),
    ok(Conv3D(filters=3, kernel_size=2, padding=((0, 1), 1, 0)), (3, 3, 3, 2), gives=(3, 4, 2, 3)),
    ok(
        Conv3D(filters=4, kernel_size=2, groups=2, use_bias=False), (3, 3, 3, 4), gives=(2, 2, 2, 4)
    ),
    # Depthwise.
    ok(DepthwiseConv1D(kernel_size=3), (6, 3), gives=(4, 3)),
    ok(
        DepthwiseConv1D(kernel_size=3, depth_multiplier=2, padding="same", strides=2),
        (6, 3),
        gives=(3, 6),
    ),
    ok(DepthwiseConv2D(kernel_size=3), (5, 6, 3), gives=(3, 4, 3)),
    ok(
        DepthwiseConv2D(kernel_size=(3, 2), depth_multiplier=3, padding="same"),
        (5, 6, 2),
        gives=(5, 6, 6),
    ),
    ok(
        DepthwiseConv2D(kernel_size=3, strides=2, padding="same", use_bias=False),
        (5, 6, 3),
        gives=(3, 3, 3),
    ),
    ok(DepthwiseConv2D(kernel_size=3, dilation_rate=2, padding="same"), (7, 6, 3), gives=(7, 6, 3)),
    ok(DepthwiseConv2D(kernel_size=3, padding=((1, 0), (0, 1))), (4, 4, 2), gives=(3, 3, 2)),
    ok(DepthwiseConv2D(kernel_size=2, activation="relu6"), (4, 4, 1), gives=(3, 3, 1)),
    # Separable.
    ok(SeparableConv1D(filters=4, kernel_size=3), (6, 3), gives=(4, 4)),
    ok(
        SeparableConv1D(filters=4, kernel_size=2, depth_multiplier=2, strides=3, padding="same"),
        (7, 3),
        gives=(3, 4),
    ),
    ok(SeparableConv2D(filters=4, kernel_size=3), (5, 6, 3), gives=(3, 4, 4)),
    ok(
        SeparableConv2D(filters=5, kernel_size=(2, 3), depth_multiplier=2, padding="same"),
        (5, 6, 2),
        gives=(5, 6, 5),
    ),
    ok(
        SeparableConv2D(filters=4, kernel_size=3, strides=2, padding="same", use_bias=False),
        (5, 6, 3),
        gives=(3, 3, 4),
    ),
    ok(
        SeparableConv2D(filters=4, kernel_size=3, dilation_rate=2, activation="tanh"),
        (7, 6, 2),
        gives=(3, 2, 4),
    ),
    # Transposed: the stride below, at and above the kernel; output_padding; dilation.
    ok(Conv1DTranspose(filters=3, kernel_size=3, strides=2), (4, 2), gives=(9, 3)),
    ok(Conv1DTranspose(filters=3, kernel_size=4, strides=2, padding="same"), (4, 2), gives=(8, 3)),
    ok(Conv2DTranspose(filters=3, kernel_size=3), (4, 5, 2), gives=(6, 7, 3)),
    ok(Conv2DTranspose(filters=3, kernel_size=2, strides=2), (4, 5, 2), gives=(8, 10, 3)),
    ok(Conv2DTranspose(filters=3, kernel_size=2, strides=3), (4, 5, 2), gives=(12, 15, 3)),
    ok(
        Conv2DTranspose(filters=3, kernel_size=1, strides=3, padding="same"),
        (4, 5, 2),
        gives=(12, 15, 3),
    ),
    ok(
        Conv2DTranspose(filters=3, kernel_size=3, strides=2, padding="same"),
        (4, 5, 2),
        gives=(8, 10, 3),
    ),
    ok(
        Conv2DTranspose(filters=3, kernel_size=(4, 3), strides=(1, 2), padding="same"),
        (4, 5, 2),
        gives=(4, 10, 3),
    ),
    ok(
        Conv2DTranspose(filters=3, kernel_size=3, strides=2, padding="same", output_padding=0),
        (4, 5, 2),
        gives=(7, 9, 3),
    ),
    ok(
        Conv2DTranspose(filters=3, kernel_size=3, strides=2, padding="same", output_padding=1),
        (4, 5, 2),
        gives=(8, 10, 3),
    ),
    ok(
        Conv2DTranspose(filters=3, kernel_size=4, strides=3, padding="same", output_padding=(1, 2)),
        (4, 5, 2),
        gives=(10, 14, 3),
    ),
    ok(
        Conv2DTranspose(filters=3, kernel_size=3, strides=3, output_padding=(2, 1)),
        (4, 5, 2),
        gives=(14, 16, 3),
    ),
    ok(Conv2DTranspose(filters=3, kernel_size=3, dilation_rate=2), (4, 5, 2), gives=(8, 9, 3)),
    ok(
        Conv2DTranspose(filters=3, kernel_size=2, dilation_rate=(3, 1), padding="same"),
        (4, 5, 2),
        gives=(4, 5, 3),
    ),
    ok(
        Conv2DTranspose(filters=3, kernel_size=3, use_bias=False, activation="elu"),
        (2, 2, 1),
        gives=(4, 4, 3),
    ),
    ok(Conv3DTranspose(filters=3, kernel_size=2, strides=2), (2, 3, 4, 2), gives=(4, 6, 8, 3)),
    ok(
        Conv3DTranspose(filters=3, kernel_size=3, strides=(1, 2, 2), padding="same"),
        (2, 3, 4, 2),
        gives=(2, 6, 8, 3),
    ),
    # Dense, also over spatial axes.
    ok(Dense(units=5), (7,), gives=(5,)),
    ok(Dense(units=5, use_bias=False), (7,), gives=(5,)),
    ok(Dense(units=1, activation="sigmoid"), (1,), gives=(1,)),
    ok(Dense(units=5), (4, 3), gives=(4, 5)),
    ok(Dense(units=5, activation="relu"), (4, 3, 2), gives=(4, 3, 5)),
    ok(Dense(units=5, use_bias=False), (2, 3, 4, 6), gives=(2, 3, 4, 5)),
]

BAD = [
    no(Conv1D, (5, 2), filters=4, kernel_size=6, says="kernel 6 is larger than its input 5"),
    no(Conv1D, (5, 5, 2), filters=4, kernel_size=3, says="expected an input of 2 sizes (steps"),
    no(
        Conv2D, (5, 5, 64), filters=4, kernel_size=7, says="kernel 7x7 is larger than its input 5x5"
    ),
    no(
        Conv2D, (5, 5, 2), filters=4, kernel_size=3, dilation_rate=3, says="7x7 (dilated) is larger"
    ),
    no(Conv2D, (3, 3, 2), filters=4, kernel_size=7, padding=1, says="its padded input 5x5"),
    no(Conv2D, (8, 8, 3), filters=0, kernel_size=3, says="filters"),
    no(Conv2D, (8, 8, 3), filters=-2, kernel_size=3, says="filters"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=0, says="kernel_size"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=(3, 3, 3), says="expected 2 sizes or one for all"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=3, strides=0, says="strides"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=3, padding=-1, says="no negative number"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=3, padding=(1, 1, 1), says="expected 2 numbers"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=3, padding="full", says="padding"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=3, padding="causal", says="padding"),
    no(
        Conv2D,
        (8, 8, 3),
        filters=4,
        kernel_size=3,
        strides=2,
        dilation_rate=2,
        says="strides and dilation_rate cannot both",
    ),
    no(
        Conv2D,
        (8, 8, 3),
        filters=4,
        kernel_size=3,
        groups=2,
        says="3 input channels do not divide into 2 groups",
    ),
    no(
        Conv2D,
        (8, 8, 4),
        filters=3,
        kernel_size=3,
        groups=2,
        says="3 filters do not divide into 2 groups",
    ),
    no(Conv2D, (8, 8), filters=4, kernel_size=3, says="expected an input of 3 sizes"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=3, activation="rellu", says="did you mean relu?"),
    no(Conv2D, (8, 8, 3), filters=4, kernel_size=3, activation=7, says="expected a name"),
    no(Conv2D, (8, 8, 3), (8, 8, 3), filters=4, kernel_size=3, says="takes 1 input, found 2"),
    no(Conv3D, (8, 8, 3), filters=4, kernel_size=3, says="expected an input of 4 sizes"),
    no(DepthwiseConv1D, (2, 3), kernel_size=3, says="is larger than"),
    no(DepthwiseConv2D, (4, 4, 3), kernel_size=3, depth_multiplier=0, says="depth_multiplier"),
    no(SeparableConv1D, (4, 3), filters=2, kernel_size=5, says="is larger than"),
    no(SeparableConv2D, (4, 4), filters=2, kernel_size=3, says="expected an input of 3 sizes"),
    no(Conv1DTranspose, (4, 4, 3), filters=2, kernel_size=3, says="expected an input of 2 sizes"),
    no(
        Conv2DTranspose,
        (4, 4, 3),
        filters=2,
        kernel_size=3,
        strides=2,
        output_padding=2,
        says="expected less than the strides",
    ),
    no(Conv2DTranspose, (4, 4, 3), filters=2, kernel_size=3, padding=1, says="padding"),
    no(
        Conv2DTranspose,
        (4, 4, 3),
        filters=2,
        kernel_size=3,
        output_padding=-1,
        says="output_padding",
    ),
    no(Conv3DTranspose, (4, 4, 3), filters=2, kernel_size=3, says="expected an input of 4 sizes"),
    no(Dense, (4,), units=0, says="units"),
    no(Dense, (4,), units=10**12, says="units"),
    no(Dense, (2**20,), units=2**20, says="more than the"),
    no(Dense, (), units=3, says="last axis"),
]
