"""Networks written by tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import graphcnn
from graphcnn import Graph

Network = Callable[..., Graph]


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """A network of these layers, each a line of YAML."""

    def load(*layers: str, image: str = "[8, 8, 3]", outputs: str = "") -> Graph:
        rows = [f"inputs: {{image: {image}}}", "layers:", *(f"  - {layer}" for layer in layers)]
        path = tmp_path / "model.yaml"
        path.write_text("\n".join([*rows, f"outputs: {outputs}" if outputs else ""]))
        return graphcnn.load(path)

    return load
