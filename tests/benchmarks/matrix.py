"""Networks compiled once, in every runtime that is installed, at batches of 1 and 3.

The networks are the examples that are not too large, and those of ``tests/benchmarks/models``.
Their weights are random, of sizes that keep values near one. A cell holds the largest error of any
output and batch, as a share of the largest number of that output in the reference: the network as
it is written, in onnxruntime with its optimiser off. At most 1e-5 is right.

Another version of a runtime is given as ``--also NAME=FOLDER``, where ``pip install --no-deps
--target FOLDER`` or npm (its ``node_modules``) has put it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import graphcnn
from graphcnn.comparison import RuntimeReport
from graphcnn.errors import GraphCNNError
from graphcnn.ops import Rescaling
from graphcnn.report.runtimes import layer_text
from graphcnn.runtimes import RUNTIMES, Adapter, find_runtime
from graphcnn.verification import verify_runtimes
from graphcnn.weights import WeightStore
from tests.random_values import random_arrays

from .chromium import Chromium
from .common import EXAMPLES

MODELS = Path(__file__).with_name("models")
RTOL = 1e-5
BATCHES = (1, 3)
MOST_PARAMETERS = 20_000_000


def networks(names: Sequence[str]) -> Iterator[tuple[str, graphcnn.Graph]]:
    """The networks of these names, or all that are not too large."""
    for path in [*sorted(EXAMPLES.glob("*.yaml")), *sorted(MODELS.glob("*.yaml"))]:
        graph = graphcnn.load(path)
        small = graphcnn.summarize(graph).total_params <= MOST_PARAMETERS
        if path.stem in names or (small and not names):
            yield path.stem, graph


def measured(graph: graphcnn.Graph, adapters: Sequence[Adapter]) -> Iterator[RuntimeReport]:
    """A network in each of the runtimes."""
    store = WeightStore.from_arrays(random_arrays(graph))
    pixels = any(isinstance(node.op, Rescaling) for node in graph)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        graphcnn.compile(graph, path, weights=store)
        for adapter in adapters:
            yield verify_runtimes(
                graph,
                path,
                [adapter],
                weights=store,
                batches=BATCHES,
                limits=(0, 255) if pixels else None,
                rtol=RTOL,
                atol=0,
            )


def shown(report: RuntimeReport) -> tuple[str, list[str]]:
    """What a cell shows, and why it is wrong, if it is."""
    reasons = [
        f"batch {cell.batch}: {cell.state} {cell.reason}".strip()
        for cell in report.cells
        if cell.state != "ok"
    ]
    reasons += map(layer_text, report.first.values())
    failed = next((cell.failure for cell in report.cells if cell.failure), None)
    if failed:
        return f"**{failed}**", reasons
    outputs = [item for cell in report.cells for item in cell.outputs]
    if any(item.broken for item in outputs):
        return "**NaN**", reasons
    text = f"{max(item.largest_relative or 0.0 for item in outputs):.0e}"
    return (f"**{text}**" if reasons else text), reasons


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the matrix as markdown; exit with 1 where a cell is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("networks", nargs="*", help="default: all that are small enough")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES), help="default: the installed")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--chromium", action="store_true", help="onnxruntime-web in it as well")
    parser.add_argument("--json", action="store_true", help="print JSON rather than a table")
    options = parser.parse_args(arguments)
    adapters = [find_runtime(name)() for name in filter(None, options.runtimes.split(","))]
    adapters = [one for one in adapters if not one.missing()]
    for item in options.also:
        name, _, folder = item.partition("=")
        adapters.append(find_runtime(name)(folder))
    adapters += [Chromium()] if options.chromium else []
    labels = [f"{one.name} {one.version()}" for one in adapters]
    rows: dict[str, dict[str, str]] = {}
    wrong: list[dict[str, Any]] = []
    if not options.json:
        print(f"| network | {' | '.join(labels)} |\n|---|{'---:|' * len(labels)}")
    for name, graph in networks(options.networks):
        try:
            found = list(map(shown, measured(graph, adapters)))
        except GraphCNNError as error:
            found = [("**not compiled**", [str(error)])] * len(labels)
        rows[name] = {label: text for label, (text, _) in zip(labels, found, strict=True)}
        wrong += [
            {"network": name, "runtime": label, "reasons": reasons}
            for label, (_, reasons) in zip(labels, found, strict=True)
            if reasons
        ]
        if not options.json:
            print(f"| {name} | {' | '.join(rows[name].values())} |", flush=True)
    total = len(rows) * len(labels)
    if options.json:
        print(json.dumps({"cells": rows, "right": total - len(wrong), "wrong": wrong}))
        return int(bool(wrong))
    print(f"\n{total - len(wrong)} of {total} are right at batches of 1 and 3.")
    for item in wrong:
        print(f"- {item['network']}, {item['runtime']}: {'; '.join(item['reasons'])}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
