r"""What a file does beside its network, done to what it is compared with: here in numpy.

A side whose images are smaller or larger than the other's camera gives them is fed images that are
resized as `graphcnn.ops.Resizing` does it: position :math:`p` of :math:`m` stands for
:math:`(p + 1/2) n / m - 1/2` of :math:`n`. A side with all scores, beside one with the best alone,
gives its best (`TopSide`).

Where scores are nearly equal two right engines may rank them differently. A class is right at a
rank where its score in A differs from A's score at that rank by no more than twice the tolerance,
and where B names no class twice. Where B is the side with all scores it is A's classes that are
looked up among them. Where neither has all, a class that A has not among its best is taken for one
that ties with A's last, if A's last two do: a tie that goes on to where the best are cut off is
seen. Else nothing is known of its score, and it is right at no rank: files that are right but for a
tie of the last with the first that is cut off are compared with a model that gives all scores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from graphcnn.comparison import Difference, Tolerance
from graphcnn.errors import VerificationError
from graphcnn.runtime.signature import Array
from graphcnn.types import LAST

from .pairing import Pair
from .side import Around, Runner, Side, Value

WHOLE = Tolerance(rtol=0, atol=0.5)
"""Classes are the same or they are not."""

_TOP = re.compile(r"(.+)_top\d+")


def resized(images: Array, height: int, width: int) -> Array:
    """Images, channels last, at another height and width, bilinear: float32."""
    found = images.astype(np.float64)
    for axis, after in ((1, height), (2, width)):
        before = found.shape[axis]
        at = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
        low = np.floor(at).astype(int)
        shape = [1] * found.ndim
        shape[axis] = after
        share = (at - low).reshape(shape)
        high = np.minimum(low + 1, before - 1)
        found = found.take(low, axis) * (1 - share) + found.take(high, axis) * share
    return found.astype(np.float32)


class TopSide(Around):
    """A side that gives the best of its scores, as another side does.

    `ranked_alike` makes the classes of the scores that its runner gives.

    Args:
        side: The side, which has the scores of all classes.
        other: The side that has the best alone.

    Raises:
        VerificationError: There is no output that the best can be of.
    """

    def __init__(self, side: Side, other: Side) -> None:
        super().__init__(side)
        self.tops, self.scored = other.tops, True
        given, sizes = list(side.outputs), {v.name: v.sizes for v in other.outputs}
        self._cut: dict[int, int] = {}
        outputs = list[Value]()
        for classes, scores in other.tops.items():
            place = _place(given, scores, [v.name for v in other.outputs])
            k = (sizes[scores] or (None,))[-1]
            if place is None or k is None:
                raise VerificationError(
                    f"{other.model} gives {scores}, and {side.model} has no scores of that name",
                    context=[("its outputs", ", ".join(v.name for v in given))],
                )
            self._cut[place] = k
            given[place] = Value(scores, scores, (k,), LAST)
            outputs.append(Value(classes, classes, (k,), LAST))
        self._scores = dict(zip(self._cut, outputs, strict=True))
        self.outputs = tuple(
            value
            for place, one in enumerate(given)
            for value in (one, *([self._scores[place]] if place in self._cut else []))
        )

    def layers(self) -> list[Value]:
        """See `Side.layers`; one that is named like what is made of the scores is not that."""
        made = {*self.tops, *self.tops.values()}
        return [value for value in super().layers() if value.name not in made]

    def runner(self, values: Sequence[Value] | None = None) -> Runner:
        """The side's own, with the best of its scores where its outputs are asked for."""
        run = self.side.runner(values)
        if values is not None:
            return run

        def cut(feeds: Mapping[str, Array]) -> list[Array]:
            found = list[Array]()
            for place, value in enumerate(run(feeds)):
                if place not in self._cut:
                    found.append(value)
                    continue
                best = _best(value, self._cut[place])
                found += [np.take_along_axis(value, best, -1), value]
            return found

        return cut


def _place(outputs: Sequence[Value], scores: str, others: Sequence[str]) -> int | None:
    """Which of a side's outputs the best scores of the other are of: by name, else by order."""
    match = _TOP.fullmatch(scores)
    names = [value.name for value in outputs]
    if match and match[1] in names:
        return names.index(match[1])
    place = others.index(scores)
    rows = place < len(outputs) and len(outputs[place].sizes or ()) == 1
    return place if rows else None


