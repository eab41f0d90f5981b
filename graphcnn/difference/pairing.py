"""Which layer of one model is which of another.

1. Both are aligned by `difflib`, as texts are by their lines: layers whose names somebody chose by
   these, the others (``conv2d_3``, whose number only says how many came before) by what they do.
2. What is left is paired by name: layers that moved, or that changed.
3. What is left after that is aligned by what it does, and paired, as renamed, where the layers
   before the two, or those after them, are paired with each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from .side import Layer

_MOST_WORK = 3 * 10**8
"""Where an alignment could take more comparisons than this it is left out."""


def pair_layers(old: Sequence[Layer], new: Sequence[Layer]) -> dict[str, str]:
    """Find out which layer is which.

    Args:
        old: The layers of one model, each after those that it follows.
        new: Those of the other.

    Returns:
        The names in the second model by those in the first, of the layers that are in both.
    """
    pairs = {x.name: y.name for x, y in _aligned(old, new, _identity)}
    names = {y.name: y for y in _left(new, pairs.values())}
    for x in _left(old, pairs):
        y = names.get(x.name)
        if y and (x.scope is None or x.op == y.op):
            pairs[x.name] = y.name
    alike = list(_aligned(_left(old, pairs), _left(new, pairs.values()), lambda x: x.signature))
    _pair_renamed(alike, pairs, _users(old), _users(new))
    return pairs


def _identity(layer: Layer) -> Hashable:
    return layer.name if layer.scope is None else (layer.scope, layer.signature)


def _left(layers: Sequence[Layer], taken: Iterable[str]) -> list[Layer]:
    names = set(taken)
    return [layer for layer in layers if layer.name not in names]


def _aligned(
    old: Sequence[Layer], new: Sequence[Layer], key: Callable[[Layer], Hashable]
) -> Iterator[tuple[Layer, Layer]]:
    """The layers with equal keys, in the order that both have."""
    a, b = [key(layer) for layer in old], [key(layer) for layer in new]
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    start = min(len(a), len(b)) if same is None else same
    yield from zip(old[:start], new[:start], strict=True)
    a, b = a[start:], b[start:]
    counts = Counter(b)
    if (sum(counts[x] for x in a) + len(a)) * min(len(a), len(b)) > _MOST_WORK:
        return
    for i, j, size in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
        i, j = i + start, j + start
        yield from zip(old[i : i + size], new[j : j + size], strict=True)


def _pair_renamed(
    alike: Sequence[tuple[Layer, Layer]],
    pairs: dict[str, str],
    old_users: Mapping[str, set[str]],
    new_users: Mapping[str, set[str]],
) -> None:
    """Add the pairs whose neighbours are paired with each other."""
    for x, y in alike:
        before = [pairs.get(name) for name in x.inputs]
        if before == [*y.inputs] and (before or x.output == y.output):
            pairs[x.name] = y.name
    for x, y in reversed(alike):
        after = {pairs.get(name) for name in old_users[x.name]}
        if x.name not in pairs and after and after == new_users[y.name]:
            pairs[x.name] = y.name


def _users(layers: Sequence[Layer]) -> Mapping[str, set[str]]:
    users: dict[str, set[str]] = defaultdict(set)
    for layer in layers:
        for name in layer.inputs:
            users[name].add(layer.name)
    return users
