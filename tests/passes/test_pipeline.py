"""Running passes: what they may do, and who is named when one goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

import graphcnn
from graphcnn import Graph
from graphcnn.errors import GraphError, OptionError
from graphcnn.ops import ELU, ReLU
from graphcnn.passes import (
    AssignLayout,
    DropTrainingLayers,
    Explain,
    FoldAffineIntoPrevious,
    Pass,
    RemoveIdentities,
    apply_passes,
    flat,
    run_passes,
)
from graphcnn.pipeline import pipeline

from .conftest import Network


@dataclass(frozen=True, kw_only=True)
class Swap(Pass):
    """ReLU to ELU."""

    name: ClassVar[str] = "swap"

    def run(self, graph: Graph, explain: Explain) -> bool:
        graph.replace("re_lu", op=ELU())
        explain("re_lu", "swapped")
        return True


@dataclass(frozen=True, kw_only=True)
class Break(Pass):
    """Leaves a wrong type."""

    name: ClassVar[str] = "break"

    def run(self, graph: Graph, explain: Explain) -> bool:
        graph._nx.nodes["re_lu"]["type"] = graph.type("image").with_sizes([1])
        return True


@dataclass(frozen=True, kw_only=True)
class Refuse(Pass):
    """Does what a graph refuses."""

    name: ClassVar[str] = "refuse"

    def run(self, graph: Graph, explain: Explain) -> bool:
        graph.erase("re_lu")
        return True


def test_records(network: Network) -> None:
    graph = network("ReLU", "Dropout: {rate: 0.5}")
    before = str(graph)
    after, records = run_passes(graph, [Swap(), DropTrainingLayers()])
    assert str(graph) == before
    assert [node.op.title for node in after] == ["Input", "ELU"]
    assert [(record.name, record.changed) for record in records] == [
        ("swap", True),
        ("drop-training-layers", True),
    ]
    assert records[0].reasons == [("re_lu", "swapped")]
    assert all(record.seconds >= 0 for record in records)


def test_a_graph_is_printed_after_a_pass(network: Network) -> None:
    graph = network("ReLU", "Dropout: {rate: 0.5}")
    swapped, dropped = apply_passes(graph, [Swap(), DropTrainingLayers()], ["swap"])
    assert swapped.printed is not None
    assert "re_lu = ELU(image)" in swapped.printed
    assert "Dropout" in swapped.printed
    assert dropped.printed is None


def test_a_pass_that_breaks_the_graph_is_named(network: Network) -> None:
    with pytest.raises(GraphError) as caught:
        run_passes(network("ReLU"), [Swap(), Break()])
    assert "recorded as float32[N, 1], inferred as float32[N, 8, 8, 3]" in str(caught.value)
    assert "  pass     break" in str(caught.value)
    assert "model.yaml:3:5: re_lu (ELU): " in str(caught.value)


def test_a_pass_that_is_refused_is_named(network: Network) -> None:
    with pytest.raises(GraphError, match="re_lu is used by output re_lu") as caught:
        run_passes(network("ReLU"), [Refuse()])
    assert ("pass", "refuse") in caught.value.context


def test_an_unknown_pass_to_print(network: Network) -> None:
    with pytest.raises(GraphError, match="no pass named 'swop'") as caught:
        apply_passes(network("ReLU"), [Swap()], ["swop"])
    assert caught.value.hint == "did you mean swap?"


def test_options_of_passes_are_checked() -> None:
    wrong: Any = "nwhc"
    with pytest.raises(OptionError, match="input_layout: expected nchw or nhwc"):
        AssignLayout(input_layout=wrong)


def test_passes_from_outside(
    network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("graphcnn.pipeline._EXTRA_PASSES", [])
    graphcnn.register_pass(Swap())
    assert [step.name for step in flat(pipeline("nchw", disable=["all"]))] == [
        "drop-training-layers",
        "swap",
        "assign-layout",
    ]
    with pytest.raises(GraphError, match="a pass named 'swap' exists"):
        graphcnn.register_pass(Swap())
    report = graphcnn.compile(network("ReLU"), tmp_path / "a.onnx")
    assert [record.name for record in report.passes][1] == "swap"


@dataclass(frozen=True, kw_only=True)
class Flip(Pass):
    """Undoes what it did the last time."""

    name: ClassVar[str] = "flip"

    def run(self, graph: Graph, explain: Explain) -> bool:
        elu = isinstance(graph.node("re_lu").op, ELU)
        graph.replace("re_lu", op=ReLU() if elu else ELU())
        explain("re_lu", "flipped" if elu else "not flipped: it was not")
        return True


def test_passes_that_undo_each_other_are_named(network: Network) -> None:
    with pytest.raises(GraphError, match="still change the graph after 20 rounds: flip"):
        run_passes(network("ReLU"), [(DropTrainingLayers(), Flip())])


def test_a_group_runs_until_nothing_changes(network: Network) -> None:
    """What keeps two layers from folding goes away, and so does what was said of it."""
    graph = network(
        "Conv2D: {filters: 2, kernel_size: 3, name: c}", "Activation: {activation: linear}",
        "BatchNormalization: {name: bn}",
    )  # fmt: skip
    steps = (FoldAffineIntoPrevious(), RemoveIdentities())
    _, (record,) = run_passes(graph, [steps[0]])
    assert not record.changed
    after, records = run_passes(graph, [steps])
    assert [node.name for node in after] == ["image", "bn"]
    assert [record.name for record in records] == ["fold-affine-into-previous", "remove-identities"]
    assert records[0].reasons == [("bn", "folded into the weights of c (Conv2D)")]


@pytest.mark.parametrize("disable", [["fold-paddin"], "merge", ["all", "nothing"]])
def test_what_is_switched_off_must_exist(disable: Any) -> None:
    with pytest.raises(GraphError, match="there is no pass named"):
        pipeline("nchw", disable)


def test_one_pass_is_switched_off(network: Network, tmp_path: Any) -> None:
    graph = network("Conv2D: {filters: 2, kernel_size: 3, name: c}", "BatchNormalization")
    report = graphcnn.compile(
        graph, tmp_path / "a.onnx", disable=["fold-affine-into-previous"], verify=False
    )
    assert report.nodes == 2
    assert "fold-affine-into-previous" not in [record.name for record in report.passes]
    assert "fold-affine-into-next" in [record.name for record in report.passes]


def test_names_of_passes_are_kebab_case() -> None:
    for step in flat(pipeline("nchw")):
        assert step.name == step.name.lower().replace("_", "-").replace(" ", "-")
