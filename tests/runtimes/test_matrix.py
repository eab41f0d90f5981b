"""Whole networks, compiled for every runtime, in those that are tested in CI."""

from __future__ import annotations

import pytest

from graphcnn.runtimes import find_runtime
from tests.benchmarks.matrix import MODELS, main

RUNTIMES = ("onnxruntime", "openvino", "opencv", "tract")
NETWORKS = ("lenet", "cifar10_batchnorm", *sorted(path.stem for path in MODELS.glob("*.yaml")))


def test_the_runtimes_are_installed() -> None:
    assert not any(find_runtime(name)().missing() for name in RUNTIMES)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_is_right_in_all_of_them(
    network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([network, "--runtimes", ",".join(RUNTIMES)])
    printed = capsys.readouterr().out
    assert "4 of 4 are right at batches of 1 and 3" in printed
    assert status == 0
