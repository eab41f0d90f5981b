"""Where a file is meant to run: what each runtime takes, as it was measured.

A `Profile` is one runtime. It takes the operators in `OPERATORS` (onnxruntime all of ONNX's) in
every form, but for what `refused` names: an operator, or a form that `graphcnn.onnx_file.forms`
defines, with what happens to it there. Each row was measured by a model of that one operator,
compared with onnxruntime at 1 and 3 samples; ``tests/export/test_targets.py`` does it again with
the runtimes that are installed. TensorRT's are of its documentation.

``portable`` is all the runtimes that were measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ExportError, did_you_mean

OPERATORS = frozenset(
    """
    Abs Add AveragePool BatchNormalization Cast Celu Clip Concat Constant Conv ConvTranspose
    DepthToSpace DequantizeLinear Div Dropout Elu Erf Exp Expand Flatten Floor Gather Gelu Gemm
    GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity InstanceNormalization LRN
    LayerNormalization LeakyRelu Log LogSoftmax MatMul Max MaxPool Min Mish Mul Neg PRelu Pad
    Pow QuantizeLinear Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape
    Resize Selu Sigmoid Sin Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub
    Sum Swish Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze
    """.split()  # noqa: SIM905
)
"""The operators that were measured."""

IMAGE_OPERATORS = frozenset(
    """
    AveragePool BatchNormalization Conv ConvTranspose GlobalAveragePool GlobalMaxPool
    InstanceNormalization MaxPool Resize
    """.split()  # noqa: SIM905
)
"""Those whose first axis can be nothing but the batch."""


def meets_image_operator(nodes: Iterable[Any], value: str) -> bool:
    """Whether one of `IMAGE_OPERATORS` takes a value, or what is made of it.

    Args:
        nodes: The nodes of an .onnx file, each after those that it takes values of.
        value: The value's name.
    """
    made = {value}
    for node in nodes:
        if made.isdisjoint(node.input):
            continue
        if node.op_type in IMAGE_OPERATORS:
            return True
        made.update(node.output)
    return False


ML = "ai.onnx.ml"
"""ONNX's other domain, which onnxruntime takes too."""

MICROSOFT = frozenset(
    f"com.microsoft.{name}"
    for name in """
    DequantizeLinear FusedConv FusedGemm FusedMatMul Gelu MatMulNBits QGemm QLinearAdd
    QLinearAveragePool QLinearConcat QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul
    QLinearSigmoid QLinearSoftmax QuantizeLinear
    """.split()  # noqa: SIM905
)
"""The operators of onnxruntime's own that its quantizer and its optimizer write."""

NOT_TRIED = "was not tried with it"
"""What is said of a form or an operator that no runtime was measured with."""

