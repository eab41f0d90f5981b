"""What a session is opened with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from msgspec import Meta

from graphcnn.options import Options

Provider = Literal["auto", "cpu", "cuda", "openvino"]

_Count = Annotated[int, Meta(gt=0, lt=2**31)]

_Threads = Annotated[int, Meta(gt=0, le=1024)]
"""More would take all memory, and be of no use: a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Options):
    """How onnxruntime runs a file.

    Attributes:
        provider: What runs it; ``auto`` takes CUDA where the installed onnxruntime can use it,
            else the CPU.
        threads: How many threads compute one operator; None: as many as onnxruntime chooses.
        optimization: How much onnxruntime rewrites the graph as it loads it.
        spinning: Whether threads that wait keep a processor busy, to go on sooner.
        micro_batch: How many samples run at once; None: all that are given.

    Raises:
        OptionError: A field holds something else.
    """

    provider: Provider = "auto"
    threads: _Threads | None = None
    optimization: Literal["disabled", "basic", "extended", "all"] = "all"
    spinning: bool = True
    micro_batch: _Count | None = None

    def on(self, provider: Provider | None) -> Settings:
        """The same on another provider; on this one if None."""
        return self if provider is None else replace(self, provider=provider)
