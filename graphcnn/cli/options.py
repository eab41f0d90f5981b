"""Options that several commands take."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from graphcnn.graph import Graph
    from graphcnn.weights import WeightStore

F = TypeVar("F", bound=Callable[..., Any])

data = click.option(
    "--data",
    required=True,
    metavar="DATA",
    help="A folder of IDX files, CIFAR-10's batches, an .npz file, a folder of class folders of "
    "images, or mnist, fashion_mnist, cifar10.",
)


def finite(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """Refuse what click's ranges let pass: NaN and infinity."""
    if not math.isfinite(value):
        raise click.BadParameter(f"expected a number, found {value}")
    return value


def accuracy_budget(default: str | None = None) -> Callable[[F], F]:
    """What must be kept of the float32 file's accuracy: `budget`."""
    return click.option(
        "--budget",
        metavar="KEEP",
        default=default,
        show_default=True,
        help="The most accuracy that may be lost, such as accuracy=0.002 for 0.2 points; without "
        "labels the least signal-to-noise ratio in dB, such as snr=30.",
    )


weights = click.option(
    "--weights",
    type=click.Path(),
    help="A .safetensors, .npz, .weights.h5, .keras or .h5 file.  [default: those in MODEL]",
)


split = click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    default="test",
    show_default=True,
    help="Which part of the data.",
)

PROVIDERS = click.Choice(["auto", "cpu", "cuda", "openvino"])

provider = click.option(
    "--provider",
    type=PROVIDERS,
    default="auto",
    show_default=True,
    help="What runs it; auto takes CUDA where the installed onnxruntime can use it.",
)

deployed_provider = click.option(
    "--provider",
    type=PROVIDERS,
    help="What runs it; auto takes CUDA where the installed onnxruntime can use it.  "
    "[default: what deploy.json beside the file says, else auto]",
)


def printing(command: F) -> F:
    """How a table is printed: `form` and `as_json`."""
    form = click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "markdown"]),
        default="table",
        help="How to print it.  [default: table]",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
    return form(as_json(command))


def _shapes(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Sizes by the name of an input, which is empty where none is given."""
    shapes: dict[str, tuple[int, ...]] = {}
    for value in values:
        name, _, text = value.rpartition("=")
        numbers = text.split(",")
        if not all(re.fullmatch(r"\s*[1-9][0-9]{0,8}\s*", number) for number in numbers):
            raise click.BadParameter(f"expected sizes such as 224,224,3, found {value!r}")
        if name in shapes:
            raise click.BadParameter(f"there are two for {name or 'the only input'}")
        shapes[name] = tuple(map(int, numbers))
    return shapes


def _joined(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> str | None:
    return ",".join(values) if values else None


def names(*flags: str, metavar: str, help: str) -> Callable[[F], F]:
    """An option of names separated by commas, which may be given several times."""
    return click.option(*flags, multiple=True, callback=_joined, metavar=metavar, help=help)


def image_size(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Height and width as people write them."""
    match = re.fullmatch(r"\s*([1-9][0-9]{0,8})x([1-9][0-9]{0,8})\s*", value or "")
    if value is not None and match is None:
        raise click.BadParameter(f"expected height and width such as 480x640, found {value!r}")
    return match and (int(match[1]), int(match[2]))


def batch_sizes(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...]:
    """Sizes of batches, the smallest first; none if none are given."""
    texts = value.split(",") if value is not None else []
    if not all(re.fullmatch(r"\s*[1-9][0-9]{0,5}\s*", text) for text in texts):
        raise click.BadParameter(f"expected numbers of samples such as 1,8,64, found {value!r}")
    return tuple(sorted(set(map(int, texts))))


input_shape = click.option(
    "--input-shape",
    "shapes",
    multiple=True,
    callback=_shapes,
    metavar="[NAME=]H,W,C",
    help="Sizes of an input in place of those of the model, channels last; several times for "
    "several inputs.",
)


def read_model(
    path: str, weights: str | None, shapes: Mapping[str, Sequence[int]] | None = None
) -> tuple[Graph, WeightStore | str | None]:
    """A model, and its weights: those in the file that is given for them, or its own.

    Raises:
        GraphCNNError: The model cannot be read.
    """
    from graphcnn.frontends.model import load, load_model

    if weights:
        return load(path, shapes), weights
    return load_model(path, shapes)
