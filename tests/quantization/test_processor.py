"""Which integers suit which processor."""

from __future__ import annotations

import sys

import pytest

from graphcnn.errors import MissingExtra
from graphcnn.quantization import Arithmetic, suitable_arithmetic, this_processor
from graphcnn.quantization.processor import Processor, _processor


@pytest.mark.parametrize(
    ("architecture", "flags", "expected"),
    [
        ("X86_64", ["sse4_2", "avx512_vnni"], Processor("it", "x86", True)),
        ("X86_64", ["avx_vnni"], Processor("it", "x86", True)),
        ("X86_64", ["avx512vnni"], Processor("it", "x86", True)),
        ("X86_32", ["avx2", "avx512f"], Processor("it", "x86", False)),
        ("X86_64", [], Processor("it", "x86", False)),
        ("ARM_8", ["asimddp"], Processor("it", "arm", None)),
        ("ARM_7", [], Processor("it", "arm", None)),
        ("RISCV_64", [], Processor("it", "RISCV_64", None)),
    ],
)
def test_what_is_known(architecture: str, flags: list[str], expected: Processor) -> None:
    assert _processor("it", architecture, flags) == expected


@pytest.mark.parametrize(
    ("processor", "activations", "weights", "reason"),
    [
        (Processor("Xeon", "x86", True), "uint8", "int8", "Xeon has VNNI"),
        (
            Processor("i7", "x86", False),
            "uint8",
            "int8 of 7 bits",
            "i7 has no VNNI, and sums of full weights would saturate",
        ),
        (Processor("A76", "arm", None), "int8", "int8", "A76 multiplies signed bytes"),
        (Processor("U74", "RISCV_64", None), "uint8", "int8", "nothing is known of the bytes"),
    ],
)
def test_what_suits(processor: Processor, activations: str, weights: str, reason: str) -> None:
    found = suitable_arithmetic(processor)
    assert (found.activations, found.weights) == (activations, weights)
    assert found.reduce_range == ("7 bits" in found.weights)
    assert found.reason.startswith(reason)


def test_this_processor_is_known() -> None:
    found = this_processor()
    assert found.name
    assert (found.vnni is None) == (found.architecture != "x86")
    assert isinstance(suitable_arithmetic(found), Arithmetic)


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cpuinfo", None)
    with pytest.raises(MissingExtra, match=r"py-cpuinfo"):
        this_processor.__wrapped__()
