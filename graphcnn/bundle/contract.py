"""What a page needs to know of an .onnx file, to give it images and to show what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphcnn.errors import ErrorGroup, GraphCNNError, ModelFileError, did_you_mean
from graphcnn.file_signature import signature_of
from graphcnn.onnx_file import OnnxFile, OnnxNode, OnnxValue
from graphcnn.report.format import printable
from graphcnn.runtime.signature import Signature

_MOST_PIXELS = 4096 * 4096
_MOST_BYTES = 2**30
"""WebAssembly has 4 GiB of memory, and loading takes the file twice over."""

_COLORS = {1: "grey", 3: "RGB", 4: "RGBA"}
"""The order of an image's channels by their number, in files that do not say."""

_PASSED = {"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"}
"""Behind these values mean what they meant before."""

_KINDS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The input.

    Attributes:
        name: Its name in the file.
        dtype: ``float32`` or ``uint8``; either takes 0 to 255.
        layout: ``NCHW`` or ``NHWC``.
        height: In pixels.
        width: In pixels.
        colors: ``grey``, ``RGB``, ``BGR`` or ``RGBA``.
    """

    name: str
    dtype: str
    layout: str
    height: int
    width: int
    colors: str

    def __str__(self) -> str:
        return f"{self.colors} images of {self.height}x{self.width}, {self.dtype}, {self.layout}"


@dataclass(frozen=True, slots=True)
class Scores:
    """The output that scores classes.

    Attributes:
        name: Its name in the file.
        indices: The output that says which classes these are; None where all are scored.
        count: How many scores there are.
        kind: ``softmax`` or ``sigmoid``, where that is what makes them; else empty, and their
            values decide.
        classes: The names of the classes; empty where the file has none.
    """

    name: str
    indices: str | None
    count: int
    kind: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeatureMaps:
    """An output that is shown as pictures: its name, and ``first`` or ``last`` for its channels."""

    name: str
    channels: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What a page gives a file, and what it shows.

    Attributes:
        name: The model's name.
        image: The input.
        scores: The output of scores.
        maps: The outputs that are shown as pictures, in the order of the file.
        unshown: The other outputs.
    """

    name: str
    image: ImageInput
    scores: Scores
    maps: tuple[FeatureMaps, ...]
    unshown: tuple[str, ...]


def read_contract(file: OnnxFile, scores: str | None = None) -> Contract:
    """Find out what a page gives a file, and what it shows.

    Args:
        file: The file.
        scores: The output of scores; None for the only one that can be.

    Raises:
        ModelFileError: It does not take one image, or gives no scores of classes, or it is too
            large, or parts of it are missing; all of that at once.
    """
    errors = list(_too_much(file))
    found: list[Any] = []
    signature = signature_of(file)
    for read in (lambda: _image(file, signature), lambda: _scores(file, signature, scores)):
        try:
            found.append(read())
        except GraphCNNError as error:
            errors.append(error)
    if errors:
        raise ErrorGroup(error.explained(subject=str(file.path)) for error in errors)
    image, row = found
    others = [value for value in file.outputs if value.name not in (row.name, row.indices)]
    shown = [value for value in others if _is_map(value)]
    return Contract(
        file.name or file.path.stem,
        image,
        row,
        tuple(FeatureMaps(value.name, _channels(value)) for value in shown),
        tuple(value.name for value in others if value not in shown),
    )


def _too_much(file: OnnxFile) -> Iterator[GraphCNNError]:
    if file.bytes > _MOST_BYTES:
        size = f"{file.bytes:,} bytes, and a page loads {_MOST_BYTES:,} at most"
        yield _refusal(f"has {size}", hint="compile it with --precision int8 or fp16")
    if file.missing:
        hint = "external data lies beside the file, where it was when the file was written"
        yield _refusal(f"its weights in {', '.join(file.missing)} are missing", hint=hint)
    folder = file.path.parent.resolve()
    for place in file.external:
        if not (folder / place).resolve().is_relative_to(folder):
            yield _refusal(f"its weights in {place} are a link out of its folder")


