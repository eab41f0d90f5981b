"""Model files written by tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import graphcnn
from graphcnn import Graph, GraphCNNError

Read = Callable[[str | bytes], Graph]
Errors = Callable[[str | bytes], tuple[GraphCNNError, ...]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load a model file of this text."""

    def load(text: str | bytes) -> Graph:
        path = tmp_path / "model.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return graphcnn.load(path)

    return load


@pytest.fixture
def errors(read: Read) -> Errors:
    """Load a model file of this text, which must be refused, and return all that is wrong."""

    def load(text: str | bytes) -> tuple[GraphCNNError, ...]:
        with pytest.raises(GraphCNNError) as caught:
            read(text)
        return caught.value.errors

    return load
