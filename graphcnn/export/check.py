"""Checking a model without its weights.

The checker and shape inference need the shapes of weights, never their values, so both run on a
stand-in of the model: weights are declared as inputs (or, to run it, made by ConstantOfShape), and
the operators' own constants, whose values shapes depend on, are kept.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from graphcnn.errors import ExportError

from .builder import Initializer, Lowered


def check_structure(lowered: Lowered) -> None:
    """Run onnx's full check, strict shape inference included.

    Raises:
        ExportError: The model breaks a rule of ONNX.
    """
    model, weights = _without_weights(lowered)
    for item in weights:
        model.graph.input.append(
            helper.make_tensor_value_info(item.name, item.dtype.onnx, item.dims)
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise ExportError(f"the model is not valid ONNX: {error}") from error


def structure(lowered: Lowered) -> onnx.ModelProto:
    """The model as a file of it is read without its weights: names, sizes and types."""
    model, weights = _without_weights(lowered)
    for item in weights:
        tensor = onnx.TensorProto(name=item.name, dims=item.dims, data_type=item.dtype.onnx)
        model.graph.initializer.append(tensor)
    return model


def stand_in(lowered: Lowered) -> bytes:
    """A small model that runs like the real one, with zeros for weights, one for each shape.

    onnxruntime takes quadratic time to load initializers: 20 s for 75,000.
    """
    model, weights = _without_weights(lowered)
    zeros = {(item.dims, item.dtype): item for item in weights}
    zero_of = {item.name: zeros[item.dims, item.dtype].name for item in weights}
    makers = []
    for item in zeros.values():
        shape = numpy_helper.from_array(np.asarray(item.dims, np.int64), f"{item.name}/shape")
        model.graph.initializer.append(shape)
        zero = helper.make_tensor("value", item.dtype.onnx, [1], [0])
        makers.append(helper.make_node("ConstantOfShape", [shape.name], [item.name], value=zero))
    nodes = [*makers, *model.graph.node]
    for node in nodes[len(makers) :]:
        node.input[:] = [zero_of.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _without_weights(lowered: Lowered) -> tuple[onnx.ModelProto, list[Initializer]]:
    model = onnx.ModelProto()
    model.CopyFrom(lowered.model)
    weights = []
    for item in lowered.initializers:
        if item.fixed:
            array = item.load().reshape(item.dims)
            model.graph.initializer.append(numpy_helper.from_array(array, item.name))
        else:
            weights.append(item)
    return model, weights
