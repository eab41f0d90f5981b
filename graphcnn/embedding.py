"""What a file does beside its network: pixels as a camera gives them in, the best classes out.

A network takes float32, RGB, of its own height and width. Before it are put, of each image: a Cast
from uint8, a bilinear Resizing where the camera's size is another, and a reversal of the channels
where its colours are BGR. Behind the one output that is a vector of scores the best few are taken.
All of that is operators like others, so that passes fold what can be folded.

The metadata of a file say what was embedded: `metadata.INPUT_COLORS`, `INPUT_RESIZED` and
`TOP_CLASSES`, each a JSON mapping by the name of an input or an output.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from .errors import ErrorGroup, GraphCNNError, GraphError, OptionError
from .graph import Graph, Node
from .metadata import INPUT_COLORS, INPUT_RESIZED, TOP_CLASSES
from .ops import Cast, Input, Resizing
from .ops.embedding import ReverseChannels, TopClasses, TopScores
from .ops.op import Size
from .options import Options
from .types import DType, is_symbolic

_COLORED = 3
_IMAGE_CHANNELS = (1, _COLORED)

_PLAIN = "without --preprocess embed the file takes it as the model does"

_TOP = re.compile(r"top([1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera(Options):
    """What a camera gives: uint8, 0 to 255, one or three channels.

    Attributes:
        colors: The order of three channels.
        size: Height and width; those of the model if None.

    Raises:
        OptionError: A field holds something else.
    """

    colors: Literal["rgb", "bgr"] = "rgb"
    size: tuple[Size, Size] | None = None


Preprocess = Camera | Literal["embed"]
"""``embed`` is ``Camera()``."""


def needed(preprocess: Preprocess | None, postprocess: str | None) -> list[str]:
    """The operators and forms that a file has for what it does beside its network."""
    return ["uint8 input"] * (preprocess is not None) + ["TopK"] * (postprocess is not None)


def embed(graph: Graph, preprocess: Preprocess | None, postprocess: str | None) -> dict[str, str]:
    """Put what is asked for before and behind a network, and return the metadata that say so.

    Args:
        graph: The graph, which is changed.
        preprocess: What its images are to be; as they are if None.
        postprocess: ``top5`` or the like; nothing if None.

    Raises:
        OptionError: One is nothing of the kind.
        ErrorGroup: Of every input that cannot be embedded, why; or there is no image.
        GraphError: There is not exactly one output that is a vector of scores, it has fewer
            classes, or a name is taken.
    """
    metadata: dict[str, str] = {}
    if preprocess is not None:
        if not isinstance(preprocess, Camera) and preprocess != "embed":
            raise OptionError(f"preprocess: expected embed or a Camera, found {preprocess!r:.80}")
        camera = preprocess if isinstance(preprocess, Camera) else Camera()
        metadata |= _embed_camera(graph, camera)
    if postprocess is not None:
        metadata |= _embed_top(graph, _top(postprocess))
    return metadata


def _top(text: str) -> int:
    """How many classes ``top5`` asks for."""
    match = _TOP.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise OptionError(
            f"postprocess: expected top and a number, found {text!r:.80}", hint="top5, or top1"
        )
    return int(match[1])


def _embed_camera(graph: Graph, camera: Camera) -> dict[str, str]:
    """Make a graph take images as a camera gives them; inputs that are vectors stay as they are."""
    images = _images(graph, camera)
    wanted = {node.name: graph.type(node.name).spatial for node in images}
    for node in images:
        _embed(graph, node, camera)
    taken = {name: graph.type(name) for name in wanted}
    colored = [name for name, value in taken.items() if value.channels == _COLORED]
    resized = {name: size for name, size in wanted.items() if size != taken[name].spatial}
    metadata = {}
    if colored:
        metadata[INPUT_COLORS] = json.dumps(dict.fromkeys(colored, camera.colors.upper()))
    if resized:
        metadata[INPUT_RESIZED] = json.dumps(resized)
    return metadata


def _embed_top(graph: Graph, k: int) -> dict[str, str]:
    """Put the best classes and their scores in the place of the output that has the scores."""
    output = _scores(graph)
    source, count = graph.outputs[output], graph.type(graph.outputs[output]).channels
    if k > count:
        raise GraphError(f"top{k} of {output}, which has {count} scores", hint=f"top{count}")
    scores, classes = f"{output}_top{k}", f"{output}_top{k}_classes"
    for name in (scores, classes):
        if name in graph or name in graph.outputs:
            raise GraphError(f"there is a {name!r} in the model", hint="call it something else")
    graph.add(TopScores(k=k), source, name=scores, location=graph.node(source).location)
    graph.add(TopClasses(k=k), source, name=classes, location=graph.node(source).location)
    found: dict[str, str] = {}
    for name, node in graph.outputs.items():
        found |= {scores: scores, classes: classes} if name == output else {name: node}
    graph.outputs = found
    return {TOP_CLASSES: json.dumps({classes: scores})}


def _images(graph: Graph, camera: Camera) -> list[Node]:
    """The inputs to embed: float32 of height, width and one or three channels."""
    images, problems = [], list[GraphCNNError]()
    for node in graph.inputs:
        obstacle = _obstacle(graph, node, camera)
        if obstacle is None:
            images.append(node)
        elif graph.type(node.name).rank != 2:
            reason, hint = obstacle
            problems.append(graph.explained(GraphError(reason, hint=hint), node))
    if not images and not problems:
        found = ", ".join(f"{n.name} {graph.type(n.name)}" for n in graph.inputs)
        problems.append(GraphError(f"no input is an image to embed: {found}"))
    if problems:
        raise ErrorGroup(problems)
    return images


def _obstacle(graph: Graph, node: Node, camera: Camera) -> tuple[str, str] | None:
    """Why an input does not take images of the camera, and what would mend it; or None."""
    value = graph.type(node.name)
    if value.dtype == DType.uint8:
        return "it takes uint8 already", _PLAIN
    if value.dtype != DType.float32 or value.rank != 4 or value.channels not in _IMAGE_CHANNELS:
        return f"{value} is no image: float32, height, width and 1 or 3 channels", _PLAIN
    if camera.colors == "bgr" and value.channels != _COLORED:
        return "its one channel has no order of colours", "no --camera-colors"
    if camera.size and any(map(is_symbolic, value.spatial)):
        known = f"found {list(value.spatial)}"
        return (
            f"to resize to it, its height and width must be known, {known}",
            "--input-shape H,W,C",
        )
    return None


def _embed(graph: Graph, node: Node, camera: Camera) -> None:
    """Put an input of uint8 in the place of one, with what turns the one into the other."""
    name, value = node.name, graph.type(node.name)
    op = Input(shape=(*(camera.size or value.spatial), value.channels), dtype=DType.uint8)
    pixels = graph.add(op, name=graph.unused(f"{name}/pixels"), after=name)

    def then(op: Cast | Resizing | ReverseChannels, before: str, label: str) -> str:
        new = graph.unused(f"{name}/{label}")
        return graph.add(op, before, name=new, location=node.location, after=before)

    cast = last = then(Cast(dtype=value.dtype), pixels, str(value.dtype))
    if graph.type(last) != value:
        height, width = value.spatial
        last = then(Resizing(height=height, width=width), last, "resized")
    if camera.colors == "bgr":
        last = then(ReverseChannels(), last, "rgb")
    graph.redirect(name, last)
    graph.erase(name)
    graph.add(op, name=name, location=node.location, after=pixels)
    graph.replace(cast, inputs=(name,))
    graph.erase(pixels)


def _scores(graph: Graph) -> str:
    """The one output that is a vector of scores.

    Raises:
        GraphError: There is none, or several.
    """
    types = {name: graph.type(source) for name, source in graph.outputs.items()}
    found = [n for n, t in types.items() if t.rank == 2 and t.dtype.is_float and t.channels != 1]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{name} {value}" for name, value in types.items())
    kind = "none is" if not found else f"{len(found)} are"
    raise GraphError(
        f"the best classes are taken of one output, a vector of scores, and {kind}: {listed}",
        hint="name the output in the model's outputs, and no other vector" if found else None,
    )