def _image(file: OnnxFile, signature: Signature) -> ImageInput:
    if len(file.inputs) != 1:
        names = ", ".join(value.name for value in file.inputs) or "none"
        raise _refusal(f"has {len(file.inputs)} inputs ({names}), and a page gives one image")
    (value,) = file.inputs
    said = f"its input is {value.name} {value}"
    if value.dtype not in ("float32", "uint8"):
        raise _refusal(f"{said}, and a page gives float32 or uint8")
    if value.shape is None or len(value.shape) != 4:
        raise _refusal(f"{said}, and images have four sizes: [N, C, H, W] or [N, H, W, C]")
    (spec,) = signature.inputs
    layout = spec.layout
    sizes = dict(zip(layout, value.shape, strict=True))
    if isinstance(sizes["N"], int) and sizes["N"] != 1:
        raise _refusal(
            f"{said}: a batch of {sizes['N']}, and a page gives one image at a time",
            hint="compile it without --batch, or with --batch 1",
        )
    open_ = [axis for axis in "CHW" if not isinstance(sizes[axis], int)]
    if open_:
        raise _refusal(
            f"{said}, and {', '.join(open_)} must be known",
            hint="compile it with --input-shape, such as --input-shape 224,224,3",
        )
    channels, height, width = (int(sizes[axis]) for axis in "CHW")
    if not 0 < height * width <= _MOST_PIXELS:
        raise _refusal(f"{said}, and images have 1 to {_MOST_PIXELS:,} pixels")
    if channels not in _COLORS:
        raise _refusal(f"{said} ({layout}), and images have 1, 3 or 4 channels")
    colors = spec.colors or _COLORS[channels]
    return ImageInput(value.name, value.dtype, layout, height, width, colors)


def _scores(file: OnnxFile, signature: Signature, wanted: str | None) -> Scores:
    outputs = {value.name: value for value in file.outputs}
    if wanted is not None and wanted not in outputs:
        raise _refusal(f"has no output named {wanted!r:.80}", hint=did_you_mean(wanted, outputs))
    tops = {row: indices for indices, row in signature.tops.items()}
    rows = [value for value in outputs.values() if _length(value)]
    names = signature.classes
    chosen = _chosen(file, names, [row for row in rows if row.name in tops] or rows, wanted)
    indices = tops.get(chosen.name)
    count = _length(chosen)
    if names and not indices and len(names) != count and (count, len(names)) != (1, 2):
        raise _refusal(f"has names of {len(names)} classes, and scores {count}")
    return Scores(chosen.name, indices, count, _kind(file.makers, chosen.name), names)


def _chosen(
    file: OnnxFile, names: Sequence[str], rows: list[OnnxValue], wanted: str | None
) -> OnnxValue:
    """Of the outputs that are rows of numbers the one that scores classes."""
    if wanted is not None:
        rows = [row for row in rows if row.name == wanted]
    if not rows:
        listed = ", ".join(f"{value.name} {value}" for value in file.outputs)
        raise _refusal(
            f"gives no scores of classes: {listed}", hint="a page shows an output float32[N, K]"
        )
    fitting = [row for row in rows if names and _length(row) == len(names)]
    makers = file.makers
    certain = [row for row in rows if _kind(makers, row.name)]
    for some in (rows, fitting, certain):
        if len(some) == 1:
            return some[0]
    listed = ", ".join(row.name for row in rows)
    raise _refusal(
        f"several outputs may be the scores of classes: {listed}",
        hint=f"name one, as in --scores {rows[0].name}",
    )


def _kind(makers: Mapping[str, OnnxNode], name: str) -> str:
    """What makes scores: looked for behind a TopK, and behind what keeps their meaning."""
    for _ in makers:
        node = makers.get(name)
        if node is None or not node.inputs:
            return ""
        if node.op not in _PASSED and not (node.op == "TopK" and name == node.outputs[0].name):
            return _KINDS.get(node.op, "")
        name = node.inputs[0]
    return ""


def _refusal(message: str, hint: str | None = None) -> ModelFileError:
    """Names of the file's are in it, which may be anyone's text."""
    return ModelFileError(printable(message), hint=hint and printable(hint))


def _length(value: OnnxValue) -> int:
    """How many numbers a row has; 0 where a value is no row."""
    sizes = value.shape or ()
    is_row = value.dtype == "float32" and len(sizes) == 2 and isinstance(sizes[1], int)
    return int(sizes[1]) if is_row else 0


def _is_map(value: OnnxValue) -> bool:
    return value.dtype == "float32" and len(value.shape or ()) in (3, 4)


def _channels(value: OnnxValue) -> str:
    return "last" if value.layout.endswith("C") else "first"
