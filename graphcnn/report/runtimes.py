"""A file in several runtimes: the matrix for people, and JSON for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.text import Text

from graphcnn.comparison import Difference, RuntimeCell, RuntimeReport

from .console import plain_table
from .format import printable
from .verification import (
    by,
    difference_json,
    head,
    integers_text,
    markdown_table,
    markdown_text,
)

_COLUMNS = ("runtime", "batch", "output", "error", "allowed", "argmax", "")


def runtimes_json(report: RuntimeReport) -> dict[str, Any]:
    """The report as strict JSON.

    Returns:
        ``a`` and ``b`` (the reference and the file), ``engine`` (of the reference), ``data``,
        ``rtol``, ``atol``, ``equal``, ``cells`` (``runtime``, ``version``, ``batch``, ``state``,
        ``reason`` and ``outputs``, each as `verification_json` gives it) and ``first_layer``: by
        runtime the first layer that leaves the tolerance, likewise, or a text that says why none is
        named.
    """
    return {
        "a": report.models[0],
        "b": report.models[1],
        "engine": report.engine,
        "data": report.data,
        "rtol": report.tolerance.rtol,
        "atol": report.tolerance.atol,
        "equal": report.equal,
        "cells": [
            {
                "runtime": cell.runtime,
                "version": cell.version,
                "batch": cell.batch,
                "state": cell.state,
                "reason": cell.reason,
                "outputs": list(map(difference_json, cell.outputs)),
            }
            for cell in report.cells
        ],
        "first_layer": {
            name: found if isinstance(found, str) else difference_json(found)
            for name, found in report.first.items()
        },
    }


def runtimes_table(report: RuntimeReport) -> Group:
    """The report as a rich renderable: the matrix, then why and where each runtime differs."""
    table = plain_table(_COLUMNS, left=("runtime", "output", ""))
    for cell in report.cells:
        table.add_row(*_cells(cell), style="" if cell.state == "ok" else "bold red")
    notes = _notes(report)
    return Group(*map(Text, _head(report)), "", table, *([""] if notes else []), *map(Text, notes))


def runtimes_markdown(report: RuntimeReport) -> str:
    """The report as markdown."""
    rows = markdown_table(_COLUMNS, [_cells(cell) for cell in report.cells], left=(0, 2))
    notes = "\n".join(f"- {markdown_text(note)}" for note in _notes(report))
    top = "  \n".join(map(markdown_text, _head(report)))
    verdict = f"## {markdown_text(runtimes_verdict(report))}"
    return "\n\n".join(filter(None, [verdict, top, rows, notes]))


def _head(report: RuntimeReport) -> list[str]:
    lines = [
        f"A: {report.models[0]}, {report.engine}",
        f"B: {report.models[1]}, in each runtime",
        head(report.data, report.tolerance),
    ]
    return list(map(printable, lines))


def _notes(report: RuntimeReport) -> list[str]:
    """Why runtimes do not run it, each reason once, and where others leave the tolerance."""
    batches: dict[tuple[str, str], list[str]] = {}
    for cell in report.cells:
        if cell.reason:
            key = f"{cell.runtime} {cell.version}", cell.reason
            batches.setdefault(key, []).append(str(cell.batch))
    notes = [
        *(f"{name}, batch {' and '.join(at)}: {why}" for (name, why), at in batches.items()),
        *(f"{name}: {layer_text(found)}" for name, found in report.first.items()),
    ]
    return list(map(printable, notes))


def runtimes_verdict(report: RuntimeReport) -> str:
    """What differs, crashes, hangs or is refused, in a sentence."""
    wrong = [f"{_label(cell)}: {cell.state}" for cell in report.cells if cell.state != "ok"]
    right = len(report.cells) - len(wrong)
    if not wrong:
        return f"equal within the tolerance: {right} of {right} runs"
    if report.integers and any(cell.state == "differs" for cell in report.cells):
        wrong.append(integers_text(report.integers))
    return f"{report.models[1]}: {right} of {len(report.cells)} runs are right: {'; '.join(wrong)}"


def layer_text(found: Difference | str) -> str:
    """Which layer it is that first leaves the tolerance, and by how much."""
    if isinstance(found, str):
        return found
    place = f" ({found.where})" if found.where else ""
    return f"the first layer that leaves the tolerance is {found.name}{place}, {by(found)}"


def _label(cell: RuntimeCell) -> str:
    return f"{cell.runtime} {cell.version}, batch {cell.batch}"


def _cells(cell: RuntimeCell) -> list[str]:
    worst = cell.worst
    start = [f"{cell.runtime} {cell.version}", str(cell.batch)]
    state = cell.state if cell.state == "ok" else cell.state.upper()
    if worst is None:
        return [*start, "", "", "", "", state]
    argmax = "-" if worst.same_argmax is None else f"{worst.same_argmax}/{worst.samples}"
    error = "NaN or Inf" if worst.broken else f"{worst.largest_absolute:.2g}"
    return [*start, printable(worst.name), error, f"{worst.bound:.2g}", argmax, state]
