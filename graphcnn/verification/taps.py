"""Outputs of one side that are layers of the other, as ``compile --taps`` makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphcnn.errors import VerificationError
from graphcnn.types import Array

from .side import Around, Runner, Side, Value


class TappedSide(Around):
    """A side that gives layers' values beside its outputs.

    Args:
        side: The side.
        taps: Values of its layers.
    """

    def __init__(self, side: Side, taps: Sequence[Value]) -> None:
        super().__init__(side)
        self._taps = taps
        self.outputs = (*side.outputs, *taps)

    def runner(self, values: Sequence[Value] | None = None) -> Runner:
        """The side's own; where its outputs are asked for it is run for the taps as well."""
        run = self.side.runner(values)
        if values is not None:
            return run
        tap = self.side.runner(self._taps)

        def both(feeds: Mapping[str, Array]) -> list[Array]:
            return [*run(feeds), *tap(feeds)]

        return both


def with_taps(a: Side, b: Side) -> tuple[Side, Side]:
    """Two sides of which the one that has fewer outputs gives the other's taps too.

    Raises:
        VerificationError: An output beyond its own has the name of none of its layers.
    """
    if len(a.outputs) == len(b.outputs):
        return a, b
    if len(a.outputs) > len(b.outputs):
        b, a = with_taps(b, a)
        return a, b
    known = {value.name for value in a.outputs}
    wanted = [value.name for value in b.outputs if value.name not in known]
    layers = {value.name: value for value in a.layers()}
    missing = [name for name in wanted if name not in layers]
    if missing:
        raise VerificationError(
            f"{b.model} has outputs that {a.model} has not, nor layers of these names: "
            f"{', '.join(missing)}",
            context=[(side.model, ", ".join(v.name for v in side.outputs)) for side in (a, b)],
            hint="a model file has every layer, and an .onnx file those that no pass has fused",
        )
    return TappedSide(a, [layers[name] for name in wanted]), b
