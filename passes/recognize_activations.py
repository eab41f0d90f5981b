r"""Recognise activations from the arithmetic they are written in.

Sums, products, powers, cuts and a few functions of one value :math:`x` are a polynomial in
:math:`x` and in those functions. It is worked out as sums of products, so that
:math:`x \cdot (r / 6)`, :math:`(x / 6) \cdot r` and :math:`(x \cdot r) / 6` are one, and compared
with those of the activations:

- hard sigmoid :math:`h(x) = \mathrm{relu6}(x + 3) / 6`, hard swish :math:`x h(x)`;
- silu :math:`x \sigma(x)`, mish :math:`x \tanh(\log(1 + e^x))`;
- gelu :math:`\tfrac12 x (1 + \mathrm{erf}(x / \sqrt 2))`, or with
  :math:`\tanh(\sqrt{2 / \pi} (x + 0.044715 x^3))`;
- relu, relu6 and hard tanh: :math:`x` cut to :math:`[0, \infty)`, :math:`[0, 6]`, :math:`[-1, 1]`;
  a cut of a cut is one cut, and :math:`c \cdot [p]_a^b = [c p]_{ca}^{cb}`;
- square :math:`x^2`, square root :math:`x^{1/2}`.

Numbers need to agree to one in a million. Guards: no piece has a user outside, nor is an output.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import ClassVar

from graphcnn.graph import Graph, Node
from graphcnn.ops import (
    Activation,
    ActivationFunction,
    Add,
    Multiply,
    Op,
    ReLU,
    Rescaling,
    Subtract,
)
from graphcnn.ops.arithmetic import Clip, Power

from .base import Explain, Pass
from .rewriting import merged


@dataclass(frozen=True, slots=True)
class _Call:
    """A function of a polynomial; the function without a polynomial is the value itself."""

    function: str
    of: frozenset[tuple[_Product, float]] = frozenset()
    bounds: tuple[float, float] = (-math.inf, math.inf)


_Product = frozenset[tuple[_Call, int]]
_Polynomial = dict[_Product, float]

_ONE: _Product = frozenset()
_X: _Polynomial = {frozenset({(_Call("x"), 1)}): 1.0}

_MOST_TERMS = 16
"""More than any activation has; work on larger polynomials ends."""

_MOST_PIECES = 24
"""The layers that are looked at: those of an activation, and others beside them."""

_CLOSE = 1e-6


def _sum(*terms: _Polynomial) -> _Polynomial:
    total: _Polynomial = {}
    for polynomial in terms:
        for product, factor in polynomial.items():
            total[product] = total.get(product, 0.0) + factor
    return {product: factor for product, factor in total.items() if factor}


def _product(*factors: _Polynomial) -> _Polynomial:
    return reduce(_product_of_two, factors)


def _product_of_two(p: _Polynomial, q: _Polynomial) -> _Polynomial:
    if len(p) * len(q) > _MOST_TERMS:
        raise ArithmeticError("too many terms")
    terms = []
    for a, x in p.items():
        for b, y in q.items():
            powers = Counter(dict(a))
            powers.update(dict(b))
            terms.append({frozenset(powers.items()): x * y})
    return _sum(*terms)


def _affine(p: _Polynomial, scale: float, offset: float = 0.0) -> _Polynomial:
    return _sum({product: scale * factor for product, factor in p.items()}, {_ONE: offset})


def _call(function: str) -> Callable[[_Polynomial], _Polynomial]:
    return lambda p: {frozenset({(_Call(function, frozenset(p.items())), 1)}): 1.0}


def _cut(p: _Polynomial, low: float, high: float) -> _Polynomial:
    """The polynomial between bounds, its one factor before the brackets, cuts of cuts as one."""
    factors = [factor for product, factor in p.items() if product != _ONE]
    if not factors:
        raise ArithmeticError("a number is no function")
    scale = factors[0] if len(factors) == 1 else 1.0
    low, high = sorted((low / scale, high / scale))
    inner = _affine(p, 1 / scale)
    single = next(iter(inner)) if len(inner) == 1 else _ONE
    for call, power in single if len(single) == 1 else ():
        if call.function == "cut" and power == 1:
            low, high = (min(max(bound, low), high) for bound in call.bounds)
            inner = dict(call.of)
    return {frozenset({(_Call("cut", frozenset(inner.items()), (low, high)), 1)}): scale}


def _hard_sigmoid(x: _Polynomial) -> _Polynomial:
    return _affine(_cut(_affine(x, 1, 3), 0, 6), 1 / 6)


def _gelu(x: _Polynomial, inner: _Polynomial, function: str) -> _Polynomial:
    return _product(_affine(x, 0.5), _affine(_call(function)(inner), 1, 1))


def _gelu_by_tanh(x: _Polynomial) -> _Polynomial:
    inner = _sum(x, _affine(_product(x, x, x), 0.044715))
    return _gelu(x, _affine(inner, math.sqrt(2 / math.pi)), "tanh")


_FORMULAS: dict[str, Callable[[_Polynomial], _Polynomial]] = {
    "relu": lambda x: _cut(x, 0, math.inf),
    "relu6": lambda x: _cut(x, 0, 6),
    "hard_tanh": lambda x: _cut(x, -1, 1),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda x: _product(x, _hard_sigmoid(x)),
    "silu": lambda x: _product(x, _call("sigmoid")(x)),
    "mish": lambda x: _product(x, _call("tanh")(_call("softplus")(x))),
    "gelu": lambda x: _gelu(x, _affine(x, math.sqrt(0.5)), "erf"),
    "gelu by tanh": _gelu_by_tanh,
    "square": lambda x: _product(x, x),
    "sqrt": _call("sqrt"),
}
_FUNCTIONS = {
    name: ActivationFunction.decode({"gelu": {"approximate": True}} if " " in name else name)
    for name in _FORMULAS
}
_TARGETS = {name: rule(_X) for name, rule in _FORMULAS.items()}
_RULES = {
    **{_FUNCTIONS[name]: rule for name, rule in _FORMULAS.items()},
    **{
        ActivationFunction.decode(name): _call(name)
        for name in ("sigmoid", "tanh", "erf", "softplus")
    },
    ActivationFunction.decode("linear"): lambda x: x,
}


@dataclass(frozen=True, kw_only=True)
class RecognizeActivations(Pass):
    """Recognise activations from the arithmetic they are written in."""

    name: ClassVar[str] = "recognize-activations"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once, from its end, so that the largest expression comes first."""
        changed = False
        kinds = (Multiply, Rescaling, Power, Clip, ReLU)
        for name in reversed([n.name for n in graph if isinstance(_function(n.op), kinds)]):
            if name in graph:
                changed |= _recognize(graph, graph.node(name), explain)
        return changed


