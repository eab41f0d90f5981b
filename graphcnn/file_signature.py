"""What an .onnx file that is looked into, and not loaded, takes and gives."""

from __future__ import annotations

from .onnx_file import OnnxFile
from .runtime.signature import NUMBERS, Signature, TensorSpec, layout_of, stated


def signature_of(file: OnnxFile) -> Signature:
    """The inputs and outputs of a file that are tensors of numbers of a known rank."""
    import numpy as np

    inputs, outputs = (
        [
            TensorSpec(
                value.name,
                tuple(value.shape),
                np.dtype(value.dtype),
                layout_of(value.layout, value.shape),
            )
            for value in values
            if value.shape is not None and value.dtype in NUMBERS
        ]
        for values in (file.inputs, file.outputs)
    )
    return stated(inputs, outputs, file.metadata)
