"""Layer settings drawn at random: shapes and results are Keras's and onnxruntime's."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.onnx_checks import check_file

from . import drawing
from .drawing import Drawn
from .samples import single

pytestmark = pytest.mark.filterwarnings("ignore:.*softmax over axis:UserWarning")

MOVES_DATA = {"Dot", "Flatten", "Max", "Mean", "Min", "Permute", "Reshape", "Sum"}
RANKS = pytest.mark.parametrize("rank", [1, 2, 3])


def agrees(drawn: Drawn, data: st.DataObject) -> None:
    """The operator, in a form of file that is drawn too, gives what Keras's layer gives."""
    from tests.keras_twin import ALL_OPSETS, evaluate, random_arrays, random_feeds

    graph = single(drawn.op, *drawn.inputs)
    arrays, feeds = random_arrays(graph), random_feeds(graph)
    expected = evaluate(graph, arrays, feeds)
    assert expected["y"].shape == graph.type("y").shape(len(expected["y"]))
    layout: Any = data.draw(st.sampled_from(["nchw", "nchw", "nhwc"]), label="layout")
    with TemporaryDirectory() as folder:
        check_file(
            graph,
            Path(folder),
            arrays,
            feeds,
            expected,
            layout=layout,
            opset=data.draw(st.sampled_from(ALL_OPSETS), label="opset"),
            transposes=None if drawn.op.title in MOVES_DATA else 0,
            identities=None,
            optimizers=[data.draw(st.booleans(), label="optimize")],
        )


@RANKS
@settings(max_examples=70)
@given(data=st.data())
def test_drawn_convolution_agrees_with_keras(rank: int, data: st.DataObject) -> None:
    agrees(data.draw(drawing.convolutions(rank)), data)


@settings(max_examples=70)
@given(drawn=drawing.by_channel(), data=st.data())
def test_drawn_depthwise_or_separable_agrees_with_keras(drawn: Drawn, data: st.DataObject) -> None:
    agrees(drawn, data)


@RANKS
@settings(max_examples=40)
@given(data=st.data())
def test_drawn_transposed_convolution_agrees_with_keras(rank: int, data: st.DataObject) -> None:
    agrees(data.draw(drawing.transposed(rank)), data)


@RANKS
@settings(max_examples=40)
@given(data=st.data())
def test_drawn_pooling_agrees_with_keras(rank: int, data: st.DataObject) -> None:
    agrees(data.draw(drawing.pools(rank)), data)


@settings(max_examples=70)
@given(drawn=drawing.normalizations(), data=st.data())
def test_drawn_normalization_agrees_with_keras(drawn: Drawn, data: st.DataObject) -> None:
    agrees(drawn, data)


@settings(max_examples=70)
@given(drawn=drawing.activations(), data=st.data())
def test_drawn_activation_or_dense_agrees_with_keras(drawn: Drawn, data: st.DataObject) -> None:
    agrees(drawn, data)


@settings(max_examples=110)
@given(drawn=drawing.moves(), data=st.data())
def test_drawn_move_agrees_with_keras(drawn: Drawn, data: st.DataObject) -> None:
    agrees(drawn, data)


@settings(max_examples=50)
@given(drawn=drawing.merges(), data=st.data())
def test_drawn_merge_agrees_with_keras(drawn: Drawn, data: st.DataObject) -> None:
    agrees(drawn, data)
