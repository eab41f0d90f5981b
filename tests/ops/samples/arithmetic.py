"""Samples of arithmetic on each element, of reductions, and of sums of products."""

from graphcnn.ops import Clip, Divide, Dot, LayerScale, Max, Mean, Min, Power, Sum

from .base import no, ok

IMAGE = (4, 5, 3)

VALID = [
    ok(Power(exponent=2.0), IMAGE, gives=IMAGE),
    ok(Power(exponent=3.0), (6,), gives=(6,)),
    ok(Power(exponent=0.5), (4, 3), gives=(4, 3), positive=True),
    ok(Power(exponent=-1.5), IMAGE, gives=IMAGE, positive=True),
    ok(Clip(min_value=-0.5, max_value=0.25), IMAGE, gives=IMAGE),
    ok(Clip(min_value=0.0), (6,), gives=(6,)),
    ok(Clip(max_value=0.5), (4, 3), gives=(4, 3)),
    ok(LayerScale(init_values=1e-6, projection_dim=3), IMAGE, gives=IMAGE),
    ok(LayerScale(init_values=0.5, projection_dim=6), (6,), gives=(6,)),
    ok(LayerScale(init_values=0.5, projection_dim=3), (4, 3), gives=(4, 3)),
    ok(Divide(), IMAGE, IMAGE, gives=IMAGE, positive=True),
    ok(Divide(), IMAGE, (1, 1, 3), gives=IMAGE, positive=True),
    ok(Divide(), (6,), (6,), gives=(6,), positive=True),
    # Reductions: what remains lies right, whichever axes go.
    ok(Mean(axis=(1, 2)), IMAGE, gives=(3,)),
    ok(Mean(axis=(1, 2), keepdims=True), IMAGE, gives=(1, 1, 3)),
    ok(Mean(axis=-1, keepdims=True), IMAGE, gives=(4, 5, 1)),
    # The channels are now what was the width: an image in the logical order.
    ok(Mean(axis=-1), IMAGE, gives=(4, 5), transposes=1),
    ok(Mean(axis=1), IMAGE, gives=(5, 3)),
    ok(Mean(axis=[2, 3]), IMAGE, gives=(4,)),
    ok(Mean(axis=[-1, 1]), (2, 3, 4, 5), gives=(3, 4), transposes=1),
    ok(Mean(keepdims=True), IMAGE, gives=(1, 1, 1)),
    ok(Mean(), IMAGE, gives=()),
    ok(Mean(axis=1), (6,), gives=()),
    ok(Mean(axis=1, keepdims=True), (6,), gives=(1,)),
    ok(Sum(axis=2), IMAGE, gives=(4, 3)),
    ok(Sum(axis=(1, 2), keepdims=True), IMAGE, gives=(1, 1, 3)),
    ok(Sum(axis=-1), (4, 3), gives=(4,)),
    ok(Max(axis=3, keepdims=True), IMAGE, gives=(4, 5, 1)),
    ok(Max(axis=(1, 2)), IMAGE, gives=(3,)),
    ok(Max(), (4, 3), gives=()),
    ok(Min(axis=(2, 3)), (2, 3, 4, 5), gives=(2, 5)),
    ok(Min(axis=-1, keepdims=True), (6,), gives=(1,)),
    ok(Dot(axes=1), (6,), (6,), gives=(1,)),
    ok(Dot(axes=-1, normalize=True), (6,), (6,), gives=(1,)),
    # A matrix product of values that are channels first moves nothing, or one of them.
    ok(Dot(axes=(2, 1)), (4, 3), (3, 5), gives=(4, 5)),
    ok(Dot(axes=(1, 2)), (3, 4), (5, 3), gives=(4, 5), transposes=1),
    ok(Dot(axes=2), (4, 3), (5, 3), gives=(4, 5), transposes=1),
    ok(Dot(axes=1, normalize=True), (3, 4), (3, 5), gives=(4, 5), transposes=1),
]

BAD = [
    no(Power, IMAGE, exponent="two", says="exponent: expected a number"),
    no(Clip, IMAGE, says="neither min_value nor max_value is given"),
    no(Clip, IMAGE, min_value=1, max_value=0, says="min_value: expected at most max_value"),
    no(LayerScale, IMAGE, init_values=1, projection_dim=4, says="the input has 3 channels"),
    no(LayerScale, (), init_values=1, projection_dim=4, says="last axis"),
    no(Divide, IMAGE, IMAGE, IMAGE, says="takes 2 inputs, found 3"),
    no(Divide, IMAGE, (4, 5, 2), says="do not fit together"),
    no(Mean, IMAGE, axis=0, says="axis 0 is the batch"),
    no(Mean, IMAGE, axis=[1, -3], says="expected different axes"),
    no(Mean, IMAGE, axis=(), says="at least one"),
    no(Sum, IMAGE, axis=4, says="axis 4 does not exist"),
    no(Max, IMAGE, axis="channels", says="axis"),
    no(Min, IMAGE, keepdims="yes", says="keepdims"),
    no(Dot, (6,), (5,), axes=1, says="the axes that are multiplied (1) must be equal"),
    no(Dot, (6,), (6, 6), axes=1, says="both have one size, or both have two"),
    no(Dot, IMAGE, IMAGE, axes=3, says="both have one size, or both have two"),
    no(Dot, (6,), (6,), axes=0, says="axis 0 is the batch"),
    no(Dot, (6,), (6,), axes=(1, 1, 1), says="axes"),
]
