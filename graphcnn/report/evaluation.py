"""An evaluation as tables for people, and as JSON for programs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from graphcnn.evaluation import EvaluationReport, Measurement
from graphcnn.options import field_values
from graphcnn.scoring import Agreement, Classification, Evaluation

from .console import plain_table
from .format import printable, tuned

_MOST_CLASSES = 20
"""Of more classes than this, only those that do worst are printed."""

_WORST = 10
"""How many of them."""


def evaluation_json(report: EvaluationReport) -> dict[str, Any]:
    """The evaluation as strict JSON.

    Returns:
        ``model``, ``data``, ``split``, ``samples``, ``results`` (for each engine ``engine``,
        ``samples_per_second`` and either ``mean_squared_error`` and ``mean_absolute_error``, or
        ``scores``, ``loss`` (null where the best classes alone are known, with ``top_k`` and
        ``top_k_accuracy``), ``accuracy``, ``classes`` and ``confusion``, a list of predicted
        counts for each true class) and ``agreement`` (``differing``, ``first_differing``, ten
        indices at most, and ``largest_difference``; null where one engine ran) and ``tuned`` (the
        settings of ``deploy.json``; null where there is none). The precision or
        recall of a class that was never predicted, or has no samples, is null.
    """
    return {
        "model": report.model,
        "data": report.data,
        "split": report.split,
        "samples": report.measurements[0].evaluation.samples,
        "results": [
            {
                "engine": measured.engine,
                "samples_per_second": round(measured.samples_per_second, 1),
                **_result_json(measured.evaluation),
            }
            for measured in report.measurements
        ],
        "agreement": report.agreement and _agreement_json(report.agreement),
        "tuned": report.tuned and field_values(report.tuned),
    }


def evaluation_table(report: EvaluationReport) -> Group:
    """The evaluation as a rich renderable: what each engine reaches, then the classes."""
    evaluation = report.measurements[0].evaluation
    head = f"{report.model} on {evaluation.samples:,} {report.split} samples of {report.data}"
    parts: list[RenderableType] = [Text(printable(head), style="bold"), ""]
    parts.append(_engine_table(report.measurements))
    parts += [Text(tuned(report.tuned), style="dim")] if report.tuned else []
    if report.agreement:
        parts.append(Text(f"\n{agreement_text(report.agreement)}"))
    if isinstance(evaluation, Classification):
        parts += ["", *_class_parts(evaluation), "", *_confusion_parts(evaluation)]
    return Group(*parts)


def agreement_text(agreement: Agreement) -> str:
    """How many predictions differ, and by how much outputs do."""
    return (
        f"{len(agreement.differing):,} of {agreement.samples:,} predictions differ; "
        f"the largest difference is {agreement.largest_difference:.2g}"
    )


def _result_json(evaluation: Evaluation) -> dict[str, Any]:
    if not isinstance(evaluation, Classification):
        return {
            "mean_squared_error": evaluation.mean_squared_error,
            "mean_absolute_error": evaluation.mean_absolute_error,
        }
    columns = (evaluation.precision, evaluation.recall, evaluation.support)
    rows = zip(evaluation.classes, *(column.tolist() for column in columns), strict=True)
    return {
        "scores": evaluation.kind,
        "loss": evaluation.loss,
        "accuracy": evaluation.accuracy,
        **_best_json(evaluation),
        "classes": [
            {"name": name, "precision": _known(p), "recall": _known(r), "support": support}
            for name, p, r, support in rows
        ],
        "confusion": evaluation.confusion.tolist(),
    }


def _best_json(evaluation: Classification) -> dict[str, Any]:
    if evaluation.among_best is None:
        return {}
    return dict(zip(("top_k", "top_k_accuracy"), evaluation.among_best, strict=True))


def _agreement_json(agreement: Agreement) -> dict[str, Any]:
    return {
        "differing": len(agreement.differing),
        "first_differing": agreement.differing[:10].tolist(),
        "largest_difference": agreement.largest_difference,
    }


def _known(share: float) -> float | None:
    return None if math.isnan(share) else share


def _engine_table(measurements: tuple[Measurement, ...]) -> Table:
    labels = [label for label, _ in _figures(measurements[0].evaluation)]
    table = plain_table(["engine", *labels, "samples/s"], left=("engine",))
    for measured in measurements:
        figures = [text for _, text in _figures(measured.evaluation)]
        table.add_row(measured.engine, *figures, f"{measured.samples_per_second:,.0f}")
    return table


def _figures(evaluation: Evaluation) -> list[tuple[str, str]]:
    if not isinstance(evaluation, Classification):
        return [
            ("mean squared error", f"{evaluation.mean_squared_error:.6g}"),
            ("mean absolute error", f"{evaluation.mean_absolute_error:.6g}"),
        ]
    loss = "loss" if evaluation.kind == "probabilities" else "loss (scores taken for logits)"
    figures = [("accuracy", f"{evaluation.accuracy:.4f}")]
    if evaluation.among_best:
        k, share = evaluation.among_best
        figures.append((f"top-{k} accuracy", f"{share:.4f}"))
    return [*figures, (loss, f"{evaluation.loss:.4f}")] if evaluation.loss is not None else figures


def _class_parts(evaluation: Classification) -> list[RenderableType]:
    """A line a class, or a line for each of those whose recall is lowest."""
    count = len(evaluation.classes)
    shown = list(range(count))
    if count > _MOST_CLASSES:
        shown = np.argsort(evaluation.recall, kind="stable")[:_WORST].tolist()
    table = plain_table(["class", "precision", "recall", "support"], left=("class",))
    for index in shown:
        table.add_row(
            Text(_label(evaluation, index)),
            _percent(evaluation.precision[index]),
            _percent(evaluation.recall[index]),
            f"{evaluation.support[index]:,}",
        )
    if count <= _MOST_CLASSES:
        return [table]
    note = f"the {_WORST} of {count} classes with the lowest recall; --json has all"
    return [table, Text(note, style="dim")]


def _confusion_parts(evaluation: Classification) -> list[RenderableType]:
    """The confusion matrix, or the pairs of classes that are most often confused."""
    if len(evaluation.classes) > _MOST_CLASSES:
        return _confused_pairs(evaluation)
    numbers = [str(index) for index in range(len(evaluation.classes))]
    corner = "true \\ predicted"
    table = plain_table([corner, *numbers], left=(corner,))
    for index, row in enumerate(evaluation.confusion):
        cells = [
            Text(f"{cell:,}" if cell else ".", style="bold" if column == index else "")
            for column, cell in enumerate(row)
        ]
        table.add_row(Text(_label(evaluation, index)), *cells)
    return [table]


def _confused_pairs(evaluation: Classification) -> list[RenderableType]:
    wrong = evaluation.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_WORST]
    table = plain_table(["true", "predicted", "samples"], left=("true", "predicted"))
    for place in order[wrong.ravel()[order] > 0]:
        true, predicted = divmod(int(place), len(wrong))
        names = (_label(evaluation, true), _label(evaluation, predicted))
        table.add_row(*map(Text, names), f"{wrong[true, predicted]:,}")
    return [Text("most often confused", style="bold"), table]


def _label(evaluation: Classification, index: int) -> str:
    name = printable(evaluation.classes[index])
    return name if name == str(index) else f"{index} {name}"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.2%}"
