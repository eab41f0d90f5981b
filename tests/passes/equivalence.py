"""What every rewrite must keep: results, names of outputs, and a file of no more ONNX nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import onnx
import pytest

import graphcnn
from graphcnn import Graph, WeightStore
from graphcnn.export import lower
from graphcnn.passes import AssignLayout, DropTrainingLayers, Pass, PassRecord, run_passes
from graphcnn.pipeline import pipeline
from graphcnn.targets import targets
from tests.onnx_checks import agree, run
from tests.random_values import random_arrays, random_feeds

Array = np.ndarray[Any, np.dtype[Any]]

BATCH = 3

SUMMED = 0.1
"""What is smaller is what sums of numbers near one have left, which rounding counts in."""


def optimizing() -> tuple[Pass, ...]:
    """The optimising passes, as a compilation runs them."""
    (group,) = [step for step in pipeline("nchw") if isinstance(step, tuple)]
    return group


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A graph before and after a pass.

    Attributes:
        before: The graph as it was.
        after: The graph after it.
        record: What the pass did.
    """

    before: Graph
    after: Graph
    record: PassRecord

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """What the pass said, by node."""
        return self.record.reasons

    @property
    def origins(self) -> dict[str, list[str]]:
        """The layers of each node that was made of several, by the node's name."""
        found = {node.name: [layer.name for layer in node.layers] for node in self.after}
        return {name: layers for name, layers in found.items() if layers != [name]}

    @property
    def titles(self) -> list[str]:
        """The operators after the pass, in order."""
        return [node.op.title for node in self.after]


def rewrite(graph: Graph, step: Pass) -> Rewritten:
    """Run one pass alone, to its end, and check all that holds of every pass."""
    after, (record,) = run_passes(graph, [(step,)])
    check_kept(graph, after, step)
    assert {node for node, _ in record.reasons} <= {n.name for n in (*graph, *after)}
    return Rewritten(graph, after, record)


def check_kept(before: Graph, after: Graph, *steps: Pass) -> None:
    """Check outputs, names, numbers and sizes, and that the passes would change nothing more."""
    assert list(after.outputs) == list(before.outputs)
    assert [node.name for node in after.inputs] == [node.name for node in before.inputs]
    for node in after:
        assert node.name not in before or after.type(node.name) == before.type(node.name)
        assert node.layers[0].name == node.name, "whose value it has comes first"
    assert onnx_nodes(after) <= onnx_nodes(before)
    again, records = run_passes(after, steps)
    assert not [record.name for record in records if record.changed]
    assert str(again) == str(after)
    check_values(before, after)


def check_values(before: Graph, after: Graph) -> None:
    """Check that outputs, and values that both graphs have by one name, are equal."""
    names = [node.name for node in before if node.name in after]
    arrays, feeds = random_arrays(before), random_feeds(before, BATCH)
    expected, found = (evaluate(graph, arrays, feeds, names) for graph in (before, after))
    assert expected.keys() == found.keys()
    for name in expected:
        agree(found[name], expected[name], name, SUMMED)


def evaluate(
    graph: Graph, arrays: Mapping[str, Array], feeds: Mapping[str, Array], names: Iterable[str]
) -> dict[str, Array]:
    """The outputs of a graph and the values of these nodes, in onnxruntime without its optimiser.

    Nothing but what every compilation does is done to the graph.
    """
    graph = graph.clone()
    graph.outputs.update({f"value of {name}": name for name in names})
    store = WeightStore.from_arrays(arrays).deriving(graph.derived)
    lowered, _ = run_passes(graph, [DropTrainingLayers(), AssignLayout()])
    return run(_serialized(lowered, store), feeds, optimize=False)


def _serialized(graph: Graph, store: WeightStore) -> bytes:
    lowered = lower(graph, store, target=targets("onnxruntime"))
    for item in lowered.initializers:
        array = np.ascontiguousarray(item.load().astype(item.dtype.numpy)).reshape(item.dims)
        lowered.model.graph.initializer.append(onnx.numpy_helper.from_array(array, item.name))
    return bytes(lowered.model.SerializeToString())


def onnx_nodes(graph: Graph) -> int:
    """The nodes that the graph has in a file."""
    lowered, _ = run_passes(graph, [DropTrainingLayers(), AssignLayout()])
    unread = cast(WeightStore, defaultdict(lambda: None))
    return len(lower(lowered, unread, target=targets("onnxruntime")).model.graph.node)


def check_compiled(graph: Graph) -> tuple[int, int]:
    """Check a file with all passes against one with none.

    Returns:
        The ONNX nodes of the file without passes, and of that with all.
    """
    arrays, feeds = random_arrays(graph), random_feeds(graph, BATCH)
    results, nodes = [], []
    choices: Sequence[Sequence[str]] = (["all"], [])
    with TemporaryDirectory() as folder:
        for disable in choices:
            path = Path(folder) / f"{len(nodes)}.onnx"
            report = graphcnn.compile(
                graph,
                path,
                weights=WeightStore.from_arrays(arrays),
                disable=disable,
                verify=False,
                target="onnxruntime",
            )
            nodes.append(report.nodes)
            results.append(run(path, feeds, optimize=False))
    plain, optimized = results
    assert list(plain) == list(optimized)
    for name in plain:
        agree(optimized[name], plain[name], name, SUMMED)
    assert nodes[1] <= nodes[0]
    return nodes[0], nodes[1]


@dataclass(frozen=True, slots=True)
class Case:
    """A network and what a pass makes of it.

    Attributes:
        layers: The layers, each a line of YAML.
        titles: The operators that the pass leaves, without the input; None if it changes nothing.
        reason: What it says, in part.
        image: The sizes of the input.
        outputs: The outputs, if not the last layer.
    """

    layers: Sequence[str]
    titles: Sequence[str] | None = None
    reason: str = ""
    image: str = "[9, 7, 4]"
    outputs: str = ""


def check_case(network: Callable[..., Graph], step: Pass, case: Case) -> Rewritten:
    """Check what a pass does to a network, and that all passes together change no result."""
    graph = network(*case.layers, image=case.image, outputs=case.outputs)
    found = rewrite(graph, step)
    check_compiled(graph)
    assert case.reason in "\n".join(reason for _, reason in found.reasons), found.reasons
    if case.titles is None:
        assert not found.record.changed
        assert str(found.after) == str(graph)
        assert all(reason.startswith("not ") for _, reason in found.reasons)
        return found
    assert found.titles == ["Input", *case.titles]
    assert any(not reason.startswith("not ") for _, reason in found.reasons)
    return found


Table = Mapping[Pass, Mapping[str, Case]]


def every(table: Table) -> list[Any]:
    """The passes and cases of a table, as parameters of a test."""
    return [
        pytest.param(step, case, id=f"{step.name}: {name}")
        for step, cases in table.items()
        for name, case in cases.items()
    ]


Golden = Callable[[str, str], None]


def check_golden(
    network: Callable[..., Graph], golden: Golden, step: Pass, cases: Mapping[str, Case]
) -> None:
    """Compare with a golden file what a pass makes of networks, says, and notes of its sources."""
    texts = []
    for name, case in cases.items():
        graph = network(*case.layers, image=case.image, outputs=case.outputs)
        after, (record,) = run_passes(graph, [(step,)])
        found = Rewritten(graph, after, record)
        said = [f"  {node}: {reason}" for node, reason in found.reasons]
        made = [f"  {node} <- {', '.join(layers)}" for node, layers in found.origins.items()]
        texts.append("\n".join([f"# {name}", str(graph), str(after), *said, *made]))
    golden(f"passes/{step.name}.txt", "\n\n".join(texts))