_LOADS = "does not load it"
_WRONG = "gives wrong values"
_UNLISTED = "does not list it in its documentation"
_SIGNED = "takes signed integers with no zero point alone"
_NOT_TRAINING = {
    "training_mode of BatchNormalization": "gives other values each time, optimizing it"
}
_NO_INTEGERS = dict.fromkeys(("DequantizeLinear", "QuantizeLinear"), "does not take 8-bit integers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one runtime takes.

    Attributes:
        name: What the command line calls it.
        version: Which one it was measured on, or that it was not.
        measured: Whether it was run; else its documentation was read.
        opset: The highest opset of ONNX's operators.
        ir: The highest version of the format.
        refused: Operators and forms, with what happens to them.
        precisions: Precisions that it does not take, with what happens.
        whole: Operators that it has whole, where pieces do as well; Tanh of any number.
        every_operator: Whether it takes operators that were not measured.
        symbolic_batch: Whether one file runs batches of any size; else samples one by one.
        int8: The form of 8-bit integers that it takes.
        fp16: The forms of half precision that it takes.
        notes: What else is to be known.
    """

    name: str
    version: str
    measured: bool = True
    opset: int = 23
    ir: int = 11
    refused: Mapping[str, str] = field(default_factory=dict)
    precisions: Mapping[str, str] = field(default_factory=dict)
    whole: frozenset[str] = frozenset({"Tanh"})
    every_operator: bool = False
    symbolic_batch: bool = True
    int8: str = "QDQ"
    fp16: str = "weights, body"
    notes: str = ""

    def takes_operator(self, op: str) -> bool:
        """Whether it takes an operator that there is; ONNX's own have no dot."""
        if op in self.refused:
            return False
        if self.every_operator:
            return "." not in op or op.startswith(f"{ML}.") or op in MICROSOFT
        return op in OPERATORS

    def refusal(self, op: str) -> str | None:
        """What happens here to an operator; None where it is taken."""
        return None if self.takes_operator(op) else self.refused.get(op, NOT_TRIED)


@dataclass(frozen=True, slots=True)
class Targets:
    """The runtimes that a file is meant for: what all of them take.

    Attributes:
        names: As they were given.
        profiles: The runtimes.
    """

    names: tuple[str, ...]
    profiles: tuple[Profile, ...]

    @property
    def opset(self) -> int:
        """The highest opset that all take."""
        return min(profile.opset for profile in self.profiles)

    def takes(self, name: str) -> bool:
        """Whether all of them take an operator, or a form by its name.

        Raises:
            KeyError: It is neither an operator nor a form.
        """
        if name in OPERATORS:
            return all(profile.takes_operator(name) for profile in self.profiles)
        if not any(name in profile.refused for profile in _ALL):
            raise KeyError(name)
        return not any(name in profile.refused for profile in self.profiles)

    def prefers(self, name: str) -> bool:
        """Whether all of them have an operator whole that can be written in pieces too."""
        return all(name in profile.whole for profile in self.profiles)

    def precision_refusals(self, precision: str) -> dict[str, str]:
        """By runtime, what happens to a precision."""
        rows = ((p.name, p.precisions.get(precision)) for p in self.profiles)
        return {name: reason for name, reason in rows if reason}


PORTABLE = "portable"

_ALL = (
    Profile(
        name="onnxruntime",
        version="1.31.1",
        opset=26,
        ir=13,
        refused=_NOT_TRAINING,
        every_operator=True,
        notes="1.20 takes opset 21 and IR version 10 at most, 1.15 opset 18 and IR version 9",
    ),
    Profile(
        name="onnxruntime-web",
        version="1.30.0 (wasm)",
        refused=_NOT_TRAINING,
        every_operator=True,
        notes="onnxruntime-node 1.30.0 was measured alike; WebGPU was not",
    ),
    Profile(
        name="openvino",
        version="2026.4.1",
        refused={
            "pads as wide as the kernel": f"{_WRONG} for images of one channel",
            "pads around a product as wide as the kernel": f"{_WRONG} for factors of positions",
            "strides of the width to one column": f"{_WRONG} for images of one channel",
            "auto_pad or output_shape of ConvTranspose": _WRONG,
            "rare modes of Resize": f"{_WRONG}, or does not load it",
            "Softmax of several axes, before opset 13": _WRONG,
        },
        whole=frozenset({"HardSwish", "Mish", "Tanh"}),
        notes="on processors with bfloat16 float32 needs INFERENCE_PRECISION_HINT=f32",
    ),
    Profile(
        name="opencv",
        version="5.0.0 and 4.14.0",
        refused={
            "auto_pad SAME_UPPER": f"{_WRONG} (5.0)",
            "auto_pad SAME_LOWER": f"{_WRONG} (4.14)",
            "uneven pads in 1D": f"{_WRONG} (4.14)",
            "pads before a kernel of 1": "reads what is not its own",
            "inputs of several ranks": f"{_LOADS} (4.14)",
            "open height and width": "does not load a Gemm after it (4.14)",
            "depthwise windows of 3 that overreach": f"{_WRONG} (4.14)",
            "linear Resize of one row or column": f"{_WRONG} (5.0)",
            "stretched channels": "gives wrong sizes after convolutions and pools (5.0)",
            "an Add that stretches": f"{_LOADS} after a convolution (5.0)",
            "uneven pads of ConvTranspose": f"{_LOADS} (4.14)",
            "dilations of ConvTranspose": f"{_WRONG} (4.14)",
            "auto_pad or output_shape of ConvTranspose": _WRONG,
            "ConvTranspose 1D": f"{_LOADS} (4.14)",
            "ConvTranspose 3D": f"{_LOADS} (4.14)",
            "dilations of MaxPool": f"{_WRONG} (4.14)",
            "dilations of AveragePool": f"{_WRONG} (4.14)",
            "counted pads of AveragePool": f"{_WRONG} (4.14)",
            "global pool 3D": _LOADS,
            "negative steps": f"{_LOADS} (4.14)",
            "negative pads": f"{_LOADS} (4.14)",
            "sizes of 0 beside the batch": f"{_LOADS} after a convolution (5.0)",
            "PRelu by element": f"{_LOADS} after a convolution",
            "outputs without sizes": _LOADS,
            "Resize without mode": _LOADS,
            "linear Resize without coordinates": f"{_LOADS} (4.14)",
            "rare modes of Resize": f"{_WRONG}, or does not load it",
            "Softmax of several axes, before opset 13": _WRONG,
            "training_mode of BatchNormalization": f"{_LOADS} (5.0)",
            "cubic Resize": f"{_LOADS} (4.14)",
            "Resize 1D": _LOADS,
            "Resize 3D": _LOADS,
            "Resize by other scales than the sizes'": _WRONG,
            "reduction of everything": f"{_WRONG} (4.14)",
            "a product that ends as another function": f"{_WRONG}, or crashes",
            "BatchNormalization of a function": f"{_WRONG} after a convolution (5.0)",
            "constants twice from the left": f"{_LOADS} (4.14)",
            "ReduceL2 of one element": f"{_WRONG} (4.14)",
            **dict.fromkeys(_NO_INTEGERS, "does not load it, or gives wrong values for batches"),
        },
        whole=frozenset({"HardSwish"}),
        precisions={
            "int8": "does not load a Gemm with a bias (5.0), gives wrong values for batches (4.14)",
        },
        int8="none",
        notes="5.0 gives NaN for the Tanh of numbers beyond 44, which compile puts a Clip before; "
        "4.6 also needs kernel_shape on Conv, transB on Gemm, and weights in float32",
    ),
    Profile(
        name="tract",
        version="0.23.9",
        refused={
            "alpha of Celu": _WRONG,
            "outputs that are inputs": _LOADS,
            "strides of a kernel of 1": f"{_LOADS} after another kernel of 1",
            "steps": f"{_LOADS} after a kernel of 1",
            "negative steps": f"{_LOADS} after a kernel of 1",
            "negative pads": "crashes",
            "auto_pad or output_shape of ConvTranspose": _LOADS,
            "a constant before Sub or Div": f"{_WRONG} for Sub after a convolution",
            "training_mode of BatchNormalization": _LOADS,
            "Resize by other scales than the sizes'": f"{_WRONG} with align_corners",
            "float16": "refuses Gemm in it, and was tried with little else",
            **dict.fromkeys(_NO_INTEGERS, f"{_WRONG} for Softmax between 8-bit integers"),
        },
        precisions={
            "fp16-body": "refuses Gemm in float16",
            "int8": "gives wrong values for Softmax and others between 8-bit integers, signed or "
            "not, and does not load strided 1x1 convolutions of them",
        },
        whole=frozenset({"HardSwish", "Tanh"}),
        int8="none",
        fp16="weights",
    ),
    Profile(
        name="mnn",
        version="3.6.1",
        refused={
            "auto_pad SAME_LOWER": _WRONG,
            "outputs that are inputs": f"{_WRONG} at times",
            "ConvTranspose 3D": _WRONG,
            "dilations of Conv 3D": _WRONG,
            "MaxPool 3D": f"{_WRONG} for batches",
            "AveragePool 3D": f"{_WRONG} for batches",
            "global pool 3D": f"{_WRONG} for batches",
            "dilations of MaxPool": _WRONG,
            "dilations of AveragePool": _WRONG,
            "auto_pad or output_shape of ConvTranspose": _WRONG,
            "a constant before Sub or Div": f"{_WRONG} before a global average",
            "LogSoftmax without axis": f"{_WRONG}, or crashes",
            "Softmax of several axes, before opset 13": _WRONG,
            "training_mode of BatchNormalization": _WRONG,
            "no strides of a pool": "crashes",
            "Gelu": "is off by 5e-4",
            "Mish": _LOADS,
            "Swish": _LOADS,
            "negative steps": "crashes at times",
            "negative pads": f"{_WRONG}, or crashes",
            "cubic Resize": _WRONG,
            "Resize without mode": _WRONG,
            "rare modes of Resize": _WRONG,
            "Resize by other scales than the sizes'": f"{_WRONG} (nearest)",
            "axes of ReduceL2 as an input": _WRONG,
            **_NO_INTEGERS,
        },
        precisions={"int8": "crashes on QDQ, and gives wrong values for weights alone"},
        whole=frozenset({"HardSwish", "Tanh"}),
        int8="none",
        notes="1e-5 needs WINOGRAD_MEMORY_LEVEL 0; for int8 give its own tools the float file",
    ),
    Profile(
        name="ncnn",
        version="20261020 with pnnx 20261020",
        refused={
            "images, and no operator of images": f"{_WRONG}: it takes the batch for another axis",
            "auto_pad SAME_UPPER": f"{_WRONG} (pools)",
            "auto_pad SAME_LOWER": f"{_LOADS}, or {_WRONG}",
            "outputs that are inputs": _LOADS,
            "outputs that are one value": "crashes",
            "open height and width": f"{_WRONG} for other sizes than it is converted for",
            "a batch of several samples": f"{_LOADS}: it takes one sample at a time",
            "uneven pads of ConvTranspose": _LOADS,
            "uneven pads of MaxPool that windows end before": _WRONG,
            "uneven pads of MaxPool but after each axis alike": _WRONG,
            "uneven pads of AveragePool": _LOADS,
            "dilations of MaxPool": _LOADS,
            "dilations of AveragePool": _LOADS,
            "auto_pad or output_shape of ConvTranspose": f"{_LOADS}, or {_WRONG}",
            "alpha or beta of Gemm": _WRONG,
            "a bias of Gemm that is not one number a column": _LOADS,
            "whole powers beyond 2": f"{_WRONG} below zero",
            "powers of zero": f"{_WRONG} there",
            "Softmax of several axes, before opset 13": _WRONG,
            "PRelu by element": _WRONG,
            "negative steps": _WRONG,
            "steps": _LOADS,
            "Resize 3D": _WRONG,
            "Resize without mode": _LOADS,
            "rare modes of Resize": f"{_LOADS}, or {_WRONG}",
            "Resize by other scales than the sizes'": f"{_WRONG} (nearest)",
            "training_mode of BatchNormalization": _LOADS,
            "linear Resize, asymmetric": _WRONG,
            "extremum of several axes": _LOADS,
            "ReduceSum of one axis": _WRONG,
            "InstanceNormalization 1D": _LOADS,
            "LayerNormalization without bias": _LOADS,
            "LayerNormalization of several axes": _WRONG,
            "Flatten of the batch": _LOADS,
            "Transpose of the batch": _WRONG,
            "float16": _LOADS,
            "uint8 input": _LOADS,
            **dict.fromkeys(("Pad", "Softsign", "ThresholdedRelu", "Tile", "TopK"), _LOADS),
            **dict.fromkeys(("DepthToSpace",), _LOADS),
            **dict.fromkeys(("Gather", "SpaceToDepth"), _WRONG),
            **_NO_INTEGERS,
        },
        precisions={"fp16-body": _LOADS, "int8": _LOADS},
        whole=frozenset({"HardSwish", "Tanh"}),
        symbolic_batch=False,
        fp16="weights",
        int8="none",
        notes="pnnx wants one shape of the input, and fp16=0 for float32; samples run one by one",
    ),
    Profile(
        name="tvm",
        version="0.27.0",
        refused={
            "auto_pad SAME_UPPER": f"{_LOADS} (pools)",
            "auto_pad SAME_LOWER": f"{_WRONG} (pools)",
            "auto_pad or output_shape of ConvTranspose": _WRONG,
            "rare modes of Resize": f"{_LOADS}, or {_WRONG}",
            "training_mode of BatchNormalization": _WRONG,
            "Resize by other scales than the sizes'": _WRONG,
            "shape arithmetic": _LOADS,
            **dict.fromkeys(("Celu", "Expand", "Swish"), _LOADS),
        },
        whole=frozenset({"HardSwish", "Tanh"}),
        notes="float16 throughout needs batch normalization folded, as compile folds it",
    ),
    Profile(
        name="tensorrt",
        version="onnx-tensorrt's list of operators for 10.15",
        measured=False,
        refused={
            **dict.fromkeys(("MaxPool 1D", "AveragePool 1D", "dilations of MaxPool"), _UNLISTED),
            **dict.fromkeys(("cubic Resize", "Swish"), _UNLISTED),
            "QDQ, unsigned or with a zero point": _SIGNED,
        },
        precisions={"int8": _SIGNED},
        int8="QDQ, signed, zero points of 0",
        notes="could not be run here",
    ),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in _ALL}
"""By name, in the order that they are listed in."""


def targets(names: str | Iterable[str]) -> Targets:
    """The runtimes of these names, which may be several with commas between.

    Raises:
        ExportError: There is none of a name, or no name.
    """
    given = names.split(",") if isinstance(names, str) else names
    found = tuple(dict.fromkeys(name.strip() for name in given if name.strip()))
    if not found:
        raise ExportError("target: expected a name", hint=did_you_mean("", [PORTABLE, *PROFILES]))
    for name in found:
        if name not in PROFILES and name != PORTABLE:
            hint = did_you_mean(name, [PORTABLE, *PROFILES])
            raise ExportError(f"there is no target {name!r:.80}", hint=hint)
    chosen = {p.name: p for name in found for p in _profiles(name)}
    return Targets(found, tuple(chosen.values()))


def _profiles(name: str) -> Iterable[Profile]:
    if name == PORTABLE:
        return [profile for profile in PROFILES.values() if profile.measured]
    return [PROFILES[name]]


def choose(names: str | Iterable[str] | None, precision: str, needs: Iterable[str] = ()) -> Targets:
    """The runtimes that a file of a precision is meant for.

    Args:
        names: As they were given. None is `portable`, and onnxruntime for a precision that not
            every runtime takes, or where one does not take what is needed.
        precision: Such as ``int8``.
        needs: Operators and forms that the file will have, whatever it is lowered for.

    Raises:
        ExportError: One does not take the precision, with what happens there; or there is none of
            such a name.
    """
    if names is None:
        everywhere = targets(PORTABLE)
        taken = all(map(everywhere.takes, needs)) and not everywhere.precision_refusals(precision)
        return everywhere if taken else targets("onnxruntime")
    chosen = targets(names)
    refusals = chosen.precision_refusals(precision)
    if refusals:
        reasons = "; ".join(f"{name} {reason}" for name, reason in refusals.items())
        raise ExportError(
            f"--precision {precision} does not run everywhere on {', '.join(chosen.names)}: "
            f"{reasons}",
            hint="--precision fp16 (weights alone) or fp32 there; or another --target",
        )
    return chosen
