"""The names of the classes that outputs score: whether model, weights and data agree on them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from .errors import EvaluationError, GraphError, WeightError
from .graph import Graph
from .naming import class_names
from .weights import WeightStore


def check_classes(graph: Graph, classes: Sequence[str]) -> None:
    """Refuse class names of another number than the outputs have scores.

    A single output has scores along its last axis; of several, those have that are one vector
    a sample. One score is enough for two classes.

    Raises:
        GraphError: With the output and its size.
    """
    types = {name: graph.type(source) for name, source in graph.outputs.items()}
    scores = types if len(types) == 1 else {n: t for n, t in types.items() if t.rank == 2}
    for name, type_ in scores.items():
        size = type_.sizes[-1]
        if size != len(classes) and (size, len(classes)) != (1, 2):
            count = len(classes)
            raise GraphError(
                f"{count} is the number of class names, and {size} the last size of {name}"
            )


def classes_of(graph: Graph, store: WeightStore) -> tuple[str, ...]:
    """The names of the classes, which the model or its weights or both have.

    Raises:
        WeightError: They have different ones.
        GraphError: They are not as many as the outputs have scores.
    """
    ours, theirs = (class_names(c) if c else () for c in (graph.classes, store.classes))
    if ours and theirs and ours != theirs:
        pairs = zip_longest(ours, theirs, fillvalue="absent")
        index, (one, other) = next((i, pair) for i, pair in enumerate(pairs) if len({*pair}) > 1)
        raise WeightError(
            f"class {index} is {one} in the model, and {other} in its weights",
            hint="they were trained with other classes, or with these in another order",
        )
    classes = ours or theirs
    if classes:
        check_classes(graph, classes)
    return classes


def common_classes(data: Sequence[str], model: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes, from data and from a model's file, either of which may lack them.

    Raises:
        EvaluationError: Both know the same names, in another order.
    """
    if data and model and list(data) != list(model) and sorted(data) == sorted(model):
        index = next(
            i for i, names in enumerate(zip(data, model, strict=True)) if len({*names}) > 1
        )
        raise EvaluationError(
            f"class {index} is {data[index]!r} in the data, and {model[index]!r} in the model",
            hint="the model was trained on data whose classes were numbered differently",
        )
    return tuple(data) or tuple(model)
