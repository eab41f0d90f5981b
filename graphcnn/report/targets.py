"""Where files can run, and what of a file does not fit: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from graphcnn.onnx_file.fit import Misfit
from graphcnn.targets import OPERATORS, PORTABLE, Profile, Targets, targets

from . import format as fmt
from .console import plain_table

_MOST_PLACES = 8
"""Of more nodes of one kind than this the others are counted."""


def targets_json(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    """Profiles as JSON values."""
    return [
        {
            "name": profile.name,
            "measured": profile.measured,
            "version": profile.version,
            "opset": profile.opset,
            "ir_version": profile.ir,
            "symbolic_batch": profile.symbolic_batch,
            "fp16": profile.fp16,
            "int8": profile.int8,
            "every_operator": profile.every_operator,
            "operators": [op for op in sorted(OPERATORS) if profile.takes_operator(op)],
            "refused": dict(profile.refused),
            "precisions_refused": dict(profile.precisions),
            "notes": profile.notes,
        }
        for profile in profiles
    ]


def targets_table(profiles: Sequence[Profile]) -> Group:
    """Profiles as a rich renderable, with what all that were measured take."""
    columns = ("target", "measured", "opset", "IR", "batch", "fp16", "int8")
    table = plain_table(columns, left=("target", "measured", "batch", "fp16", "int8"))
    for profile in profiles:
        table.add_row(
            profile.name,
            profile.version if profile.measured else f"no: {profile.version}",
            *(str(profile.opset), str(profile.ir)),
            "any" if profile.symbolic_batch else "1",
            *(profile.fp16, profile.int8),
        )
    notes = [f"{profile.name}: {profile.notes}" for profile in profiles if profile.notes]
    whole = targets(PORTABLE)
    said = f"{PORTABLE}: {', '.join(p.name for p in whole.profiles)}; opset {whole.opset} at most"
    return Group(table, *(Text(line) for line in [said, *notes]))


def refusals_table(profiles: Sequence[Profile]) -> Table:
    """What each profile refuses as a rich renderable."""
    columns = ("target", "operator, form or precision", "what happens")
    table = plain_table(columns, left=columns)
    for profile in profiles:
        rows = {**profile.refused, **{f"--precision {k}": v for k, v in profile.precisions.items()}}
        for index, (what, happens) in enumerate(rows.items()):
            table.add_row("" if index else profile.name, what, happens)
    return table


def operators_text(profiles: Sequence[Profile]) -> Text:
    """The operators that every one of the profiles takes, as they were measured."""
    taken = [op for op in sorted(OPERATORS) if all(p.takes_operator(op) for p in profiles)]
    whose = " and ".join(profile.name for profile in profiles)
    every = ", and all others of ONNX" if all(p.every_operator for p in profiles) else ""
    return Text(f"operators of {whose}: {', '.join(taken)}{every}")


def fit_json(file: str, runtimes: Targets, found: Sequence[Misfit]) -> dict[str, Any]:
    """Whether a file fits, as JSON values."""
    return {
        "file": file,
        "targets": list(runtimes.names),
        "fits": not found,
        "misfits": [
            {
                "node": item.node or None,
                "op": item.op or None,
                "found": item.found,
                "refusals": dict(item.refusals),
                "instead": item.instead,
                "layers": [
                    {
                        "name": layer.name,
                        "op": layer.title,
                        "source": str(layer.location) if layer.location else None,
                    }
                    for layer in item.layers
                ],
            }
            for item in found
        ],
    }


def fit_table(file: str, runtimes: Targets, found: Sequence[Misfit]) -> RenderableType:
    """Whether a file fits, as a rich renderable."""
    names = ", ".join(runtimes.names)
    if not found:
        return Text(fmt.printable(f"{file} fits {names}"))
    alike: dict[tuple[str, str], list[Misfit]] = {}
    for item in found:
        alike.setdefault((item.op, item.found), []).append(item)
    parts: list[RenderableType] = [
        Text(fmt.printable(f"{file} does not fit {names}"), style="bold"),
    ]
    parts += [Text(fmt.printable(line)) for items in alike.values() for line in _lines(items)]
    return Group(*parts)


def _lines(items: Sequence[Misfit]) -> list[str]:
    """Misfits of one kind: what was found, what each target makes of it, and where it is."""
    first = items[0]
    what = first.found if first.op in (first.found, "") else f"{first.op}: {first.found}"
    lines = [what, *(f"  {name} {reason}" for name, reason in first.refusals.items())]
    lines += [f"  instead: {first.instead}"] if first.instead else []
    lines += [f"  at {_place(item)}" for item in items[:_MOST_PLACES] if item.node]
    left = len(items) - _MOST_PLACES
    return [*lines, f"  and {left} more"] if left > 0 else lines


def _place(item: Misfit) -> str:
    """The node, and the layer that it came from where the file says so."""
    if not item.layers:
        return item.node
    layer = item.layers[0]
    return " ".join(filter(None, [str(layer.location or ""), f"{layer.name} ({layer.title})"]))
