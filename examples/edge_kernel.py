"""Learns the kernel that finds vertical edges, by gradient descent from an image and its edges.

    python examples/edge_kernel.py

The image is white with a black band. Its edges, 1 from white to black and -1 back, are what the
kernel [1, -1] makes of it; the kernel is learned from the pair alone. TensorFlow trains it:
``pip install '.[train]'``.
"""

import tempfile
from pathlib import Path

import numpy as np

import graphcnn
from graphcnn.cli.progress import EpochLines
from graphcnn.datasets import Dataset, Split
from graphcnn.training import RunDirectory, train


def main() -> None:
    """Train, and print the kernel."""
    image = np.ones((1, 6, 8, 1), np.float32)
    image[:, :, 2:6] = 0
    edges = image[:, :, :-1] - image[:, :, 1:]
    data = Dataset("an image and its edges", Split(image, edges), None, ())

    graph = graphcnn.load(Path(__file__).with_name("edge_kernel.yaml"))
    assert graph.recipe is not None
    with tempfile.TemporaryDirectory() as folder:
        progress = EpochLines(graph.recipe.epochs)
        result = train(graph, data, graph.recipe, RunDirectory(Path(folder) / "run"), progress)
        assert result.weights is not None
        kernel = result.weights["edges/kernel"].load().ravel()
    print(f"learned {kernel.round(3).tolist()}, meant [1, -1]")


if __name__ == "__main__":
    main()
