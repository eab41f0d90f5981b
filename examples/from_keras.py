"""A Keras model as a checked .onnx file, compared with Keras layer by layer.

``python examples/from_keras.py`` builds a small residual network with batch normalization, as one
would after training it, and prints what the compiler made of its layers.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import onnx

import graphcnn


def residual_network() -> keras.Model:
    """Two convolutions around which the input is led, with batch normalization and a gate."""
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1")(x)
    first = keras.layers.BatchNormalization(name="bn1")(x)
    x = keras.layers.ReLU(name="relu1")(first)
    x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv2")(x)
    x = keras.layers.BatchNormalization(name="bn2")(x)
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = keras.layers.Conv2D(16, 1, activation="sigmoid", name="excite")(gate)
    x = keras.layers.Add(name="add")([first, x * gate])
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, keras.layers.Dense(10, name="scores")(x), name="residual")


def main() -> None:
    """Save, compile, compare, and print."""
    with TemporaryDirectory() as folder:
        saved, compiled = Path(folder) / "residual.keras", Path(folder) / "residual.onnx"
        residual_network().save(saved)
        graph, weights = graphcnn.from_keras(saved)
        report = graphcnn.compile(graph, compiled, weights=weights)
        print(f"{len(graph)} layers, {report.params:,} parameters, {report.nodes} ONNX nodes")
        for node in onnx.load(compiled).graph.node:
            print(f"  {node.op_type:<18} {', '.join(node.doc_string.splitlines())}")
        checked = graphcnn.verify(saved, compiled, per_layer=True)
        furthest = max(layer.largest_relative or 0.0 for layer in checked.layers)
        print(f"{len(checked.layers)} layers agree with Keras; the largest error is {furthest:.0e}")


if __name__ == "__main__":
    main()
