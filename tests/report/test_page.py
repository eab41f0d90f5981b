"""The page of a network: what its data say, its blocks, and that names do no harm."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphcnn
from graphcnn.graph import Graph
from graphcnn.ops import Add, Conv2D, ReLU
from graphcnn.passes import run_passes, summarize
from graphcnn.pipeline import pipeline
from graphcnn.report.page import Training, document, page_data
from graphcnn.report.page.blocks import Block, block_tree
from graphcnn.report.page.layout import Picture, pictures
from graphcnn.weights import WeightStore

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ("googlenet", "vgg16", "small_convnet", "cifar10_batchnorm")

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "%SCRIPT%%DATA%",
    '"><!--',
    "\u2028line\ud800",
)


def data_of(
    graph: Graph, weights: WeightStore | None = None, training: Training | None = None
) -> dict[str, Any]:
    steps = pipeline("nchw", weights=weights)
    optimized, records = run_passes(graph, steps)
    options: dict[str, Any] = {"file": "model.yaml", "weights": weights, "training": training}
    return page_data(graph, optimized, steps, records, **options)


def example(name: str) -> Graph:
    return graphcnn.load(EXAMPLES / f"{name}.yaml")


def written(tmp_path: Path, text: str) -> Graph:
    (tmp_path / "model.yaml").write_text(text)
    return graphcnn.load(tmp_path / "model.yaml")


class Parsed(HTMLParser):
    """The elements of a page, and the text in each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        self.open = True

    def handle_data(self, data: str) -> None:
        if self.open:
            self.elements[-1][2].append(data)

    def handle_endtag(self, tag: str) -> None:
        self.open = False

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(given, "".join(text)) for name, given, text in self.elements if name == tag]


def read_back(page: str) -> Any:
    (data,) = [text for given, text in Parsed(page).all("script") if given.get("id") == "data"]
    return json.loads(data)


@pytest.mark.parametrize("name", SMALL)
def test_figures_are_those_of_the_summary(name: str) -> None:
    graph = example(name)
    data, summary = read_back(document(data_of(graph))), summarize(graph)
    assert [layer["name"] for layer in data["layers"]] == [node.name for node in graph]
    for key, total in (("params", summary.total_params), ("macs", summary.macs)):
        assert sum(layer[key] for layer in data["layers"]) == total
    assert sum(layer["flops"] for layer in data["layers"]) == data["flops"] == summary.flops
    assert [layer["live_bytes"] for layer in data["layers"]] == [*summary.peak.timeline.values()]
    assert max(layer["live_bytes"] for layer in data["layers"]) == data["peak_activation_bytes"]


def test_a_layer_says_all_that_is_known_of_it() -> None:
    graph = example("googlenet")
    layer = next(x for x in data_of(graph)["layers"] if x["name"] == "inception_3a/3x3")
    assert layer["inputs"] == ["inception_3a/3x3_reduce"]
    assert layer["output_shape"] == [None, 28, 28, 128]
    assert layer["scope"] == ["inception_3a"]
    assert layer["source"].endswith("googlenet.yaml:13:9")
    assert ("padding", "same", True) in layer["options"]
    assert ("strides", "1", False) in layer["options"]
    assert [(w["role"], w["shape"]) for w in layer["weights"]] == [
        ("kernel", [3, 3, 96, 128]),
        ("bias", [128]),
    ]
    assert layer["receptive_field"]["stride"] == [8, 8]


def test_passes_say_what_they_did_and_why_not() -> None:
    data = data_of(example("googlenet"))
    by_name = {record["name"]: record for record in data["passes"]}
    assert list(by_name) == [
        step.name
        for entry in pipeline("nchw")
        for step in (entry if isinstance(entry, tuple) else [entry])
    ]
    assert by_name["drop-training-layers"]["changed"]
    assert by_name["drop-training-layers"]["reasons"][0][0] == "dropout"
    held = by_name["fold-affine-into-next"]
    assert not held["changed"]
    assert held["reasons"][0][1].startswith("not folded")
    assert all(record["about"].endswith(".") for record in data["passes"])
    becomes = {layer["name"]: layer["becomes"] for layer in data["layers"]}
    assert becomes["dropout"] is None
    assert becomes["conv1"] == "conv1"


