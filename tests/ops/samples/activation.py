"""Samples of activations: each as a layer on vectors and images, and inside other layers."""

from graphcnn.ops import (
    ELU,
    Activation,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)

from .base import no, ok

NAMES = [
    "abs", "celu", "elu", "erf", "exp", "exponential", "gelu", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log", "log_sigmoid", "log_softmax", "mish",
    "negative", "prelu", "reciprocal", "relu", "relu6", "rsqrt", "selu", "sigmoid", "silu",
    "softmax", "softplus", "softsign", "sqrt", "square", "swish", "tanh",
]  # fmt: skip
"""Every activation by name; a test holds it against the registry."""

PARTIAL = {"log", "reciprocal", "rsqrt", "sqrt"}
"""Those that have no result of some numbers, or an endless one."""

NON_NEGATIVE = {
    "abs", "exp", "exponential", "hard_sigmoid", "relu", "relu6", "rsqrt", "sigmoid", "softmax",
    "softplus", "sqrt", "square",
}  # fmt: skip
"""Those of which no result is below zero."""

OPTIONS = [
    {"relu": {"max_value": 6}},
    {"relu": {"max_value": 2.5, "negative_slope": 0.1}},
    {"relu": {"negative_slope": 0.25}},
    {"relu": {"threshold": 0.5}},
    {"relu": {"threshold": 0.5, "max_value": 2.0}},
    {"relu": {"threshold": 0.5, "max_value": 2.0, "negative_slope": 0.1}},
    {"relu6": {"negative_slope": 0.1}},
    {"leaky_relu": {"negative_slope": 0.01}},
    {"elu": {"alpha": 0.5}},
    {"celu": {"alpha": 2.0}},
    {"gelu": {"approximate": True}},
    {"softmax": {"axis": 1}},
    {"softmax": {"axis": -2}},
    {"log_softmax": {"axis": 2}},
]
"""Functions with options, on images."""


def _expected(name: str) -> dict[str, bool]:
    return {"identity": name == "linear", "positive": name in PARTIAL}


VALID = [
    *(ok(Activation(activation=name), (6,), gives=(6,), **_expected(name)) for name in NAMES),
    *(ok(Activation(activation=name), (5, 3), gives=(5, 3), **_expected(name)) for name in NAMES),
    *(
        ok(Activation(activation=name), (3, 4, 5), gives=(3, 4, 5), **_expected(name))
        for name in NAMES
    ),
    *(
        ok(Dense(units=5, activation=name), (6,), gives=(5,))
        for name in NAMES
        if name not in PARTIAL
    ),
    *(
        ok(Conv2D(filters=4, kernel_size=3, activation=name), (6, 5, 3), gives=(4, 3, 4))
        for name in NAMES
        if name not in PARTIAL
    ),
    *(ok(Activation(activation=options), (3, 4, 5), gives=(3, 4, 5)) for options in OPTIONS),
    *(
        ok(DepthwiseConv2D(kernel_size=2, activation=options), (4, 5, 6), gives=(3, 4, 6))
        for options in OPTIONS
    ),
    ok(ReLU(), (3, 4, 5), gives=(3, 4, 5)),
    ok(ReLU(max_value=1.5, negative_slope=0.2, threshold=0.5), (7,), gives=(7,)),
    ok(LeakyReLU(), (3, 4, 5), gives=(3, 4, 5)),
    ok(LeakyReLU(negative_slope=0.0), (7,), gives=(7,)),
    ok(ELU(alpha=0.3), (4, 5), gives=(4, 5)),
    ok(PReLU(), (7,), gives=(7,)),
    ok(PReLU(), (3, 4, 5), gives=(3, 4, 5)),
    ok(PReLU(shared_axes=(1, 2)), (3, 4, 5), gives=(3, 4, 5)),
    ok(PReLU(shared_axes=(1,)), (3, 4, 5), gives=(3, 4, 5)),
    ok(PReLU(shared_axes=(3,)), (3, 4, 5), gives=(3, 4, 5)),
    ok(PReLU(shared_axes=(1, 2, 3)), (3, 4, 5), gives=(3, 4, 5)),
    ok(PReLU(shared_axes=(1,)), (7,), gives=(7,)),
    ok(PReLU(shared_axes=(1, 3)), (2, 3, 4, 5), gives=(2, 3, 4, 5)),
    ok(Dense(units=5, activation={"prelu": {"shared_axes": [1]}}), (6,), gives=(5,)),
    ok(
        Conv2D(filters=4, kernel_size=2, activation={"prelu": {"shared_axes": [1, 2]}}),
        (4, 5, 3),
        gives=(3, 4, 4),
    ),
    ok(Dense(units=3, activation={"softmax": {"axis": 1}}), (4, 5), gives=(4, 3)),
    ok(Softmax(), (7,), gives=(7,)),
    ok(Softmax(), (3, 4, 5), gives=(3, 4, 5)),
    ok(Softmax(axis=1), (3, 4, 5), gives=(3, 4, 5)),
    ok(Softmax(axis=-2), (3, 4, 5), gives=(3, 4, 5)),
    ok(Softmax(axis=2), (2, 3, 4, 5), gives=(2, 3, 4, 5)),
]

BAD = [
    no(Activation, (4,), activation="reluu", says="did you mean relu?"),
    no(Activation, (4,), activation={"relu": {"maximum": 3}}, says="unknown key 'maximum'"),
    no(Activation, (4,), activation={"relu": {"max_value": -1}}, says="max_value"),
    no(Activation, (4,), activation={"relu": {}, "tanh": {}}, says="expected a name"),
    no(Activation, (4,), activation={"softmax": {"axis": 2}}, says="axis 2 does not exist"),
    no(Activation, (4,), activation=None, says="activation"),
    no(Dense, (4,), units=3, activation={"softmax": {"axis": 2}}, says="axis 2 does not exist"),
    no(
        Conv2D,
        (4, 4, 1),
        filters=2,
        kernel_size=3,
        activation={"prelu": {"shared_axes": [4]}},
        says="axis 4 does not exist",
    ),
    no(ReLU, (4,), negative_slope=-0.1, says="negative_slope"),
    no(ReLU, (4,), threshold="low", says="threshold: expected a number"),
    no(LeakyReLU, (4,), negative_slope=-0.1, says="negative_slope"),
    no(ELU, (4,), alpha=None, says="alpha"),
    no(PReLU, (4, 4, 2), shared_axes=(0,), says="shared_axes[0]"),
    no(PReLU, (4, 4, 2), shared_axes=(1, -1), says="shared_axes[1]"),
    no(PReLU, (4, 4, 2), shared_axes=(4,), says="axis 4 does not exist"),
    no(Softmax, (4, 4), axis=0, says="axis 0 is the batch"),
    no(Softmax, (4, 4), axis=-3, says="axis -3 is the batch"),
    no(Softmax, (4, 4), axis=3, says="axis 3 does not exist"),
]
