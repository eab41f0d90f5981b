"""How two models of one kind differ. Values of weights are not compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from graphcnn.errors import ModelFileError
from graphcnn.graph import Graph
from graphcnn.onnx_file import read_onnx_file

from .pairing import pair_layers
from .side import Costs, Layer, Model, side_of


@dataclass(frozen=True, slots=True)
class Change:
    """Something that differs, in words; None where one of the two lacks it."""

    what: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer that is not in both models, or not the same.

    Attributes:
        kind: What happened to it.
        old: The layer before; None where it was added.
        new: The layer after; None where it was removed.
        changes: What differs between the two; nothing but costs where empty.
    """

    kind: Literal["added", "removed", "renamed", "changed"]
    old: Layer | None
    new: Layer | None
    changes: tuple[Change, ...] = ()

    @property
    def layer(self) -> Layer:
        """The layer as it is now, or was."""
        layer = self.new or self.old
        assert layer is not None
        return layer

    @property
    def old_costs(self) -> Costs:
        """What it cost before."""
        return self.old.costs if self.old else Costs()

    @property
    def new_costs(self) -> Costs:
        """What it costs now."""
        return self.new.costs if self.new else Costs()


@dataclass(frozen=True, slots=True)
class Difference:
    """How two models differ; true where they do.

    Attributes:
        old_costs: What the first costs.
        new_costs: What the second costs.
        facts: What differs of the models as a whole, such as outputs and opsets.
        layers: The layers that differ, in the order of the models.
        unchanged: How many layers do not.
    """

    old_costs: Costs
    new_costs: Costs
    facts: tuple[Change, ...]
    layers: tuple[LayerChange, ...]
    unchanged: int

    def __bool__(self) -> bool:
        return bool(self.layers or self.facts) or self.old_costs != self.new_costs


def open_model(path: str | Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Model:
    """Read a model file, a Keras model or an .onnx file, for its structure alone.

    Args:
        path: The file.
        shapes: Sizes of inputs by name, of one sample; the name of the only input can be empty.

    Raises:
        GraphCNNError: The file cannot be read, or the sizes do not fit.
    """
    if Path(path).suffix.lower() == ".onnx":
        return read_onnx_file(path, shapes)
    from graphcnn.frontends.model import load

    return load(path, shapes)


def compare(old: Model, new: Model) -> Difference:
    """Tell how two models differ.

    Args:
        old: A graph, or an .onnx file.
        new: Another of the same kind.

    Raises:
        ModelFileError: They are not of the same kind.
    """
    if isinstance(old, Graph) != isinstance(new, Graph):
        raise ModelFileError(
            "one is a model file and the other an .onnx file, whose nodes are not its layers",
            hint="compile the model file, and compare the two .onnx files",
        )
    a, b = side_of(old), side_of(new)
    pairs = pair_layers(a.layers, b.layers)
    layers = tuple(_layer_changes(a.layers, b.layers, pairs))
    return Difference(
        old_costs=a.costs,
        new_costs=b.costs,
        facts=tuple(_differing(a.facts, b.facts)),
        layers=layers,
        unchanged=len(pairs) - sum(bool(change.old and change.new) for change in layers),
    )


def _layer_changes(
    old: Sequence[Layer], new: Sequence[Layer], pairs: Mapping[str, str]
) -> Iterator[LayerChange]:
    """The layers that differ, in the order of the new model, each removed one where it was."""
    places = {layer.name: place for place, layer in enumerate(new)}
    partners = {pairs[layer.name]: layer for layer in old if layer.name in pairs}
    removed: dict[int, list[LayerChange]] = {}
    place = -1
    for layer in old:
        if layer.name in pairs:
            place = places[pairs[layer.name]]
        else:
            removed.setdefault(place, []).append(LayerChange("removed", layer, None))
    yield from removed.get(-1, ())
    for place, layer in enumerate(new):
        partner = partners.get(layer.name)
        change = _change(partner, layer, pairs) if partner else LayerChange("added", None, layer)
        if change:
            yield change
        yield from removed.get(place, ())


def _change(old: Layer, new: Layer, pairs: Mapping[str, str]) -> LayerChange | None:
    changes = list(_changes(old, new, pairs))
    if not changes and old.costs == new.costs:
        return None
    only_name = old.costs == new.costs and [change.what for change in changes] == ["name"]
    return LayerChange("renamed" if only_name else "changed", old, new, tuple(changes))


def _changes(old: Layer, new: Layer, pairs: Mapping[str, str]) -> Iterator[Change]:
    if old.name != new.name:
        yield Change("name", old.name, new.name)
    if old.op != new.op:
        yield Change("operator", old.title, new.title)
    else:
        yield from _differing(old.attributes, new.attributes)
    if tuple(pairs.get(name, name) for name in old.inputs) != new.inputs:
        yield Change("inputs", ", ".join(old.inputs), ", ".join(new.inputs))
    if old.output != new.output:
        yield Change("output", old.output, new.output)


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for key in {**old, **new}:
        if old.get(key) != new.get(key):
            yield Change(key, old.get(key), new.get(key))