def test_a_folded_layer_names_the_layer_that_does_its_work() -> None:
    data = data_of(example("cifar10_batchnorm"))
    becomes = {layer["name"]: layer["becomes"] for layer in data["layers"]}
    assert becomes["conv1/conv"] == becomes["conv1/norm"]
    assert data["compiled_layers"] < len(data["layers"])


def test_weights_have_figures_where_they_are_given(tmp_path: Path) -> None:
    graph = written(
        tmp_path,
        "name: m\ninputs: {x: [4, 4, 2]}\nlayers:\n"
        "  - Conv2D: {filters: 2, kernel_size: 1, name: a}\n"
        "  - Conv2D: {filters: 2, kernel_size: 1, shares: a, name: b}\n",
    )
    kernel = np.array([[[[1, 2], [3, -4]]]], np.float32)
    store = WeightStore.from_arrays({"a/kernel": kernel, "a/bias": np.zeros(2, np.float32)})
    bare, full = data_of(graph)["layers"], data_of(graph, store)["layers"]
    assert bare[1]["weights"][0]["figures"] is None
    assert full[1]["weights"][0]["figures"] == {"min": -4, "max": 3, "mean": 0.5, "std": 2.693}
    assert full[2]["weights"][0]["name"] == "a/kernel"
    assert full[2]["weights"][0]["users"] == ["a", "b"]
    assert (full[1]["params"], full[2]["params"]) == (6, 0)
    assert data_of(graph, store)["passes"][-2]["name"] == "deduplicate-weights"


def test_open_sizes_several_inputs_and_outputs(tmp_path: Path) -> None:
    graph = written(
        tmp_path,
        "name: open\ninputs: {left: [H, W, 3], right: [H, W, 3]}\nlayers:\n"
        "  - Add: {inputs: [left, right], name: both}\n"
        "  - Conv2D: {filters: 4, kernel_size: 3, name: conv}\n"
        "outputs: [both, conv]\n",
    )
    data = read_back(document(data_of(graph)))
    assert data["outputs"] == {"both": "both", "conv": "conv"}
    assert data["layers"][-1]["output_shape"] == [None, "H - 2", "W - 2", 4]
    assert isinstance(data["macs"], str)
    assert data["peak_activation_bytes"] is None
    assert [layer["live_bytes"] for layer in data["layers"]] == [None] * 4


def test_training_curves() -> None:
    history = {
        "epoch": [1.0, 2.0],
        "seconds": [3.0, 3.0],
        "loss": [2.0, float("nan")],
        "val_loss": [3.0, 1.0],
    }
    data = data_of(example("small_convnet"), training=Training("runs/a", history, 1))
    found = read_back(document(data))["training"]
    assert found == {
        "run": "runs/a",
        "best": 1,
        "epochs": [1.0, 2.0],
        "curves": {"loss": [2.0, None], "val_loss": [3.0, 1.0]},
    }


def hostile_graph() -> Graph:
    graph = Graph(HOSTILE[0])
    last = graph.input(HOSTILE[1], (4, 4, 2))
    for name in HOSTILE:
        last = graph.add(ReLU(), last, name=f"relu {name}")
    graph.outputs = {HOSTILE[3]: last}
    return graph


def test_names_are_never_markup() -> None:
    page = document(data_of(hostile_graph()))
    parsed = Parsed(page)
    assert len(parsed.all("script")) == 2
    assert not parsed.all("img")
    assert len(parsed.all("style")) == 1
    assert [text.strip() for _, text in parsed.all("title")] == [HOSTILE[0]]
    data = read_back(page)
    assert [layer["name"] for layer in data["layers"][1:]] == [f"relu {name}" for name in HOSTILE]
    block = re.search('id="data">(.*?)</script>', page, re.S)
    assert block
    assert not set("<>&\u2028\u2029") & set(block[1])


