"""What came out of a model: as tables and grids for people, and as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from graphcnn.options import field_values
from graphcnn.scoring import score_kind

from .console import plain_table
from .format import printable, tuned

if TYPE_CHECKING:
    from graphcnn.runtime.run import Output, RunResult, Score

    Array = np.ndarray[Any, Any]

_SAMPLES_SHOWN = 8
_GRID_ELEMENTS = 256
"""A sample of more elements than this is summed up rather than printed."""

_JSON_ELEMENTS = 10_000
"""The values of an output of more elements than this are left out of the JSON."""

_AXES = ("channel", "depth")
"""The axes of a sample that grids are told apart by, where the layout is known."""


def results_json(result: RunResult, top: int) -> dict[str, Any]:
    """The result as strict JSON.

    Numbers that are not finite are the strings ``NaN``, ``Infinity`` and ``-Infinity``, which
    Python's ``float`` and JavaScript's ``Number`` read.

    Args:
        result: What came out of a model.
        top: How many of the highest scores of each sample to list.

    Returns:
        ``model``, ``provider``, ``tuned`` (the settings of ``deploy.json``; null where there is
        none), ``samples`` (the file of each, where there are several) and ``outputs``: for each its
        ``name``, ``shape``, ``dtype``, ``values`` (nested lists, or null for more than 10,000
        elements) and ``top`` (for each sample a list of ``index``, ``value`` and ``name`` where
        there are class names; null where the output is not a row of scores a sample).
    """
    return {
        "model": result.model,
        "provider": result.provider,
        "tuned": result.tuned and field_values(result.tuned),
        **({"samples": list(result.samples)} if result.samples else {}),
        "outputs": [_output_json(output, top) for output in result.outputs],
    }


def results_table(result: RunResult, top: int) -> Group:
    """The result as a rich renderable.

    Args:
        result: What came out of a model.
        top: How many of the highest scores of each sample to list.

    Returns:
        For an output that is a row of scores a sample, a table of the highest; for others a
        summary, and the numbers themselves where they are few.
    """
    parts: list[RenderableType] = [Text(f"{result.model} on {result.provider}", style="dim")]
    parts += [Text(tuned(result.tuned), style="dim")] if result.tuned else []
    others = []
    for output in result.outputs:
        scores = output.top(top)
        if output.ranks:
            continue
        if scores is None:
            others.append(output)
        else:
            title = Text(f"\n{printable(output.name)}  {_type(output)}", style="bold")
            parts += [title, _score_table(output, scores, result.samples), *_left_out(output)]
    if others:
        parts += ["", _summary_table(others)]
    for output in others:
        parts += _numbers(output)
    return Group(*parts)


def _output_json(output: Output, top: int) -> dict[str, Any]:
    values, scores = output.values, output.top(top)
    listed = values.size <= _JSON_ELEMENTS
    return {
        "name": output.name,
        "shape": list(values.shape),
        "dtype": str(values.dtype),
        "values": _strict(values.tolist()) if listed else None,
        "top": scores and [[_score_json(score) for score in best] for best in scores],
    }


def _score_json(score: Score) -> dict[str, Any]:
    found = {"index": score.index, "value": _strict(score.value)}
    return found if score.name is None else {**found, "name": score.name}


def _strict(value: Any) -> Any:
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"


def _score_table(output: Output, scores: list[list[Score]], names: Sequence[str]) -> Table:
    batch = len(scores) > 1
    names = names or [str(number) for number in range(len(scores))]
    likely = output.indices is None and score_kind(output.values) == "probabilities"
    columns = ["sample"] * batch + ["class"] + ["name"] * bool(output.classes)
    table = plain_table([*columns, "probability" if likely else "value"], left=("name",))
    for sample, best in enumerate(scores[:_SAMPLES_SHOWN]):
        for place, score in enumerate(best):
            row = [printable(names[sample]) if place == 0 else ""] * batch + [str(score.index)]
            row += [printable(score.name)] if score.name is not None else []
            table.add_row(*map(Text, [*row, f"{score.value:g}"]))
    return table


def _summary_table(outputs: list[Output]) -> Table:
    table = plain_table(["output", "type", "min", "mean", "max"], left=("output", "type"))
    for output in outputs:
        row = [printable(output.name), _type(output), *_statistics(output.values)]
        table.add_row(*map(Text, row))
    return table


def _type(output: Output) -> str:
    shape = ", ".join(str(size) for size in output.values.shape)
    return f"{output.values.dtype}[{shape}] {output.layout}".rstrip()


def _statistics(values: Array) -> list[str]:
    if not values.size:
        return ["-"] * 3
    with np.errstate(invalid="ignore", over="ignore"):
        found = (values.min(), values.mean(dtype=np.float64), values.max())
    return [_number(number) for number in found]


def _numbers(output: Output) -> list[RenderableType]:
    """Each sample's numbers, if they are few."""
    samples = output.values if output.values.ndim > 1 else output.values.reshape(1, -1)
    if not samples.size or samples[0].size > _GRID_ELEMENTS:
        return []
    parts: list[RenderableType] = []
    for number, sample in enumerate(samples[:_SAMPLES_SHOWN]):
        place = f", sample {number}" if len(samples) > 1 else ""
        for label, grid in _grids(sample, output.layout):
            parts.append(Text(f"\n{printable(output.name)}{place}{label}", style="bold"))
            parts.append(Text("\n".join(_rows(grid)), no_wrap=True, overflow="ignore"))
    return parts + _left_out(output) if output.values.ndim > 1 else parts


def _left_out(output: Output) -> list[RenderableType]:
    if len(output.values) <= _SAMPLES_SHOWN:
        return []
    text = f"the first {_SAMPLES_SHOWN} of {len(output.values)} samples; -o saves all"
    return [Text(text, style="dim")]


def _grids(sample: Array, layout: str) -> Iterator[tuple[str, Array]]:
    """The last two axes of a sample with channels first, and where they lie in the others."""
    first = np.moveaxis(sample, -1, 0) if layout.endswith("C") else sample
    if len(first) == first.size:
        yield "", first.reshape(1, -1)
        return
    names = _AXES if layout else ("index",) * first.ndim
    for index in np.ndindex(first.shape[:-2]):
        place = "".join(f", {name} {i}" for name, i in zip(names, index, strict=False))
        yield place, first[index]


def _rows(grid: Array) -> list[str]:
    """The numbers as text, a line for each row."""
    return [" ".join(map(_number, row)) for row in grid]


def _number(value: np.generic) -> str:
    number = value.item()
    return f"{number:g}" if isinstance(number, float) else str(int(number))
