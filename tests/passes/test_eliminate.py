"""Values that are computed twice, or for nothing."""

from __future__ import annotations

from graphcnn import Graph, ops
from graphcnn.passes import EliminateCommonSubexpressions, EliminateDeadCode, run_passes

from .conftest import Network
from .equivalence import Golden, check_compiled, onnx_nodes, rewrite

TWINS = (
    "ELU: {name: a}", "MaxPooling2D: {name: b}",
    "ELU: {inputs: [image], name: c}", "MaxPooling2D: {name: d}", "Add: {inputs: [b, d]}",
)  # fmt: skip


def test_branches_that_are_alike_meet(network: Network, golden: Golden) -> None:
    graph = network(*TWINS)
    found = rewrite(graph, EliminateCommonSubexpressions())
    assert found.titles == ["Input", "ELU", "MaxPooling2D", "Add"]
    assert found.after.node("add").inputs == ("b", "b")
    assert found.reasons == [("c", "removed: a is the same"), ("d", "removed: b is the same")]
    assert found.origins == {"a": ["a", "c"], "b": ["b", "d"]}
    check_compiled(graph)
    golden("passes/eliminate-common-subexpressions.before.txt", str(graph))
    golden("passes/eliminate-common-subexpressions.after.txt", str(found.after))


def test_what_differs_stays(network: Network) -> None:
    """In an option, in the inputs' order, in weights, or in being an input."""
    graph = network(
        "ELU: {name: a}", "ELU: {inputs: [image], alpha: 2, name: b}",
        "Subtract: {inputs: [a, b], name: c}", "Subtract: {inputs: [b, a], name: d}",
        "Conv2D: {filters: 2, kernel_size: 1, inputs: [a], name: e}",
        "Conv2D: {filters: 2, kernel_size: 1, inputs: [a], name: f}",
        outputs="[c, d, e, f]",
    )  # fmt: skip
    graph.input("other", (8, 8, 3))
    graph.outputs["g"] = graph.add(ops.ELU(), "other", name="g")
    found = rewrite(graph, EliminateCommonSubexpressions())
    assert (found.record.changed, found.reasons) == (False, [])


def test_layers_that_share_weights_are_the_same() -> None:
    graph = Graph("shared")
    graph.input("image", (7, 9, 2))
    conv = ops.Conv2D(filters=3, kernel_size=3)
    graph.add(conv, "image", name="a")
    graph.add(conv, "image", name="b", weights=graph.node("a").weights)
    graph.outputs["s"] = graph.add(ops.Add(), ["a", "b"], name="s")
    assert rewrite(graph, EliminateCommonSubexpressions()).titles == ["Input", "Conv2D", "Add"]
    assert check_compiled(graph) == (3, 2)


def test_outputs_that_are_the_same_keep_their_names(network: Network) -> None:
    graph = network("ELU: {name: a}", "ELU: {inputs: [image], name: b}", outputs="[a, b]")
    found = rewrite(graph, EliminateCommonSubexpressions())
    assert found.after.outputs == {"a": "a", "b": "a"}
    check_compiled(graph)


def dead() -> Graph:
    graph = Graph("dead")
    graph.input("image", (7, 9, 2))
    graph.input("unused", (3,))
    graph.outputs["a"] = graph.add(ops.ELU(), "image", name="a")
    graph.add(ops.ReLU(), "a", name="b")
    graph.add(ops.Conv2D(filters=2, kernel_size=1), "b", name="c")
    return graph


def test_what_nothing_needs_goes(golden: Golden) -> None:
    graph = dead()
    after, (record,) = run_passes(graph, [EliminateDeadCode()])
    assert [node.name for node in after] == ["image", "unused", "a"]
    assert sorted(record.reasons) == [
        ("b", "removed: it leads to no output"),
        ("c", "removed: it leads to no output"),
        ("unused", "not removed: it leads to no output, and callers provide it"),
    ]
    assert (onnx_nodes(graph), onnx_nodes(after)) == (3, 1)
    golden("passes/eliminate-dead-code.before.txt", str(graph))
    golden("passes/eliminate-dead-code.after.txt", str(after))


def test_again_nothing_goes() -> None:
    after, _ = run_passes(dead(), [EliminateDeadCode()])
    again, (record,) = run_passes(after, [EliminateDeadCode()])
    assert (record.changed, str(again)) == (False, str(after))


def test_what_is_needed_stays(network: Network) -> None:
    found = rewrite(network(*TWINS), EliminateDeadCode())
    assert (found.record.changed, found.reasons) == (False, [])
