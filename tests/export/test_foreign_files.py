"""What is made of files that graphcnn did not write: unknown, left out, odd or malformed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as bindings
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from graphcnn.onnx_file.fit import Misfit, misfits
from graphcnn.targets import MICROSOFT, PORTABLE, targets

KERNEL = {"w": np.ones((4, 4, 3, 3), np.float32)}
POINT = {"w": np.ones((4, 4, 1, 1), np.float32)}
UNTRIED = "was not tried with it"


def node(op: str, *inputs: str, **more: Any) -> NodeProto:
    """A node from `x`, if nothing else is named, to `y`."""
    return helper.make_node(op, inputs or ("x",), more.pop("to", ["y"]), name=op, **more)


def model(
    *nodes: NodeProto,
    shape: Sequence[int] = (4, 8, 8),
    kind: int = TensorProto.FLOAT,
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    domain: str = "",
    functions: Sequence[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    """A model of nodes, whose results nothing is said of."""
    weights = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    feed = helper.make_tensor_value_info("x", kind, ["N", *shape])
    graph = helper.make_graph(
        nodes, "g", [feed], [helper.make_empty_tensor_value_info("y")], weights
    )
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(domain, 1)] if domain else []
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)


def found(made: onnx.ModelProto, target: str = PORTABLE) -> list[str]:
    """What does not fit, but for what every file of one operator has."""
    every = {"images, and no operator of images", "outputs without sizes"}
    return [item.found for item in misfits(made, targets(target)) if item.found not in every]


def _choice(branch: NodeProto) -> NodeProto:
    graphs = (helper.make_graph([part], "branch", [], []) for part in (node("Relu"), branch))
    return node("If", "x", **dict(zip(("then_branch", "else_branch"), graphs, strict=True)))


def _function(body: NodeProto) -> onnx.FunctionProto:
    return helper.make_function("own", "F", ["x"], ["y"], [body], [helper.make_opsetid("", 17)])


OWN = node("F", domain="own")


@pytest.mark.parametrize(
    ("made", "everywhere", "elsewhere"),
    [
        (model(node("LSTM")), [], ["LSTM"]),
        (model(node("Frobnicate")), ["Frobnicate"], ["Frobnicate"]),
        (model(node("Gelu")), ["Gelu"], ["Gelu"]),
        (model(node("Upsample")), ["Upsample"], ["Upsample"]),
        (
            model(node("Nope", domain="com.microsoft"), domain="com.microsoft"),
            ["com.microsoft.Nope"],
            ["com.microsoft.Nope"],
        ),
        (
            model(node("QGemm", domain="com.microsoft"), domain="com.microsoft"),
            [],
            ["com.microsoft.QGemm"],
        ),
        (
            model(node("Scaler", domain="ai.onnx.ml"), domain="ai.onnx.ml"),
            [],
            ["ai.onnx.ml.Scaler"],
        ),
        (model(_choice(node("Relu"))), [], ["If"]),
        (model(_choice(node("Nope"))), ["Nope"], ["If", "Nope"]),
        (model(_choice(_choice(node("Nope")))), ["Nope"], ["If", "If", "Nope"]),
        (model(OWN, domain="own", functions=[_function(node("Relu"))]), [], ["own.F"]),
        (
            model(OWN, domain="own", functions=[_function(node("Nope"))]),
            ["Nope"],
            ["own.F", "Nope"],
        ),
        (model(OWN, domain="own"), ["own.F"], ["own.F"]),
    ],
)
def test_operators_that_onnxruntime_has_and_has_not(
    made: onnx.ModelProto, everywhere: list[str], elsewhere: list[str]
) -> None:
    assert found(made, "onnxruntime") == found(made, "onnxruntime-web") == everywhere
    assert found(made, "tract") == elsewhere


def test_onnxruntime_has_what_is_said_of_its_own_operators() -> None:
    schemas = bindings.get_all_operator_schema()
    assert {f"{item.domain}.{item.name}" for item in schemas} >= MICROSOFT


def test_a_refusal_says_who_takes_it() -> None:
    (refused,) = misfits(model(node("LSTM")), targets("onnxruntime,tract"))
    takers = ("onnxruntime", "onnxruntime-web")
    assert refused == Misfit("LSTM", "LSTM", "LSTM", {"tract": UNTRIED}, takers=takers)
    assert refused.error.hint == "--target onnxruntime,onnxruntime-web takes it"
    (unknown,) = misfits(model(node("Nope")), targets("onnxruntime,tract"))
    assert unknown.refusals == dict.fromkeys(("onnxruntime", "tract"), UNTRIED)
    assert unknown.error.hint is None


@pytest.mark.parametrize(
    ("op", "kind", "more", "what"),
    [
        ("Conv", TensorProto.DOUBLE, {}, "float64 in Conv"),
        ("Relu", TensorProto.BFLOAT16, {}, "bfloat16 in Relu"),
        ("MaxPool", TensorProto.INT32, {"kernel_shape": [2, 2]}, "int32 in MaxPool"),
        ("MaxPool", TensorProto.UINT8, {"kernel_shape": [2, 2]}, "uint8 in MaxPool"),
        ("Flatten", TensorProto.UINT8, {}, "uint8 in Flatten"),
        ("Cast", TensorProto.INT64, {"to": TensorProto.FLOAT}, "int64 in Cast"),
    ],
)
def test_element_types_that_were_not_tried(
    op: str, kind: int, more: dict[str, Any], what: str
) -> None:
    inputs = ("x", "w") if op == "Conv" else ("x",)
    weight = KERNEL["w"].astype(np.float64)
    part = helper.make_node(op, inputs, ["y"], **more)
    made = model(part, kind=kind, constants={"w": weight})
    assert what in found(made)
    assert found(made, "onnxruntime") == []
    assert ("uint8 input" in found(made, "ncnn")) == (kind == TensorProto.UINT8)


def test_element_type_that_is_not_known() -> None:
    made = model(node("Nope", to=["z"]), node("Relu", "z"))
    assert found(made, "tract") == ["Nope", "an unknown type in Relu"]


def _constant(name: str, **value: Any) -> NodeProto:
    return helper.make_node("Constant", [], [name], **value)


def _slice(**step: Any) -> list[NodeProto]:
    ends = {"a": [7], "b": [-9], "c": [2]}
    made = [_constant(name, value_ints=values) for name, values in ends.items()]
    return [*made, _constant("d", **step), node("Slice", "x", "a", "b", "c", "d")]


AFTER_UNKNOWN = node("Nope", to=["z"])


@pytest.mark.parametrize(
    ("made", "target", "what"),
    [
        (
            model(node("Conv", "x", "w", pads=[1] * 4), constants=POINT),
            "opencv",
            "pads before a kernel of 1",
        ),
        (
            model(node("Conv", "x", "w", strides=[2, 2]), constants=POINT),
            "tract",
            "strides of a kernel of 1",
        ),
        (
            model(node("Conv", "x", "z", pads=[1] * 4), constants=POINT),
            "opencv",
            "pads before a kernel of 1",
        ),
        (
            model(AFTER_UNKNOWN, node("AveragePool", "z", kernel_shape=[2, 2, 2])),
            "mnn",
            "AveragePool 3D",
        ),
        (
            model(
                AFTER_UNKNOWN,
                node("ConvTranspose", "z", "w"),
                constants={"w": np.ones((4, 4, 2, 2, 2), np.float32)},
            ),
            "mnn",
            "ConvTranspose 3D",
        ),
        (model(AFTER_UNKNOWN, node("GlobalMaxPool", "z")), "mnn", "global pool 3D"),
        (model(*_slice(value_ints=[-1])), "ncnn", "negative steps"),
        (model(*_slice(value_int=2)), "ncnn", "steps"),
        (model(*_slice(sparse_value=helper.make_sparse_tensor(
            helper.make_tensor("v", TensorProto.INT64, [1], [-1]),
            helper.make_tensor("i", TensorProto.INT64, [1], [0]), [1],
        ))), "mnn", "negative steps"),
        (
            model(_constant("e", value_float=3.0), node("Pow", "x", "e")),
            "ncnn",
            "whole powers beyond 2",
        ),
        (model(node("ReduceMean")), "tract", "reduction of the batch"),
        (model(node("ReduceMax", axes=[0, 1])), "tract", "reduction of the batch"),
        (model(node("ReduceMean", axes=[-4])), "tract", "reduction of the batch"),
        (model(node("LayerNormalization", "x", "w", ""), constants={"w": np.ones(8, np.float32)}),
         "ncnn", "LayerNormalization without bias"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_refused(made: onnx.ModelProto, target: str, what: str) -> None:
    assert what in found(made, target)


def test_what_is_left_out_and_harmless_fits() -> None:
    assert found(model(node("Conv", "x", "w", pads=[1] * 4), constants=KERNEL)) == []
    assert found(model(node("ReduceMean", axes=[1]))) == []


@pytest.mark.parametrize(
    "made",
    [
        model(node("MaxPool", kernel_shape=[2, 2], pads=[1, 0])),
        model(node("MaxPool", kernel_shape=[2, 2], pads=[1, 1])),
        model(node("MaxPool", kernel_shape=[2, 2], pads=1)),
        model(node("MaxPool", kernel_shape=[2, 2], strides=[0, 0], pads=[0, 0, 1, 1])),
        model(node("MaxPool")),
        model(node("Transpose", perm=1)),
        model(node("Relu", to=[])),
        model(helper.make_node("Conv", [], ["y"])),
        model(
            node("Resize", "x", "", "s", mode="linear"),
            shape=(0, 8, 8),
            constants={"s": np.array([1, 1, 2, 2], np.float32)},
        ),
    ],
)
def test_malformed_nodes_are_refused_by_all(made: onnx.ModelProto) -> None:
    told = {item.found: item.refusals for item in misfits(made, targets("onnxruntime,portable"))}
    assert told["malformed"].keys() == {profile.name for profile in targets(PORTABLE).profiles}


@pytest.mark.parametrize("opset", [-(2**40), 0, 2**40])
def test_opsets_that_there_are_not(opset: int) -> None:
    assert found(model(node("Relu"), opset=opset), "onnxruntime")


def test_reshape_of_an_early_opset() -> None:
    assert "malformed" not in found(model(node("Reshape", shape=[0, -1]), opset=4))


def test_quantization_for_tensorrt() -> None:
    def made(kind: Any, zero: int) -> onnx.ModelProto:
        constants = {"s": np.array(0.02, np.float32), "z": np.array(zero, kind)}
        pair = (
            node("QuantizeLinear", "x", "s", "z", to=["q"]),
            node("DequantizeLinear", "q", "s", "z"),
        )
        return model(*pair, constants=constants)

    form = "QDQ, unsigned or with a zero point"
    assert found(made(np.int8, 0), "tensorrt") == []
    assert found(made(np.uint8, 3), "tensorrt") == found(made(np.int8, 3), "tensorrt") == [form] * 2
    assert found(made(np.uint8, 0), "tensorrt") == [form] * 2
    assert found(made(np.uint8, 3), "openvino") == []


def _branches(*nodes: NodeProto) -> NodeProto:
    graph = helper.make_graph(nodes, "branch", [], [helper.make_empty_tensor_value_info("b")])
    return node("If", "x", then_branch=graph, else_branch=graph)


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (model(node("Relu", "z")), ["z"]),
        (model(node("Relu", "z"), node("Neg", to=["z"])), ["z"]),
        (model(node("Add", "x", "z", to=["w"]), node("Relu", "w")), ["z"]),
        (model(node("Relu", to=["z"])), ["y"]),
        (model(node("Relu", to=["z"]), _branches(node("Neg", "z", to=["b"]))), []),
        (model(_branches(node("Neg", to=["b"]), node("Add", "b", "z"))), ["z", "z"]),
        (model(_branches(node("Neg", to=["b"])), node("Relu", "b", to=["y2"])), ["b"]),
        (model(node("Clip", "x", "", "k"), constants={"k": np.float32(1)}), []),
    ],
)
def test_values_that_nothing_makes(made: onnx.ModelProto, names: list[str]) -> None:
    told = found(made, "onnxruntime")
    assert told == [f"{name!r}, which nothing makes" for name in names]


@pytest.mark.parametrize(
    ("op", "constants", "more", "fits"),
    [
        ("Sub", ("k", "x"), {}, False),
        ("Sub", ("x", "k"), {}, True),
        ("Sub", ("one", "x"), {}, True),
        ("Pow", ("x", "half"), {}, False),
        ("Softmax", ("x",), {"axis": 1}, False),
        ("Softmax", ("x",), {"axis": 3}, True),
    ],
)
def test_forms_of_an_early_opset(
    op: str, constants: tuple[str, ...], more: dict[str, Any], fits: bool
) -> None:
    weights = {
        "k": np.ones((1, 4, 1, 1), np.float32),
        "one": np.float32(1),
        "half": np.float32(0.5),
    }
    made = model(node(op, *constants, **more), constants=weights, opset=12)
    assert (found(made) == []) == fits


@pytest.mark.parametrize("bounds", [("1e-3", True), ("-1", False)])
def test_a_power_of_what_is_above_zero(bounds: tuple[str, bool]) -> None:
    low, fits = bounds
    weights = {"low": np.float32(low), "half": np.float32(0.5)}
    for nodes in (node("Clip", "x", "low", to=["z"]), node("Max", "x", "low", to=["z"])):
        assert (found(model(nodes, node("Pow", "z", "half"), constants=weights)) == []) == fits


def test_a_difference_of_inputs_is_of_no_constant() -> None:
    made = model(node("Sub", "v", "x"))
    made.graph.input.append(helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 4, 8, 8]))
    assert found(made) == []


def test_open_sizes_beside_the_batch() -> None:
    made = model(node("Relu"))
    assert found(made) == []
    made.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
    assert found(made) == ["open height and width"]
    assert found(made, "onnxruntime,openvino,tract,mnn,tvm") == []


def test_names_that_are_neither_operators_nor_forms() -> None:
    with pytest.raises(KeyError, match="typo"):
        targets(PORTABLE).takes("typo")
