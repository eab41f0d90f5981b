"""Pictures of what a network holds: the feature maps of its layers, and its kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphcnn.errors import PictureError, did_you_mean
from graphcnn.graph import Graph
from graphcnn.ops.conv import Convolution, ConvTranspose, DepthwiseConv, SeparableConv
from graphcnn.weights import WeightStore

from .figure import (
    IMAGE_CHANNELS,
    Array,
    Sheet,
    as_images,
    mosaic,
    stretched,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_MAPS = 64
_MOST_FILTERS = 256
_MOST_PAIRS = 16
"""Of more channels, of more filters, and of more input channels and filters where each pair has a
tile, only the first are drawn."""

_A_ROW = 16
_TILE, _MARGIN, _LINE = 0.62, 0.2, 0.34
"""In inches."""

_SHORTEST, _TALLEST = 0.1, 2.0
"""How high a tile may be, in inches, however long or narrow its maps are."""

_BAR, _NARROWEST = 0.9, 4.5
"""What a scale of greys takes beside its picture, and the least room for a title, in inches."""


@styled
def draw_features(image: Array, maps: Mapping[str, Array], title: str) -> Figure:
    """The feature maps that an image makes, a section a layer.

    Each channel is stretched alone, from its lowest to its highest value; channels of one position
    are stretched together.

    Args:
        image: What the network was given, [height, width, channels].
        maps: The values of each layer, [height, width, channels], by its name. Of more than 64
            channels the first are drawn.
        title: What the picture is called.

    Raises:
        PictureError: There are too many layers for one picture.
    """
    sections = [_map_section(name, values) for name, values in maps.items()]
    if image.shape[-1] in IMAGE_CHANNELS:
        sections.insert(0, _input_section(image))
    height = sum(section.height + _LINE for section in sections) + _MARGIN
    sheet = Sheet(_A_ROW * _TILE + 2 * _MARGIN, height, title)
    top = 0.0
    for section in sections:
        sheet.text(_MARGIN, top + _LINE - 0.08, section.text)
        axes = sheet.axes(_MARGIN, top + _LINE, section.width, section.height)
        _show(axes, section.picture, section.colours, 0, 1)
        top += section.height + _LINE
    return sheet.figure


@dataclass(frozen=True, slots=True)
class _Section:
    """A picture, its size in inches, and what stands above it."""

    text: str
    picture: Array
    width: float
    height: float
    colours: str


def _input_section(image: Array) -> _Section:
    width = 2.5 * _TILE
    picture = as_images(image[None])[0]
    return _Section(f"input: {_size(image)}", picture, width, _tile_height(image, width), "gray")


def _map_section(name: str, values: Array) -> _Section:
    tiles = np.moveaxis(values[..., :_MOST_MAPS], -1, 0)
    columns = min(len(tiles), _A_ROW)
    rows = -(-len(tiles) // columns)
    maps = stretched(tiles, (1, 2) if tiles[0].size > 1 else (0, 1, 2))
    return _Section(
        f"{name}: {_counted(len(tiles), values.shape[-1], 'map')} of {_size(values)}",
        mosaic(maps, columns),
        columns * _TILE,
        rows * _tile_height(values, _TILE),
        "viridis",
    )


def convolution_kernel(
    graph: Graph, weights: WeightStore, layer: str | None = None
) -> tuple[str, Array]:
    """The kernel of a two-dimensional convolution.

    Args:
        graph: The network.
        weights: Its weights.
        layer: The convolution's name; the first one if None.

    Returns:
        Its name, and float[height, width, input channels, filters]; where each channel is
        convolved alone there is one input channel, and a filter for each kernel.

    Raises:
        PictureError: There is no such convolution.
    """
    nodes = {
        node.name: node
        for node in graph
        if isinstance(node.op, Convolution) and node.op.spatial_axes == 2
    }
    if not nodes or (layer and layer not in nodes):
        wanted = f"convolution named {layer!r}" if nodes else "two-dimensional convolution"
        raise PictureError(f"there is no {wanted}", hint=did_you_mean(layer or "", nodes))
    node = nodes[layer or next(iter(nodes))]
    alone = isinstance(node.op, DepthwiseConv | SeparableConv)
    role = "depthwise_kernel" if isinstance(node.op, SeparableConv) else "kernel"
    kernel = weights[node.weights[role]].load()
    if alone:
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    if isinstance(node.op, ConvTranspose):
        kernel = kernel.swapaxes(2, 3)
    return node.name, kernel


@styled
def draw_kernels(kernel: Array, title: str) -> Figure:
    """The kernels of a two-dimensional convolution.

    Kernels on one channel are grey, on one scale; those on three are colours, each filter stretched
    alone; of others each pair of a filter and an input channel has its own grey tile.

    Args:
        kernel: float[height, width, input channels, filters]. Of more than 256 filters, or 16 by 16
            pairs, the first are drawn.
        title: What the picture is called.

    Raises:
        PictureError: The kernels hold numbers that are not finite.
    """
    if not np.isfinite(kernel).all():
        raise PictureError("the kernels hold NaN or infinity")
    height, width, channels, filters = kernel.shape
    colour = channels == 3
    if channels in (1, 3):
        tiles = np.moveaxis(kernel[..., :_MOST_FILTERS], -1, 0)
        tiles = stretched(tiles, (1, 2, 3)) if colour else tiles[..., 0]
        columns = min(len(tiles), _A_ROW)
        note = _counted(len(tiles), filters, "filter")
    else:
        pairs = kernel[:, :, :_MOST_PAIRS, :_MOST_PAIRS].transpose(3, 2, 0, 1)
        tiles, columns = pairs.reshape(-1, height, width), pairs.shape[1]
        note = f"down: {_counted(len(pairs), filters, 'filter')}; "
        note += f"across: {_counted(columns, channels, 'input channel')}"
    return _kernel_sheet(tiles, columns, title, f"{_size(kernel)}; {note}", colour)


def _kernel_sheet(tiles: Array, columns: int, title: str, note: str, colour: bool) -> Figure:
    """Tiles in the middle, and where they are grey what the greys mean."""
    bar = 0.0 if colour else _BAR
    size = (columns * _TILE, -(-len(tiles) // columns) * _tile_height(tiles[0], _TILE))
    width = max(size[0] + bar + 2 * _MARGIN, _NARROWEST)
    left = (width - size[0] - bar) / 2
    sheet = Sheet(width, size[1] + _MARGIN, title, note)
    axes, picture = sheet.axes(left, 0, *size), mosaic(tiles, columns)
    if colour:
        _show(axes, np.nan_to_num(picture, nan=1.0), "gray", 0, 1)
        return sheet.figure
    limit = float(np.abs(tiles).max()) or 1.0
    _show(axes, picture, "gray", -limit, limit)
    scale = sheet.axes(left + size[0] + 0.15, 0, 0.12, min(size[1], 2.5))
    sheet.figure.colorbar(axes.images[0], cax=scale)
    return sheet.figure


def _show(axes: Axes, picture: Array, colours: str, low: float, high: float) -> None:
    look = {"interpolation": "nearest", "aspect": "auto"}
    axes.imshow(picture, cmap=colours, vmin=low, vmax=high, **look)  # type: ignore[arg-type]
    axes.set_axis_off()


def _tile_height(values: Array, width: float) -> float:
    """How high a tile of this width is in inches."""
    return float(np.clip(width * values.shape[0] / values.shape[1], _SHORTEST, _TALLEST))


def _size(values: Array) -> str:
    return f"{values.shape[0]}x{values.shape[1]}"


def _counted(shown: int, total: int, noun: str) -> str:
    few = f"first {shown} of " if shown < total else ""
    return f"{few}{total} {noun}{'s' * (total > 1)}"
