"""Which 8-bit integers suit the processor that runs the file.

A 32-bit sum of products of 8-bit numbers is one instruction where the processor has dot products of
bytes: VNNI on x86, ``dotprod`` on ARM. An x86 processor without it adds pairs of products in 16
bits first, and they saturate: two products of 255 and 127 are 64,770, and 32,767 fit. Weights of 7
bits keep below that, at the price of one bit of each weight.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from graphcnn.errors import MissingExtra

_VNNI = {"avx512_vnni", "avx512vnni", "avx_vnni", "avxvnni"}


@dataclass(frozen=True, slots=True)
class Processor:
    """What is known of a processor.

    Attributes:
        name: As it calls itself.
        architecture: ``x86`` or ``arm``; else what the system calls it.
        vnni: Whether it multiplies and adds bytes in one instruction; None where it is not x86.
    """

    name: str
    architecture: str
    vnni: bool | None


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The integers of a quantized file.

    Attributes:
        signed_activations: Whether activations are int8 rather than uint8. Weights are int8.
        reduce_range: Whether weights have 7 bits.
        reason: Why, for people.
    """

    signed_activations: bool
    reduce_range: bool
    reason: str

    @property
    def activations(self) -> str:
        """The type of activations."""
        return "int8" if self.signed_activations else "uint8"

    @property
    def weights(self) -> str:
        """The type of weights."""
        return "int8 of 7 bits" if self.reduce_range else "int8"


@cache
def this_processor() -> Processor:
    """The processor that this runs on.

    Raises:
        MissingExtra: py-cpuinfo is not installed.
    """
    try:
        from cpuinfo import get_cpu_info
    except ImportError:
        raise MissingExtra("py-cpuinfo", "cpu") from None
    found = get_cpu_info()
    name = found.get("brand_raw") or found["arch_string_raw"]
    return _processor(name, found["arch"], found.get("flags", ()))


def _processor(name: str, architecture: str, flags: Collection[str]) -> Processor:
    if architecture in ("X86_64", "X86_32"):
        return Processor(name, "x86", not _VNNI.isdisjoint(flags))
    if architecture.startswith("ARM"):
        return Processor(name, "arm", None)
    return Processor(name, architecture, None)


def suitable_arithmetic(processor: Processor) -> Arithmetic:
    """The integers that a processor multiplies fast and without saturating."""
    name = processor.name
    if processor.architecture == "arm":
        return Arithmetic(True, False, f"{name} multiplies signed bytes")
    if processor.vnni:
        return Arithmetic(False, False, f"{name} has VNNI")
    if processor.vnni is False:
        reason = f"{name} has no VNNI, and sums of full weights would saturate"
        return Arithmetic(False, True, reason)
    return Arithmetic(False, False, f"nothing is known of the bytes of {name}")