def test_the_policy_allows_this_script_and_style_only() -> None:
    page = document(data_of(example("small_convnet")))
    parsed = Parsed(page)
    (policy,) = [
        given["content"] or ""
        for given, _ in parsed.all("meta")
        if given.get("http-equiv") == "Content-Security-Policy"
    ]
    texts = {"script-src": parsed.all("script")[1][1], "style-src": parsed.all("style")[0][1]}
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for rule, text in texts.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'"


def test_nothing_is_loaded_and_no_data_become_markup() -> None:
    page = document(data_of(example("small_convnet")))
    links = set(re.findall(r"https?://[^\s\"'`]+", page))
    assert links == {"http://www.w3.org/2000/svg"}
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "src="):
        assert word not in page, word


def test_the_same_model_gives_the_same_bytes() -> None:
    graph = example("googlenet")
    store = WeightStore.random(graph.weights, 0)
    pages = {document(data_of(graph.clone(), store)) for _ in range(2)}
    assert len(pages) == 1


def test_the_page_of_vgg16_is_small() -> None:
    assert len(document(data_of(example("vgg16"))).encode()) < 2_000_000


def labels(block: Block) -> list[str]:
    return [item.label for item in block.items if isinstance(item, Block)]


def test_blocks_are_those_of_the_model_file() -> None:
    graph = example("googlenet")
    tree = block_tree(graph)
    assert labels(tree) == [
        f"inception_{n}" for n in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    ]
    inception = next(item for item in tree.items if isinstance(item, Block))
    names = [node.name for node in graph]
    assert inception.prefix == "inception_3a"
    assert [names[place] for place in inception.members] == [
        node.name for node in graph if node.name.startswith("inception_3a/")
    ]


def test_repeats_without_names_are_apart(tmp_path: Path) -> None:
    repeat = "  - repeat: 2\n    layers: [Conv2D: {filters: 2, kernel_size: 1}, ReLU]\n"
    graph = written(
        tmp_path, f"name: m\ninputs: {{x: [4, 4, 2]}}\nlayers:\n{repeat}  - Softmax\n{repeat}"
    )
    tree = block_tree(graph)
    assert labels(tree) == ["repeat 1 of 2", "repeat 2 of 2"] * 2
    assert [b.members for b in tree.items if isinstance(b, Block)] == [
        (1, 2),
        (3, 4),
        (6, 7),
        (8, 9),
    ]


def chain(graph: Graph, last: str, names: list[str]) -> str:
    for name in names:
        last = graph.add(Conv2D(filters=2, kernel_size=1), last, name=name)
    return last


def test_numbered_words_of_names_make_blocks_within_blocks() -> None:
    graph = Graph()
    last = graph.input("x", (4, 4, 2))
    for stage in "23":
        for block in "12":
            stem = f"conv{stage}_block{block}"
            names = [f"{stem}_{part}_conv" for part in "1234"]
            last = graph.add(Add(), [last, chain(graph, last, names)], name=f"{stem}_add")
    last = chain(graph, last, ["conv2d", "conv2d_1", "conv2d_2", "conv2d_3"])
    graph.outputs = {"y": last}
    tree = block_tree(graph)
    assert labels(tree) == ["conv2", "conv3"]
    assert [labels(item) for item in tree.items if isinstance(item, Block)] == [
        ["conv2_block1", "conv2_block2"],
        ["conv3_block1", "conv3_block2"],
    ]


def test_blocks_of_models_in_models_may_lie_side_by_side() -> None:
    graph = Graph()
    ends = {tower: graph.input(f"x_{tower}", (4, 4, 2)) for tower in "ab"}
    for layer in range(3):
        for tower in "ab":
            ends[tower] = chain(graph, ends[tower], [f"{tower}/conv_{layer}"])
    graph.outputs = {"y": graph.add(Add(), [*ends.values()], name="add")}
    assert labels(block_tree(graph)) == ["a", "b"]


