"""The graph: what its methods allow, what they refuse, and what they leave behind."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import networkx
import pytest

from graphcnn import Graph
from graphcnn.errors import GraphCNNError, GraphError, ShapeError, SourceLocation
from graphcnn.naming import snake_case
from graphcnn.ops import (
    ELU,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    Input,
    MaxPooling2D,
    ReLU,
)
from graphcnn.types import FIRST, TensorType


def small() -> Graph:
    """Image -> conv -> relu -> (relu + conv) -> flat."""
    graph = Graph("small")
    image = graph.input("image", [8, 8, 3])
    conv = graph.add(Conv2D(filters=4, kernel_size=3), image, name="conv")
    relu = graph.add(ReLU(), conv, name="relu")
    total = graph.add(Add(), [relu, conv], name="sum")
    graph.outputs["flat"] = graph.add(Flatten(), total, name="flat")
    return graph


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph]


def unchanged(graph: Graph, act: Callable[[], Any], match: str) -> GraphCNNError:
    """The error that an action raises, which leaves the graph as it was."""
    before = str(graph), dict(graph.weights), networkx.to_dict_of_lists(graph.nx)
    with pytest.raises(GraphCNNError, match=match) as caught:
        act()
    assert before == (str(graph), dict(graph.weights), networkx.to_dict_of_lists(graph.nx))
    graph.verify()
    return caught.value


def test_what_is_added_is_inferred() -> None:
    graph = small()
    assert len(graph) == 5
    assert "conv" in graph
    assert "nothing" not in graph
    assert graph.type("conv") == TensorType((6, 6, 4))
    assert {name: spec.shape for name, spec in graph.weights.items()} == {
        "conv/kernel": (3, 3, 3, 4),
        "conv/bias": (4,),
    }
    assert graph.node("sum").inputs == ("relu", "conv")
    assert [user.name for user in graph.users("conv")] == ["relu", "sum"]
    graph.verify()


@pytest.mark.parametrize(
    ("act", "match"),
    [
        (lambda g: g.add(ReLU(), "image", name="conv"), "the name 'conv' is taken"),
        (lambda g: g.add(ReLU(), "nothing"), "its input 'nothing' does not exist"),
        (lambda g: g.add(Add(), ["image"]), "takes 2 inputs or more, found 1"),
        (lambda g: g.add(ReLU(), []), "takes 1 input, found 0"),
        (lambda g: g.add(Conv2D(filters=1, kernel_size=9), "image"), "9x9 is larger"),
        (lambda g: g.add(Add(), ["image", "conv"]), "do not fit together"),
        (lambda g: g.add(Input(shape=(3,)), "image"), "takes 0 inputs, found 1"),
        (lambda g: g.input("zero", [0]), "sizes must be positive"),
        (lambda g: g.input("image", [3]), "is taken"),
        (lambda g: g.add(Dense(units=3), "flat", weights={"kernal": "x"}), "no weight 'kernal'"),
        (lambda g: g.add(Dense(units=3), "flat", weights={"kernel": "conv/kernel"}), "would share"),
        (lambda g: g.node("nothing"), "no node named 'nothing'"),
        (lambda g: g.type("nothing"), "no node named 'nothing'"),
        (lambda g: g.users("nothing"), "no node named 'nothing'"),
        (lambda g: g.erase("nothing"), "no node named 'nothing'"),
        (lambda g: g.erase("relu"), "relu is used by sum"),
        (lambda g: g.erase("flat"), "flat is used by output flat"),
        (lambda g: g.replace("nothing", op=ReLU()), "no node named"),
        (lambda g: g.replace("conv", op=Conv2D(filters=5, kernel_size=3)), "would turn"),
        (lambda g: g.replace("conv", op=Conv2D(filters=4, kernel_size=9)), "larger"),
        (lambda g: g.replace("conv", inputs=("nothing",)), "does not exist"),
        (lambda g: g.replace("sum", inputs=("relu",)), "takes 2 inputs or more"),
        (lambda g: g.replace("conv", weights={"kernal": "x"}), "no weight 'kernal'"),
        (lambda g: g.replace("relu", inputs=("relu",)), "its input relu depends on it"),
        (lambda g: g.replace("relu", inputs=("sum",)), "its input sum depends on it"),
        (lambda g: g.redirect("nothing", "conv"), "no node named"),
        (lambda g: g.redirect("conv", "nothing"), "no node named"),
        (lambda g: g.redirect("image", "conv"), "image is float32"),
        (lambda g: g.redirect("conv", "sum"), "its input sum depends on it"),
    ],
)
def test_refused(act: Callable[[Graph], Any], match: str) -> None:
    graph = small()
    unchanged(graph, lambda: act(graph), match)


def test_an_error_says_where_and_what() -> None:
    graph = small()
    with pytest.raises(ShapeError) as caught:
        graph.add(
            MaxPooling2D(pool_size=7),
            "conv",
            name="pool",
            location=SourceLocation("model.yaml", 14, 5),
        )
    assert str(caught.value).splitlines() == [
        "model.yaml:14:5: pool (MaxPooling2D): kernel 7x7 is larger than its input 6x6 and padding "
        "is valid",
        "  inputs   conv: float32[N, 6, 6, 4]",
        "  hint     padding: same keeps the 6x6, or use a kernel of at most 6x6",
    ]


def test_one_value_twice() -> None:
    graph = Graph()
    graph.input("x", [4])
    graph.add(Add(), ["x", "x"], name="double")
    assert graph.node("double").inputs == ("x", "x")
    assert [user.name for user in graph.users("x")] == ["double"]
    edges = graph.nx.edges(data="operand")
    assert sorted(edges) == [("x", "double", 0), ("x", "double", 1)]
    graph.outputs["double"] = "double"
    graph.add(ReLU(), "x", name="r", after="x")
    graph.replace("double", inputs=("x", "r"))
    assert sorted(graph.nx.edges(data="operand")) == [
        ("r", "double", 1),
        ("x", "double", 0),
        ("x", "r", 0),
    ]


def test_replace_keeps_the_place() -> None:
    graph = small()
    graph.replace("relu", op=ELU())
    assert graph.node("relu").op == ELU()
    assert names(graph) == ["image", "conv", "relu", "sum", "flat"]
    graph.replace("relu", layout=FIRST, passes=("p",))
    assert graph.node("relu").layout == FIRST
    assert graph.node("relu").passes == ("p",)
    graph.verify()


def test_replace_follows_the_weights() -> None:
    graph = small()
    graph.replace("conv", op=Conv2D(filters=4, kernel_size=3, use_bias=False))
    assert list(graph.weights) == ["conv/kernel"]
    graph.replace("conv", weights={"kernel": "other"})
    assert list(graph.weights) == ["other"]
    graph.verify()


def test_redirect() -> None:
    graph = small()
    graph.redirect("relu", "conv")
    assert graph.node("sum").inputs == ("conv", "conv")
    graph.erase("relu")
    graph.outputs["second"] = "conv"
    graph.add(ELU(), "conv", name="elu", after="conv")
    graph.redirect("conv", "elu")
    assert graph.node("elu").inputs == ("conv",)
    assert graph.node("sum").inputs == ("elu", "elu")
    assert graph.outputs == {"flat": "flat", "second": "elu"}
    graph.verify()


def test_redirect_is_whole_or_not_at_all() -> None:
    graph = Graph()
    graph.input("x", [4])
    graph.add(ReLU(), "x", name="a")
    graph.add(ReLU(), "a", name="free")
    graph.add(ELU(), "a", name="b")
    graph.add(ReLU(), "b", name="c")
    graph.outputs.update(free="free", c="c")
    unchanged(graph, lambda: graph.redirect("a", "c"), "its input c depends on it")


def test_shared_weights() -> None:
    graph = Graph()
    graph.input("x", [4])
    graph.add(Dense(units=4), "x", name="a")
    graph.add(Dense(units=4), "a", name="b", weights={"kernel": "a/kernel", "bias": "a/bias"})
    graph.add(Dense(units=4), "b", name="c", weights={"kernel": "a/kernel"})
    graph.outputs["c"] = "c"
    assert list(graph.weights) == ["a/kernel", "a/bias", "c/bias"]
    graph.redirect("c", "b")
    graph.erase("c")
    assert list(graph.weights) == ["a/kernel", "a/bias"]
    graph.redirect("b", "a")
    graph.erase("b")
    assert graph.weight("a/kernel").shape == (4, 4)
    graph.redirect("a", "x")
    graph.erase("a")
    assert graph.weights == {}


def test_a_shared_weight_keeps_its_shape() -> None:
    graph = Graph()
    graph.input("x", [8, 8, 4])
    conv = Conv2D(filters=4, kernel_size=3, padding="same")
    graph.add(conv, "x", name="a")
    wide = Conv2D(filters=4, kernel_size=5, padding="same")
    graph.replace("a", op=wide)
    assert graph.weight("a/kernel").shape == (5, 5, 4, 4)
    graph.add(wide, "a", name="b", weights={"kernel": "a/kernel"})
    graph.outputs["b"] = "b"
    error = unchanged(graph, lambda: graph.replace("a", op=conv), "would share a/kernel")
    assert "float32 [5, 5, 4, 4], but needs float32 [3, 3, 4, 4]" in error.message


def test_one_weight_for_two_roles() -> None:
    graph = Graph()
    graph.input("x", [4])
    graph.add(BatchNormalization(), "x", name="n", weights={"gamma": "n/one", "beta": "n/one"})
    assert list(graph.weights) == ["n/one", "n/moving_mean", "n/moving_variance"]
    with pytest.raises(GraphError, match="its bias would share w"):
        graph.add(Dense(units=3), "n", weights={"kernel": "w", "bias": "w"})


def test_networkx_sees_it() -> None:
    view = small().nx
    assert networkx.is_directed_acyclic_graph(view)
    assert list(networkx.topological_sort(view)) == ["image", "conv", "relu", "sum", "flat"]
    assert networkx.dag_longest_path_length(view) == 4
    assert networkx.ancestors(view, "relu") == {"image", "conv"}
    assert view.nodes["conv"]["type"] == TensorType((6, 6, 4))
    assert view.nodes["conv"]["node"].name == "conv"


@pytest.mark.parametrize(
    "act",
    [
        lambda view: view.add_node("new"),
        lambda view: view.add_edge("flat", "image"),
        lambda view: view.remove_node("conv"),
        lambda view: view.remove_edge("conv", "relu"),
        lambda view: view.clear(),
    ],
)
def test_networkx_cannot_change_it(act: Callable[[Any], None]) -> None:
    graph = small()
    before = str(graph)
    with pytest.raises(networkx.NetworkXError):
        act(graph.nx)
    assert str(graph) == before
    copy = networkx.MultiDiGraph(graph.nx)
    copy.remove_node("conv")
    assert "conv" in graph


@pytest.mark.parametrize(
    ("corrupt", "match"),
    [
        (lambda g: g._nx.nodes["conv"].update(type=TensorType((1,))), "recorded as float32"),
        (lambda g: g._nx.add_edge("flat", "conv", operand=0), "there is a cycle"),
        (lambda g: g._nx.remove_node("image"), "its input 'image' does not exist"),
        (lambda g: g.outputs.update(other="nothing"), "does not exist: nothing"),
        (lambda g: g.outputs.clear(), "has no outputs"),
    ],
)
def test_verify_finds(corrupt: Callable[[Any], None], match: str) -> None:
    graph = small()
    graph.verify()
    corrupt(graph)
    graph._order = None
    with pytest.raises(GraphError, match=match):
        graph.verify()


def test_order_is_that_of_writing() -> None:
    graph = Graph()
    graph.input("x", [4])
    written = [graph.add(ReLU(), "x", name=name) for name in "qwertyuiopasdfghjklzxcvbnm1"[:20]]
    graph.add(Add(), written, name="all")
    assert names(graph) == ["x", *written, "all"]
    graph.add(ELU(), "x", name="second", after=written[0])
    graph.add(ELU(), "x", name="third", after=written[0])
    assert names(graph)[:5] == ["x", written[0], "second", "third", written[1]]


def test_names_are_made() -> None:
    graph = Graph()
    graph.input("x", [8, 8, 1])
    assert [graph.add(MaxPooling2D(pool_size=1), "x") for _ in range(3)] == [
        "max_pooling2d",
        "max_pooling2d_1",
        "max_pooling2d_2",
    ]
    graph.erase("max_pooling2d_1")
    assert graph.unused("max_pooling2d_1") == "max_pooling2d_1"


@pytest.mark.parametrize(
    ("title", "name"),
    [("Conv2D", "conv2d"), ("MaxPooling2D", "max_pooling2d"), ("ReLU", "re_lu"), ("ELU", "elu"),
     ("BatchNormalization", "batch_normalization"), ("PReLU", "p_re_lu"), ("Dense", "dense"),
     ("GlobalAveragePooling1D", "global_average_pooling1d"), ("LeakyReLU", "leaky_re_lu")],
)  # fmt: skip
def test_snake_case_is_keras_s(title: str, name: str) -> None:
    assert snake_case(title) == name


def test_a_clone_changes_on_its_own() -> None:
    graph = small()
    before = str(graph), dict(graph.weights)
    twin = graph.clone()
    assert str(twin) == str(graph)
    twin.redirect("relu", "conv")
    twin.erase("relu")
    twin.replace("conv", op=Conv2D(filters=4, kernel_size=3, use_bias=False))
    twin.add(ReLU(), "flat", name="new")
    twin.outputs["new"] = "new"
    twin.batch = 3
    assert (str(graph), dict(graph.weights)) == before
    graph.verify()
    twin.verify()
    other = graph.clone()
    graph.replace("relu", op=ELU())
    assert other.node("relu").op == ReLU()


def test_printed() -> None:
    graph = small()
    graph.replace("relu", op=ReLU(max_value=6.0))
    graph.add(
        Dense(units=3), "flat", name="d", location=SourceLocation("m.yaml", 7, 3),
        weights={"bias": "b"},
    )  # fmt: skip
    graph.outputs = {"scores": "d", "flat": "flat"}
    graph.batch = 2
    assert str(graph).splitlines() == [
        "graph small (batch 2)",
        "  image = Input(shape=[8, 8, 3])                  : float32[N, 8, 8, 3]",
        "  conv = Conv2D(image, kernel_size=3, filters=4)  : float32[N, 6, 6, 4]",
        "  relu = ReLU(conv, max_value=6.0)                : float32[N, 6, 6, 4]",
        "  sum = Add(relu, conv)                           : float32[N, 6, 6, 4]",
        "  flat = Flatten(sum)                             : float32[N, 144]",
        "  d = Dense(flat, units=3, weights.bias=b)        : float32[N, 3]  # line 7",
        "  return scores=d, flat",
    ]


def calls(act: Callable[[], Any]) -> int:
    """How many Python calls an action makes."""
    count = Counter[str]()

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        count["calls"] += event in ("call", "c_call")

    sys.setprofile(hook)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count["calls"]


def chain(length: int) -> Graph:
    graph = Graph()
    last = graph.input("x", [4])
    for _ in range(length):
        last = graph.add(ReLU(), last)
    graph.outputs[last] = last
    return graph


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda graph: list(graph), id="iterate"),
        pytest.param(lambda graph: graph.verify(), id="verify"),
        pytest.param(lambda graph: graph.clone(), id="clone"),
        pytest.param(lambda graph: str(graph), id="print"),
        pytest.param(lambda graph: graph.weights, id="weights"),
        pytest.param(
            lambda graph: [graph.replace(n, op=ELU()) for n in names(graph)[1:]], id="replace"
        ),
        pytest.param(
            lambda graph: [
                (graph.redirect(n, graph.node(n).inputs[0]), graph.erase(n))
                for n in names(graph)[1:]
            ],
            id="drop",
        ),
    ],
)
def test_steps_are_linear_in_the_nodes(act: Callable[[Graph], Any]) -> None:
    small_, large = (calls(lambda n=n: act(chain(n))) for n in (500, 2000))  # type: ignore[misc]
    assert large < 4.6 * small_


def test_20_000_nodes() -> None:
    graph = chain(20_000)
    assert len(graph) == 20_001
    assert names(graph)[-1] == "re_lu_19999"
    graph.verify()
