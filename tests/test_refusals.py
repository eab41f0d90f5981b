"""What must be refused in graphs built in code, and what must not slip through."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import graphcnn
from graphcnn.errors import ErrorGroup, GraphCNNError, ShapeError, WeightError
from graphcnn.initializers import HeNormal, Initializer
from graphcnn.ops import Add, Conv2D, Dense, Flatten, Multiply, Rescaling, Reshape, UpSampling2D
from graphcnn.passes import Explain, Pass, receptive_fields, run_passes
from graphcnn.types import DType, symbol
from graphcnn.weights import WeightStore


def test_integers_are_not_computed_with() -> None:
    graph = graphcnn.Graph()
    pixels = graph.input("pixels", (4, 4, 3), DType.uint8)
    with pytest.raises(ShapeError, match="floating-point numbers, found uint8"):
        graph.add(Rescaling(scale=1 / 255), pixels)
    assert graph.type(graph.add(Flatten(), pixels)).dtype == DType.uint8
    floats = graph.input("floats", (4, 4, 3))
    with pytest.raises(ShapeError, match="different element types: float32, uint8"):
        graph.add(Add(), [pixels, floats])


def test_the_batch_is_no_size() -> None:
    with pytest.raises(ShapeError, match="N is the size of the batch"):
        symbol("N")


def test_a_constant_must_fill_its_weight(tmp_path: Path) -> None:
    graph = graphcnn.Graph()
    x = graph.input("x", (5, 5, 1))
    row = {"constant": [[1, 2, 3]]}
    with pytest.raises(GraphCNNError, match="shape \\[1, 3\\] does not fill a weight of shape"):
        graph.add(Conv2D(filters=1, kernel_size=(3, 1), kernel_initializer=row), x)  # type: ignore[arg-type]
    graph.add(Conv2D(filters=1, kernel_size=(1, 3), kernel_initializer=row), x)  # type: ignore[arg-type]


def test_presets_take_no_arguments() -> None:
    with pytest.raises(GraphCNNError, match="unknown key 'scale'"):
        Initializer.decode({"he_normal": {"scale": 9}})
    drawn = HeNormal().draw((3, 3, 64, 256), np.random.default_rng(0))
    assert drawn.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.01)


@dataclass(frozen=True, kw_only=True)
class Meddle(Pass):
    """A pass that breaks the outputs."""

    name: ClassVar[str] = "meddle"
    options: bool = False

    def run(self, graph: graphcnn.Graph, explain: Explain) -> bool:
        if self.options:
            Conv2D(filters=0, kernel_size=(1, 2, 3), strides=0)
        graph.outputs["x"] = "nowhere"
        return True


def one_layer() -> graphcnn.Graph:
    graph = graphcnn.Graph()
    graph.outputs["y"] = graph.add(Dense(units=2), graph.input("x", (3,)), name="y")
    return graph


def test_every_pass_is_verified_and_its_errors_name_it() -> None:
    with pytest.raises(GraphCNNError, match="nowhere") as caught:
        run_passes(one_layer(), [Meddle()])
    assert ("pass", "meddle") in caught.value.context
    with pytest.raises(ErrorGroup) as group:
        run_passes(one_layer(), [Meddle(options=True)])
    assert all(("pass", "meddle") in error.context for error in group.value.errors)
    assert len(group.value.errors) == 2


def test_an_npz_cannot_say_one_shape_and_hold_another(tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for name, shape in (("y/kernel", (2, 3)), ("y/kernel.npy", (3, 2)), ("y/bias.npy", (2,))):
            with archive.open(name, "w") as member:
                np.lib.format.write_array(member, np.zeros(shape, np.float32))
    with pytest.raises(WeightError, match="two arrays are called y/kernel"):
        WeightStore.read(file)


def test_a_name_of_a_tap_is_one_name(tmp_path: Path) -> None:
    report = graphcnn.compile(one_layer(), tmp_path / "y.onnx", taps="all")
    assert report.weights == "random, seed 0"
    with pytest.raises(GraphCNNError, match="external_data"):
        graphcnn.compile(one_layer(), tmp_path / "z.onnx", external_data="sometimes")  # type: ignore[arg-type]


def test_a_broadcast_gate_sees_everything() -> None:
    graph = graphcnn.Graph()
    x = graph.input("x", (8, 8, 2))
    gate = graph.add(Conv2D(filters=2, kernel_size=8), x)
    gated = graph.add(Multiply(), [x, gate])
    field = receptive_fields(graph)[gated]
    assert field is not None
    assert (field.size, field.stride) == ((8, 8), None)


@pytest.mark.parametrize(("factor", "own", "after"), [(1, 1, 3), (2, 2, 3), (3, 2, 3), (4, 2, 3)])
def test_bilinear_upsampling_reaches_its_neighbours(factor: int, own: int, after: int) -> None:
    graph = graphcnn.Graph()
    x = graph.add(UpSampling2D(size=factor, interpolation="bilinear"), graph.input("x", (9, 9, 1)))
    y = graph.add(Conv2D(filters=1, kernel_size=3), x)
    fields = receptive_fields(graph)
    assert fields[x].size == (own, own)  # type: ignore[union-attr]
    assert fields[y].size == (after, after)  # type: ignore[union-attr]


def test_a_reshape_of_an_output_is_explained(tmp_path: Path) -> None:
    graph = graphcnn.Graph()
    x = graph.add(Conv2D(filters=4, kernel_size=3), graph.input("x", (6, 6, 3)), name="conv")
    graph.outputs["flat"] = graph.add(Reshape(target_shape=[64]), x, name="flat")  # type: ignore[arg-type]
    report = graphcnn.compile(graph, tmp_path / "flat.onnx")
    reasons = [reason for record in report.passes for _, reason in record.reasons]
    assert reasons == ["changed from channels first to channels last for flat (Reshape)"]


def test_a_kernel_that_is_too_large_beside_an_open_size() -> None:
    graph = graphcnn.Graph()
    x = graph.input("x", (symbol("H"), 2, 3))
    with pytest.raises(GraphCNNError, match="kernel 3x3 is larger than its input Hx2") as caught:
        graph.add(Conv2D(filters=1, kernel_size=3), x)
    assert "a kernel of at most 3x2" in str(caught.value)
