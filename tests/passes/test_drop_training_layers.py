"""Layers that act in training only go away, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphcnn import Graph
from graphcnn.ops import OPS
from graphcnn.passes import DropTrainingLayers, run_passes

from .conftest import Network

OPTIONS = {
    "rate": 0.5, "drop_path_rate": 0.5, "stddev": 0.1, "factor": 0.1, "height_factor": 0.1,
    "width_factor": 0.1,
}  # fmt: skip
TRAINING_ONLY = [title for title, cls in OPS.items() if cls.training_only]


def dropped(graph: Graph) -> tuple[Graph, bool, list[tuple[str, str]]]:
    result, (record,) = run_passes(graph, [DropTrainingLayers()])
    return result, record.changed, record.reasons


def use(title: str) -> str:
    """The layer with its required options."""
    given = {k: v for k, v in OPTIONS.items() if k in OPS[title].__dataclass_fields__}  # type: ignore[attr-defined]
    return f"{title}: {given}"


def test_there_are_some() -> None:
    assert {"Dropout", "GaussianNoise", "RandomFlip", "SpatialDropout2D"} <= set(TRAINING_ONLY)


@pytest.mark.parametrize("title", TRAINING_ONLY)
def test_it_fires(network: Network, title: str) -> None:
    rank_3 = title == "SpatialDropout1D"
    graph = network("ReLU", use(title), "ELU", image="[8, 3]" if rank_3 else "[8, 8, 3]")
    after, changed, reasons = dropped(graph)
    assert changed
    assert [node.op.title for node in after] == ["Input", "ReLU", "ELU"]
    assert after.node("elu").inputs == ("re_lu",)
    assert [reason for _, reason in reasons] == [
        f"removed: {title} passes its input on at inference"
    ]


def test_it_leaves_others_alone(network: Network) -> None:
    graph = network("BatchNormalization", "ReLU", "Activation: {activation: linear}", "Flatten")
    before = str(graph)
    after, changed, reasons = dropped(graph)
    assert (changed, reasons, str(after)) == (False, [], before)


def test_the_graph_that_is_given_stays(network: Network) -> None:
    graph = network("ReLU", "Dropout: {rate: 0.5}", "ELU")
    before = str(graph)
    dropped(graph)
    assert str(graph) == before


def test_an_output_keeps_its_name(network: Network) -> None:
    graph = network(
        "ReLU", "Dropout: {rate: 0.5, name: d}", "Dropout: {rate: 0.5, name: e}",
        outputs="[re_lu, d, e]",
    )  # fmt: skip
    after, _, _ = dropped(graph)
    assert after.outputs == {"re_lu": "re_lu", "d": "re_lu", "e": "re_lu"}


def test_of_an_input(network: Network) -> None:
    after, _, _ = dropped(network("Dropout: {rate: 0.5, name: d}"))
    assert after.outputs == {"d": "image"}


def test_several_users(network: Network) -> None:
    graph = network(
        "ReLU: {name: r}", "Dropout: {rate: 0.5, name: d}", "ELU: {name: e}",
        "Add: {inputs: [d, e, d]}",
    )  # fmt: skip
    after, _, _ = dropped(graph)
    assert after.node("add").inputs == ("r", "e", "r")


def test_golden(network: Network, golden: Callable[[str, str], None]) -> None:
    graph = network(
        "RandomFlip", "Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: conv}",
        "SpatialDropout2D: {rate: 0.2, name: s}", "Flatten", "Dropout: {rate: 0.5, name: d}",
        "Dense: {units: 2, name: scores}", "GaussianNoise: {stddev: 0.1, name: noisy}",
        outputs="[noisy, s]",
    )  # fmt: skip
    after, _, _ = dropped(graph)
    golden("passes/drop-training-layers.before.txt", str(graph))
    golden("passes/drop-training-layers.after.txt", str(after))
