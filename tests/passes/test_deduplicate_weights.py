"""Weights with equal numbers are stored once, and read no more than they must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import graphcnn
from graphcnn import Graph, WeightStore, ops
from graphcnn.passes import DeduplicateWeights, FoldAffineIntoPrevious, run_passes
from graphcnn.weight_files import Weight
from tests.onnx_checks import agree, run
from tests.random_values import random_arrays, random_feeds

from .equivalence import BATCH, Golden

Array = np.ndarray[Any, np.dtype[Any]]


def network(normalized: bool = False) -> tuple[Graph, dict[str, Array]]:
    """Two convolutions of one image, alike but for their biases; and what they hold."""
    graph = Graph("twins")
    graph.input("image", (7, 9, 8))
    names = []
    for letter in ("a", "b"):
        conv = ops.Conv2D(filters=8, kernel_size=3, padding="same")
        value = graph.add(conv, "image", name=f"conv_{letter}")
        if normalized:
            value = graph.add(ops.BatchNormalization(), value, name=f"bn_{letter}")
        names.append(value)
    graph.outputs["sum"] = graph.add(ops.Add(), names, name="sum")
    arrays = random_arrays(graph)
    for name in [name for name in arrays if "_b/" in name and not name.endswith("bias")]:
        arrays[name] = arrays[name.replace("_b/", "_a/")].copy()
    return graph, arrays


def counted(arrays: dict[str, Array], reads: list[str]) -> WeightStore:
    """The weights, whose names are noted as they are read."""

    def noted(name: str, weight: Weight) -> Weight:
        def load() -> Array:
            reads.append(name)
            return weight.load()

        return replace(weight, load=load)

    held = WeightStore.from_arrays(arrays)
    return WeightStore({name: noted(name, weight) for name, weight in held.items()}, "test")


def test_equal_numbers_are_one_weight(golden: Golden) -> None:
    graph, arrays = network()
    reads: list[str] = []
    step = DeduplicateWeights(weights=counted(arrays, reads))
    after, (record,) = run_passes(graph, [step])
    assert list(after.weights) == ["conv_a/kernel", "conv_a/bias", "conv_b/bias"]
    said = "its kernel is stored once, as conv_a/kernel: equal numbers"
    assert record.reasons == [("conv_b", said)]
    assert after.node("conv_b").passes == ("deduplicate-weights",)
    assert set(reads) == {"conv_a/kernel", "conv_b/kernel"}, "small ones are not read"
    again, (record,) = run_passes(after, [step])
    assert (record.changed, str(again)) == (False, str(after))
    golden("passes/deduplicate-weights.before.txt", str(graph))
    golden("passes/deduplicate-weights.after.txt", str(after))


def test_weights_alone_in_their_shape_are_not_read() -> None:
    graph = Graph("alone")
    graph.input("image", (7, 9, 20))
    graph.outputs["c"] = graph.add(ops.Conv2D(filters=30, kernel_size=3), "image", name="c")
    reads: list[str] = []
    step = DeduplicateWeights(weights=counted(random_arrays(graph), reads))
    _, (record,) = run_passes(graph, [step])
    assert (record.changed, record.reasons, reads) == (False, [], [])


def test_equal_bytes_of_another_shape_stay() -> None:
    graph = Graph("shapes")
    graph.input("vector", (20,))
    graph.add(ops.Dense(units=40, use_bias=False), "vector", name="a")
    graph.outputs["b"] = graph.add(ops.Dense(units=20, use_bias=False), "a", name="b")
    arrays = {name: np.zeros(spec.shape, np.float32) for name, spec in graph.weights.items()}
    step = DeduplicateWeights(weights=WeightStore.from_arrays(arrays))
    assert not run_passes(graph, [step])[1][0].changed


def test_equal_sums_of_other_numbers_stay() -> None:
    graph, arrays = network()
    arrays["conv_b/kernel"] = arrays["conv_a/kernel"][::-1].copy()
    step = DeduplicateWeights(weights=WeightStore.from_arrays(arrays))
    assert not run_passes(graph, [step])[1][0].changed


def test_weights_that_passes_made() -> None:
    graph, arrays = network(normalized=True)
    step = DeduplicateWeights(weights=WeightStore.from_arrays(arrays))
    after, records = run_passes(graph, [FoldAffineIntoPrevious(), step])
    assert records[1].changed
    assert list(after.weights) == ["bn_a/kernel", "bn_a/bias", "bn_b/bias"]


def test_the_file_holds_them_once(tmp_path: Path) -> None:
    graph, arrays = network(normalized=True)
    feeds, results, kernels = random_feeds(graph, BATCH), [], []
    for index, disable in enumerate([["all"], []]):
        path = tmp_path / f"{index}.onnx"
        store = WeightStore.from_arrays(arrays)
        graphcnn.compile(graph, path, weights=store, disable=disable, verify=False)
        results.append(run(path, feeds, optimize=False)["sum"])
        held = onnx.load(path).graph.initializer
        kernels.append(sum(len(tensor.dims) == 4 for tensor in held))
    agree(results[1], results[0])
    assert kernels == [2, 1]