def _recognize(graph: Graph, root: Node, explain: Explain) -> bool:
    """Turn a value into an activation of the nearest value that it is one of."""
    near = _near(graph, root)
    for base in dict.fromkeys(source for node in near.values() for source in node.inputs):
        found: dict[str, _Polynomial] = {}
        try:
            polynomial = _evaluate(graph, root.name, base, near, found)
        except ArithmeticError:
            continue
        label = next((n for n, target in _TARGETS.items() if _alike(target, polynomial)), None)
        if label is None or (len(found) == 1 and _FUNCTIONS[label] == _function(root.op)):
            continue
        function = _FUNCTIONS[label]
        op = function if isinstance(function, ReLU) else Activation(activation=function)
        pieces = [graph.node(name) for name in reversed(found)]
        if reason := _needed(graph, pieces[1:], found.keys()):
            explain(root.name, f"not recognized as {label}: {reason}")
            continue
        _turn(graph, pieces, op, base)
        explain(root.name, f"recognized as {label} of {base}")
        return True
    return False


def _near(graph: Graph, root: Node) -> dict[str, Node]:
    """The arithmetic that leads to a value, nearest first, as far as an activation can reach."""
    near, left = {root.name: root}, [root]
    for node in left:
        for source in map(graph.node, node.inputs):
            if len(near) < _MOST_PIECES and source.name not in near and _rule(source.op):
                near[source.name] = source
                left.append(source)
    return near