def cells(count: int) -> Graph:
    """Cells that each take the last two, without a name to tell them apart: like NASNet."""
    graph = Graph()
    first = graph.input("x", (4, 4, 2))
    before, last = chain(graph, first, ["a"]), chain(graph, first, ["b"])
    for cell in range(count):
        left = chain(graph, before, [f"l{letter}" + "x" * cell for letter in "abcdef"])
        right = chain(graph, last, [f"r{letter}" + "x" * cell for letter in "abcdef"])
        before, last = last, graph.add(Add(), [left, right], name=f"end_{cell}")
    graph.outputs = {"y": last}
    return graph


def test_a_long_list_is_cut_where_few_values_are_live() -> None:
    tree = block_tree(cells(20))
    found = [item for item in tree.items if isinstance(item, Block)]
    assert [item.label for item in found] == [f"end_{cell}" for cell in range(20)]
    assert {len(item.members) for item in found[1:]} == {13}
    assert len(tree.items) <= 24


def random_graph(seed: int) -> Graph:
    drawn = random.Random(seed)
    graph = Graph()
    names = [graph.input("x", (4, 4, 2))]
    for index in range(60):
        sources = drawn.sample(names[-8:], min(len(names), drawn.choice([1, 1, 2])))
        stem = ["a1", "a1_b2", "c3", "m/d4", "m", "e"][index // 6 % 6 if index % 7 else seed % 6]
        separator = "/" if stem == "m" else "_"
        op = Add() if len(sources) > 1 else ReLU()
        names.append(graph.add(op, sources, name=f"{stem}{separator}{index}"))
    graph.outputs = {name: name for name in names[1:] if not graph.users(name)}
    return graph


def check_pictures(graph: Graph) -> list[Picture]:
    """Each layer is drawn once, and each input of each layer is a way along the lines."""
    found = pictures(graph, block_tree(graph))
    drawn = [r for p in found for kind, r in p.vertices if kind == "item" and r >= 0]
    assert sorted(drawn) == list(range(len(graph)))
    chains = {0: [0]}
    home: dict[int, int] = {}
    for index, picture in enumerate(found):
        if picture.parent is not None:
            chains[index] = [*chains[picture.parent], index]
        home |= {r: index for kind, r in picture.vertices if kind == "item" and r >= 0}
        assert all(picture.rows[b] - picture.rows[a] == 1 for a, b, _ in picture.edges)
        assert set(picture.rows) == set(range(max(picture.rows) + 1))
    places = {node.name: place for place, node in enumerate(graph)}
    for user, node in enumerate(graph):
        for source in map(places.__getitem__, node.inputs):
            above, below = chains[home[source]], chains[home[user]]
            meeting = max(set(above) & set(below))
            for index in {*above, *below} - set(chains[meeting]) | {meeting}:
                ends = (
                    ("item", inside(chains, home[source], index, source))
                    if index in above
                    else ("in", source),
                    ("item", inside(chains, home[user], index, user))
                    if index in below
                    else ("out", source),
                )
                assert leads(found[index], *ends, source), (node.name, index)
    return found


def inside(chains: dict[int, list[int]], home: int, index: int, place: int) -> int:
    """What stands for a layer in a picture: itself, or the block around it."""
    rest = chains[home][chains[home].index(index) + 1 :]
    return -rest[0] if rest else place


def leads(picture: Picture, start: tuple[str, int], end: tuple[str, int], value: int) -> bool:
    at = [v for v, vertex in enumerate(picture.vertices) if vertex == start]
    while at:
        if any(picture.vertices[v] == end for v in at):
            return True
        at = [b for a, b, carried in picture.edges if a in at and carried == value]
    return False


@pytest.mark.parametrize("name", SMALL)
def test_examples_are_drawn_whole(name: str) -> None:
    check_pictures(example(name))


@pytest.mark.parametrize("seed", range(12))
def test_any_graph_is_drawn_whole(seed: int) -> None:
    check_pictures(random_graph(seed))


def test_random_graphs_have_blocks() -> None:
    assert sum(len(check_pictures(random_graph(seed))) > 1 for seed in range(12)) > 6


def test_seven_hundred_layers_are_few_boxes() -> None:
    graph = cells(54)
    assert len(graph) > 700
    assert len(check_pictures(graph)[0].block.items) < 60
