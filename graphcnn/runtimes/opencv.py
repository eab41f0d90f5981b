"""OpenCV's dnn module on CPU, of version 4 or 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphcnn.runtime.signature import Array

from .adapter import PythonAdapter


class OpenCV(PythonAdapter):
    """OpenCV."""

    name = "opencv"
    packages = (
        (
            "opencv-python-headless",
            "opencv-python",
            "opencv-contrib-python-headless",
            "opencv-contrib-python",
        ),
    )
    install = "pip install 'graphcnn[opencv]'"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """See `PythonAdapter.execute`."""
        import cv2

        network = cv2.dnn.readNetFromONNX(str(path))
        for name, values in feeds.items():
            network.setInput(values, name)
        found: Sequence[Array] = network.forward(list(outputs))
        return found
