"""Every operator has samples; they have the shapes, the errors and Keras's results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphcnn
from graphcnn.errors import ErrorGroup, GraphCNNError
from graphcnn.ops import OPS, Activation, Clip, Power, ReLU
from graphcnn.ops.activations import FUNCTIONS
from tests.onnx_checks import run

from .samples import BAD, VALID, Refusal, Sample, activation, single


def _names(samples: list[Sample] | list[Refusal]) -> list[str]:
    """The operators' names, numbered."""
    counts: dict[str, int] = {}
    names = []
    for sample in samples:
        title = sample.op.title if isinstance(sample, Sample) else sample.kind.__name__
        counts[title] = counts.get(title, 0) + 1
        names.append(f"{title}-{counts[title]}")
    return names


def test_every_operator_has_a_valid_and_a_bad_sample() -> None:
    assert {type(sample.op).__name__ for sample in VALID} == set(OPS)
    assert {refusal.kind.__name__ for refusal in BAD} == set(OPS)


def test_every_activation_has_samples() -> None:
    assert sorted(FUNCTIONS) == activation.NAMES
    as_layers = [sample.op.activation for sample in VALID if isinstance(sample.op, Activation)]
    assert {kind for kind, _ in FUNCTIONS.values()} == {type(function) for function in as_layers}


def test_which_activations_have_no_result_below_zero() -> None:
    functions = {name: Activation(activation=name).activation for name in activation.NAMES}
    found = {name for name, function in functions.items() if function.non_negative}
    assert found == activation.NON_NEGATIVE
    assert not ReLU(negative_slope=0.1).non_negative
    assert ReLU(threshold=1.0, max_value=6.0).non_negative
    assert [Clip(min_value=n).non_negative for n in (-1, 0, 1)] == [False, True, True]
    assert not Clip(max_value=1).non_negative
    assert [Power(exponent=n).non_negative for n in (1, 2, 2.5)] == [False, True, False]


@pytest.mark.parametrize("sample", VALID, ids=_names(VALID))
def test_sample_has_the_sizes_worked_out_by_hand(sample: Sample) -> None:
    graph = sample.graph
    graph.verify()
    assert graph.type("y").sizes == sample.output


@pytest.mark.parametrize("refusal", BAD, ids=_names(BAD))
def test_bad_sample_is_refused(refusal: Refusal) -> None:
    with pytest.raises(GraphCNNError) as caught:
        single(refusal.kind(**refusal.options), *refusal.inputs)
    assert refusal.says in str(caught.value)


NOT_PORTABLE = {
    *(f"{pool}3D-{n}" for pool in ("AveragePooling", "MaxPooling") for n in (1, 2, 3)),
    *(f"Global{pool}Pooling3D-{n}" for pool in ("Average", "Max") for n in (1, 2)),
    *("Conv3D-3", "Conv2DTranspose-11", "Conv2DTranspose-12", "UpSampling3D-1"),
    *(f"{op}-{n}" for op in ("Conv1DTranspose", "Conv3DTranspose", "UpSampling1D") for n in (1, 2)),
    *("Slice-3", "Slice-4", "Slice-5"),
    # Of volumes, with no operator of images beside them.
    *("Concatenate-6", "Cropping3D-1", "Flatten-5", "LayerNormalization-9", "Mean-7", "Min-1"),
    *("PReLU-8", "Softmax-5", "SpatialDropout3D-1"),
}
"""The samples that no rewriting makes run everywhere."""


def test_which_samples_run_everywhere(tmp_path: Path) -> None:
    refused = set()
    for name, sample in zip(_names(VALID), VALID, strict=True):
        try:
            graphcnn.compile(sample.graph, tmp_path / f"{name}.onnx", verify=False)
        except ErrorGroup:
            refused.add(name)
    assert refused == NOT_PORTABLE


@pytest.mark.parametrize(
    ("name", "sample"), list(zip(_names(VALID), VALID, strict=True)), ids=_names(VALID)
)
def test_sample_agrees_with_keras_and_onnxruntime(
    name: str, sample: Sample, tmp_path: Path
) -> None:
    from tests.keras_twin import ALL_OPSETS, compare

    opsets = sorted(ALL_OPSETS, key=lambda opset: opset != 17)
    compare(
        sample.graph,
        tmp_path,
        transposes=sample.transposes,
        identities=int(sample.identity),
        opsets=opsets,
        positive=sample.positive,
        target="onnxruntime" if name in NOT_PORTABLE else "portable",
    )


@pytest.mark.parametrize("name", [n for n in activation.NAMES if n != "prelu"])
def test_activation_far_from_zero_agrees_with_keras(name: str, tmp_path: Path) -> None:
    from graphcnn.training.build import keras_layers

    op = Activation(activation=name)
    points = [0.0, *(sign * 10.0**power for sign in (-1, 1) for power in range(-6, 2)), -90, 80]
    feed = np.array([points], np.float32)
    graphcnn.compile(single(op, (len(points),)), tmp_path / "far.onnx")
    expected = np.asarray(keras_layers(op, "y")[0](feed))
    for optimize in (True, False):
        result = run(tmp_path / "far.onnx", {"x0": feed}, optimize=optimize)["y"]
        # Each on its own scale, but for the cancellation that both sides have near zero.
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