def with_best(a: Side, b: Side) -> tuple[Side, Side]:
    """Two sides of which neither, or each, gives the best of its scores alone.

    Raises:
        VerificationError: One cannot give what the other does.
    """
    if a.tops and not b.tops:
        return a, TopSide(b, a)
    return (TopSide(a, b), b) if b.tops and not a.tops else (a, b)


def ranked_alike(
    values: Sequence[tuple[Array, Array]],
    pairs: Sequence[Pair],
    sides: tuple[Side, Side],
    tolerance: Tolerance,
) -> list[tuple[Array, Array]]:
    """Values of A and of B, where classes that are tied are ranked alike.

    Args:
        values: Of A and of B, by pair.
        pairs: The pairs.
        sides: A and B.
        tolerance: How far a score of B may be from A's.
    """
    places = {pair.b.name: place for place, pair in enumerate(pairs)}
    found = list(values)
    for classes, scores in sides[1].tops.items():
        if classes not in places or scores not in places:
            continue
        both, kept = found[places[classes]], found[places[scores]]
        whole = [v if s.scored else None for s, v in zip(sides, both, strict=True)]
        a, b = (
            value if scored is None else _best(value, top.shape[-1])
            for value, scored, top in zip(both, whole, kept, strict=True)
        )
        if kept[0].size and a.shape == b.shape == kept[0].shape == kept[1].shape:
            bound = tolerance.bound(float(np.abs(kept[0]).max()))
            if whole[1] is None:
                b = without_ties(a, kept[0], b, bound, whole[0])
            else:
                a = without_ties(b, kept[1], a, bound, whole[1])
        found[places[classes]] = a, b
    return found


def _best(scores: Array, k: int) -> Array:
    """The classes with the highest scores, the highest first: int64[samples, k]."""
    return np.argsort(-scores, axis=-1, kind="stable")[..., :k]


def unranked(found: Difference, tops: Mapping[str, str]) -> Difference:
    """A difference without its argmax, which of ranked values says nothing."""
    ranked = found.other in tops or found.other in tops.values()
    return replace(found, same_argmax=None) if ranked else found


def without_ties(
    classes: Array, scores: Array, others: Array, bound: float, whole: Array | None = None
) -> Array:
    """Classes with those in their place that are ranked differently by less than the tolerance.

    Args:
        classes: One side's best, int[samples, k].
        scores: Their scores there, float[samples, k].
        others: The other side's best, int[samples, k].
        bound: How far a score of one side may be from the other's.
        whole: The first side's scores of all classes, float[samples, classes]; None where it gives
            the best alone.

    Returns:
        The other side's best, with the first's class where the two are as good: int[samples, k].
    """
    with np.errstate(invalid="ignore"):  # Of scores that are infinite or NaN none is as good.
        if whole is None:
            found = _scores_among_best(others, classes, scores, 2 * bound)
        else:
            found = _scores_among_all(others, whole)
        tied = np.abs(found - scores) <= 2 * bound
    distinct = (np.diff(np.sort(others, axis=1), axis=1) != 0).all(axis=1, keepdims=True)
    return np.where(tied & distinct, classes, others)


def _scores_among_all(wanted: Array, whole: Array) -> Array:
    """The scores of these classes, [samples, k]; NaN where there is no such class."""
    inside = (wanted >= 0) & (wanted < whole.shape[-1])
    places = np.where(inside, wanted, 0).astype(np.int64)
    known = inside & (places == wanted)
    return np.where(known, np.take_along_axis(whole, places, axis=1), np.nan)


def _scores_among_best(wanted: Array, classes: Array, scores: Array, bound: float) -> Array:
    """The scores of these classes, [samples, k]; of others the last, or NaN: see the module."""
    same = wanted[:, :, None] == classes[:, None, :]
    last = scores[:, -1:]
    ties = (scores[:, -2:-1] - last <= bound).any(axis=1, keepdims=True)
    other = np.where(ties & (wanted >= 0), last, np.nan)
    return np.where(same.any(axis=2), np.take_along_axis(scores, same.argmax(axis=2), 1), other)
