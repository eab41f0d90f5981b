"""A summary of a network as a table, as JSON and as markdown."""

from __future__ import annotations

from typing import Any

from graphcnn.passes import LayerSummary, ReceptiveField, Summary

from . import format as fmt

_COLUMNS = ("layer", "operator", "output shape", "params", "MACs", "activation", "receptive field")


def summary_json(summary: Summary) -> dict[str, Any]:
    """The summary as JSON values; a batch of any size is null, an open size is its expression."""
    return {
        "name": summary.name,
        "batch": summary.batch,
        "layers": [_layer_json(layer, summary.batch) for layer in summary.layers],
        "total_params": summary.total_params,
        "trainable_params": summary.trainable_params,
        "non_trainable_params": summary.non_trainable_params,
        "macs": fmt.plain(summary.macs),
        "flops": fmt.plain(summary.flops),
        "model_bytes": summary.model_bytes,
        "peak_activation_bytes": summary.peak.bytes,
        "peak_activation_layer": summary.peak.node,
    }


def _layer_json(layer: LayerSummary, batch: int | None) -> dict[str, Any]:
    source = layer.source
    return {
        "name": layer.name,
        "op": layer.op,
        "inputs": list(layer.inputs),
        "output_shape": list(map(fmt.plain, layer.output.shape(batch))),
        "dtype": str(layer.output.dtype),
        "params": layer.params,
        "trainable_params": layer.trainable_params,
        "macs": fmt.plain(layer.macs),
        "flops": fmt.plain(layer.flops),
        "activation_bytes": fmt.plain(layer.activation_bytes),
        "receptive_field": _field_json(layer.receptive_field),
        "source": str(source) if source else None,
    }


def _field_json(field: ReceptiveField | None) -> dict[str, Any] | None:
    if field is None:
        return None
    stride = field.stride
    return {
        "size": list(map(fmt.plain, field.size)),
        "stride": None if stride is None else [fmt.number(value) for value in stride],
        "offset": [fmt.number(value) for value in field.offset],
    }


def summary_markdown(summary: Summary) -> str:
    """The summary as a markdown table with the totals under it."""
    rows = [_COLUMNS, ["---", "---", "---", "---:", "---:", "---:", "---"]]
    rows.extend(_cells(layer, summary.batch) for layer in summary.layers)
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    totals = "\n".join(f"- {label}: {text}" for label, text in totals_of(summary))
    return f"## {summary.name}\n\n{table}\n\n{totals}"


def summary_table(summary: Summary) -> Any:
    """The summary as a rich renderable, Keras-like."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"Model: {summary.name}",
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    for column in _COLUMNS:
        right = column in ("params", "MACs", "activation")
        table.add_column(
            column,
            justify="right" if right else "left",
            overflow="fold",
            style="cyan" if column == "layer" else None,
        )
    for layer in summary.layers:
        table.add_row(*(Text(cell) for cell in _cells(layer, summary.batch)))
    totals = Table.grid(padding=(0, 2))
    for label, text in totals_of(summary):
        totals.add_row(Text(f" {label}"), Text(text, style="bold"))
    return Group(table, totals)


def totals_of(summary: Summary) -> list[tuple[str, str]]:
    """The figures of the whole network, labelled."""
    peak = summary.peak
    where = f" at {peak.node}" if peak.node else " (needs sizes that are known)"
    batch = f"; the batch is {summary.batch}" if summary.batch else ""
    return [
        (
            "parameters",
            f"{fmt.count(summary.total_params)} ({fmt.count(summary.trainable_params)} trainable)",
        ),
        ("multiply-accumulates", f"{fmt.count(summary.macs)} (MACs)"),
        ("floating-point operations", f"{fmt.count(summary.flops)} (FLOPs)"),
        ("model size", fmt.size_in_bytes(summary.model_bytes)),
        ("peak activation memory", f"{fmt.size_in_bytes(peak.bytes)}{where}"),
        ("figures are", f"per sample{batch}"),
    ]


def _cells(layer: LayerSummary, batch: int | None) -> list[str]:
    return [
        layer.name,
        layer.op,
        fmt.shape(layer.output.shape(batch)),
        fmt.count(layer.params),
        fmt.count(layer.macs),
        fmt.size_in_bytes(layer.activation_bytes) if layer.activation_bytes else "-",
        fmt.field(layer.receptive_field),
    ]