def _function(op: Op) -> Op:
    return op.activation if isinstance(op, Activation) else op


def _rule(op: Op) -> Callable[..., _Polynomial] | None:
    """What a layer makes of the polynomials of its inputs, if that is known."""
    for kind, rule in _ARITHMETIC.items():
        if isinstance(op, kind):
            return rule
    function = _function(op)
    if isinstance(op, Rescaling) and isinstance(op.scale, float) and isinstance(op.offset, float):
        return partial(_affine, scale=op.scale, offset=op.offset)
    if isinstance(function, Clip):
        low, high = function.min_value, function.max_value
        return partial(_cut, low=-math.inf if low is None else low, high=_upper(high))
    if isinstance(function, ReLU) and not (function.negative_slope or function.threshold):
        return partial(_cut, low=0, high=_upper(function.max_value))
    if isinstance(function, Power) and function.exponent in _POWERS:
        return _POWERS[function.exponent]
    return _RULES.get(function) if isinstance(function, ActivationFunction) else None


def _upper(high: float | None) -> float:
    return math.inf if high is None else high


_ARITHMETIC: dict[type[Op], Callable[..., _Polynomial]] = {
    Add: _sum,
    Multiply: _product,
    Subtract: lambda p, q: _sum(p, _affine(q, -1)),
}
_POWERS: dict[float, Callable[[_Polynomial], _Polynomial]] = {
    0.5: _call("sqrt"),
    2: lambda p: _product(p, p),
    3: lambda p: _product(p, p, p),
}


def _evaluate(
    graph: Graph, name: str, base: str, near: Mapping[str, Node], found: dict[str, _Polynomial]
) -> _Polynomial:
    """A value as a polynomial in another.

    Args:
        graph: The graph.
        name: The value.
        base: What it is a polynomial in.
        near: The nodes that may be worked out.
        found: Gets every value that was worked out, each after those it is made of.

    Raises:
        ArithmeticError: It depends on something else, or has too many terms.
    """
    if name == base:
        return _X
    if name not in found:
        rule = _rule(near[name].op) if name in near else None
        if rule is None:
            raise ArithmeticError(f"{name} is no arithmetic")
        inputs = [_evaluate(graph, source, base, near, found) for source in near[name].inputs]
        found[name] = rule(*inputs)
    return found[name]


def _alike(p: _Polynomial, q: _Polynomial) -> bool:
    """Whether two polynomials are one, up to rounding."""
    return len(p) == len(q) and all(
        any(math.isclose(x, y, rel_tol=_CLOSE) and _same(a, b) for b, y in q.items())
        for a, x in p.items()
    )


def _same(a: _Product, b: _Product) -> bool:
    return len(a) == len(b) and all(
        any(
            (one.function, power) == (other.function, power2)
            and all(
                math.isclose(*pair, rel_tol=_CLOSE)
                for pair in zip(one.bounds, other.bounds, strict=True)
            )
            and _alike(dict(one.of), dict(other.of))
            for other, power2 in b
        )
        for one, power in a
    )


def _needed(graph: Graph, pieces: Iterable[Node], inside: Collection[str]) -> str | None:
    """Why the pieces cannot go away, or None."""
    for piece in pieces:
        if graph.outputs.of(piece.name):
            return f"{piece.name} is an output"
        for user in graph.users(piece.name):
            if user.name not in inside:
                return f"{piece.name} is used by {user.name} too"
    return None


def _turn(graph: Graph, pieces: Sequence[Node], op: Op, base: str) -> None:
    """Make the first of the pieces an activation of a value, and erase the others.

    It goes from input to input: the graph sees at once that a value which led to an input of a
    node does not depend on it.
    """
    root, *others = pieces
    source = root.inputs[0]
    graph.replace(root.name, op=op, inputs=(source,))
    while source != base:
        source = graph.node(source).inputs[0]
        graph.replace(root.name, inputs=(source,))
    graph.replace(root.name, **merged(RecognizeActivations.name, root, *others))
    for piece in others:
        graph.erase(piece.name)
