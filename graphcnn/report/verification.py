"""How far two models are apart: as tables for people, as markdown, and as JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from graphcnn.comparison import Difference, Tolerance, VerifyReport
from graphcnn.errors import ExportError
from graphcnn.files import replacing

from .console import plain_table
from .format import printable, shape

REPORT_ENDINGS = (".json", ".md")
"""The kinds of files that a report can be written to."""

_MOST_LAYERS = 40
"""Of more layers than this a terminal shows those with the largest errors."""

_COLUMNS = (
    *("source", "sample", "error", "allowed", "relative", "cosine"),
    *("argmax", "NaN", "Inf", ""),
)


def verification_json(report: VerifyReport) -> dict[str, Any]:
    """The report as strict JSON.

    Returns:
        ``a`` and ``b`` (``model``, ``engine``), ``samples``, ``data``, ``rtol``, ``atol``,
        ``equal``, ``outputs``, ``layers`` (null where they were not compared), ``first_layer`` (the
        name in A of the first that leaves the tolerance, or null) and ``skipped``. Each output and
        layer has ``a`` and ``b`` (its names), ``source``, ``certain``, ``shape`` (of one sample,
        channels last), ``within``, ``largest_absolute_error``, ``allowed``,
        ``largest_relative_error`` (null where A is zero), ``cosine``, ``same_argmax`` (null where
        it is no row of scores) and ``nan`` and ``inf`` (counts in A and in B).
    """
    sides = [
        {"model": model, "engine": engine}
        for model, engine in zip(report.models, report.engines, strict=True)
    ]
    return {
        "a": sides[0],
        "b": sides[1],
        "samples": report.samples,
        "data": report.data,
        "rtol": report.tolerance.rtol,
        "atol": report.tolerance.atol,
        "equal": report.equal,
        "outputs": [difference_json(item) for item in report.outputs],
        "layers": None if report.layers is None else list(map(difference_json, report.layers)),
        "first_layer": report.first.name if report.first else None,
        "skipped": list(report.skipped),
    }


def verification_table(report: VerifyReport) -> Group:
    """The report as a rich renderable: outputs, then layers, the worst of them where many.

    Where the models differ the verdict is left to the error that says so.
    """
    parts: list[RenderableType] = [Text(line) for line in _head(report)]
    parts += ["", _table("output", report.outputs)]
    if report.layers is not None:
        parts += ["", _table("layer", _worst(report.layers))]
        if len(report.layers) > _MOST_LAYERS:
            note = f"the {_MOST_LAYERS} of {len(report.layers)} layers with the largest errors"
            parts.append(Text(f"{note}; --report FILE has all", style="dim"))
    parts += [Text(printable(f"not compared: {item}")) for item in report.skipped]
    if report.equal:
        parts += ["", Text(printable(verdict(report)), style="green")]
    return Group(*parts)


def verification_markdown(report: VerifyReport) -> str:
    """The report as markdown, all layers included."""
    parts = ["  \n".join(map(markdown_text, _head(report))), _markdown("output", report.outputs)]
    if report.layers is not None:
        parts.append(_markdown("layer", report.layers))
    if report.skipped:
        parts.append("\n".join(f"- not compared: {markdown_text(item)}" for item in report.skipped))
    return "\n\n".join([f"## {markdown_text(verdict(report))}", *parts])


def verdict(report: VerifyReport) -> str:
    """Whether the models agree, and where they first do not, in a sentence."""
    wrong = [item for item in report.outputs if not item.within]
    if report.equal:
        layers = report.layers or ()
        within = sum(layer.within for layer in layers)
        more = "" if report.layers is None else f" and {within} of {len(layers)} layers"
        return f"equal within the tolerance: {len(report.outputs)} outputs{more}"
    texts = [f"output {item.name} {by(item)}" for item in wrong[:1]]
    if len(wrong) > 1:
        texts.append(f"{len(wrong) - 1} more of {len(report.outputs)} outputs")
    if report.first:
        place = f" ({report.first.where})" if report.first.where else ""
        texts.append(f"the first layer that does is {report.first.name}{place}, {by(report.first)}")
    texts += [integers_text(report.integers)] if report.integers else []
    return f"{report.models[1]} leaves the tolerance: {'; '.join(texts)}"


def integers_text(model: str) -> str:
    """Why a side that alone computes in 8-bit integers differs."""
    return f"{model} computes in 8-bit integers, so its numbers are not those of the other side"


def integers_hint(model: str) -> str | None:
    """What to do where it does; None where no side is so named."""
    if not model:
        return None
    return (
        "the argmax column counts the samples of the same class; --rtol 0.2 allows a fifth of the "
        f"largest number; graphcnn verify {model} {model} --runtime NAMES tells whether runtimes "
        "agree, and graphcnn evaluate the accuracy"
    )


def write_report(path: Path, found: Mapping[str, Any], markdown: str) -> None:
    """Write a report to a file, as JSON or as markdown, as its ending says.

    Raises:
        ExportError: The ending is not one of `REPORT_ENDINGS`, or the file cannot be written.
    """
    check_report(path)
    as_json = path.suffix == ".json"
    text = json.dumps(found, allow_nan=False, indent=1) if as_json else markdown
    with replacing(path) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")


def check_report(path: Path) -> None:
    """Refuse a file of a kind that reports are not written in, before time is spent.

    Raises:
        ExportError: The ending is not one of `REPORT_ENDINGS`.
    """
    if path.suffix not in REPORT_ENDINGS:
        raise ExportError(
            f"{path}: not a kind of file that a report is written to",
            hint=f"one of {', '.join(REPORT_ENDINGS)}",
        )


def difference_json(item: Difference) -> dict[str, Any]:
    """One value as strict JSON: see `verification_json`."""
    return {
        "a": item.name,
        "b": item.other,
        "source": item.where or None,
        "certain": item.certain,
        "shape": list(item.sizes),
        "within": item.within,
        "largest_absolute_error": item.largest_absolute,
        "allowed": item.bound,
        "largest_relative_error": item.largest_relative,
        "cosine": item.cosine,
        "same_argmax": item.same_argmax,
        "nan": list(item.nan),
        "inf": list(item.inf),
    }


def _head(report: VerifyReport) -> list[str]:
    sides = zip("AB", report.models, report.engines, strict=True)
    return [
        *(printable(f"{side}: {model}, {engine}") for side, model, engine in sides),
        printable(head(report.data, report.tolerance)),
    ]


def head(data: str, tolerance: Tolerance) -> str:
    """What was run, and what is allowed."""
    return f"{data}; allowed: {tolerance.atol:g} + {tolerance.rtol:g} x max |A|"


def by(item: Difference) -> str:
    """How far a value is apart, in words."""
    if item.broken:
        nan, inf = (" and ".join(map(str, counts)) for counts in (item.nan, item.inf))
        return f"by NaN ({nan}) or Inf ({inf}) in A and B"
    return f"by {item.largest_absolute:.2g}, where {item.bound:.2g} is allowed"


def _cells(item: Difference) -> list[str]:
    """A row: the names, then the numbers."""
    relative, argmax, odd = item.largest_relative, item.same_argmax, (item.nan, item.inf)
    state = "ok" if item.within else "DIFFERS"
    name = item.name if item.other == item.name else f"{item.name} = {item.other}"
    return [
        printable(name),
        printable(item.where),
        shape(item.sizes),
        "-" if item.broken else f"{item.largest_absolute:.2g}",
        f"{item.bound:.2g}",
        "-" if item.broken or relative is None else f"{relative:.2g}",
        "-" if item.broken else f"{item.cosine:.6f}",
        "-" if argmax is None else f"{argmax}/{item.samples}",
        *("-" if not any(counts) else f"{counts[0]}, {counts[1]}" for counts in odd),
        state if item.certain else f"{state} (by part of its name)",
    ]


def _worst(layers: Sequence[Difference]) -> list[Difference]:
    """The layers with the largest errors and the first that leaves the tolerance, in order."""

    def badness(item: Difference) -> tuple[bool, float]:
        return bool(item.broken), item.largest_absolute / max(item.bound, sys.float_info.min)

    by_error = sorted(layers, key=badness, reverse=True)
    shown = {item.name for item in by_error[:_MOST_LAYERS]}
    shown.update([item.name for item in layers if not item.within][:1])
    return [item for item in layers if item.name in shown]


def _table(kind: str, items: Sequence[Difference]) -> Table:
    """A table without the columns that say nothing."""
    table = plain_table()
    names, rows = (kind, *_COLUMNS), [_cells(item) for item in items]
    said = [place for place in range(len(names)) if {row[place] for row in rows} - {"", "-"}]
    for place in said:
        left = place < 2
        table.add_column(names[place], "", justify="left" if left else "right", no_wrap=not left)
    for row, item in zip(rows, items, strict=True):
        cells = [Text(row[place], overflow="fold") for place in said]
        table.add_row(*cells, style="" if item.within else "bold red")
    return table


def _markdown(kind: str, items: Sequence[Difference]) -> str:
    return markdown_table((kind, *_COLUMNS), list(map(_cells, items)), left=(0, 1))


def markdown_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], left: Container[int]
) -> str:
    """A table in markdown, its columns to the right but for those at these places."""
    edge = ["---" if place in left else "---:" for place in range(len(columns))]
    lines = [columns, edge, *(map(markdown_text, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_text(text: str) -> str:
    """A text that markdown takes for neither a table's edge nor HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")
