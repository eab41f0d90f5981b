"""Checking a model without its weights.

The checker and shape inference need the shapes of weights, never their values, so both run on a
stand-in of the model: large weights are declared as inputs (or, to run it, made by ConstantOfShape)
and small constants, whose values shapes depend on, are kept.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from graphcnn.errors import ExportError

from .builder import Initializer, Lowered

_SMALL_BYTES = 1024


def check_structure(lowered: Lowered) -> None:
    """Run onnx's full check, strict shape inference included.

    Raises:
        ExportError: The model breaks a rule of ONNX.
    """
    model, large = _without_large(lowered)
    for item in large:
        model.graph.input.append(
            helper.make_tensor_value_info(item.name, item.dtype.onnx, item.dims)
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise ExportError(f"the model is not valid ONNX: {error}") from error


def stand_in(lowered: Lowered) -> bytes:
    """A small model that runs like the real one, with zeros for its large weights."""
    model, large = _without_large(lowered)
    makers = []
    for item in large:
        shape = numpy_helper.from_array(np.asarray(item.dims, np.int64), f"{item.name}/shape")
        model.graph.initializer.append(shape)
        zero = helper.make_tensor("value", item.dtype.onnx, [1], [0])
        makers.append(helper.make_node("ConstantOfShape", [shape.name], [item.name], value=zero))
    nodes = [*makers, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _without_large(lowered: Lowered) -> tuple[onnx.ModelProto, list[Initializer]]:
    model = onnx.ModelProto()
    model.CopyFrom(lowered.model)
    large = []
    for item in lowered.initializers:
        if item.bytes > _SMALL_BYTES:
            large.append(item)
        else:
            array = item.load().reshape(item.dims)
            model.graph.initializer.append(numpy_helper.from_array(array, item.name))
    return model, large
